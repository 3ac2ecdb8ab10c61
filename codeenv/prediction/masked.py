"""Masked lines as a kind of task for the slot of alignment (after CodeBoost, arXiv 2508.05242).

Some of the items that another builder makes of the policy's own programs become repairs: a line is hidden, input and output are
shown, and any line with which the program does the same is right.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from codeenv.errors import CodeenvError
from codeenv.prediction.attempt import Attempt, Built, ItemBuilder, random_from_list, random_to_list
from codeenv.prediction.item import PredictionItem
from codeenv.prediction.repair import mask_lines

__all__ = ["MaskingBuilder"]


class MaskingBuilder:
    """A builder around another one.

    Args:
        builder: makes the items.
        share: of the items about a run that ended that become repairs of one masked line.
        seed: of the choices.

    Raises:
        CodeenvError: for a share outside 0.0 to 1.0.
    """

    def __init__(self, builder: ItemBuilder, share: float, seed: int = 0) -> None:
        if not 0.0 <= share <= 1.0:
            raise CodeenvError(f"repairs is {share!r}; use a share from 0.0 to 1.0")
        self.builder = builder
        self.share = share
        self._random = random.Random(f"masked {seed}")

    def build(self, attempts: Sequence[Attempt]) -> Built:
        """Return the items of the attempts, some of them made into repairs."""
        built = self.builder.build(attempts)
        built.items = [self._item(item) for item in built.items]
        return built

    def _item(self, item: PredictionItem) -> PredictionItem:
        if item.kind not in ("state", "output") or self._random.random() >= self.share:
            return item
        masked = mask_lines(item.code, 1, self._random.getrandbits(32))
        if masked is None:
            return item
        return replace(item, id=f"{item.id}/repair", kind="repair", code=masked[0], masked=masked[1], names=(), values={})

    def to_dict(self) -> dict[str, Any]:
        """Return the state of the choices and of the builder within."""
        return {"builder": self.builder.to_dict(), "random": random_to_list(self._random)}

    def load_dict(self, state: dict[str, Any]) -> None:
        """Take what `to_dict` returned."""
        self.builder.load_dict(state["builder"])
        random_from_list(self._random, state["random"])
