"""From what a sandbox saw to a verdict: the rules in their order, first match wins.

An outcome says how one run of one input ended, before anything is compared; it has no expected value in it. A result is an
outcome compared with one test's expected value.
"""

from __future__ import annotations

import signal
from typing import Any

from codeenv.judge.verdict import TestResult, Verdict
from codeenv.sandbox.inside import frames
from codeenv.sandbox.inside.child import LENGTH
from codeenv.sandbox.units import CPU_LIMIT, DONE, EXITED, IDLE_LIMIT, SIGNALLED, Record, Run, Unit

__all__ = [
    "ERROR_CHARACTERS",
    "OUTPUT_CHARACTERS",
    "BatchOutcomes",
    "Outcome",
    "bounded",
    "call_outcome",
    "code_outcome",
    "program_outcome",
    "signal_name",
]

OUTPUT_CHARACTERS = 10_000
"""Most characters of `TestResult.output`."""
ERROR_CHARACTERS = 4_000
"""Most characters of `TestResult.error`."""

_FINISHED = ord("F")
_SYSTEM_CALL_KILL = signal.SIGSYS


class Outcome:
    """How one input's run ended.

    Attributes:
        verdict: the verdict if the run already decides it, else `None`: compare `value`.
        value: what the submission returned, or the text it printed.
        output, error: as in `TestResult`.
        time_s, memory_mb: CPU seconds and MiB.
    """

    __slots__ = ("error", "memory_mb", "output", "time_s", "value", "verdict")

    def __init__(
        self,
        verdict: Verdict | None,
        value: Any = None,
        output: str = "",
        error: str = "",
        time_s: float = 0.0,
        memory_mb: float = 0.0,
    ) -> None:
        self.verdict = verdict
        self.value = value
        self.output = output
        self.error = error
        self.time_s = time_s
        self.memory_mb = memory_mb

    def result(self, index: int, public: bool, verdict: Verdict, error: str = "", trace: str | None = None) -> TestResult:
        """Return the result of a test with this outcome and that verdict."""
        return TestResult(index, public, verdict, self.time_s, self.memory_mb, self.output, error or self.error, trace)


def bounded(text: str, limit: int) -> str:
    """Return text of at most about `limit` characters: its beginning and its end, and how much is missing between.

    >>> bounded("a" * 100, 20)
    'aaaaaaaaaa\\n... 80 characters left out ...\\naaaaaaaaaa'
    """
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def program_outcome(run: Run, unit: Unit) -> Outcome:
    """Return the outcome of a program's run over standard streams."""
    record = run.record()
    output = run.stdout.decode("utf-8", "surrogateescape")
    shown = bounded(run.stdout.decode("utf-8", "replace"), OUTPUT_CHARACTERS)
    decided = _by_limits(run, record, unit)
    stderr = run.stderr.decode("utf-8", "replace").strip()
    if decided is None:
        letter = record.letter if record else ""
        if letter == "E" and record:
            decided = Verdict.RUNTIME_ERROR, record.text
        elif run.reason == SIGNALLED:
            decided = Verdict.RUNTIME_ERROR, f"killed by signal {signal_name(run.code)}"
        elif run.code != 0:
            decided = Verdict.RUNTIME_ERROR, f"exit status {run.code}"
    verdict, error = decided if decided is not None else (None, "")
    if stderr and verdict is not Verdict.COMPILE_ERROR:
        error = f"{stderr}\n{error}" if error else stderr
    return Outcome(verdict, output, shown, bounded(error, ERROR_CHARACTERS), run.time_s, run.memory_mb)


def call_outcome(run: Run, unit: Unit) -> Outcome:
    """Return the outcome of one call in a process of its own."""
    record = run.record()
    decided = _by_limits(run, record, unit)
    if decided is None:
        decided = _call_ended(run, record)
    return _with_value(decided, record, run.time_s, run.memory_mb)


