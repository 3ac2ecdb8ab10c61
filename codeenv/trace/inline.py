"""The inline rendering: the source, each line with a comment on what happened there.

The number in parentheses is the event's place in time, so the order of the lines' events can be read across lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from codeenv.trace.events import Event, Trace
from codeenv.trace.selection import Selection, shorten
from codeenv.trace.spans import statements_of
from codeenv.trace.stopped import standing
from codeenv.trace.unseen import unseen

__all__ = ["ending", "inline_lines", "members"]

_ENTRIES = 5
_EXIT = "exit status 0"
_WIDTH = 240  # characters of a source line that are shown


def inline_lines(trace: Trace, source: str, selection: Selection, level: int, near: int | None = None) -> list[str]:
    """Return the source's lines with comments; with `near`, only the comments of that many lines nearest to the failure."""
    spans = statements_of(source)
    comments = _comments(trace, source, selection, level)
    kept = set(comments) if near is None else set(_nearest(comments, selection, near))
    lines = source.rstrip("\n").split("\n")
    notes: dict[int, list[str]] = defaultdict(list)
    for line in sorted(comments):
        if line in kept:
            last = spans[line].last if line in spans else line
            notes[min(last, len(lines))].append(" ".join(text for _, text in comments[line]))
    if near is None:
        for line in trace.footer.uncovered:
            last = spans[line].last if line in spans else line
            if last <= len(lines) and not notes.get(last):
                notes[last] = ["not run"]
        for line, said in unseen(trace, source).items():
            if not notes.get(spans[line].last):
                notes[spans[line].last] = [said]
    rendered = []
    for number, text in enumerate(lines, 1):
        text = text if len(text) <= _WIDTH else f"{text[: _WIDTH - 40]} ... {len(text) - _WIDTH + 40:,} more characters"
        rendered.append(f"{text}  # {'; '.join(notes[number])}" if notes.get(number) else text)
    missing = len(comments) - len(kept)
    if missing:
        rendered.append(f"# the comments of {missing} lines far from the end are left out")
    return rendered + [f"# {line}" for line in ending(trace)]


def members(texts: Mapping[str, str], level: int) -> str:
    """Return variables as `name=text`, separated by blanks."""
    return " ".join(f"{name}={shorten(text, level)}" for name, text in texts.items())


def ending(trace: Trace) -> list[str]:
    """Return sentences on how the run ended and on what the record lacks."""
    footer = trace.footer
    sentences = []
    if footer.end == "cut":
        seen = sum(event.kind != "k" for event in trace.events) + footer.dropped
        sentences.append(f"the program was stopped before its end, after {seen:,} recorded event{'s' if seen != 1 else ''}")
    elif footer.end == "exit":
        sentences.append(f"the program ended with {_EXIT if footer.succeeded else 'SystemExit'}")
    if footer.exception is not None and footer.exception.line == 0 and not footer.succeeded:
        sentences.append(f"{footer.exception.type}: {footer.exception.message}".rstrip(": "))
    if footer.dropped:
        sentences.append(f"{footer.dropped:,} later events were not recorded")
    if footer.note:
        sentences.append(f"the record is incomplete: {footer.note}")
    return sentences


def _comments(trace: Trace, source: str, selection: Selection, level: int) -> dict[int, list[tuple[int, str]]]:
    """Return for each line its (event index, text) in the order they are shown."""
    comments: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    covered = set(trace.footer.covered)
    iterations: defaultdict[tuple[int, int], int] = defaultdict(int)
    for event in selection.events:
        if event.kind == "i" and event.vars:
            iterations[event.frame, event.line] += 1
        if event.kind == "n":
            _loop_end(event, iterations.pop((event.frame, event.line), 0), comments, level, covered)
        elif event.kind != "k" and (text := _text(event, level, trace.footer.succeeded)):
            comments[event.line].append((event.index, f"({event.index}) {text}"))
    for line, index, text in standing(trace, source):
        comments[line].append((index, f"({index}) {text}"))
    return {line: _with_gaps(entries) for line, entries in comments.items()}


def _loop_end(
    event: Event, shown: int, comments: defaultdict[int, list[tuple[int, str]]], level: int, covered: Collection[int]
) -> None:
    """Add the number of iterations to the loop's line, and what the loop left in a variable to the line that set it, if only
    one can have.
    """
    trips = int(event.extra.get("trips", 0))
    at = event.extra.get("at", {})
    more = trips - shown
    here = []
    for name, value in event.vars.items():
        lines = {line for line in at.get(name, ()) if line in covered}
        if len(lines) == 1 and (line := lines.pop()) != event.line:
            comments[line].append((event.index, f"... ({event.index}) {name}={shorten(value, level)}"))
        else:
            here.append(f" {name}={shorten(value, level)}")
    gap = f"... {more:,} more iteration{'s' if more > 1 else ''} " if more > 0 and shown else ""
    how = "left by return" if event.extra.get("left") else "ended"
    ended = f"{how} after {trips:,} iteration{'s' if trips != 1 else ''}{':' if here else ''}{''.join(here)}"
    comments[event.line].append((event.index, f"{gap}({event.index}) {ended}"))


def _text(event: Event, level: int, succeeded: bool) -> str:
    values = members(event.vars, level)
    extra = event.extra
    if event.kind in ("l", "i"):
        return values
    if event.kind in ("b1", "b0"):
        return " ".join(filter(None, ("true" if event.kind == "b1" else "false", values)))
    if event.kind == "c":
        return values or "called"
    if event.kind == "r" and "value" not in extra:
        return f"left with {values}" if values and event.frame else ""
    if event.kind == "r":
        return "" if event.frame == 0 or extra.get("implicit") else f"-> {shorten(str(extra.get('value', '?')), level)}"
    if event.kind == "y":
        return f"yield {shorten(str(extra.get('value', '?')), level)}"
    if event.kind == "h":
        return f"caught {extra.get('type', '?')}"
    name = f"{extra.get('type', '?')}: {extra.get('msg', '')}".rstrip(": ")
    if extra.get("through"):
        return f"raised through here; {values}".rstrip("; ")
    if not extra.get("uncaught"):
        return f"{name} ({'ended its thread' if 'thread' in extra else 'caught'})"
    if succeeded:
        return f"exit with status 0; {values}".rstrip("; ")
    where = [f"iteration {count:,} of the loop on line {line}" for line, count in extra.get("loops", {}).items()]
    if int(extra.get("depth", 0)) > 50:
        where.insert(0, f"at depth {extra['depth']:,}")
    return "; ".join(filter(None, (name + (f" ({', '.join(where)})" if where else ""), values)))


def _with_gaps(entries: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Put "..." between the second and the last entries; of more than five only the first and last two are shown."""
    if len(entries) > _ENTRIES:
        entries = [*entries[:2], *entries[-2:]]
    elif len(entries) < 3:
        return entries
    return entries if entries[2][1].startswith("...") else [*entries[:2], (entries[2][0], "..."), *entries[2:]]


def _nearest(comments: Mapping[int, Sequence[tuple[int, str]]], selection: Selection, near: int) -> list[int]:
    """Return the `near` lines whose events lie nearest in time to the failure, or to the end; what functions were called with
    comes first.
    """
    calls = {event.line for event in selection.events if event.kind == "c"}
    end = max(selection.failing, default=max((event.index for event in selection.events), default=0))

    def distance(line: int) -> tuple[bool, int, int]:
        return (line not in calls, min(abs(end - index) for index, _ in comments[line]), -line)

    return sorted(comments, key=distance)[:near]
