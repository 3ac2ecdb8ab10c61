"""The parent's side: the bytes that a recorder left, read as untrusted data into a trace.

The program shares its process with the recorder, so the bytes may be anything: whatever is not a well-formed record of this
source is left out and the footer says so. A trace informs the agent and labels training data; it never decides a verdict.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from codeenv.text import program_lines
from codeenv.trace.blocks import MARK_BASE
from codeenv.trace.events import KINDS, End, Event, ExceptionInfo, Footer, Header, Kind, Trace
from codeenv.trace.recorder import DUMP, MAGIC, MARKS, MODES, WAITING, buffer_size
from codeenv.trace.snapshot import CAPS

__all__ = ["collect"]

_RECORD_CHARS = 8_000
_TEXT_CHARS = 200
_NAMES = 64
_NUMBER = 10**12
_FINALS = 128  # of more variables the latest are kept


def collect(data: bytes | memoryview, source: str) -> Trace:
    """Return the trace in a recorder's buffer, of a run of `source`; a damaged buffer gives an empty trace that says so."""
    data = bytes(data[: buffer_size("full")])
    lines = len(program_lines(source))
    records = data[MARK_BASE + MARKS :].split(b"\0", 1)[0].split(b"\n")
    unfinished = records.pop()  # no newline: cut in the middle of a record
    header = _header(records[0]) if records and data[:4] == MAGIC else {}
    reader = _Reader(lines)
    for record in records[1:]:
        reader.read(record)
    if reader.end == "cut" and data[WAITING : WAITING + 1] == b"\1":
        reader.end = "ok"
    events = _settled(reader.events, reader.end == "cut", _dumped(data, header, lines))
    notes = [str(header.get("unrecorded", ""))[:_TEXT_CHARS]] if header else ["nothing was recorded"]
    if reader.refused:
        notes.append(f"{reader.refused} records were malformed")
    if unfinished:
        notes.append("the last record is incomplete")
    marks = data[MARK_BASE : MARK_BASE + MARKS]
    covered, uncovered = _coverage(header, marks, events, lines)
    footer = Footer(
        covered=covered,
        uncovered=uncovered,
        branches=_branches(header, marks, lines),
        dropped=int.from_bytes(data[4:8], "little"),
        end=reader.end,
        exception=reader.exception,
        final=_final(events, covered),
        note="; ".join(_printable(note) for note in notes if note),
    )
    sha = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Trace(
        Header(
            python=_printable(str(header.get("py", "?"))[:8]),
            mode=_printable(str(header.get("mode", "?"))[:16]),
            source_sha=sha,
            iterations=_small(header.get("K")),
            calls=_small(header.get("calls")),
            caps=CAPS,
        ),
        events,
        footer,
    )


class _Reader:
    """Turns records into events, refusing what has not their form."""

    def __init__(self, lines: int) -> None:
        self.lines = lines
        self.events: list[Event] = []
        self.refused = 0
        self.end: End = "cut"
        self.exception: ExceptionInfo | None = None
        self._printed = 0

    def read(self, record: bytes) -> None:
        row = _json(record)
        if isinstance(row, list) and len(row) == 2 and row[0] == "z" and row[1] in ("ok", "exception", "exit"):
            self.end = cast(End, row[1])
        elif isinstance(row, list) and len(row) == 2 and row[0] == "o" and _is_count(row[1]):
            self._printed = row[1]
        elif (event := self._event(row)) is not None:
            self.events.append(event)
            self.end, self.exception = "cut", None  # a run that goes on had not ended
            if event.extra.get("uncaught"):
                kind, message = str(event.extra.get("type", "")), str(event.extra.get("msg", ""))
                self.exception = ExceptionInfo(kind, message, event.line)
        else:
            self.refused += 1

    def _event(self, row: Any) -> Event | None:
        if not isinstance(row, list) or not 3 <= len(row) <= 5 or not isinstance(row[0], str) or row[0] not in KINDS:
            return None
        line, frame = row[1], row[2]
        if not _is_count(line) or not _is_count(frame) or line > self.lines or (line == 0 and row[0] != "x"):
            return None
        texts = row[3] if len(row) > 3 else {}
        extra = row[4] if len(row) > 4 else {}
        if not isinstance(texts, dict) or not isinstance(extra, dict) or len(texts) > _NAMES:
            return None
        variables = {_printable(name): _printable(text) for name, text in texts.items() if isinstance(text, str)}
        kept = {key: value for key in extra if (value := _extra(key, extra[key])) is not None}
        if self._printed:
            kept["o"], self._printed = self._printed, 0
        return Event(len(self.events), cast(Kind, row[0]), line, frame, variables, kept)


def _settled(events: list[Event], cut: bool, dumped: list[int]) -> tuple[Event, ...]:
    """Return the events with their places in time. Where a run stood when its limit drew near counts only if it was stopped, and
    the last time that it was looked at.
    """
    last = max((place for place, event in enumerate(events) if event.kind == "k"), default=-1) if cut else -1
    first = last
    while first > 0 and events[first - 1].kind == "k" and events[first - 1].extra.get("through"):
        first -= 1
    kept = [event for place, event in enumerate(events) if event.kind != "k" or first <= place <= last]
    if cut and last < 0 and dumped:
        kept.append(Event(0, "k", dumped[0], 0, {}, {"depth": len(dumped)}))
    return tuple(dataclasses.replace(event, index=index) for index, event in enumerate(kept))


