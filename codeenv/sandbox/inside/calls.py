"""Test code against a submission in another process: each sees the other only through messages of plain data.

The tester runs trusted code (`check(candidate)`, assert lines, `unittest` classes) and holds a proxy for the entry point.
What is not plain data stays where it is and crosses as a reference: submitted objects become `Remote` proxies in the tester,
on which any operation runs in the submission's process; callables and iterators of the tests become proxies in the
submission, which may only call them or take the next item. A proxy is never equal to plain data and has no order against it,
so a value that claims to equal everything equals nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from . import child
from .conversation import JOB, OPERATIONS, SOURCE, Gone, Peer
from .proxies import LAST, Callback, Remote
from .testcode import Compiler

SOCKET_FD = 4
STARTER_NAME, TESTS_NAME = "starter.py", "tests.py"


def run_candidate(job: child.Job) -> NoReturn:
    """Run the submission and answer the tester's questions about its entry point."""
    child.limit(job)
    code, text = child.load(job, True)
    job.last = max(job.last, SOCKET_FD)
    child.seal(job)
    namespace = child.fresh_module(job, "solution")
    SOURCE[0], JOB[0] = text, job
    peer = Peer(SOCKET_FD, frozenset(OPERATIONS), Callback)
    try:
        exec(code, namespace)
        target: Any = _Entry(namespace, job.entry)
    except BaseException as error:
        target = _Failed(error)
    try:
        peer.serve(target)
    except BaseException:
        os._exit(1)
    os._exit(0)


class _Entry:
    """What the tester asks first: the entry point, or a name of the submission."""

    def __init__(self, namespace: dict[str, Any], entry: str) -> None:
        self._namespace = namespace
        self._entry = entry

    def __call__(self, name: str) -> Any:
        return child.resolve(self._namespace, name or self._entry)


