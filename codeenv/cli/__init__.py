"""The command line: `codeenv VERB ...`. One module a verb; each has a `main` whose annotated parameters are the flags.

A verb's `main` returns the exit status (None is 0). Errors for people are `CodeenvError`: one sentence on standard error,
status 2. Ctrl-C ends with one sentence and status 130.
"""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from codeenv.errors import CodeenvError

__all__ = ["VERBS", "main", "run"]

VERBS = {
    "bench": "measure whether an agent uses feedback",
    "demo": "show an episode, then train the miniature and score it",
    "doctor": "say what works on this machine",
    "export": "write a recorded run in another format",
    "docker": "make the image of the isolation level docker",
    "judge": "judge a program against a problem",
    "list": "list the registered environments",
    "models": "list and fetch models",
    "probe": "say what the states of frozen models tell about runs",
    "problems": "list, show, validate, convert and count problems; make tests; find repetitions",
    "replay": "judge the programs of a recorded run again",
    "rollout": "run an agent in an environment and record the episodes",
    "serve": "serve the judge over HTTP",
    "trace": "show what a program does, line by line",
    "train": "train a policy in the RLEF way",
    "view": "show recorded runs as one HTML page",
}
"""Verb to one-line summary; the module of a verb is `codeenv.cli.<verb>` (`list` lives in `codeenv.cli.list_envs`)."""

_MODULES = {"list": "list_envs"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from codeenv.version import __version__

        print(f"codeenv {__version__}")
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        print(f"codeenv: there is no verb {verb!r}; use one of {', '.join(VERBS)}", file=sys.stderr)
        return 2
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # texts of problems and programs may hold anything
    try:
        module = importlib.import_module(f"codeenv.cli.{_MODULES.get(verb, verb)}")
        if hasattr(module, "run_arguments"):  # a verb whose flags depend on a file that its arguments name
            status = module.run_arguments(arguments[1:]) or 0
        else:
            status = _call(module.main, verb, arguments[1:]) or 0
        if sys.stdout is not None:  # as it is where the caller closed it
            sys.stdout.flush()
        return status
    except CodeenvError as error:
        print(f"codeenv {verb}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"codeenv {verb}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _silence_output()
        return 141
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _silence_output()
        print(f"codeenv {verb}: the output cannot be written: {error.strerror}; make room and run it again", file=sys.stderr)
        return 2


def run() -> NoReturn:
    """The command `codeenv`: `main`, then leave. SIGTERM, with which schedulers preempt, ends a verb as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _terminated)
    status = main()
    gc.freeze()  # else the interpreter looks for garbage among millions of objects of torch's on its way out, for seconds
    sys.exit(status)


def _terminated(*_: object) -> None:
    """Do what Ctrl-C does; a background job of a script is deaf to that, but not to SIGTERM."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    os.kill(os.getpid(), signal.SIGINT)


def _silence_output() -> None:
    """Send what is left to print nowhere; else the interpreter complains at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _call(function: Callable[..., int | None], verb: str, arguments: Sequence[str]) -> int | None:
    import tyro

    return tyro.cli(function, prog=f"codeenv {verb}", args=list(arguments), config=(tyro.conf.FlagCreatePairsOff,))


def _usage() -> str:
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {summary}" for verb, summary in VERBS.items()]
    return "usage: codeenv VERB [OPTIONS]\n\n" + "\n".join(lines) + "\n\ncodeenv VERB --help describes a verb."
