"""A copy of a policy to write with, in another precision: bfloat16 halves the cost of generation, float32 keeps small updates."""

from __future__ import annotations

import copy

import torch
from transformers import PreTrainedModel

__all__ = ["Writer"]


class Writer:
    """The copy; it takes the policy's weights anew before each collection.

    Args:
        dtype: of the copy's weights, by torch's name.
    """

    def __init__(self, dtype: str) -> None:
        self._dtype = getattr(torch, dtype)
        self._model: PreTrainedModel | None = None

    @torch.no_grad()
    def refreshed(self, policy: PreTrainedModel) -> PreTrainedModel:
        """Return the copy with the weights that the policy has now."""
        if self._model is None:
            self._model = copy.deepcopy(policy).to(self._dtype).eval().requires_grad_(False)
            return self._model
        for mine, theirs in zip(self._model.parameters(), policy.parameters(), strict=True):
            mine.copy_(theirs)
        return self._model
