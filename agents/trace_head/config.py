"""The settings of the trace head; there is no published one to follow, so the defaults are ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codeenv.agents.settings import check_choice, check_number, check_whole
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
        layer: the layer of the policy behind which the states are read, from 1; 0 is the last one. Two thirds of the way up is a
            usual other choice.
        measure_every: iterations between two measurements of gradient norms and cosine on the trunk; 0 is never.
    """

    mode: Literal["off", "probe", "on"] = "probe"
    weight: float = 0.1
    learning_rate: float = 2e-3
    width: int = 128
    heads: tuple[str, ...] = tuple(HEADS)
    layer: int = 0
    measure_every: int = 10

    def __post_init__(self) -> None:
        check_choice("the trace head's mode", self.mode, ("off", "probe", "on"))
        check_number("the trace head's weight", self.weight, 0.0, 100.0)
        check_number("the trace head's learning_rate", self.learning_rate, 0.0, 1.0, above=True, below=True)
        for name, least in (("width", 1), ("layer", 0), ("measure_every", 0)):
            check_whole(f"the trace head's {name}", getattr(self, name), least)
        if not isinstance(self.heads, (tuple, list)) or not self.heads or any(head not in HEADS for head in self.heads):
            raise CodeenvError(f"the trace head's heads are {self.heads!r}; use some of {', '.join(HEADS)}")
        if len(set(self.heads)) < len(self.heads):
            raise CodeenvError(f"the trace head's heads are {self.heads!r}; name each once")

    def check_layer(self, layers: int) -> None:
        """Make sure that a policy has the layer.

        Raises:
            CodeenvError: it has fewer.
        """
        if self.layer > layers:
            raise CodeenvError(
                f"the trace head's layer is {self.layer}, and the policy has {layers}; use a number up to {layers}, or 0 for the "
                "last"
            )

    @property
    def scale(self) -> float:
        """What the gradient into the trunk is multiplied by."""
        return self.weight if self.mode == "on" else 0.0