def _dumped(data: bytes, header: Mapping[str, Any], lines: int) -> list[int]:
    """Return the lines of the program's frames that `faulthandler` left, innermost first."""
    mode, name = header.get("mode"), header.get("file")
    if mode not in MODES or not isinstance(name, str):
        return []
    text = data[buffer_size(mode) - DUMP : buffer_size(mode)].split(b"\0", 1)[0].decode("utf-8", "replace")
    stack = re.findall(
        r'^  File "([^"\n]{1,200})", line (\d{1,9}) in', text.rpartition("most recent call first")[2], re.MULTILINE
    )
    return [int(line) for file, line in stack if file == name and 0 < int(line) <= lines]


def _header(record: bytes) -> Mapping[str, Any]:
    row = _json(record, limit=1 << 18)
    return row if isinstance(row, dict) else {}


def _json(record: bytes, limit: int = _RECORD_CHARS) -> Any:
    if len(record) > limit:
        return None
    try:
        return json.loads(record)
    except (ValueError, RecursionError):
        return None


def _printable(text: str) -> str:
    text = text[:_TEXT_CHARS]
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _NUMBER


def _small(value: Any) -> int:
    return value if _is_count(value) else 0


def _text(value: Any) -> str | None:
    return _printable(value) if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    return value if _is_count(value) else None


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _lines_of_names(value: Any) -> dict[str, list[int]] | None:
    if not isinstance(value, dict) or len(value) > _NAMES:
        return None
    return {
        _printable(name): [line for line in lines[:_NAMES] if _is_count(line)]
        for name, lines in value.items()
        if isinstance(lines, list)
    }


def _counts(value: Any) -> dict[str, int] | None:
    if not isinstance(value, dict) or len(value) > _NAMES:
        return None
    return {_printable(name): count for name, count in value.items() if _is_count(count)}


def _names(value: Any) -> list[str] | None:
    return [_printable(name) for name in value[:_NAMES] if isinstance(name, str)] if isinstance(value, list) else None


_EXTRA: Mapping[str, Callable[[Any], Any]] = {
    "fn": _text, "type": _text, "msg": _text, "value": _text, "left": _text,
    "parent": _number, "thread": _number, "n": _number, "trips": _number, "depth": _number,
    "uncaught": _truth, "through": _truth, "implicit": _truth,
    "at": _lines_of_names, "loops": _counts, "g": _names,
}  # fmt: skip


def _extra(key: str, value: Any) -> Any:
    check = _EXTRA.get(key)
    return None if check is None else check(value)


def _coverage(
    header: Mapping[str, Any], marks: bytes, events: Iterable[Event], lines: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the lines whose statement was started, and those whose statement was not.

    A block whose tail mark is set was run to its last statement. One that was left early was run as far as an event or an
    exception shows.
    """
    blocks = [block for block in header.get("blocks", ()) if _is_block(block, lines)] if _is_rows(header.get("blocks")) else []
    starts = sorted({line for block in blocks for line in block[2:]})
    done = {_statement(event.line, starts) for event in events if event.kind == "l"}
    reached = done | {_statement(event.line, starts) for event in events}
    covered: set[int] = set()
    for head, tail, *own in blocks:
        if not own or not marks[head]:
            continue
        if not tail or marks[tail]:
            covered.update(own)
            continue
        furthest = 0
        for position, line in enumerate(own):
            if line in reached:
                furthest = max(furthest, min(position + (line in done), len(own) - 1))
        covered.update(own[: furthest + 1])
    covered |= reached & set(starts)
    return tuple(sorted(covered)), tuple(line for line in starts if line not in covered)


def _statement(line: int, starts: list[int]) -> int:
    """Return the line on which the statement that spans `line` starts."""
    position = bisect_right(starts, line)
    return starts[position - 1] if position else 0


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) for row in value)


def _is_block(block: list[Any], lines: int) -> bool:
    return (
        len(block) >= 2
        and all(map(_is_count, block))
        and block[0] < MARKS
        and block[1] < MARKS
        and all(line <= lines for line in block[2:])
    )


def _branches(header: Mapping[str, Any], marks: bytes, lines: int) -> dict[int, tuple[bool, bool]]:
    branches: dict[int, tuple[bool, bool]] = {}
    rows: Any = header.get("branches")
    for row in rows if _is_rows(rows) else ():
        if len(row) == 3 and all(map(_is_count, row)) and row[0] <= lines and row[1] < MARKS and row[2] < MARKS:
            line, taken, other = row
            before = branches.get(line, (False, False))
            branches[line] = (before[0] or bool(marks[taken]), before[1] or bool(other and marks[other]))
    return dict(sorted(branches.items()))


def _final(events: Iterable[Event], covered: tuple[int, ...]) -> dict[str, tuple[int, str]]:
    """Return the last value seen of each variable, by function, with the line that set it where only one can have."""
    functions = {0: "<module>"}
    final: dict[str, tuple[int, str]] = {}
    run = set(covered)
    for event in events:
        if event.kind == "c":
            functions.setdefault(event.frame, str(event.extra.get("fn", "?")))
        elif event.kind in "xrk" and "fn" in event.extra:
            functions.setdefault(event.frame, str(event.extra["fn"]))
        function = functions.get(event.frame, "?")
        outside = event.extra.get("g", ())
        at = event.extra.get("at", {})
        for name, text in event.vars.items():
            key = f"{'<module>' if name in outside else function}:{name}"
            known = final.get(key)
            if event.kind == "n" or (event.kind == "r" and at):
                candidates = sorted({line for line in at.get(name, ()) if line in run})
                line = candidates[0] if len(candidates) == 1 else 0
            elif event.kind in ("x", "r", "k"):  # a look at the variables, not an assignment
                line = known[0] if known is not None and known[1] == text else 0
            else:
                line = event.line
            final.pop(key, None)
            final[key] = (line, text)
    return dict(list(final.items())[-_FINALS:])
