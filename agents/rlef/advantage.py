"""From rewards to advantages, turn by turn (RLEF, arXiv 2410.02089, sections 2.2 and 2.3). Pure functions on tensors.

K turns in the order of their episodes, M sampled tokens in the order of their turns.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["gae", "mean_log_ratio", "normalised", "rewards_to_go", "shaped_rewards"]


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


def rewards_to_go(rewards: Tensor, episode: Tensor, gamma: float = 1.0) -> Tensor:
    """Return for each turn the sum of its reward and of the later ones of its episode, (K,) float32.

    Args:
        rewards: (K,) rewards.
        episode: (K,) int64, the episode of each turn; turns of an episode are neighbours, in their order.
        gamma: discount of one turn; 1.0 is the paper's.
    """
    returns = rewards.tolist()
    episodes = episode.tolist()
    for turn in range(len(returns) - 2, -1, -1):
        if episodes[turn] == episodes[turn + 1]:
            returns[turn] += gamma * returns[turn + 1]
    return torch.tensor(returns, dtype=rewards.dtype, device=rewards.device)


def gae(rewards: Tensor, values: Tensor, episode: Tensor, gamma: float, decay: float) -> Tensor:
    """Return the generalised advantage of each turn (arXiv 1506.02438, with turns as steps), (K,) float32.

    delta_t = r_t + gamma V_{t+1} - V_t with V = 0 behind the last turn; A_t = delta_t + gamma lambda A_{t+1}. With lambda = 1
    it is the discounted reward to go minus the value.

    Args:
        rewards, values: (K,) reward of each turn and the critic's value before it.
        episode: (K,) int64, as in `rewards_to_go`.
        gamma: discount of one turn.
        decay: lambda; 0.0 looks one turn ahead.
    """
    advantages = (rewards - values).tolist()
    episodes, later = episode.tolist(), values.tolist()
    for turn in range(len(advantages) - 2, -1, -1):
        if episodes[turn] == episodes[turn + 1]:
            advantages[turn] += gamma * (later[turn + 1] + decay * advantages[turn + 1])
    return torch.tensor(advantages, dtype=rewards.dtype, device=rewards.device)


def normalised(advantages: Tensor) -> Tensor:
    """Return the advantages with mean 0 and standard deviation 1 over all turns; a constant vector becomes zeros."""
    centred = advantages - advantages.mean()
    return centred / (advantages.std(unbiased=False) + 1e-6)
