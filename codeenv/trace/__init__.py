"""What happened inside a run: instrumentation, events, renderings, training targets.

In the child beside the program (standard library only): `recorder` and what it imports, `snapshot`, `scopes`, `syntax`, `places`,
`blocks`, `reports`, `instrument`, `recording`, `recursion`, `finals`, `postmortem`. In the parent: `collector` reads what the
child left into a `Trace` (`events`); `rendering` makes text of it (`selection`, `inline`, `steps`, `stopped`), `labels` training
targets (`spans`, `values`), and `stepper` a page. Nothing of codeenv is imported but `codeenv.errors`. The names below are
loaded when they are first asked for; no module has the name of a function, so that `codeenv.trace.render` is always the function.
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
    "collect": "collector",
    "render": "rendering",
    "Target": "labels",
    "covered_lines": "labels",
    "targets": "labels",
    "stepper_html": "stepper",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"codeenv.trace.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
