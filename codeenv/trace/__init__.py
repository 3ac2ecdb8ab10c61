"""What happened inside a run: instrumentation, events, renderings, training targets.

In the child beside the program (standard library only): `snapshot`, `scopes`, `syntax`, `instrument`, `recorder`.
In the parent: `collect` reads what the child left into a `Trace` (`events`), `render` makes text of it. Nothing of codeenv
is imported but `codeenv.errors`; the names below are loaded when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = [
    "Event",
    "Recorder",
    "Target",
    "Trace",
    "TraceError",
    "buffer_size",
    "collect",
    "covered_lines",
    "render",
    "stepper_html",
    "targets",
]

_HOMES = {
    "Event": "events",
    "Trace": "events",
    "TraceError": "events",
    "Recorder": "recorder",
    "buffer_size": "recorder",
    "collect": "collect",
    "render": "render",
    "Target": "targets",
    "covered_lines": "targets",
    "targets": "targets",
    "stepper_html": "stepper",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"codeenv.trace.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
