"""Advantages of a batch that mixes kinds of task. Pure functions on tensors; K turns, each of one kind.

Rewards of different kinds differ in scale and density, so every kind is normalised by itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["group_advantages", "reinforce_plus_plus", "whitened_by_kind"]


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


def group_advantages(rewards: Tensor, group: Tensor, scale: bool = True) -> Tensor:
    """Return GRPO's advantages: the reward minus the mean of its group, divided by the group's standard deviation, (K,).

    A group is the samples of one prompt, so that code and alignment prompts never share one. A group of equal rewards gives 0.

    Args:
        rewards: (K,) total reward of the episode of each turn.
        group: (K,) int64.
        scale: divide by the standard deviation (GRPO, arXiv 2402.03300); off is Dr. GRPO's choice.
    """
    groups = int(group.max()) + 1 if len(group) else 0
    counts = torch.bincount(group, minlength=groups).clamp(min=1).to(rewards.dtype)
    mean = torch.zeros(groups, dtype=rewards.dtype, device=rewards.device).index_add_(0, group, rewards) / counts
    centred = rewards - mean[group]
    if not scale:
        return centred
    variance = torch.zeros_like(mean).index_add_(0, group, centred.square()) / counts
    return centred / (variance.sqrt() + 1e-6)[group]


def reinforce_plus_plus(returns: Tensor, kind: Tensor, tokens: Tensor) -> Tensor:
    """Return REINFORCE++'s advantages: returns normalised over the tokens of the global batch, here within each kind, (K,).

    Args:
        returns: (K,) KL-shaped returns, no critic (arXiv 2501.03262).
        kind: (K,) int64.
        tokens: (K,) int64, sampled tokens of each turn, the weight of its return in mean and variance.
    """
    out = torch.zeros_like(returns)
    for number in kind.unique().tolist():
        chosen = kind == number
        weight = tokens[chosen].to(returns.dtype)
        total = weight.sum().clamp(min=1.0)
        values = returns[chosen]
        mean = (values * weight).sum() / total
        deviation = (((values - mean).square() * weight).sum() / total).sqrt()
        out[chosen] = (values - mean) / (deviation + 1e-6)
    return out
