"""The losses of RLEF (arXiv 2410.02089, section 2.3). Pure functions on tensors, one value per token or per turn."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["divergence_loss", "policy_loss", "value_loss"]


def policy_loss(
    logprobs: Tensor,
    old: Tensor,
    behaviour: Tensor | None,
    advantages: Tensor,
    clip: float,
    clip_high: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the clipped policy loss of each token and whether its ratio was clipped, both (M,).

    The ratio is (pi / pi_old) * stop_gradient(min(pi / pi_behaviour, 1)): the second factor discounts tokens that the current
    policy would hardly draw any more, which matters when they were sampled by an older one.

    Args:
        logprobs: (M,) under the policy that is trained.
        old: (M,) under the policy before the update.
        behaviour: (M,) under the policy that sampled; equal to `old` when collection is synchronous. `None` leaves the second
            factor out, as in PPO and GRPO.
        advantages: (M,) the advantage of each token's turn.
        clip: epsilon.
        clip_high: the upper epsilon if it is another one (DAPO, arXiv 2503.14476).
    """
    ratio = (logprobs - old).exp()
    if behaviour is not None:
        ratio = ratio * (logprobs.detach() - behaviour).exp().clamp(max=1.0)
    clipped = ratio.clamp(1.0 - clip, 1.0 + (clip if clip_high is None else clip_high))
    loss = -torch.minimum(ratio * advantages, clipped * advantages)
    return loss, (ratio * advantages > clipped * advantages).float()


def value_loss(values: Tensor, old: Tensor, returns: Tensor, clip: float | None) -> Tensor:
    """Return 0.5 * max((V - R)^2, (clip(V, V_old - alpha, V_old + alpha) - R)^2) for each turn, (K,).

    Args:
        values: (K,) under the critic that is trained.
        old: (K,) under the critic before the update.
        returns: (K,) targets.
        clip: alpha; `None` leaves the first term alone.
    """
    error = (values - returns).square()
    if clip is None:
        return 0.5 * error
    near = old + (values - old).clamp(-clip, clip)
    return 0.5 * torch.maximum(error, (near - returns).square())


def divergence_loss(logprobs: Tensor, reference: Tensor, kind: str) -> Tensor:
    """Return an estimate of the divergence from the reference policy at each token, (M,).

    Args:
        logprobs, reference: (M,).
        kind: `k3_loss` is rho/pi - 1 - log(rho/pi) (GRPO, arXiv 2402.03300), `k2_loss` is half the squared log-ratio.
    """
    difference = reference - logprobs
    return difference.exp() - difference - 1.0 if kind == "k3_loss" else 0.5 * difference.square()
