"""Answers from an agent's threads on their way to the engine's event loop, handed over many at a time: with cheap agents, waking
the loop for each of them would cost more than the agent itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any, TypeAlias

__all__ = ["Answers", "Outcome"]

Outcome: TypeAlias = tuple[Any, BaseException | None]
"""What a call returned, and what it raised."""


class Answers:
    """Outcomes that wait for the event loop."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[asyncio.Future[Outcome], Outcome]] = deque()
        self._asked = False

    def put(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Outcome], outcome: Outcome) -> None:
        """Settle a future of `loop` with an outcome, soon; from any thread."""
        self._waiting.append((future, outcome))
        if not self._asked:
            self._asked = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for answers any more
                loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._asked = False  # before looking: what comes later asks for another delivery
        while self._waiting:
            future, outcome = self._waiting.popleft()
            if not future.done():
                future.set_result(outcome)
