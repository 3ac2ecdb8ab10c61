"""`codeenv trace`: show what a program does, line by line."""

from __future__ import annotations

import ast
import dataclasses
import io
import re
import sys
import tokenize
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from codeenv.errors import CodeenvError
from codeenv.judge.prepared import call_input
from codeenv.sandbox.levels import open_pool
from codeenv.sandbox.units import Unit
from codeenv.trace import Trace, buffer_size, collect, render
from codeenv.trace.stepper import stepper_html

_UNLIMITED = 10**9
_OUTPUT = 1 << 20  # bytes of the program's output that are kept


def main(
    code: tyro.conf.Positional[str],
    input: str | None = None,
    call: str | None = None,
    format: Literal["inline", "steps", "final", "json", "html"] = "inline",
    mode: Annotated[Literal["bounded", "full", "coverage", "final"] | None, tyro.conf.arg(help="what is recorded")] = None,
    budget: int = 0,
    time_limit: float = 10.0,
    sandbox: str = "local",
    trusted: bool = False,
) -> int:
    """Run a program in the sandbox and show what happened; exit status 0 if it ended (or exits with status 0), 1 if it
    raised or was stopped, 2 for bad input.

    Example: codeenv trace solution.py --call "best([7, 1, 5])"

    Args:
        code: file with the program, or - for standard input.
        input: file that the program reads as its standard input.
        call: call to make once the program is defined: a function and literal arguments.
        format: comments on the source, one line an event, last values, the trace as JSON lines, or a page to step through.
        mode: bounded (the first iterations and calls; the default), full, coverage, or final (the default of that format).
        budget: most tokens of the text; 0 for all of it.
        time_limit: CPU seconds.
        sandbox: isolation level: local, namespaces, landlock or rlimits.
        trusted: the program is trusted; needed for the level rlimits.
    """
    source = _program(code)
    _check(source)
    recorded = mode or ("final" if format == "final" else "bounded")
    if call is not None and input is not None:
        raise CodeenvError("use --input for a program that reads its input or --call for a function, not both")
    entry, data = ("", _bytes(input, "input") if input is not None else b"") if call is None else _call(call)
    if not 0.01 <= time_limit <= 3600:
        raise CodeenvError(f"time-limit is {time_limit}; use seconds between 0.01 and 3600")
    if budget and budget < 16:
        raise CodeenvError(f"budget is {budget}; use 0 or at least 16 tokens")
    plain = Unit(
        "stdio" if call is None else "call", source.encode(), entry, (data,),
        time_s=time_limit, output=_OUTPUT,
    )  # fmt: skip
    kind: Literal["stdio-trace", "call-trace"] = "stdio-trace" if call is None else "call-trace"
    unit = dataclasses.replace(plain, kind=kind, output=max(_OUTPUT, 2 * buffer_size(recorded)), mode=recorded)
    pool, _ = open_pool(sandbox, 1, trusted=trusted, tracing=True)
    try:
        recording, printing = pool.run([unit, plain])
    finally:
        pool.close()
    trace = collect(recording[0].value, source)
    output, errors = (said[:_OUTPUT].decode("utf-8", "replace") for said in (printing[0].stdout, printing[0].stderr))
    if format == "json":
        sys.stdout.write(trace.to_jsonl())
    elif format == "html":
        sys.stdout.write(stepper_html(trace, source, output, Path(code).name))
    else:
        _show(render(trace, source, format, budget or _UNLIMITED), {"output": output, "standard error": errors}, trace)
    return 0 if trace.footer.succeeded else 1


def _bytes(path: str, what: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise CodeenvError(f"the {what} {path!r} cannot be read: {error.strerror}") from None


def _program(path: str) -> str:
    """Return a program's text, decoded as Python does: by its byte order mark or coding line, UTF-8 without one."""
    data = _bytes(path, "program")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise CodeenvError(f"the program {path!r} cannot be decoded: {error}; save it as UTF-8") from None


def _check(source: str) -> None:
    """Refuse a program that does not compile."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "<program>", "exec", dont_inherit=True)
    except SyntaxError as error:
        raise CodeenvError(f"the program does not compile: line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise CodeenvError(f"the program does not compile: {error or type(error).__name__}") from None


def _call(text: str) -> tuple[str, bytes]:
    """Return the function's name and its arguments as the sandbox takes them."""
    try:
        node = ast.parse(text, mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise ValueError("it is not a call of a function")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        raise CodeenvError(f'call is {text!r}: {reason}; use a function and literal arguments, such as "f(1, [2])"') from None
    try:
        args = tuple(ast.literal_eval(argument) for argument in node.args)
        kwargs: dict[str, Any] = {keyword.arg or "": ast.literal_eval(keyword.value) for keyword in node.keywords}
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise CodeenvError(f'call is {text!r}, whose arguments are not literals; use such as "f(1, [2], key=None)"') from None
    if "" in kwargs:
        raise CodeenvError(f"call is {text!r}, which uses **; name each argument")
    return node.func.id, call_input(args, kwargs)


def _visible(text: str) -> str:
    """Return a text with its control characters spelled out, so that none reaches the terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in text)


def _show(text: str, said: dict[str, str], trace: Trace) -> None:
    """Print the rendering and what the program printed: in colours on a terminal, plain in a pipe."""
    text, said = _visible(text), {stream: _visible(written) for stream, written in said.items() if written}
    if not sys.stdout.isatty():
        print(text)
        for stream, written in said.items():
            print(f"--- {stream} ---\n" + written, end="" if written.endswith("\n") else "\n")
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in text.split("\n"):
        start = line.rfind("  # ") if "  # " in line else 0 if line.startswith("# ") else len(line)
        styled = Text(line)
        remark = line[start:]
        if re.search(r"\) \w*(Error|Exception|Exit|Interrupt|Iteration)\b.*|raised through|\bEXC ", remark):
            styled.stylize("bold red", start)
        else:
            styled.stylize("dim" if "not run" in remark else "green", start)
        console.print(styled)
    for stream, written in said.items():
        console.print(Text(f"--- {stream} ---", style="dim"))
        console.print(Text(written.rstrip("\n")))
    if trace.footer.end == "cut":
        console.print(Text("stopped by a limit", style="bold red"))
