"""One child that runs all tests of a submission, one after another, and leaves an outcome after each on its board.

All inputs of the submission are in this process from the beginning, and what a test changes the next one finds: that is what a
batch gives up. The order is the asked-for tests first, so that one which ends the process does not cost them their turn.
"""

from __future__ import annotations

import builtins
import gc
import os
import sys
import time
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from marshal import loads
from typing import Any, NoReturn

from . import child
from .board import Board

DONE = 72
"""Exit status of a batch that has an outcome for every test."""
MODULE_FAILED = 71
"""Exit status of a batch whose program already fails while it is defined; its outcome has a small letter and holds for every
test.
"""

_UNTIMED_S = 0.001
"""A test that ends within this much wall time is not worth a reading of the CPU clock, which is a system call."""
_REMEMBERED = 256
_ONE_AFTER_ANOTHER = 1 << 20
"""Bytes of printed output that stay in the file; to empty it costs more than what a test mostly prints."""


class Order:
    """The tests of a batch in the order in which they run: `needed` first."""

    def __init__(self, count: int, needed: tuple[int, ...]) -> None:
        first = set(needed)
        self.tests = [*needed, *(index for index in range(count) if index not in first)] if needed else list(range(count))
        self.needed = len(needed) or count


def _begin(job: child.Job, board: Board, index: int) -> tuple[Any, str, list[Any]]:
    """Set the limits and return the compiled program, its text and the inputs; nothing of the submission has run."""
    child.limit(job, job.count)
    board.begin(child.VALUE_FD, job.count)
    try:
        code, text = child.compiled(job, False)
    except child.NotCompiled as problem:
        board.put(index, ord("C"), 0.0, str(problem))
        os._exit(0)
    gc.disable()
    inputs = loads(child.read(job, job.blob))
    gc.freeze()  # collections have no business with the inputs
    gc.enable()
    child.seal(job)
    return code, text, inputs


def run_calls(job: child.Job, board: Board, order: list[int], first: int) -> NoReturn:
    """Call the entry point on every test's arguments, from place `first` of the order."""
    code, text, arguments = _begin(job, board, order[first])
    namespace = child.fresh_module(job, "solution")
    put, finish, known = board.put, os._exit, _Failures(text, job)
    clock, wall = time.process_time, time.perf_counter
    encode, error_of = child.value_of, known.outcome
    try:
        exec(code, namespace)
        function = child.resolve(namespace, job.entry)
    except BaseException as error:
        letter, words = child.outcome_of(error, text, job)
        put(order[first], ord(letter.lower()), 0.0, words)
        finish(MODULE_FAILED)
    counted = clock()
    for index in order[first:]:
        args, kwargs = arguments[index]
        started = wall()
        try:
            letter, words = encode(function(*args, **kwargs), job)
        except BaseException as error:
            letter, words = error_of(error)
        spent = wall() - started
        if spent > _UNTIMED_S:
            now = clock()
            spent = max(0.0, now - counted)
            counted = now
        else:
            counted += spent
        put(index, ord(letter), spent, words)
    finish(DONE)


_ALIKE = frozenset(
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, (SyntaxError, MemoryError))
)


class _Failures:
    """The words of exceptions, written out once for each place and message: most inputs of a wrong type fail alike."""

    def __init__(self, text: str, job: child.Job) -> None:
        self._text = text
        self._job = job
        self._known: dict[tuple[object, ...], tuple[str, str]] = {}
        self._kept: list[object] = []

    def outcome(self, error: BaseException) -> tuple[str, str]:
        """Return what `child.outcome_of` returns."""
        kind = type(error)
        if type(kind) is not type or kind not in _ALIKE:
            return child.outcome_of(error, self._text, self._job)
        key: list[object] = [kind]
        codes: list[object] = []
        step = error.__traceback__
        while step is not None and len(codes) < 8:
            code = step.tb_frame.f_code
            codes.append(code)
            key += (id(code), step.tb_lasti)
            step = step.tb_next
        try:
            key.append(str(error))
            place = tuple(key)
        except BaseException:  # an argument with a hostile __str__
            return child.outcome_of(error, self._text, self._job)
        if step is not None:  # a deep one
            return child.outcome_of(error, self._text, self._job)
        found = self._known.get(place)
        if found is None:
            found = child.outcome_of(error, self._text, self._job)
            if len(self._known) < _REMEMBERED:
                self._known[place] = found
                self._kept += codes  # so that an identity stays theirs
        return found


