"""Compiled test code, kept in files of the worker for the next process that runs the same.

A problem's test code is judged against many submissions, in processes that end. What one of them has compiled lies in two
files that only the worker and the processes of test code hold: an index of fixed places, and the texts with their code.
Submissions close every descriptor but their own before their first line runs.
"""

from __future__ import annotations

import opcode
import os
import struct
from marshal import dumps, loads
from typing import Any

__all__ = ["Compiler"]

_PLACE = struct.Struct("<qQIIB7x")
"""A place of the index: hash of the text, offset in the other file, bytes of the text and of its code, whether it is loud."""
_MOST = 8 << 20
"""Bytes of the file after which it begins anew; below the limit on output of any process of test code."""
_REMEMBERED = 1 << 16
_STORES = frozenset(opcode.opmap[name] for name in ("STORE_ATTR", "DELETE_ATTR"))
_NAMES = """
setattr delattr __dict__ __setattr__ __delattr__ vars globals locals exec eval compile __import__ __builtins__ __del__
importlib modules builtins sys os signal threading _thread gc atexit warnings resource environ open io ctypes socket
subprocess multiprocessing asyncio concurrent contextvars faulthandler locale logging unittest mock patch decimal time
posix nt codecs copyreg register closerange weakref inspect seed setstate cache lru_cache
"""
_LOUD = frozenset(_NAMES.split())
"""Names in test code after which everything is looked at. What code does not name and does not set, it leaves as it is."""


class Compiler:
    """Compiles test code, or finds it compiled; `loud` says whether any of it since the last reset may change more than its
    own variables.
    """

    def __init__(self, index: int, store: int) -> None:
        self.loud = False
        self._index = index
        self._store = store
        self._known: dict[tuple[str, str], tuple[Any, bool]] = {}

    def compiled(self, text: str, name: str) -> Any:
        """Return the code of a text; `name` is the file that its tracebacks say."""
        found = self._known.get((text, name))
        if found is None:
            key = f"{name}\n{text}".encode()
            found = self._found(key) or self._made(key, text, name)
            if len(text) < _REMEMBERED:
                self._known[text, name] = found
        self.loud |= found[1]
        return found[0]

    def let_go(self) -> None:
        """Use the files no more: what was compiled or found so far stays known."""
        self._index = self._store = -1

    def _found(self, key: bytes) -> tuple[Any, bool] | None:
        if self._index < 0:
            return None
        index = os.pread(self._index, os.lseek(self._index, 0, os.SEEK_END), 0)
        wanted, position = struct.pack("<q", hash(key)), -1
        while (position := index.find(wanted, position + 1)) >= 0:
            if position % _PLACE.size or position + _PLACE.size > len(index):
                continue
            _, offset, length, size, loud = _PLACE.unpack_from(index, position)
            data = os.pread(self._store, length + size, offset)
            if len(data) == length + size and data.startswith(key) and length == len(key):
                return loads(memoryview(data)[length:]), bool(loud)
        return None

    def _made(self, key: bytes, text: str, name: str) -> tuple[Any, bool]:
        code = compile(text, name, "exec", 0, True)
        loud = _loud(code)
        if self._index < 0:
            return code, loud
        data = key + dumps(code)
        offset, places = (os.lseek(file, 0, os.SEEK_END) for file in (self._store, self._index))
        if offset + len(data) > _MOST:
            os.ftruncate(self._index, 0)
            os.ftruncate(self._store, 0)
            offset = places = 0
        if len(data) <= _MOST:
            os.pwrite(self._store, data, offset)
            place = _PLACE.pack(hash(key), offset, len(key), len(data) - len(key), loud)
            os.pwrite(self._index, place, places - places % _PLACE.size)
        return code, loud


def _loud(code: Any) -> bool:
    """Say whether code sets attributes, or names what may change more than its own variables."""
    if not _STORES.isdisjoint(code.co_code[::2]) or not _LOUD.isdisjoint(code.co_names):
        return True
    return any(_loud(inner) for inner in code.co_consts if type(inner) is type(code))
