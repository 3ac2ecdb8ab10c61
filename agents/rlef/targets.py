"""What a collection teaches."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Targets"]


@dataclass(frozen=True, slots=True)
class Targets:
    """What one collection teaches, computed once before its updates. K turns, M tokens.

    Attributes:
        old: (M,) log-probabilities of the policy before the update.
        log_ratio: (K,) mean over a turn's tokens of log pi_old - log rho.
        old_values: (K,) the critic before the update; with a token-level critic (M,).
        returns: (K,) KL-shaped reward-to-go, or the lambda-return.
        advantages: (K,) returns - old_values, normalised if the settings say so.
        token_advantages: (M,) where the tokens of a turn do not share one advantage, else `None`.
        reference: (M,) log-probabilities of the reference policy where the loss needs them, else `None`.
    """

    old: Tensor
    log_ratio: Tensor
    old_values: Tensor
    returns: Tensor
    advantages: Tensor
    token_advantages: Tensor | None = None
    reference: Tensor | None = None