def run_programs(job: child.Job, board: Board, order: list[int], first: int) -> NoReturn:
    """Run the program once for every test, with fresh globals and streams, from place `first` of the order."""
    code, text, inputs = _begin(job, board, order[first])
    clock, seek, finish = time.process_time, os.lseek, os._exit
    begun, given_bytes, room = 0, -1, job.output * (job.count - 1)
    printer: Any = sys.stdout  # as the worker made it
    settings = _settings(printer)
    fresh = True
    counted = clock()
    last = order[-1]
    for index in order[first:]:
        given = inputs[index]
        os.pwrite(0, given, 0)
        if len(given) != given_bytes:
            given_bytes = len(given)
            os.ftruncate(0, given_bytes)
        seek(0, 0, 0)
        if not fresh:
            sys.stdin = sys.__stdin__ = reader()  # type: ignore[misc]
            if _settings(printer) != settings:  # what was written is out, so one that nobody touched may stay
                printer = writer()
                settings = _settings(printer)
            sys.stdout = sys.__stdout__ = printer  # type: ignore[misc]
        fresh = False
        try:
            exec(code, child.fresh_module(job, "__main__"))
            letter, words = "F", ""
        except BaseException as error:
            letter, words = child.outcome_of(error, text, job)
        flushed = _flushed(sys.stdout)
        if sys.stdout is not printer:
            flushed &= _flushed(printer)
        if not flushed:
            _forget(printer)
            if os.fstat(1).st_size - begun > job.output:
                letter = "L"
            elif letter == "F":  # as the interpreter ends then
                letter, words = "X", "SystemExit: 120"
        end = seek(1, 0, 2)
        size = end - begun  # to read up to the limit would mean to make room for it
        output = os.pread(1, min(size, job.output + 1), begun) if size > 0 else b""
        body = child.LENGTH.pack(len(output)) + output
        begun = end
        if (begun > room or begun > _ONE_AFTER_ANOTHER) and index != last:
            os.ftruncate(1, 0)
            begun = seek(1, 0, 0)
        now = clock()
        board.put(index, ord(letter), now - counted, body + words.encode("utf-8", "replace") if words else body)
        counted = now
    finish(DONE)


def reader() -> TextIOWrapper:
    """Return what `open(0)` does; that asks the system twice as often."""
    stream: Any = TextIOWrapper(BufferedReader(FileIO(0, "r", False)), "utf-8", "surrogateescape")
    stream.mode = "r"
    return stream  # type: ignore[no-any-return]


def _settings(writer: Any) -> tuple[object, ...]:
    """Return what a program may have changed of a stream; `None` alone if it cannot be used any more."""
    try:
        return writer.closed, writer.encoding, writer.errors, writer.line_buffering, writer.write_through, len(vars(writer))
    except (AttributeError, ValueError):
        return (None,)


def _flushed(stream: Any) -> bool:
    """Say whether a stream's text is written: not if the file is full, or if a program has put something else in its place."""
    try:
        if stream is not None and not stream.closed:
            stream.flush()
    except BaseException:
        return False
    return True


def _forget(writer: Any) -> None:
    """Make what a stream still holds go nowhere."""
    try:
        writer.buffer.raw.close()
    except (AttributeError, ValueError, OSError):
        return


def writer() -> TextIOWrapper:
    stream: Any = TextIOWrapper(BufferedWriter(FileIO(1, "w", False)), "utf-8", "surrogateescape")
    stream.mode = "w"
    return stream  # type: ignore[no-any-return]
