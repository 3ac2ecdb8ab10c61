"""From rewards to advantages, turn by turn (RLEF, arXiv 2410.02089, sections 2.2 and 2.3). Pure functions on tensors.

K turns in the order of their episodes, M sampled tokens in the order of their turns.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["mean_log_ratio", "normalised", "rewards_to_go", "shaped_rewards"]


def mean_log_ratio(logprobs: Tensor, reference: Tensor, token_turn: Tensor, turns: int) -> Tensor:
    """Return per turn the mean over its tokens of log pi - log rho, (K,) float32; 0 for a turn without a token.

    The mean is the logarithm of a geometric mean of ratios; unlike the sum it does not favour short responses.

    Args:
        logprobs, reference: (M,) log-probabilities under the policy and under the reference policy.
        token_turn: (M,) int64, the turn of each token.
        turns: K.
    """
    total = torch.zeros(turns, device=logprobs.device).index_add_(0, token_turn, logprobs - reference)
    return total / torch.bincount(token_turn, minlength=turns).clamp(min=1)


def shaped_rewards(rewards: Tensor, log_ratio: Tensor, coefficient: float) -> Tensor:
    """Return R = r - beta * mean log-ratio for each turn, (K,) float32."""
    return rewards - coefficient * log_ratio


def rewards_to_go(rewards: Tensor, episode: Tensor) -> Tensor:
    """Return for each turn the sum of its reward and of the later ones of its episode (gamma = 1), (K,) float32.

    Args:
        rewards: (K,) rewards.
        episode: (K,) int64, the episode of each turn; turns of an episode are neighbours, in their order.
    """
    returns = rewards.tolist()
    episodes = episode.tolist()
    for turn in range(len(returns) - 2, -1, -1):
        if episodes[turn] == episodes[turn + 1]:
            returns[turn] += returns[turn + 1]
    return torch.tensor(returns, dtype=rewards.dtype, device=rewards.device)


def normalised(advantages: Tensor) -> Tensor:
    """Return the advantages with mean 0 and standard deviation 1 over all turns; a constant vector becomes zeros."""
    centred = advantages - advantages.mean()
    return centred / (advantages.std(unbiased=False) + 1e-6)
