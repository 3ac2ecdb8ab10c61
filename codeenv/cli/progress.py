"""Progress for people: a live line on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["Bar"]


class Bar:
    """A progress bar on standard error with a note, drawn only on a terminal.

    Args:
        unit: what is counted.
        total: how many there will be, `None` if unknown.
    """

    def __init__(self, unit: str, total: int | None) -> None:
        self._progress: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            columns = (TextColumn(unit), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
            times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
            self._progress = Progress(*columns, *times, console=Console(stderr=True), transient=True)
            self._task = self._progress.add_task(unit, total=total, note="")

    def update(self, completed: int, note: str = "") -> None:
        """Show that `completed` are done."""
        if self._progress is not None:
            self._progress.update(self._task, completed=completed, note=note)

    def __enter__(self) -> Bar:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._progress is not None:
            self._progress.stop()
