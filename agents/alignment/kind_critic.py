"""A critic with one output for each kind of task: the rewards of a denser task must not bias the values of another."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from codeenv.agents.lm.scoring import Batch, Critic

__all__ = ["KindCritic"]


class KindCritic(Critic):
    """A critic whose head is chosen by the kind of the task; kind 0 is code and has the head of `Critic`.

    As long as every task is code it is the plain critic, bit for bit.

    Args:
        trunk: as for `Critic`.
        kinds: number of kinds, code included.
    """

    def __init__(self, trunk: PreTrainedModel, kinds: int = 2) -> None:
        super().__init__(trunk)
        self.heads = nn.ModuleList(nn.Linear(self.head.in_features, 1) for _ in range(kinds - 1))
        for head in self.heads:
            nn.init.zeros_(head.weight)  # type: ignore[arg-type]
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def of_kind(self, batch: Batch, kind: Tensor) -> Tensor:
        """Return one value per turn, (K,) float32; `kind` is (K,) int64."""
        hidden = self.trunk(input_ids=batch.ids, use_cache=False).last_hidden_state
        states = hidden[batch.turn_row, batch.turn_column].to(self.head.weight.dtype)
        values: Tensor = self.head(states)[:, 0]
        for number, head in enumerate(self.heads, start=1):
            values = torch.where(kind == number, head(states)[:, 0], values)
        return values.float()
