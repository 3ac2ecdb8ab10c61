"""What is known of a line that was run and has no event.

Such a line ran after the recorded iterations and calls, or an exception that was swallowed left it, or the run ended there. It
is said to have run later only where a condition that leads to it must have gone a way that no recorded pass shows.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from codeenv.text import program_lines
from codeenv.trace.events import Trace
from codeenv.trace.spans import statements_of

__all__ = ["unseen"]

_DEPTH = 3  # loops and functions nested deeper run plain, so the lack of an event says nothing
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_JUMPS = (ast.Return, ast.Raise, ast.Continue, ast.Break)


@dataclass(frozen=True, slots=True)
class _Place:
    """A statement: its last line, the conditions that lead to it, and the lines of the loops and functions around it."""

    last: int
    scope_last: int
    guards: tuple[tuple[int, str], ...] = ()
    loops: tuple[int, ...] = ()
    functions: tuple[int, ...] = ()


def unseen(trace: Trace, source: str) -> dict[int, str]:
    """Return what to say of each line that was run and has no event."""
    if trace.header.mode != "bounded" or trace.footer.dropped:
        return {}
    recorded = {event.line for event in trace.events}
    spans = statements_of(source)
    lines = [line for line in trace.footer.covered if line not in recorded and line in spans and not spans[line].quiet]
    if not lines:
        return {}
    places = _places(source)
    outcomes = {(event.line, event.kind) for event in trace.events}
    turns = Counter((event.line, event.frame) for event in trace.events if event.kind == "i")
    full = {line for (line, _), count in turns.items() if count >= trace.header.iterations}
    calls = Counter(event.line for event in trace.events if event.kind == "c")
    full |= {line for line, count in calls.items() if count >= trace.header.calls}
    ended = trace.footer.end == "cut" and not any(event.kind == "k" for event in trace.events)
    said = {}
    for line in lines:
        place = places.get(line)
        said[line] = "run"
        if place is None or max(len(place.loops), len(place.functions)) > _DEPTH:
            continue
        if full.intersection(place.loops + place.functions) and any(guard not in outcomes for guard in place.guards):
            said[line] = "run later"
        elif ended and not any(place.last < other <= place.scope_last for other in recorded):
            said[line] = "run; the run ended here or later"
    return said


def _places(source: str) -> dict[int, _Place]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[int, _Place] = {}
    end = len(program_lines(source))
    stack: list[tuple[Sequence[ast.stmt], _Place]] = [(tree.body, _Place(0, end))]
    while stack:
        block, around = stack.pop()
        guards = around.guards
        for node in block:
            last = node.end_lineno or node.lineno
            place = _Place(last, around.scope_last, guards, around.loops, around.functions)
            found.setdefault(node.lineno, place)
            stack += _blocks(node, place)
            if isinstance(node, ast.If) and isinstance(node.body[-1], _JUMPS):
                guards = (*guards, (node.lineno, "b0"))
    return found


def _blocks(node: ast.stmt, place: _Place) -> list[tuple[Sequence[ast.stmt], _Place]]:
    """Return the blocks inside of a statement, each with what is around it."""
    last, scope, guards, loops, functions = place.last, place.scope_last, place.guards, place.loops, place.functions
    if isinstance(node, _FUNCTIONS):
        return [(node.body, _Place(last, last, (), (), (*functions, node.lineno)))]
    if isinstance(node, ast.If):
        taken, other = (*guards, (node.lineno, "b1")), (*guards, (node.lineno, "b0"))
        return [
            (node.body, _Place(last, scope, taken, loops, functions)),
            (node.orelse, _Place(last, scope, other, loops, functions)),
        ]
    if isinstance(node, _LOOPS):
        return [(node.body, _Place(last, scope, guards, (*loops, node.lineno), functions)), (node.orelse, place)]
    inner = [getattr(node, name, None) or [] for name in ("body", "orelse", "finalbody")]
    inner += [part.body for name in ("handlers", "cases") for part in getattr(node, name, None) or []]
    return [(block, place) for block in inner]
