"""The buffer of alignment items and how a batch is drawn from it (CodeRL+, arXiv 2510.18471, and its released code)."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

from codeenv.errors import CodeenvError
from codeenv.prediction import PredictionItem
from codeenv.prediction.attempt import random_from_list, random_to_list

__all__ = ["AlignmentBuffer", "Strategy", "quotas"]

Strategy: TypeAlias = Literal["recent", "random", "balanced"]


def quotas(batch: int, fraction: float) -> tuple[int, int]:
    """Return the numbers of code prompts and of alignment prompts in a batch; the latter is rounded down.

    B_mixed = alpha * B_code + (1 - alpha) * B_align, with alpha = 0.6 and `fraction` = 1 - alpha.

    >>> quotas(128, 0.4)
    (77, 51)
    """
    if not 0.0 <= fraction < 1.0:
        raise CodeenvError(f"the alignment fraction is {fraction!r}; use a number from 0.0 to below 1.0")
    alignment = int(batch * fraction)
    return batch - alignment, alignment


class AlignmentBuffer:
    """The newest items, at most `size`; the oldest leave first.

    Args:
        size: most items kept.
        strategy: `recent` draws from the items of the latest step alone, `random` from all, `balanced` half from passed and half
            from failed programs, where there are both. Every draw is independent, so an item may come twice.
        seed: of the draws.
    """

    def __init__(self, size: int = 20_000, strategy: Strategy = "recent", seed: int = 0) -> None:
        if strategy not in get_args(Strategy):
            raise CodeenvError(f"the sampling strategy is {strategy!r}; use recent, random or balanced")
        if size < 1:
            raise CodeenvError(f"the buffer's size is {size!r}; use a whole number of at least 1")
        self.strategy: Strategy = strategy
        self._items: deque[tuple[int, PredictionItem]] = deque(maxlen=size)
        self._step = -1
        self._random = random.Random(seed)

    def __len__(self) -> int:
        return len(self._items)

    def push(self, items: Sequence[PredictionItem]) -> None:
        """Add the items of one step; a step without items leaves the latest one as it was."""
        if items:
            self._step += 1
            self._items.extend((self._step, item) for item in items)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready state."""
        items = [[step, item.to_dict()] for step, item in self._items]
        return {"step": self._step, "items": items, "random": random_to_list(self._random)}

    def load_dict(self, state: dict[str, Any]) -> None:
        """Take what `to_dict` returned."""
        random_from_list(self._random, state["random"])
        self._step = int(state["step"])
        self._items.clear()
        self._items.extend((int(step), PredictionItem.from_dict(row)) for step, row in state["items"])

    def sample(self, count: int) -> list[PredictionItem]:
        """Return `count` draws, or none if fewer than `count` items are there: their slots then go to code prompts."""
        if len(self._items) < count:
            return []
        pool = [item for step, item in self._items if step == self._step or self.strategy != "recent"]
        if self.strategy == "balanced":
            halves = [[item for item in pool if item.passed], [item for item in pool if not item.passed]]
            if all(halves):
                return [self._random.choice(halves[number % 2]) for number in range(count)]
        return [self._random.choice(pool) for _ in range(count)]
