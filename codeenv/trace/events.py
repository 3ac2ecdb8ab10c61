"""What a trace is: a header, events in the order they were recorded, and a footer with coverage and the way the run ended.

The JSONL form has the header on its first line, one array `[index, kind, line, frame, vars?, extra?]` an event, and the
footer on its last line. Texts in a trace come from a process that ran a submission: they are bounded and printable, and
nothing more may be assumed of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from codeenv.errors import CodeenvError

__all__ = ["SCHEMA", "End", "Event", "ExceptionInfo", "Footer", "Header", "Kind", "Trace", "TraceError"]

SCHEMA = 1
"""Version of the JSONL form."""

Kind: TypeAlias = Literal["c", "l", "i", "b1", "b0", "n", "h", "r", "y", "x", "k"]
End: TypeAlias = Literal["ok", "exception", "exit", "cut"]
KINDS = frozenset(get_args(Kind))


class TraceError(CodeenvError, ValueError):
    """A text is not the JSONL form of a trace."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        index: position in recorded order, from 0.
        kind: `c` call, `l` statement done, `i` iteration start, `b1`/`b0` branch taken or not, `n` loop end, `h` handler
            entered, `r` return, `y` yield, `x` exception, `k` where a run that was stopped stood, outermost frame first.
        line: 1-based line of the submitted source; 0 for an exception from outside it.
        frame: number of the activation; 0 is the module.
        vars: bounded texts of the variables that were bound here, or changed.
        extra: `c` fn, parent, thread; `i` n; `n` trips, at (lines that may have set each variable), left; `r`, `y`
            value (`r` in final mode: fn, at);
            `x` type, msg, uncaught, fn, depth, loops (line to iterations so far), or through (an outer frame that it passed);
            `k` fn, depth, loops or through, as `x`; `h` type, msg; `g`: names in `vars` that are not this function's own;
            `o`: bytes printed so far, where that has grown.
    """

    index: int
    kind: Kind
    line: int
    frame: int
    vars: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_row(self) -> list[Any]:
        """Return the JSON array of this event, without empty members at its end."""
        row: list[Any] = [self.index, self.kind, self.line, self.frame]
        if self.vars or self.extra:
            row.append(dict(self.vars))
        if self.extra:
            row.append(dict(self.extra))
        return row


@dataclass(frozen=True, slots=True)
class Header:
    """How the trace was made.

    Attributes:
        python: version of the interpreter that ran the program, such as "3.11".
        mode: "bounded", "coverage", "full" or "final".
        source_sha: first 16 hexadecimal digits of the SHA-256 of the source.
        iterations: iterations of each loop that are recorded.
        calls: activations of each function that are recorded.
        caps: depth, items and characters of a value's text.
    """

    python: str
    mode: str
    source_sha: str
    iterations: int
    calls: int
    caps: tuple[int, int, int]

    def to_dict(self) -> dict[str, Any]:
        return {
            "v": SCHEMA,
            "py": self.python,
            "mode": self.mode,
            "src_sha": self.source_sha,
            "K": self.iterations,
            "calls": self.calls,
            "caps": list(self.caps),
        }


@dataclass(frozen=True, slots=True)
class ExceptionInfo:
    """The exception that ended the run, with the line that raised it (0 if it is not in the source)."""

    type: str
    message: str
    line: int


@dataclass(frozen=True, slots=True)
class Footer:
    """What is known of the run as a whole.

    Attributes:
        covered: lines on which a statement starts that was run, ascending.
        uncovered: lines on which a statement starts that was not run, ascending.
        branches: line to (was taken, was not taken) of each condition and loop.
        dropped: events that found no room.
        end: "ok", "exception", "exit" (`SystemExit`), or "cut": killed before its end, as by a limit.
        exception: the exception that ended the run.
        final: "function:name" to (line that set it or 0, text of the last value seen).
        note: why the program was run unrecorded, or what was wrong with the record; empty if nothing.
    """

    covered: tuple[int, ...] = ()
    uncovered: tuple[int, ...] = ()
    branches: Mapping[int, tuple[bool, bool]] = field(default_factory=dict)
    dropped: int = 0
    end: End = "cut"
    exception: ExceptionInfo | None = None
    final: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    note: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the run came to its end or ended itself with exit status 0."""
        exits = self.end == "exit" and self.exception is not None and self.exception.message in ("", "0", "None")
        return self.end == "ok" or exits

    def to_dict(self) -> dict[str, Any]:
        raised = self.exception
        return {
            "cov": list(self.covered),
            "uncov": list(self.uncovered),
            "branch": {str(line): [int(side) for side in sides] for line, sides in self.branches.items()},
            "dropped": self.dropped,
            "end": self.end,
            "exc": None if raised is None else {"type": raised.type, "msg": raised.message, "line": raised.line},
            "final": {name: list(value) for name, value in self.final.items()},
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Trace:
    """The record of one run."""

    header: Header
    events: tuple[Event, ...]
    footer: Footer

    def functions(self) -> dict[int, str]:
        """Return the function name of each activation; 0 is "<module>"."""
        names = {0: "<module>"}
        for event in self.events:
            if event.kind == "c" or (event.kind in ("x", "r", "k") and "fn" in event.extra):
                names.setdefault(event.frame, str(event.extra.get("fn", "?")))
        return names

    def to_jsonl(self) -> str:
        """Return the trace as lines of JSON; `from_jsonl` reads it back to an equal trace."""
        rows: list[Any] = [self.header.to_dict(), *(event.to_row() for event in self.events), self.footer.to_dict()]
        return "".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n" for row in rows)

    @classmethod
    def from_jsonl(cls, text: str) -> Trace:
        """Read what `to_jsonl` wrote.

        Raises:
            TraceError: with the number of the line that is malformed.
        """
        lines = text.splitlines()
        number = 0
        try:
            if len(lines) < 2:
                raise ValueError(f"a trace has a header and a footer, this text has {len(lines)} lines")
            rows = []
            for line in lines:
                number += 1
                rows.append(json.loads(line))
            head, foot = rows[0], rows[-1]
            number = 1
            if head["v"] != SCHEMA:
                raise ValueError(f"schema version {head['v']!r}; this codeenv reads version {SCHEMA}")
            caps = (int(head["caps"][0]), int(head["caps"][1]), int(head["caps"][2]))
            header = Header(head["py"], head["mode"], head["src_sha"], int(head["K"]), int(head["calls"]), caps)
            events = []
            for row in rows[1:-1]:
                number += 1
                if row[1] not in KINDS:
                    raise ValueError(f"unknown event kind {row[1]!r}")
                events.append(Event(int(row[0]), row[1], int(row[2]), int(row[3]), *row[4:6]))
            number = len(rows)
            raised = foot["exc"]
            footer = Footer(
                tuple(foot["cov"]),
                tuple(foot["uncov"]),
                {int(line): (bool(sides[0]), bool(sides[1])) for line, sides in foot["branch"].items()},
                int(foot["dropped"]),
                foot["end"],
                None if raised is None else ExceptionInfo(raised["type"], raised["msg"], int(raised["line"])),
                {name: (int(value[0]), str(value[1])) for name, value in foot["final"].items()},
                foot["note"],
            )
        except (ValueError, TypeError, KeyError, IndexError, RecursionError, AttributeError) as error:
            raise TraceError(f"line {number} is not part of a trace: {error!s:.120}; use what Trace.to_jsonl wrote") from None
        return cls(header, tuple(events), footer)
