"""Advantages of a batch that mixes kinds of task: a pure function on tensors; K turns (or tokens), each of one kind.

Rewards of different kinds differ in scale and density, so every kind is normalised by itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["whitened_by_kind"]


def whitened_by_kind(advantages: Tensor, kind: Tensor, successes: Tensor | None = None, least: int = 0) -> Tensor:
    """Return the advantages with mean 0 and standard deviation 1 within each kind, (K,).

    Args:
        advantages: (K,) float32.
        kind: (K,) int64, 0 is code.
        successes: (K,) bool, whether the turn got any credit; used with `least`.
        least: kinds other than code with fewer successes than this get advantage 0: whitening would make noise of them.
    """
    out = torch.zeros_like(advantages)
    for number in kind.unique().tolist():
        chosen = kind == number
        if number and successes is not None and int(successes[chosen].sum()) < least:
            continue
        values = advantages[chosen]
        out[chosen] = (values - values.mean()) / (values.std(unbiased=False) + 1e-6)
    return out
