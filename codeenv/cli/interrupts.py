"""Ctrl-C in long work: at once where nothing is lost, after the step in hand where half a step would be."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType

__all__ = ["Interrupts"]


class Interrupts:
    """A context in which Ctrl-C waits while `busy()` is true; a second Ctrl-C does not wait.

    A process that was started deaf to Ctrl-C (a background job of a script) stays so, and hears SIGTERM.

    Args:
        busy: whether the work is in a step that should be finished.
        note: printed when a Ctrl-C has to wait.
    """

    def __init__(self, busy: Callable[[], bool], note: str) -> None:
        self._busy = busy
        self._note = note
        self._asked = False

    def __enter__(self) -> Interrupts:
        deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        self._number = signal.SIGTERM if deaf else signal.SIGINT
        self._handler = signal.signal(self._number, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(self._number, self._handler)

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if one waits, or was lost in a callback of a library."""
        if self._asked:
            raise KeyboardInterrupt

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        first, self._asked = not self._asked, True
        if first and self._busy():
            print(self._note, file=sys.stderr, flush=True)
            return
        raise KeyboardInterrupt