class _Failed:
    """Stands for a submission whose first lines raise."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __call__(self, name: str) -> Any:
        raise self._error


def run_tester(job: child.Job, index: int, extra: tuple[Any, ...], compiler: Compiler) -> NoReturn:
    """Run trusted test code against the submission in another process, and leave the outcome."""
    prelude, memory, output = extra
    job.memory, job.output, job.cpu_s = memory, output, job.cpu_s * 10
    child.limit(job)
    starter = child.read(job, prelude).decode("utf-8")
    text = child.read(job, job.tests[index]).decode("utf-8")
    for source, name in ((starter, STARTER_NAME), (text, TESTS_NAME)):
        with contextlib.suppress(Exception):  # it is said where it is run
            compiler.compiled(source, name)
    compiler.let_go()
    job.last = SOCKET_FD
    child.seal(job)
    child.end(*tested(job, SOCKET_FD, starter, text, compiler.compiled))


def tested(job: child.Job, socket: int, starter: str, text: str, code_of: Callable[[str, str], Any]) -> tuple[str, str]:
    """Run trusted test code against a proxy and return the outcome: P passed, A assertion, E the submission's error, T another
    error, G the submission's process is gone; and what to say. `code_of` compiles text, with its name.
    """
    peer = Peer(socket, frozenset({"call", "next"}), Remote)
    namespace = child.fresh_module(job, "tests")
    try:
        entry = Remote(peer, 0)
        try:  # test code gets the helpers and imports of the statement's code, as far as that runs by itself
            exec(code_of(starter, STARTER_NAME), namespace)
        except Exception:
            pass
        candidate = peer.answer("call", (), {})  # it answers that by itself
        root = job.entry.split(".")[0].replace("()", "")
        namespace["candidate"] = candidate
        namespace[root] = candidate if root == job.entry else entry(root)
        sys.modules["solution"] = _Solution(entry)  # type: ignore[assignment]
        LAST.clear()  # what was asked for so far were names
        asked = peer.asked
        exec(code_of(text, TESTS_NAME), namespace)
        _run_collected(namespace, candidate)
        if peer.gone is not None:  # the test code expected an error, and took the end of the process for one
            return _failure(peer.gone, text)
        if peer.asked == asked:
            return "T", "the test code asked nothing of the submission, so it can show nothing"
    except BaseException as error:
        return _failure(peer.gone or error, text)
    finally:
        peer.fd = -1  # what test code keeps of this submission cannot speak to the next one
        namespace.clear()  # its functions hold it, and it holds them
        LAST.clear()
    return "P", ""


class _Solution:
    """The module that `from solution import name` finds in test code."""

    def __init__(self, entry: Remote) -> None:
        self._entry = entry

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = self._entry(name)
        return object.__getattribute__(value, "_peer").exception_class(value) if type(value) is Remote else value


def _run_collected(namespace: dict[str, Any], candidate: Any) -> None:
    check = namespace.get("check")
    if callable(check) and not isinstance(check, Remote):
        check(candidate)
        return
    unittest = sys.modules.get("unittest")
    if unittest is not None:
        for value in list(namespace.values()):
            if isinstance(value, type) and issubclass(value, unittest.TestCase):
                suite = unittest.defaultTestLoader.loadTestsFromTestCase(value)
                result = unittest.TestResult()
                result.failfast = True
                suite.run(result)
                for _, words in [*result.failures, *result.errors]:
                    raise AssertionError(words.strip().splitlines()[-1])
                for test in result.unexpectedSuccesses:
                    raise AssertionError(f"{test} should fail, and did not")
    for name, value in list(namespace.items()):
        if name.startswith("Test") and isinstance(value, type) and value.__module__ == namespace["__name__"]:
            if unittest is None or not issubclass(value, unittest.TestCase):
                _run_methods(value)
        elif name.startswith("test_") and callable(value) and not isinstance(value, (Remote, type)):
            _run_to_the_end(name, value)


def _run_methods(kind: Any) -> None:
    """Run the methods of a class of tests that is no `unittest` class, each on an object of its own."""
    for name in [name for name in dir(kind) if name.startswith("test_") and callable(getattr(kind, name))]:
        made = kind()
        for before in ("setup_method", "setup"):
            if hasattr(made, before):
                getattr(made, before)()
                break
        _run_to_the_end(name, getattr(made, name))


def _run_to_the_end(name: str, test: Callable[[], Any]) -> None:
    """Call a test; one that is asynchronous is awaited, and a generator, of which nothing would run, is refused."""
    result = test()
    if hasattr(result, "__await__"):
        import asyncio

        asyncio.run(result)
    elif type(result).__name__ in ("generator", "async_generator"):
        raise TypeError(f"{name} yields, so nothing of it runs; a test returns")


def _failure(error: BaseException, text: str) -> tuple[str, str]:
    if isinstance(error, Gone):
        return "G", str(error)
    origin = getattr(error, "from_submission", None)
    where = ""
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == TESTS_NAME:
            lines = text.split("\n")
            number = step.tb_lineno
            where = lines[number - 1].strip()[:500] if 0 < number <= len(lines) else ""
        step = step.tb_next
    if origin is not None:
        letter, words = origin
        return ("M" if letter == "M" else "E"), f"{words}\nwhile running: {where}" if where else words
    try:
        shown = [f"{type(error).__name__}: {error}".rstrip(": ")[:1000]]
    except BaseException:  # its words are the submission's, and have an end of their own
        shown = [f"{type(error).__name__}, which cannot be shown"]
    if where:
        shown.append(f"in: {where}")
    if LAST:
        args, kwargs, value = LAST[0]
        inside = ", ".join([*map(_short, args), *(f"{name}={_short(item)}" for name, item in kwargs.items())])
        shown.append(f"last call: candidate({inside}) returned {_short(value)}")
    return ("A" if isinstance(error, AssertionError) else "T"), "\n".join(shown)


def _short(value: Any) -> str:
    if isinstance(value, Remote):
        return "an object"
    try:
        text = repr(value)
    except BaseException:  # an integer of too many digits, an object of the submission that raises
        return f"a value of type {type(value).__name__} that cannot be shown"
    return text if len(text) <= 400 else text[:300] + " ... " + text[-80:]
