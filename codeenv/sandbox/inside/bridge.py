"""The first process of a container: it stands between the engine's byte stream and a worker that speaks over shared files.

Messages from the judge: the configuration (length, marshal), then requests (length of the request file, place of its list, the
file). Messages to the judge: the worker's greeting (length, marshal), then replies (place of the table, the reply file). It ends
when the stream ends, and with it everything in the container.
"""

from __future__ import annotations

import marshal
import os
import signal
import struct
from typing import NoReturn

from . import main
from .syscalls import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, prctl, socketpair
from .zygote import LAST_WORDS, MESSAGE

LENGTH = struct.Struct("<I")
REQUEST = struct.Struct("<QQQ")
"""Bytes of the request file, and (offset, length) of the list of units in it."""


def run() -> NoReturn:
    """Start the worker and carry messages; never returns."""
    prctl(PR_SET_DUMPABLE, 0)  # its entries under /proc are closed to submissions
    stream_in, stream_out = os.dup(0), os.dup(1)
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    config = marshal.loads(_exactly(stream_in, LENGTH.unpack(_exactly(stream_in, LENGTH.size))[0]))
    ours, theirs = socketpair()
    request, reply = os.memfd_create("request"), os.memfd_create("reply")
    if os.fork() == 0:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        main.take_places(theirs, request, reply)
        main.confine(config)
    os.close(theirs)
    try:
        head = _exactly(ours, LENGTH.size)
        _write(stream_out, head + _exactly(ours, LENGTH.unpack(head)[0]))
        while True:
            size, offset, length = REQUEST.unpack(_exactly(stream_in, REQUEST.size))
            os.ftruncate(request, 0)
            position = 0
            while position < size:
                part = _exactly(stream_in, min(size - position, 1 << 20))
                os.pwrite(request, part, position)
                position += len(part)
            os.ftruncate(reply, 0)
            _write(ours, MESSAGE.pack(offset, length))
            answer = _exactly(ours, MESSAGE.size)
            _write(stream_out, answer)
            start, size = MESSAGE.unpack(answer)
            if start == LAST_WORDS:
                _write(stream_out, _exactly(ours, size))
                continue
            total = start + size
            position = 0
            while position < total:
                part = os.pread(reply, min(total - position, 1 << 20), position)
                _write(stream_out, part)
                position += len(part)
    finally:
        os._exit(0)


def _exactly(file: int, count: int) -> bytes:
    parts = []
    while count:
        part = os.read(file, min(count, 1 << 20))
        if not part:
            os._exit(0)
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
