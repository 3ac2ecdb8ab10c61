"""Where a run stood that was stopped by a limit, in words that two runs of the same program agree on.

The statement at which the clock ran out is chance, and so is the count of iterations; the loop that was running is not. So a
rendering names the innermost loop of each function on the stack, with its iterations to the power of ten.
"""

from __future__ import annotations

import ast
import warnings

from codeenv.trace.events import Event, Trace

__all__ = ["standing"]


def standing(trace: Trace, source: str) -> list[tuple[int, int, str]]:
    """Return (line, event index, text) of each place where a stopped run stood, outermost first; empty for other runs."""
    stack = [event for event in trace.events if event.kind == "k"]
    if trace.footer.end != "cut" or not stack:
        return []
    loops = _loops(source)
    found: dict[int, tuple[int, int, str]] = {}
    for event in stack:
        line = next((first for first, last in loops if first <= event.line <= last), 0)
        what = "stopped in a call from " if event.extra.get("through") else "stopped in " if line else "stopped "
        found.pop(line or event.line, None)
        found[line or event.line] = (
            line or event.line,
            event.index,
            f"{what}{'this loop' if line else 'here'}{_count(event, line)}",
        )
    return list(found.values())


def _count(event: Event, line: int) -> str:
    """Return the iterations that had begun, as a power of ten."""
    count = int(event.extra.get("loops", {}).get(str(line), 0))
    return f", after more than {10 ** (len(str(count)) - 1):,} iterations" if count > 10 else ""


def _loops(source: str) -> list[tuple[int, int]]:
    """Return the first and last line of each loop, the innermost first."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = [
        (node.lineno, node.body[-1].end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, (ast.For, ast.AsyncFor, ast.While))
    ]
    return sorted(found, key=lambda span: span[1] - span[0])
