"""Which events of a trace a rendering shows, level by level: the order in which a trace is shortened to a token budget.

What belongs to the failure is always kept: the exception, the variables of its frame and the lines of its stack.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Set
from dataclasses import dataclass

from codeenv.trace.events import Event, Trace

__all__ = ["LEVELS", "Selection", "count_tokens", "select", "shorten"]

_FIRST, _CALLS = 2, 2
LEVELS = 4
"""0: first two and last event of each line; 1: and two calls of a function; 2: values cut to 40 characters; 3: to their kind."""

_PIECE = re.compile(r"[^\W_]{1,4}|[^\w\s]|_")


def count_tokens(text: str) -> int:
    """Return an estimate of the tokens of a text: pieces of at most four letters or digits, and each punctuation mark.

    >>> count_tokens("gain = prices[i]")
    7
    """
    return len(_PIECE.findall(text))


@dataclass(frozen=True, slots=True)
class Selection:
    """The events that are shown, in recorded order, and how many are not."""

    events: tuple[Event, ...]
    failing: frozenset[int]
    left_out: int


def select(trace: Trace, level: int) -> Selection:
    """Return the events that a rendering of this level shows."""
    failing = _failing(trace)
    frames = {event.frame for event in trace.events if event.index in failing}
    events: list[Event] = list(trace.events)
    if level >= 1:
        kept = _first_calls(trace, frames)
        events = [event for event in events if event.frame in kept or event.index in failing]
    by_line: defaultdict[tuple[int, str], list[Event]] = defaultdict(list)
    for event in events:
        by_line[event.line, "x" if event.kind in "xhk" else event.kind if event.kind in "nc" else "l"].append(event)
    shown = {
        event.index
        for group in by_line.values()
        for position, event in enumerate(group)
        if position < _FIRST or position == len(group) - 1
    }
    shown |= failing
    picked = tuple(event for event in events if event.index in shown)
    return Selection(picked, frozenset(failing), len(trace.events) - len(picked))


def shorten(text: str, level: int) -> str:
    """Return a value's text as this level shows it.

    >>> shorten("[10, 20, 30]", 3), shorten("'" + "a" * 50 + "'", 2)
    ('[...]', "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa... aaaaa'")
    """
    if level < 2 or len(text) <= 12:
        return text if level < 3 or len(text) <= 8 else _kind(text)
    if level >= 3:
        return _kind(text)
    return text if len(text) <= 40 else f"{text[:31]}... {text[-6:]}"


def _kind(text: str) -> str:
    closing = {"[": "]", "(": ")", "{": "}", "'": "'", '"': '"'}.get(text[0])
    if closing is not None:
        return f"{text[0]}...{closing}"
    name = re.match(r"[A-Za-z_][\w.]*", text)
    return f"{name[0]}(...)" if name and len(text) > len(name[0]) else text if len(text) <= 24 else text[:21] + "..."


def _failing(trace: Trace) -> set[int]:
    """Return the indices of the exception's events; if the program was cut off, of the last event."""
    failing = {
        event.index for event in trace.events if event.kind == "x" and ("uncaught" not in event.extra or event.extra["uncaught"])
    }
    if trace.footer.end == "cut" and trace.events:
        failing |= {event.index for event in trace.events if event.kind == "k"}
        failing = failing or {trace.events[-1].index}
    return failing


def _first_calls(trace: Trace, always: Set[int]) -> set[int]:
    """Return the activations that are among the first of their function, or on the failing stack."""
    seen: defaultdict[str, int] = defaultdict(int)
    kept = {0} | set(always)
    for event in trace.events:
        if event.kind == "c":
            name = str(event.extra.get("fn", "?"))
            seen[name] += 1
            if seen[name] <= _CALLS:
                kept.add(event.frame)
    return kept
