"""The step rendering: one line an event, in the order of time, with only the variables that changed."""

from __future__ import annotations

from codeenv.trace.events import Event, Trace
from codeenv.trace.inline import ending, members
from codeenv.trace.selection import Selection, shorten
from codeenv.trace.stopped import standing

__all__ = ["step_lines"]


def step_lines(trace: Trace, source: str, selection: Selection, level: int, near: int | None = None) -> list[str]:
    """Return the events as rows `line 6| source | what changed`; with `near`, only that many rows nearest to the failure."""
    lines = [line if len(line) <= 240 else line[:240] + "..." for line in source.split("\n")]
    events = list(selection.events)
    if near is not None and near < len(events):
        end = max(selection.failing, default=events[-1].index)
        nearest = sorted(events, key=lambda event: (abs(end - event.index), -event.index))[:near]
        events = sorted(nearest, key=lambda event: event.index)
    functions = trace.functions()
    rows: list[str] = []
    expected = 0
    for event in events:
        if event.index > expected:
            rows.append(_left_out(event.index - expected))
        expected = event.index + 1
        if event.kind != "k" and (event.kind != "r" or event.frame or event.vars):
            rows.append(_row(event, lines, functions, level, trace.footer.succeeded))
    if len(trace.events) > expected:
        rows.append(_left_out(len(trace.events) - expected))
    rows += [
        f"line {line}| {lines[line - 1].strip()} | {text}" for line, _, text in standing(trace, source) if line <= len(lines)
    ]
    return rows + ending(trace)


def _left_out(count: int) -> str:
    return f"... {count:,} event{'s' if count > 1 else ''} left out"


def _row(event: Event, lines: list[str], functions: dict[int, str], level: int, succeeded: bool) -> str:
    source = lines[event.line - 1].strip() if 0 < event.line <= len(lines) else ""
    values = members(event.vars, level)
    extra = event.extra
    place = f"line {event.line}| "
    if event.kind == "c":
        return f"call {extra.get('fn', '?')} | {values}".rstrip(" |")
    if event.kind in ("l", "i"):
        return f"{place}{source} | {values}".rstrip(" |")
    if event.kind in ("b1", "b0"):
        return f"{place}{source} | {'true' if event.kind == 'b1' else 'false'} {values}".rstrip()
    if event.kind == "n":
        trips = int(extra.get("trips", 0))
        return f"loop {place}{trips:,} iteration{'s' if trips != 1 else ''} | {values}".rstrip(" |")
    if event.kind in ("r", "y"):
        if event.frame == 0:
            return f"end of the module | {values}".rstrip(" |")
        if "value" not in extra:
            return f"left {functions.get(event.frame, '?')} | {values}".rstrip(" |")
        word = "ret" if event.kind == "r" else "yield"
        return f"{word} {functions.get(event.frame, '?')} {place}{shorten(str(extra.get('value', '?')), level)}"
    if event.kind == "h":
        return f"{place}{source} | caught {extra.get('type', '?')}"
    if extra.get("through"):
        return f"raised through {place}{source} | {values}".rstrip(" |")
    if succeeded and extra.get("uncaught"):
        return f"{place}{source} | exit with status 0 {values}".rstrip()
    where = ", ".join(f"iteration {count:,} of the loop on line {line}" for line, count in extra.get("loops", {}).items())
    text = f"EXC {place}{source} | {extra.get('type', '?')}: {extra.get('msg', '')}".rstrip(": ") + (
        " (ended its thread)" if "thread" in extra else ""
    )
    return " ".join(filter(None, (text, f"({where})" if where else "", f"| {values}" if values else "")))
