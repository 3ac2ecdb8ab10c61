"""Progress for people: a live line on a terminal, nothing in a pipe."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

__all__ = ["Bar", "prints_aside"]


def prints_aside(as_json: bool) -> contextlib.AbstractContextManager[object]:
    """Send what an agent prints to standard error while a verb with `--json` runs: standard output is for the JSON alone."""
    return contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()


class Bar:
    """A progress bar on standard error with a note, drawn only on a terminal.

    Args:
        unit: what is counted.
        total: how many there will be, `None` if unknown.
        hidden: draw nothing, for the terminal is needed for something else.
    """

    def __init__(self, unit: str, total: int | None, hidden: bool = False) -> None:
        self._progress: Any = None
        if sys.stderr.isatty() and not hidden:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
            from rich.table import Column

            def fixed() -> Column:
                return Column(no_wrap=True)

            note = Column(ratio=1, no_wrap=True, overflow="ellipsis")  # what gives way on a narrow terminal
            self._progress = Progress(
                TextColumn(unit, table_column=fixed()),
                BarColumn(12, table_column=fixed()),
                MofNCompleteColumn(table_column=fixed()),
                TextColumn("{task.fields[rate]}", table_column=fixed()),
                TimeRemainingColumn(table_column=fixed()),
                TextColumn("left", table_column=fixed()),
                TextColumn("{task.fields[note]}", table_column=note),
                console=Console(stderr=True),
                transient=True,
                expand=True,
            )
            self._task = self._progress.add_task(unit, total=total, note="", rate="")
            self._begun, self._last = (0.0, 0), -1

    def update(self, completed: int, note: str = "", total: int | None = None) -> None:
        """Show that `completed` are done, and how many a second; a smaller number than before begins a new count."""
        if self._progress is not None:
            now = time.monotonic()
            if completed < self._last or self._last < 0:
                self._begun = now, completed
            self._last = completed
            since, first = self._begun
            rate = f"{(completed - first) / (now - since):.1f}/s" if now - since > 0.5 else ""
            more = {} if total is None else {"total": total}
            self._progress.update(self._task, completed=completed, note=note, rate=rate, **more)

    def __enter__(self) -> Bar:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._progress is not None:
            self._progress.stop()
