"""What a model can be trained to predict about a run, each target with the characters of the source that it is about.

A target's label is a text: a class for the classified kinds, the value itself for `final`. With the traces of two runs under
different hash seeds, only what both agree on is a target.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from codeenv.trace.events import Trace
from codeenv.trace.spans import Statement, line_owners, statements_of
from codeenv.trace.values import value_class

__all__ = ["Target", "TargetKind", "covered_lines", "targets", "trips_class"]

TargetKind: TypeAlias = Literal["covered", "branch", "trips", "exception", "exception_line", "value", "final"]

_UNSTEADY = re.compile(r"^\s*(?:import|from)\s+(random|time|threading|datetime|secrets|uuid|os|asyncio)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to predict.

    Attributes:
        kind: `covered` ("0", "1") of a line; `branch` ("never", "true", "false", "both") of a condition or loop; `trips` of a
            loop; `exception` (type name, or "none") of the run; `exception_line` ("1") of the line that raised; `value` (kind
            and size) and `final` (text) of a variable at its last assignment.
        key: what it is about, such as "12" (a line) or "solve:total" (a variable of a function); unique within its kind.
        label: the answer.
        spans: (start, end) characters of the source, end exclusive; several where a statement has several lines.
    """

    kind: TargetKind
    key: str
    label: str
    spans: tuple[tuple[int, int], ...]


def targets(trace: Trace, source: str, again: Trace | None = None) -> tuple[Target, ...]:
    """Return the targets of a run of `source`, in the order of kinds above and of lines.

    Args:
        trace: the trace of a run.
        source: the program.
        again: the trace of a run on the same input under another hash seed; what differs is dropped. Without it, values are
            dropped if the source imports a module whose results may differ between runs.
    """
    found = _targets(trace, source)
    if again is not None:
        other = {(target.kind, target.key): target.label for target in _targets(again, source)}
        return tuple(target for target in found if other.get((target.kind, target.key)) == target.label)
    if _UNSTEADY.search(source):
        return tuple(target for target in found if target.kind not in ("value", "final"))
    return tuple(found)


def covered_lines(trace: Trace, source: str) -> dict[int, bool]:
    """Return for every line of the source whether it was run; lines without code take the state of the statement they belong to.

    Empty if coverage was not recorded.
    """
    run = set(trace.footer.covered)
    known = run | set(trace.footer.uncovered)
    if not known:
        return {}
    owners = line_owners(source)
    return {line: owner in run for line, owner in owners.items() if owner in known}


def trips_class(trips: int) -> str:
    """Return the class of a number of iterations.

    >>> [trips_class(n) for n in (0, 1, 3, 10, 100, 101)]
    ['0', '1', '2-3', '4-10', '11-100', '>100']
    """
    for limit, label in ((0, "0"), (1, "1"), (3, "2-3"), (10, "4-10"), (100, "11-100")):
        if trips <= limit:
            return label
    return ">100"


def _targets(trace: Trace, source: str) -> list[Target]:
    statements = statements_of(source)
    places = _Places(source, statements)
    footer = trace.footer
    found: list[Target] = []
    for line, run in sorted(covered_lines(trace, source).items()):
        if span := places.line(line):
            found.append(Target("covered", str(line), str(int(run)), (span,)))
    for line, (taken, not_taken) in footer.branches.items():
        label = "both" if taken and not_taken else "true" if taken else "false" if not_taken else "never"
        found.append(Target("branch", str(line), label, places.statement(line)))
    for line, trips in sorted(_trips(trace).items()):
        found.append(Target("trips", str(line), trips_class(trips), places.statement(line)))
    if footer.end in ("ok", "exception"):
        raised = footer.exception
        line = raised.line if raised is not None else 0
        found.append(Target("exception", "", raised.type if raised is not None else "none", places.statement(line)))
        if line:
            found.append(Target("exception_line", str(line), "1", places.statement(line)))
    values = [
        (key, line, text, places.binding(key.rpartition(":")[2], line)) for key, (line, text) in footer.final.items() if line
    ]
    found += [Target("value", key, value_class(text), (span,)) for key, _, text, span in values if span is not None]
    found += [Target("final", key, text, (span,)) for key, _, text, span in values if span is not None]
    return found


def _trips(trace: Trace) -> Mapping[int, int]:
    """Return the iterations of the last recorded run of each loop; of a loop that an exception left, those begun."""
    trips: dict[int, int] = {}
    for event in trace.events:
        if event.kind == "n":
            trips[event.line] = int(event.extra.get("trips", 0))
        elif event.kind == "x" and event.extra.get("uncaught"):
            trips |= {int(line): int(count) for line, count in event.extra.get("loops", {}).items() if line.isdigit()}
    return trips


class _Places:
    """Turns lines and names into characters of the source."""

    def __init__(self, source: str, statements: Mapping[int, Statement]) -> None:
        self._lines = source.split("\n")
        self._starts = [0]
        for text in self._lines:
            self._starts.append(self._starts[-1] + len(text) + 1)
        self._statements = statements
        self._bindings = self._collect(source)

    def line(self, line: int) -> tuple[int, int] | None:
        """Return the characters of a line without the blanks around them; None if there are none."""
        text = self._lines[line - 1] if 0 < line <= len(self._lines) else ""
        if not text.strip():
            return None
        start = self._starts[line - 1] + len(text) - len(text.lstrip())
        return start, start + len(text.strip())

    def statement(self, line: int) -> tuple[tuple[int, int], ...]:
        """Return the characters of the statement, or head, that starts on a line."""
        statement = self._statements.get(line)
        lines = range(statement.line, statement.last + 1) if statement else (line,)
        return tuple(span for number in lines if (span := self.line(number)) is not None)

    def binding(self, name: str, line: int) -> tuple[int, int] | None:
        """Return the characters of the name where the statement that starts on `line` sets or changes it."""
        return self._bindings.get((line, name))

    def _collect(self, source: str) -> dict[tuple[int, str], tuple[int, int]]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return {}
        found: dict[tuple[int, str], tuple[int, int]] = {}
        starts = sorted(self._statements)
        for node in ast.walk(tree):
            name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else None
            if name is None or not isinstance(node, (ast.Name, ast.arg)):
                continue
            line = max((start for start in starts if start <= node.lineno <= self._statements[start].last), default=node.lineno)
            text = self._lines[node.lineno - 1]
            column = len(text.encode()[: node.col_offset].decode("utf-8", "ignore"))  # the syntax tree counts bytes
            span = (self._starts[node.lineno - 1] + column, self._starts[node.lineno - 1] + column + len(name))
            stored = isinstance(node, ast.arg) or isinstance(node.ctx, ast.Store)
            if stored or (line, name) not in found:
                found[line, name] = span
        return found
