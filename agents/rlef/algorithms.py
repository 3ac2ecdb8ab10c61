"""The policy-gradient algorithms that share the learner's loop: the baseline, the scale of advantages, the place of the KL.

In several turns, the algorithms without a critic give every turn of an episode the episode's advantage. Normalising the n-th
turns of a group among themselves instead would be biased, because the policy decides which episodes have an n-th turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["ALGORITHMS", "Algorithm", "AlgorithmName", "group_baseline", "normalised_over_tokens", "token_rewards_to_go"]

AlgorithmName = Literal["rlef", "grpo", "dr_grpo", "dapo", "rloo", "reinforce++", "reinforce++-baseline"]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One algorithm.

    Attributes:
        baseline: what is subtracted from the return: the `critic`'s value, the `group`'s mean, the mean of the `others` of the
            group, or nothing (`none`).
        scale: advantages are divided by the standard deviation over all `turns`, over the `group`, over all `tokens` (after
            subtracting their mean), or by nothing (`none`).
        kl: where the divergence from the reference policy enters: `turn_reward` (mean log-ratio of each turn, RLEF),
            `token_reward` (log-ratio of each token), `k3_loss` or `k2_loss` (an estimate added to each token's loss), or `none`.
        mean: the loss is averaged over `tokens`, first over each `sequence` and then over them, or summed over tokens and
            divided by a `constant` (episodes times the token limit).
        stale: whether the ratio carries RLEF's factor for tokens sampled by an older policy.
        clip_high: the upper clip range if it differs from the lower one.
    """

    baseline: Literal["critic", "group", "others", "none"]
    scale: Literal["turns", "group", "tokens", "none"]
    kl: Literal["turn_reward", "token_reward", "k3_loss", "k2_loss", "none"]
    mean: Literal["tokens", "sequence", "constant"]
    stale: bool = False
    clip_high: float | None = None

    @property
    def grouped(self) -> bool:
        """Whether it needs several episodes on each problem."""
        return self.baseline in ("group", "others")


ALGORITHMS: dict[AlgorithmName, Algorithm] = {
    "rlef": Algorithm("critic", "turns", "turn_reward", "tokens", stale=True),  # arXiv 2410.02089
    "grpo": Algorithm("group", "group", "k3_loss", "sequence"),  # arXiv 2402.03300
    "dr_grpo": Algorithm("group", "none", "none", "constant"),  # arXiv 2503.20783
    "dapo": Algorithm("group", "group", "none", "tokens", clip_high=0.28),  # arXiv 2503.14476
    "rloo": Algorithm("others", "none", "turn_reward", "constant"),  # arXiv 2402.14740
    "reinforce++": Algorithm("none", "tokens", "token_reward", "tokens"),  # arXiv 2501.03262
    "reinforce++-baseline": Algorithm("group", "tokens", "k2_loss", "tokens"),  # the same, section 3
}


def group_baseline(totals: Tensor, group: Tensor, scale: bool = False, leave_one_out: bool = False) -> Tensor:
    """Return each episode's total reward minus the mean of its group, (N,) float32.

    Args:
        totals: (N,) total reward of each episode.
        group: (N,) int64, the problem of each episode.
        scale: divide by the group's standard deviation (unbiased, as TRL does); a group of equal totals gives zeros.
        leave_one_out: take the mean over the other episodes of the group; an episode alone in its group gets zero.
    """
    size = torch.bincount(group).to(totals.dtype)
    mean = torch.zeros_like(size).index_add_(0, group, totals) / size.clamp(min=1)
    centred = totals - mean[group]
    if leave_one_out:
        return centred * size[group] / (size[group] - 1).clamp(min=1)
    if not scale:
        return centred
    variance = torch.zeros_like(size).index_add_(0, group, centred.square()) / (size - 1).clamp(min=1)
    return centred / (variance.sqrt()[group] + 1e-4)


def normalised_over_tokens(advantages: Tensor) -> Tensor:
    """Return per-token advantages with mean 0 and standard deviation 1 over all sampled tokens of the collection, (M,)."""
    centred = advantages - advantages.mean()
    return centred / (advantages.std(unbiased=False) + 1e-8)


def token_rewards_to_go(returns: Tensor, log_ratio: Tensor, token_turn: Tensor, episode: Tensor, coefficient: float) -> Tensor:
    """Return for each token the task's reward to go minus the KL of this and all later tokens of its episode, (M,).

    Args:
        returns: (K,) the task's reward to go of each turn.
        log_ratio: (M,) log pi - log rho of each token.
        token_turn, episode: (M,) the turn of each token, (K,) the episode of each turn.
        coefficient: weight of the KL.
    """
    of_token = episode[token_turn].contiguous()
    through = log_ratio.double().cumsum(0)
    last = torch.searchsorted(of_token, of_token, right=True) - 1  # tokens of an episode are neighbours
    remaining = through[last] - through + log_ratio.double()
    return returns[token_turn] - coefficient * remaining.to(returns.dtype)
