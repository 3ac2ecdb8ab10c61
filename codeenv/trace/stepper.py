"""A page to step through a trace: source, variables, output; self-contained, without network.

Texts of a trace come from submissions: they travel as JSON in a data block and reach the page as text nodes only.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from codeenv.trace.events import Event, Trace
from codeenv.trace.inline import ending
from codeenv.trace.labels import covered_lines

__all__ = ["stepper_data", "stepper_fragment", "stepper_html"]

OUTPUT_CHARS = 20_000
"""Characters of output that are shown, half from the start and half from the end."""


def stepper_fragment(trace: Trace, source: str, stdout: str = "") -> str:
    """Return the stepper as HTML to put into a page; several may stand on one page.

    Args:
        trace: the trace of a run of `source`.
        source: the program.
        stdout: what the program printed.
    """
    here = Path(__file__)
    style = here.with_name("stepper.css").read_text("utf-8")
    script = here.with_name("stepper.js").read_text("utf-8")
    data = json.dumps(stepper_data(trace, source, stdout), separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<div class="codeenv-stepper" tabindex="0"><style>{style}</style>'
        f'<script type="application/json">{data}</script><script>{script}</script></div>'
    )


def stepper_html(trace: Trace, source: str, stdout: str = "", title: str = "trace") -> str:
    """Return the stepper as a page of its own."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title></head>\n"
        f'<body style="margin:0">{stepper_fragment(trace, source, stdout)}</body></html>\n'
    )


def stepper_data(trace: Trace, source: str, stdout: str = "") -> dict[str, Any]:
    """Return what `stepper.js` shows, JSON-ready; a page that draws steppers on demand keeps this and the script once."""
    functions = trace.functions()
    parents = {event.frame: int(event.extra.get("parent", 0)) for event in trace.events if event.kind == "c"}
    lines = covered_lines(trace, source)
    shown = stdout
    if len(stdout) > OUTPUT_CHARS:
        half = OUTPUT_CHARS // 2
        shown = f"{stdout[:half]}\n... {len(stdout) - OUTPUT_CHARS:,} characters ...\n{stdout[-half:]}"
    return {
        "source": source.rstrip("\n").split("\n"),
        "events": [_step(event) for event in trace.events],
        "functions": {str(frame): name for frame, name in functions.items()},
        "parents": {str(frame): parent for frame, parent in parents.items()},
        "covered": [line for line, run in lines.items() if run],
        "uncovered": [line for line, run in lines.items() if not run],
        "exception": next((event.index for event in reversed(trace.events) if event.extra.get("uncaught")), -1),
        "ending": ending(trace),
        "output": shown,
        "printed": _printed(trace, stdout),
    }


def _printed(trace: Trace, stdout: str) -> list[int]:
    """Return for each event how many characters of the output were there; -1 where it is not known, or more than the page has
    in one piece.
    """
    total = len(stdout.encode("utf-8", "surrogatepass"))
    last = max((int(event.extra.get("o", 0)) for event in trace.events), default=0)
    known = last == total or (trace.footer.end == "cut" and total < last)  # else it is not what this run printed
    whole = stdout[: OUTPUT_CHARS // 2] if len(stdout) > OUTPUT_CHARS else stdout
    data = whole.encode("utf-8", "surrogatepass")
    characters, now = [], 0
    for event in trace.events:
        if "o" in event.extra:
            size = int(event.extra["o"])
            now = len(data[:size].decode("utf-8", "ignore")) if size <= len(data) else -1
        characters.append(now if known else -1)
    return characters


def _step(event: Event) -> dict[str, Any]:
    step: dict[str, Any] = {"line": event.line, "frame": event.frame, "kind": event.kind, "text": _sentence(event)}
    if event.vars:
        step["vars"] = dict(event.vars)
    if outside := event.extra.get("g"):
        step["outside"] = list(outside)
    return step


def _sentence(event: Event) -> str:
    """Return in words what happened."""
    extra = event.extra
    if event.kind == "c":
        return f"{extra.get('fn', '?')} is called"
    if event.kind == "i":
        return f"iteration {int(extra.get('n', 0)):,} starts"
    if event.kind in ("b1", "b0"):
        return f"the condition is {'true' if event.kind == 'b1' else 'false'}"
    if event.kind == "n":
        left = " (left by return)" if extra.get("left") else ""
        trips = int(extra.get("trips", 0))
        return f"the loop ends after {trips:,} iteration{'s' if trips != 1 else ''}{left}"
    if event.kind == "h":
        return f"{extra.get('type', '?')} is caught"
    if event.kind == "r":
        return f"returns {extra['value']}" if "value" in extra else "ends"
    if event.kind == "y":
        return f"yields {extra.get('value', '?')}"
    if event.kind == "k":
        return "in this call when the run was stopped" if extra.get("through") else "here the run was stopped"
    if event.kind == "x":
        if extra.get("through"):
            return "an exception passes through here"
        return f"raises {extra.get('type', '?')}: {extra.get('msg', '')}".rstrip(": ")
    return "done"
