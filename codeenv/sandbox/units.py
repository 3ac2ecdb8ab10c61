"""What a sandbox is asked for and what it answers: units of work and runs, as plain records."""

from __future__ import annotations

import marshal
import struct
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from codeenv.errors import CodeenvError
from codeenv.sandbox.inside.batch import DONE, Order
from codeenv.sandbox.inside.board import HEAD, PLACE
from codeenv.sandbox.inside.child import LENGTH, RECORD
from codeenv.sandbox.inside.zygote import COMPILED, CPU_LIMIT, ENTRY, EXITED, IDLE_LIMIT, OVERFLOWN, SIGNALLED

__all__ = [
    "CPU_LIMIT",
    "DONE",
    "EXITED",
    "IDLE_LIMIT",
    "SIGNALLED",
    "Kind",
    "Record",
    "Run",
    "SandboxError",
    "Unit",
    "WorkerLost",
    "pack",
    "unpack",
]

_DOUBLE = struct.Struct("<d")
_LIST = struct.Struct("<cI")
"""The beginning of a list in the form of `marshal`, whose items follow as they are."""

Kind: TypeAlias = Literal[
    "stdio", "call", "code", "stdio-batch", "call-batch", "stdio-trace", "call-trace", "code-trace",
    "compile", "piped", "validate",
]  # fmt: skip


class SandboxError(CodeenvError):
    """A sandbox cannot be had: the sentence says what is missing and what to do."""


class WorkerLost(Exception):
    """A worker ended, hung or answered nonsense; what it was doing has no result."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One submission and the inputs to run it on.

    Attributes:
        kind: `stdio` (each test is the text of standard input), `call` (each is `marshal` of (args, kwargs)) or `code` (each
            is the source of
            trusted test code); with `-batch` one process runs all tests.
        source: the submission, as UTF-8.
        entry: what calls call; empty for `stdio`.
        tests: the inputs.
        needed: in a batch, the indices of the tests that run first and must have a result even if one before them ends the
            process; none means all, in their order.
        prelude: for `code`, trusted source that runs before the test code.
        mode: for `-trace`, the recorder's mode; the recorder's buffer comes back as the run's value. For `code`, `warm` if the
            test code may run in a process that has run other test code before.
        time_s, memory, output: CPU seconds, bytes of address space, and bytes of each stream, a test.
    """

    kind: Kind
    source: bytes
    entry: str
    tests: tuple[bytes, ...]
    needed: tuple[int, ...] = ()
    prelude: bytes = b""
    time_s: float = 10.0
    memory: int = 1 << 30
    output: int = 1 << 24
    mode: str = ""

    def order(self) -> list[int]:
        """Return the tests of a batch in the order in which they run."""
        return Order(len(self.tests), self.needed).tests