def code_outcome(run: Run, unit: Unit) -> Outcome:
    """Return the outcome of trusted test code; `P` in its record is the only way to acceptance."""
    record = run.record()
    decided = _by_limits(run, record, unit)
    error = ""
    verdict: Verdict | None = None
    if decided is not None:
        verdict, error = decided
    elif record is None or run.reason == SIGNALLED:
        verdict, error = Verdict.RUNTIME_ERROR, "the test code ended before it was finished"
    elif record.letter in "AT":
        verdict, error = Verdict.WRONG_ANSWER, record.text
    elif record.letter != "P":
        verdict, error = Verdict.RUNTIME_ERROR, record.text
    return Outcome(verdict, None, "", bounded(error, ERROR_CHARACTERS), run.time_s, run.memory_mb)


class BatchOutcomes:
    """The outcomes of the runs of one batch, each read when it is asked for.

    Attributes:
        whole: the outcome of every test, if the program does not compile or fails while it is defined.
    """

    def __init__(self, runs: list[Run], unit: Unit) -> None:
        self.whole: Outcome | None = None
        self._runs = runs
        self._unit = unit
        self._programs = unit.kind == "stdio-batch"
        self._ended: dict[int, Outcome] = {}
        self._told: dict[tuple[int, int, int, int], Outcome] = {}
        for run in runs:
            if self.whole is None and not (run.reason == EXITED and run.code == DONE and run.compiled):
                self._read_end(run, unit.order())

    def outcome(self, test: int) -> tuple[Outcome, float] | None:
        """Return the outcome of a test and its own CPU seconds, or `None` if the batch has none.

        Places that share a text share an outcome: a program has few answers to many inputs.
        """
        if self._ended and test in self._ended:
            found = self._ended[test]
            return found, found.time_s
        for number, run in enumerate(self._runs):
            place = run.place_of(test)
            if place is None:
                continue
            seconds, offset, length, letter = place
            key = number, offset, length, letter
            in_time = seconds <= self._unit.time_s
            known = self._told.get(key) if in_time else None
            if known is None and not chr(letter).islower():
                if in_time and letter == _FINISHED and self._programs:
                    known = _printed(run, self._unit, seconds, offset, length)
                if known is None:
                    record = Record(chr(letter), seconds, run.value[offset : offset + length])
                    known = _record_outcome(record, run, self._unit)
                if in_time:
                    self._told[key] = known
            if known is not None:
                return known, seconds
        if self.whole is not None:
            return self.whole, self.whole.time_s
        if test in (self._unit.needed or range(len(self._unit.tests))):
            # the program pretended that its batch was complete
            return Outcome(Verdict.RUNTIME_ERROR, error="the process ended before the call returned"), 0.0
        return None

    def _read_end(self, run: Run, order: list[int]) -> None:
        """Note what a run that did not come to its end means, and for which test."""
        unit = self._unit
        record = run.record_of(order[run.first]) if run.first < len(order) else None
        if not run.compiled:
            decided = _by_limits(run, record, unit) or (Verdict.COMPILE_ERROR, "the source does not compile")
            self.whole = _with_value(decided, None, run.time_s, run.memory_mb)
        elif record is not None and record.letter.islower():
            kind = Verdict.MEMORY_LIMIT if record.letter == "m" else Verdict.RUNTIME_ERROR
            self.whole = _with_value((kind, record.text), None, run.time_s, run.memory_mb)
        else:
            missing = next((test for test in order[run.first :] if run.record_of(test) is None), None)
            if missing is not None:
                ended = _by_limits(run, None, unit) or _call_ended(run, None)
                self._ended.setdefault(missing, _with_value(ended, None, run.time_s, run.memory_mb))


def _printed(run: Run, unit: Unit, seconds: float, offset: int, length: int) -> Outcome | None:
    """Return the outcome of a program that came to its end and printed little and text only, as most do."""
    start = offset + LENGTH.size
    if not LENGTH.size <= length <= OUTPUT_CHARACTERS or LENGTH.unpack_from(run.value, offset)[0] != length - LENGTH.size:
        return None
    if length - LENGTH.size > unit.output:
        return None
    try:
        text = run.value[start : offset + length].decode("utf-8")
    except UnicodeDecodeError:
        return None
    return Outcome(None, text, text, "", seconds, run.memory_mb)


