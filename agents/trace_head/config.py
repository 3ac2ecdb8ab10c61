"""The settings of the trace head; there is no published one to follow, so the defaults are ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codeenv.agents.trace_head.classes import HEADS
from codeenv.errors import CodeenvError

__all__ = ["AuxiliaryConfig"]


@dataclass(frozen=True, slots=True)
class AuxiliaryConfig:
    """How the head is trained.

    Attributes:
        mode: `off`, `probe` (detached: the policy is as without a head) or `on`.
        weight: lambda; 0.0 is the same as `probe`.
        learning_rate: of the head's own optimiser.
        width: of its inner layers.
        heads: the questions it answers.
        measure_every: iterations between two measurements of gradient norms and cosine on the trunk; 0 is never.
    """

    mode: Literal["off", "probe", "on"] = "probe"
    weight: float = 0.1
    learning_rate: float = 2e-3
    width: int = 128
    heads: tuple[str, ...] = tuple(HEADS)
    measure_every: int = 0

    def __post_init__(self) -> None:
        if self.mode not in ("off", "probe", "on"):
            raise CodeenvError(f"the trace head's mode is {self.mode!r}; use 'off', 'probe' or 'on'")
        if not 0.0 <= self.weight <= 100.0:
            raise CodeenvError(f"the trace head's weight is {self.weight!r}; use a number of at least 0.0")

    @property
    def scale(self) -> float:
        """What the gradient into the trunk is multiplied by."""
        return self.weight if self.mode == "on" else 0.0
