"""The deadline of an agent's call: an agent may ask for its own, and leave word of what it waits for.

An async agent that asks others (an endpoint, a queue) finds the deadline of the call that it is in with `current_deadline`. What
it writes to `Deadline.waiting_for` is in the sentence of its failure if the deadline comes first.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Deadline", "DeadlineMissed", "current_deadline"]


class DeadlineMissed(Exception):
    """A call took longer than it may; the text says what it waited for, if anybody knows."""


@dataclass(slots=True, eq=False)
class Deadline:
    """When a call must have ended.

    Attributes:
        seconds: how long the call may take in all.
        at: the end, on the clock of `time.monotonic`.
        waiting_for: what the agent waits for, in words.
    """

    seconds: float
    at: float
    waiting_for: str = ""

    def left_s(self) -> float:
        """Return the seconds that are left; below 0 if none are."""
        return self.at - time.monotonic()


CURRENT: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def current_deadline() -> Deadline | None:
    """Return the deadline of the call that this code is in; `None` outside a call of an async agent by the engine."""
    return CURRENT.get()