def _record_outcome(record: Record, run: Run, unit: Unit) -> Outcome:
    if unit.kind == "stdio-batch":
        output, words = record.program_output()
        decided: tuple[Verdict, str] | None = None
        if record.letter == "L" or len(output) > unit.output:
            decided = Verdict.OUTPUT_LIMIT, f"more than {unit.output // 1024} KiB of output"
        elif record.time_s > unit.time_s:
            decided = _over_time(unit)
        elif record.letter == "M":
            decided = Verdict.MEMORY_LIMIT, words
        elif record.letter == "E" or (record.letter == "X" and words not in ("SystemExit: 0", "SystemExit: None")):
            decided = Verdict.RUNTIME_ERROR, words
        verdict, error = decided or (None, "")
        shown = bounded(output.decode("utf-8", "replace"), OUTPUT_CHARACTERS)
        text = output.decode("utf-8", "surrogateescape")
        return Outcome(verdict, text, shown, bounded(error, ERROR_CHARACTERS), record.time_s, run.memory_mb)
    if record.letter == "M":
        return _with_value((Verdict.MEMORY_LIMIT, record.text), None, record.time_s, run.memory_mb)
    if record.letter == "L":
        return _with_value((Verdict.OUTPUT_LIMIT, record.text), None, record.time_s, run.memory_mb)
    if record.time_s > unit.time_s:
        return _with_value(_over_time(unit), None, record.time_s, run.memory_mb)
    return _with_value(_call_ended(run, record), record, record.time_s, run.memory_mb)


def _with_value(decided: tuple[Verdict, str] | None, record: Record | None, time_s: float, memory_mb: float) -> Outcome:
    """Return a decided outcome, or one with the record's value decoded."""
    if decided is None and record is not None:
        try:
            value = frames.decode(record.text)
        except frames.NotPlain as problem:
            decided = Verdict.WRONG_ANSWER, str(problem)
        else:
            return Outcome(None, value, bounded(_shown(value), OUTPUT_CHARACTERS), "", time_s, memory_mb)
    verdict, error = decided or (Verdict.RUNTIME_ERROR, "no value")
    return Outcome(verdict, None, "", bounded(error, ERROR_CHARACTERS), time_s, memory_mb)


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # an integer with more digits than Python prints
        return f"a value of type {type(value).__name__} with an integer too large to show"


def _call_ended(run: Run, record: Record | None) -> tuple[Verdict, str] | None:
    """Return the verdict of a call that left no value, or `None`."""
    if record is None or record.letter not in "VNEX":
        if run.reason == SIGNALLED:
            return Verdict.RUNTIME_ERROR, f"killed by signal {signal_name(run.code)}"
        return Verdict.RUNTIME_ERROR, f"the process ended with status {run.code} before the call returned"
    if record.letter == "N":
        return Verdict.WRONG_ANSWER, record.text
    if record.letter in "EX":
        return Verdict.RUNTIME_ERROR, record.text
    return None


def _by_limits(run: Run, record: Record | None, unit: Unit) -> tuple[Verdict, str] | None:
    if run.reason == SIGNALLED and run.code == _SYSTEM_CALL_KILL:
        return Verdict.SECURITY_VIOLATION, "killed for a system call of a foreign convention"
    if not run.compiled:
        if record is not None and record.letter == "C":
            return Verdict.COMPILE_ERROR, record.text
        why = "took too long" if run.reason in (CPU_LIMIT, IDLE_LIMIT) else f"ended by signal {signal_name(run.code)}"
        return Verdict.COMPILE_ERROR, f"the source does not compile: the compiler {why}"
    if run.reason in (CPU_LIMIT, IDLE_LIMIT):
        return _over_time(unit)
    if record is not None and record.letter == "M":
        return Verdict.MEMORY_LIMIT, f"MemoryError: more than {unit.memory >> 20} MiB"
    over = run.overflown or (unit.kind == "call" and len(run.value) > unit.output + 64)
    if over or (record is not None and record.letter == "L") or (run.reason == SIGNALLED and run.code == signal.SIGXFSZ):
        return Verdict.OUTPUT_LIMIT, f"more than {unit.output // 1024} KiB of output"
    return None


def _over_time(unit: Unit) -> tuple[Verdict, str]:
    return Verdict.TIME_LIMIT, f"more than {unit.time_s:g} s"


def signal_name(number: int) -> str:
    """Return a signal's name, or its number where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
