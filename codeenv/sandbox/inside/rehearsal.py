"""The worker does once what its children do, so that they find it done.

A function's first runs write into its code: the interpreter counts them and then replaces instructions by faster ones. In a
child each such write is a page to copy, for every child again. So the trusted part of a child runs here a few times before the
first fork, on a small program of our own: with limits that limit nothing, no descriptors to close, no filter, and an end that is
an exception.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from . import batch, calls, child, conversation
from .board import Board
from .proxies import Remote
from .syscalls import libc, socketpair

TIMES = 24
"""Runs after which the interpreter has replaced what it replaces."""

_PROGRAM = b"""
import sys
from typing import List
class Thing:
    def method(self, values: List[int]) -> int:
        return sum(value * value for value in values if value % 2 == 0) + len({value: str(value) for value in values})
def f(a, b):
    text = f"{Thing().method([a, b])} {a!r:>5} {1.5:.2f}"
    return "kg", len(text.split()), sorted([b, a], key=lambda value: -value)
"""
_TALK = b"""
import sys
n = input()
print(n, int(n) + 1)
for line in sys.stdin:
    print(*map(int, line.split()), sep=" ")
"""
_TEXT = b"1\n2 3\n"
_CALLS: list[Any] = [((3, 1), {}), ((1, 2), {}), ((1, "a"), {}), ((1,), {})]


_NO_MORE = 1  # SHUT_WR


class _End(BaseException):
    """Stands for the end of a process."""


def rehearse(request: int, value: int, code: int, board: Board, outcomes: int) -> None:
    """Run what children run, in this process; the files given are empty again afterwards."""
    inputs = marshal.dumps(_CALLS, 2)
    one = marshal.dumps(_CALLS[0], 2)
    data = _PROGRAM + inputs + one
    os.pwrite(request, data, 0)
    place = (len(_PROGRAM), len(inputs))
    single, many = _job(request, code, 1), _job(request, code, len(_CALLS))
    single.tests, many.blob = [(sum(place), len(one))], place
    texts = marshal.dumps([_TEXT, b"2\n", b"3", b""], 2)
    os.pwrite(request, texts + _TALK, len(data))
    alone, together = _job(request, code, 1), _job(request, code, 4)
    alone.source = together.source = (len(data) + len(texts), len(_TALK))
    together.blob = (len(data), len(texts))
    order = list(range(len(_CALLS)))
    modules = dict(sys.modules)
    streams = sys.stdin, sys.stdout
    leave, os._exit = os._exit, _raise
    try:
        for _ in range(TIMES):
            os.ftruncate(code, 0)
            for file, job, run in (
                (value, single, lambda: child.run_call(single, False, 0)),
                (value, alone, lambda: child.run_program(alone, False)),
                (outcomes, many, lambda: batch.run_calls(many, board, order, 0)),
                (outcomes, together, lambda: batch.run_programs(together, board, order, 0)),
            ):
                job.request_fd, job.code_fd = request, code
                _new_streams()
                _until_end({child.VALUE_FD: file}, run)
            _converse(request, value, code, single)
    finally:
        os._exit = leave
        gc.unfreeze()
        gc.enable()
        for name in [name for name in sys.modules if name not in modules]:
            del sys.modules[name]
        sys.modules.update(modules)
        sys.stdin, sys.stdout = sys.__stdin__, sys.__stdout__ = streams  # type: ignore[misc, assignment]
        os.lseek(0, 0, 0)
        for file in (0, 1, request, value, code):
            os.ftruncate(file, 0)


def _new_streams() -> None:
    """Give the next program streams of its own: those that children find have never been used."""
    os.ftruncate(1, 0)
    os.pwrite(0, _TEXT, 0)
    for number in (0, 1):
        os.lseek(number, 0, 0)
    sys.stdin, sys.stdout = sys.__stdin__, sys.__stdout__ = batch.reader(), batch.writer()  # type: ignore[misc]


def _job(request: int, code: int, count: int) -> child.Job:
    """Return a job whose limits limit nothing: the same numbers for any count, since a limit cannot be raised again."""
    job = child.Job((0, len(_PROGRAM)), "f", 1e8 / count, 0, (1 << 40) // count)
    job.count, job.last = count, 1 << 20
    return job


def _converse(request: int, value: int, code: int, job: child.Job) -> None:
    """Answer test code that has asked already, and does not wait for answers."""
    ours, theirs = socketpair()
    tests = conversation.Peer(ours, frozenset(), Remote)
    for args in ([3, 1], [[1, "a"], (2.5, None)], [{"a": 1}, True]):
        tests._write(f'["call",1,{tests._text(args)}]')
    libc.shutdown(ours, _NO_MORE)
    source = job.request_fd = os.dup(request)  # it may lie where the socket comes to lie
    job.code_fd = code
    _until_end({child.VALUE_FD: value, calls.SOCKET_FD: theirs}, lambda: calls.run_candidate(job))
    for file in (ours, theirs, source):
        os.close(file)


def _until_end(files: dict[int, int], run: Callable[[], NoReturn]) -> None:
    """Run with files in the places that they have in a child, which are those of other files of ours."""
    ours = {number: os.dup(number) for number in files}
    for number, file in files.items():
        os.dup2(file, number)
    try:
        run()
    except _End:
        return
    finally:
        for number, file in ours.items():
            os.dup2(file, number)
            os.close(file)


def _raise(status: int) -> Any:
    raise _End
