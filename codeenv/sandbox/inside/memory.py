"""The worker's memory as children should find it: little of it, and what they write to close together.

A fork and the end of a process cost some 0.2 microseconds for each page that the worker has, and two to three for each page that
a child writes to (`docs/executors.md`). So free memory goes back to the system, and small objects of a child come from
pools that nothing of the worker is in: an object then shares its page with the head of its pool, which every allocation
writes to.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from .syscalls import libc

_POOL = 1 << (14 if sys.version_info >= (3, 10) else 12)
_HEAD, _LARGEST = 48, 512
"""Bytes of a pool of the interpreter's allocator, of its head, and of the largest object that lies in one."""
_MOST = 1 << 18

_kept: list[Any] = []


def settle() -> None:
    """Tidy up, once, before the first fork."""
    gc.collect()
    gc.freeze()  # collections of children do not touch what exists now
    trim = getattr(libc, "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
    _fill(object, 16)
    _fill(float, 32)
    for size in range(_HEAD, _LARGEST + 1, 16):
        _fill(partial(bytes, size - 40), size)  # a bytes object has 33 bytes besides its content


def _fill(make: Callable[[], Any], size: int) -> None:
    """Take the free places of the pools for objects of one size, up to the first places of a pool that was empty."""
    begun = [_HEAD + number * size for number in range(4)]
    last: list[int] = []
    for _ in range(_MOST // size):
        item = make()
        _kept.append(item)
        last = [*last[-3:], id(item) % _POOL]
        if last == begun:
            return