class Record(NamedTuple):
    """What a child left about one test: a letter (see `inside.child`), its CPU seconds and the bytes of its text."""

    letter: str
    time_s: float
    data: bytes

    @property
    def text(self) -> str:
        """The bytes as text."""
        return self.data.decode("utf-8", "replace")

    def program_output(self) -> tuple[bytes, str]:
        """Return the standard output and the text of a record of a `stdio-batch`."""
        if len(self.data) < LENGTH.size:
            return b"", ""
        (length,) = LENGTH.unpack_from(self.data)
        return self.data[LENGTH.size : LENGTH.size + length], self.data[LENGTH.size + length :].decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a child.

    Attributes:
        first: index of the (first) test that it ran.
        reason: `EXITED`, `SIGNALLED`, `CPU_LIMIT` or `IDLE_LIMIT`.
        code: exit status or signal.
        compiled: whether the submission had compiled when the child ended.
        overflown: whether it wrote more than its limit to a stream, of which only the beginning is here.
        time_s, wall_s: seconds.
        memory_mb: peak resident memory in MiB.
        value: the child's record, or in a batch its board; whatever the child wrote there.
        stdout, stderr: bytes, at most the limit and a few.
    """

    first: int
    reason: int
    code: int
    compiled: bool
    overflown: bool
    time_s: float
    wall_s: float
    memory_mb: float
    value: bytes = field(repr=False)
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)

    def record(self) -> Record | None:
        """Return the record of a child that ran one test; a child may have written anything, so it is checked."""
        if len(self.value) < RECORD.size:
            return None
        _, letter, seconds, length = RECORD.unpack_from(self.value)
        if len(self.value) < RECORD.size + length or letter > 127:
            return None
        return Record(chr(letter), seconds if 0 <= seconds < 1e9 else 0.0, self.value[RECORD.size : RECORD.size + length])

    def place_of(self, test: int) -> tuple[float, int, int, int] | None:
        """Return where the record of a test is on the board of a batch, checked in the same way: its CPU seconds, the offset
        and length of its text, and its letter.
        """
        start = HEAD.size + test * PLACE.size
        size = len(self.value)
        if size < start + PLACE.size:
            return None
        place: tuple[float, int, int, int] = PLACE.unpack_from(self.value, start)
        seconds, offset, length, letter = place
        if not 0 < letter < 128 or offset + length > size:
            return None
        return place if 0 <= seconds < 1e9 else (0.0, offset, length, letter)

    def record_of(self, test: int) -> Record | None:
        """Return the record of a test of a batch, or `None`."""
        place = self.place_of(test)
        if place is None:
            return None
        seconds, offset, length, letter = place
        return Record(chr(letter), seconds, self.value[offset : offset + length])


def pack(units: list[Unit], base_memory: int) -> tuple[bytes, int, int]:
    """Return the request file for units, and where in it the worker finds their list.

    `base_memory` is the worker's own address space, added to each limit.
    """
    parts: list[bytes] = []
    position = 0
    placed: dict[bytes, tuple[int, int]] = {}

    def place(data: bytes) -> tuple[int, int]:
        nonlocal position
        found = placed.get(data)
        if found is None:
            found = placed[data] = position, len(data)
            parts.append(data)
            position += len(data)
        return found

    blobs: dict[int, tuple[int, int]] = {}

    def place_all(unit: Unit) -> tuple[int, int]:
        """Place all inputs of a batch as one list; units often share theirs."""
        found = blobs.get(id(unit.tests))
        if found is None:
            if unit.kind == "call-batch":
                found = place(b"".join((_LIST.pack(b"[", len(unit.tests)), *unit.tests)))
            else:
                found = place(marshal.dumps(list(unit.tests), 2))
            blobs[id(unit.tests)] = found
        return found

    rows: list[tuple[Any, ...]] = []
    for unit in units:
        memory = unit.memory + base_memory
        extra: Any = None
        if unit.kind in ("code", "code-trace"):
            extra = (place(unit.prelude), max(memory, (1 << 30) + base_memory), max(unit.output, 1 << 24))
            extra = (unit.mode, extra)
        elif unit.kind.endswith("-trace"):
            extra = unit.mode
        elif unit.kind.endswith("-batch"):
            extra = len(unit.tests), unit.needed
        rows.append(
            (
                unit.kind,
                place(unit.source),
                unit.entry,
                unit.time_s,
                memory,
                unit.output,
                place_all(unit) if unit.kind.endswith("-batch") else [place(test) for test in unit.tests],
                extra,
            )
        )
    table = marshal.dumps(rows, 2)
    parts.append(table)
    return b"".join(parts), position, len(table)


def unpack(units: list[Unit], reply: bytes, start: int, length: int) -> tuple[list[list[Run]], float]:
    """Return the runs of each unit and the worker's CPU seconds so far.

    Raises:
        WorkerLost: the reply is not what a worker writes.
    """
    if start + length > len(reply) or length < 8 or (length - 8) % ENTRY.size:
        raise WorkerLost("the worker's reply has a wrong length")
    (cpu_s,) = _DOUBLE.unpack_from(reply, start)
    runs: list[list[Run]] = [[] for _ in units]
    for entry in ENTRY.iter_unpack(reply[start + 8 : start + length]):
        number, first, reason, flags, code, time_s, wall_s, peak, offset, value, out, err = entry
        if number >= len(units) or first >= max(1, len(units[number].tests)) or offset + value + out + err > start:
            raise WorkerLost("the worker's reply names what was not asked for")
        ends = offset + value, offset + value + out, offset + value + out + err
        runs[number].append(
            Run(
                first,
                reason,
                code,
                bool(flags & COMPILED),
                bool(flags & OVERFLOWN),
                time_s,
                wall_s,
                peak / 1024,
                reply[offset : ends[0]],
                reply[ends[0] : ends[1]],
                reply[ends[1] : ends[2]],
            )
        )
    return runs, cpu_s
