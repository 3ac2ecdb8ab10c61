"""Where a batch leaves its outcomes: a table with one place for each test, then the texts that the table points to.

It is the value file of a child. The worker maps the beginning of that file once and children inherit the mapping, so that an
outcome costs no system call and is there even if the next test ends the process. The worker itself never touches the
mapping: a child may cut the file, and reading a page that is not there would end the worker. It reads the file instead.
"""

from __future__ import annotations

import mmap
import os
import struct

HEAD = struct.Struct("<QQ")
"""At the beginning: bytes of the board that are used, and how many tests have an outcome."""
PLACE = struct.Struct("<fIII")
"""The place of a test: CPU seconds, offset and length of its text, and its letter; zeros if there is no outcome yet."""
MAPPED = 1 << 18
"""Bytes of the file that are mapped; what is beyond is written by system calls."""

_SHARED = 4096
_put_place = PLACE.pack_into
_put_end = _put_done = struct.Struct("<Q").pack_into


class Board:
    """A child's end of the board."""

    def __init__(self, file: int, memory: mmap.mmap) -> None:
        self._file = file
        self._memory = memory
        self._texts: dict[str | bytes, tuple[int, int]] = {}
        self._end = 0
        self._done = 0

    def begin(self, file: int, count: int) -> None:
        """Make room for the places of `count` tests; `file` is the value file's descriptor from now on."""
        self._file = file
        self._end = HEAD.size + count * PLACE.size
        self._texts = {}
        self._done = 0

    def put(self, index: int, letter: int, seconds: float, text: str | bytes) -> None:
        """Write a test's outcome. Equal texts are written once."""
        place = self._texts.get(text) or self._add(text)
        start = HEAD.size + index * PLACE.size
        if start + PLACE.size <= MAPPED:
            _put_place(self._memory, start, seconds, place[0], place[1], letter)
        else:
            self._write(start, PLACE.pack(seconds, place[0], place[1], letter))
        self._done += 1
        _put_done(self._memory, 8, self._done)

    def _add(self, text: str | bytes) -> tuple[int, int]:
        data = text.encode("utf-8", "replace") if isinstance(text, str) else text
        place = self._end, len(data)
        self._write(self._end, data)
        self._end += len(data)
        _put_end(self._memory, 0, self._end)
        if len(text) <= _SHARED:
            self._texts[text] = place
        return place

    def _write(self, start: int, data: bytes) -> None:
        end = start + len(data)
        if end <= MAPPED:
            self._memory[start:end] = data
            return
        while data:
            written = os.pwrite(self._file, data, start)
            start += written
            data = data[written:]


def opened(file: int) -> Board:
    """Return the board of a value file, mapped."""
    os.ftruncate(file, MAPPED)
    return Board(file, mmap.mmap(file, MAPPED))


def clear(file: int) -> None:
    """Make a value file an empty board."""
    os.ftruncate(file, 0)
    os.ftruncate(file, MAPPED)


def used(file: int) -> tuple[int, int]:
    """Return how many bytes of a board are used and how many tests have an outcome, as its child says."""
    head = os.pread(file, HEAD.size, 0)
    return HEAD.unpack(head) if len(head) == HEAD.size else (0, 0)
