"""The head itself and its loss: pure functions of hidden states at given positions.

    z_e = MLP_e(e),  z_l = MLP_l([mean of H over the tokens of line l; e]),  z_v = MLP_v([H at the end of v's last assignment; e])

e is the state at the end of the code: a state inside the program cannot see the code behind it, so every question also reads e.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from codeenv.agents.trace_head.classes import HEADS
from codeenv.errors import CodeenvError

__all__ = ["Positions", "TraceHead", "head_loss", "scaled_gradient"]


@dataclass(frozen=True, slots=True)
class Positions:
    """Where the head reads and what is true there. S submissions, Q line tokens, P lines, V variables.

    Attributes:
        end_row, end_column: (S,) int64, the last token of the code in (N, L).
        outcome, exception: (S,) int64 classes, -1 where there is none.
        line_token_row, line_token_column, token_line: (Q,) int64, tokens of lines and the line (0..P-1) of each.
        line_sample, line: (P,) int64, the submission (0..S-1) of each line, and its class.
        variable_row, variable_column, variable_sample: (V,) int64.
        type, bucket: (V,) int64 classes.
    """

    end_row: Tensor
    end_column: Tensor
    outcome: Tensor
    exception: Tensor
    line_token_row: Tensor
    line_token_column: Tensor
    token_line: Tensor
    line_sample: Tensor
    line: Tensor
    variable_row: Tensor
    variable_column: Tensor
    variable_sample: Tensor
    type: Tensor
    bucket: Tensor

    @property
    def samples(self) -> int:
        return len(self.end_row)

    def owner(self, head: str) -> Tensor:
        """Return the submission of each of a head's predictions."""
        if head in ("outcome", "exception"):
            return torch.arange(self.samples, device=self.end_row.device)
        return self.line_sample if head == "line" else self.variable_sample

    def target(self, head: str) -> Tensor:
        """Return the classes of a head, -1 where it has nothing to learn."""
        found: Tensor = getattr(self, head)
        return found


class TraceHead(nn.Module):
    """Predicts what a submission's run does.

    Args:
        hidden: size of the policy's states.
        width: of the inner layers.
        heads: which heads there are; by default all of `classes.HEADS`.

    Raises:
        CodeenvError: for a head of another name.
    """

    def __init__(self, hidden: int, width: int = 128, heads: Sequence[str] = tuple(HEADS)) -> None:
        super().__init__()
        if unknown := sorted(set(heads) - set(HEADS)):
            raise CodeenvError(f"there is no trace head {unknown[0]!r}; use some of {', '.join(HEADS)}")
        self.names = tuple(heads)
        self.width = width
        sizes = {name: hidden if name in ("outcome", "exception") else 2 * hidden for name in self.names}
        self.layers = nn.ModuleDict(
            {
                f"to_{name}": nn.Sequential(
                    nn.LayerNorm(size), nn.Linear(size, width), nn.GELU(), nn.Linear(width, len(HEADS[name]))
                )
                for name, size in sizes.items()
            }
        )

    def forward(self, hidden: Tensor, at: Positions) -> dict[str, Tensor]:
        """Return each head's logits.

        Args:
            hidden: (N, L, hidden) states of a batch.
            at: the positions to read.
        """
        dtype = next(self.parameters()).dtype
        end = hidden[at.end_row, at.end_column].to(dtype)
        logits: dict[str, Tensor] = {}
        for name in self.names:
            if name in ("outcome", "exception"):
                states = end
            elif name == "line":
                tokens = hidden[at.line_token_row, at.line_token_column].to(dtype)
                sums = torch.zeros(len(at.line), end.shape[1], dtype=dtype, device=end.device).index_add(0, at.token_line, tokens)
                counts = torch.bincount(at.token_line, minlength=len(at.line)).clamp(min=1)[:, None]
                states = torch.cat([sums / counts, end[at.line_sample]], dim=1)
            else:
                read = hidden[at.variable_row, at.variable_column].to(dtype)
                states = torch.cat([read, end[at.variable_sample]], dim=1)
            logits[name] = self.layers[f"to_{name}"](states).float()
        return logits


def head_loss(logits: Mapping[str, Tensor], at: Positions) -> Tensor:
    """Return the loss of each submission, (S,): the mean over its heads of the mean cross-entropy over each head's positions.

    A long program does not count for more than a short one. Positions of class -1 have no loss and no gradient.
    """
    total = torch.zeros(at.samples, device=at.end_row.device)
    heads = torch.zeros(at.samples, device=at.end_row.device)
    for name, values in logits.items():
        target = at.target(name)
        known = target >= 0
        if not bool(known.any()):
            continue
        owner = at.owner(name)[known]
        losses = nn.functional.cross_entropy(values[known], target[known], reduction="none")
        counts = torch.bincount(owner, minlength=at.samples).to(losses.dtype)
        sums = torch.zeros(at.samples, device=losses.device).index_add(0, owner, losses)
        total = total + sums / counts.clamp(min=1.0)
        heads = heads + (counts > 0)
    return total / heads.clamp(min=1.0)


def scaled_gradient(hidden: Tensor, scale: float) -> Tensor:
    """Return the same states whose gradient is multiplied by `scale`; 0.0 detaches them, so that nothing reaches the trunk."""
    if scale == 0.0:
        return hidden.detach()
    return hidden.detach() + scale * (hidden - hidden.detach())
