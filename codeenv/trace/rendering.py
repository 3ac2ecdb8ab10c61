"""A trace as text for an observation: pure functions, the same text for the same trace, never longer than the budget.

A trace that is too long is shortened in a fixed order: fewer calls of a function, shorter values, kinds instead of values, the
lines nearest to the failure, and at last only the final values. What is left out is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

from codeenv.trace.events import Trace, TraceError
from codeenv.trace.inline import ending, inline_lines
from codeenv.trace.selection import LEVELS, count_tokens, select
from codeenv.trace.steps import step_lines

__all__ = ["Style", "render"]

Style: TypeAlias = Literal["inline", "steps", "final"]


def render(
    trace: Trace,
    source: str,
    style: str = "inline",
    budget_tokens: int = 1500,
    count: Callable[[str], int] = count_tokens,
) -> str:
    """Return the trace of a run of `source` as text of at most `budget_tokens`.

    Args:
        trace: the trace.
        source: the program that was traced.
        style: `inline` comments the source (after NExT, arXiv 2404.14662), `steps` is one line an event (after CWM,
            arXiv 2510.02387), `final` the last value of each variable (after CodeRL+, arXiv 2510.18471).
        budget_tokens: upper bound of `count(text)`.
        count: number of tokens of a text; the default estimates it without a tokenizer.

    Raises:
        TraceError: for an unknown style or a budget below 16.
    """
    if style not in get_args(Style):
        raise TraceError(f"trace style is {style!r}; use one of {', '.join(get_args(Style))}")
    if budget_tokens < 16:
        raise TraceError(f"trace budget is {budget_tokens!r} tokens; use at least 16")
    if style == "final":
        return _final(trace, budget_tokens, count)
    lines = inline_lines if style == "inline" else step_lines
    for level in range(LEVELS):
        text = "\n".join(lines(trace, source, select(trace, level), level))
        if count(text) <= budget_tokens:
            return text
    selection = select(trace, LEVELS - 1)
    low, high = 0, max(len(selection.events), 1)
    best = ""
    while low < high:  # the largest number of lines that fits
        near = (low + high + 1) // 2
        text = "\n".join(lines(trace, source, selection, 2, near))
        if count(text) <= budget_tokens:
            low, best = near, text
        else:
            high = near - 1
    return best or _final(trace, budget_tokens, count)


def _final(trace: Trace, budget_tokens: int, count: Callable[[str], int]) -> str:
    """Return the exception and the last values, the latest first to be kept."""
    footer = trace.footer
    tail = list(ending(trace))
    if footer.exception is not None and footer.exception.line and not footer.succeeded:
        raised = footer.exception
        tail.append(f"{raised.type} on line {raised.line}: {raised.message}".rstrip(": "))
    tail = [*_result(trace), *tail]
    rows = [_final_row(key, line, text) for key, (line, text) in footer.final.items()]
    for start in range(len(rows) + 1):
        left = [f"... {start} more variables"] if start else []
        text = "\n".join([*left, *rows[start:], *tail])
        if count(text) <= budget_tokens:
            return text
    text = "\n".join(tail)
    while count(text) > budget_tokens:
        text = text[: len(text) * 3 // 4]
    return text


def _result(trace: Trace) -> list[str]:
    """Return what the last call from outside gave back, if it was recorded and came back."""
    outermost = {event.frame for event in trace.events if event.kind == "c" and not event.extra.get("parent")}
    last = next((event for event in reversed(trace.events) if event.kind == "r" and event.frame in outermost), None)
    if last is None or "value" not in last.extra or trace.footer.end != "ok":
        return []
    return [f"{trace.functions().get(last.frame, '?')} returned {last.extra['value']}"]


def _final_row(key: str, line: int, text: str) -> str:
    function, _, name = key.rpartition(":")
    place = f"@{line}" if line else ""
    scope = "" if function == "<module>" else f"{function}: "
    return f"{scope}{name}{place} = {text}"
