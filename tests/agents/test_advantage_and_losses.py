"""Rewards, returns, advantages and losses: the formulas of RLEF (arXiv 2410.02089, section 2) as numbers."""

from __future__ import annotations

import math

import pytest
import torch

from codeenv.agents.rlef.advantage import gae, mean_log_ratio, normalised, rewards_to_go, shaped_rewards
from codeenv.agents.rlef.losses import policy_loss, value_loss

F = torch.tensor


def test_the_kl_term_of_a_turn_is_the_mean_over_its_tokens() -> None:
    ratio = mean_log_ratio(F([-1.0, -2.0, -0.5]), F([-1.5, -2.5, -1.5]), torch.tensor([0, 0, 1]), turns=2)
    assert ratio.tolist() == pytest.approx([0.5, 1.0])


def test_the_kl_term_does_not_change_when_a_response_says_everything_twice() -> None:
    pi, rho = F([-1.0, -2.0, -0.3]), F([-1.1, -1.0, -0.9])
    once = mean_log_ratio(pi, rho, torch.zeros(3, dtype=torch.long), turns=1)
    twice = mean_log_ratio(pi.repeat(2), rho.repeat(2), torch.zeros(6, dtype=torch.long), turns=1)
    assert once.item() == pytest.approx(twice.item())
    assert (pi - rho).sum().item() != pytest.approx((pi - rho).repeat(2).sum().item())


def test_a_turn_without_a_token_has_no_kl() -> None:
    assert mean_log_ratio(F([-1.0]), F([-2.0]), torch.tensor([1]), turns=3).tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("task", "kl", "returns"),
    [
        ([1.0], [0.0], [1.0]),
        ([0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]),
        ([-0.2, 0.0, -1.0], [0.0, 0.0, 0.0], [-1.2, -1.0, -1.0]),
        ([-0.2, -0.2, 1.0], [2.0, 4.0, 1.0], [1.0 - 0.4 - 0.05 * 7, 1.0 - 0.2 - 0.05 * 5, 1.0 - 0.05]),
    ],
)
def test_the_return_is_the_outcome_with_all_penalties_and_kl_terms_that_follow(task, kl, returns) -> None:
    shaped = shaped_rewards(F(task), F(kl), coefficient=0.05)
    assert rewards_to_go(shaped, torch.zeros(len(task), dtype=torch.long)).tolist() == pytest.approx(returns)


def test_returns_do_not_cross_from_one_episode_to_the_next() -> None:
    returns = rewards_to_go(F([0.0, 1.0, -1.0, 0.0, 0.0, 1.0]), torch.tensor([0, 0, 1, 2, 2, 2]))
    assert returns.tolist() == [1.0, 1.0, -1.0, 1.0, 1.0, 1.0]


TWO_EPISODES = torch.tensor([0, 0, 0, 1, 1])
REWARDS, VALUES = F([-0.2, 0.0, 1.0, 0.0, -1.0]), F([0.1, 0.3, 0.5, -0.4, 0.2])


@pytest.mark.parametrize(
    ("gamma", "decay", "advantages"),
    [
        (1.0, 0.0, [-0.2 + 0.3 - 0.1, 0.5 - 0.3, 1.0 - 0.5, 0.2 + 0.4, -1.0 - 0.2]),  # one turn ahead
        (0.5, 0.0, [-0.2 + 0.15 - 0.1, 0.25 - 0.3, 0.5, 0.1 + 0.4, -1.2]),
        (1.0, 0.5, [0.0 + 0.5 * (0.2 + 0.5 * 0.5), 0.2 + 0.5 * 0.5, 0.5, 0.6 - 0.5 * 1.2, -1.2]),
        (0.9, 0.5, [-0.03 + 0.45 * (0.15 + 0.45 * 0.5), 0.15 + 0.45 * 0.5, 0.5, 0.58 - 0.45 * 1.2, -1.2]),
    ],
)
def test_the_generalised_advantage_is_the_decayed_sum_of_one_turn_errors(gamma, decay, advantages) -> None:
    assert gae(REWARDS, VALUES, TWO_EPISODES, gamma, decay).tolist() == pytest.approx(advantages, abs=1e-6)


@pytest.mark.parametrize("gamma", [1.0, 0.7])
def test_with_lambda_one_the_generalised_advantage_is_the_return_minus_the_value(gamma) -> None:
    expected = rewards_to_go(REWARDS, TWO_EPISODES, gamma) - VALUES
    assert gae(REWARDS, VALUES, TWO_EPISODES, gamma, 1.0).tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_normalised_advantages_have_mean_zero_and_deviation_one_and_a_constant_becomes_zero() -> None:
    result = normalised(F([1.0, 2.0, 5.0, -3.0]))
    assert result.mean().item() == pytest.approx(0.0, abs=1e-6)
    assert result.std(unbiased=False).item() == pytest.approx(1.0, abs=1e-5)
    assert normalised(torch.full((4,), 2.0)).tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "moves"),
    [
        (1.0, 1.0, -1.0, True),
        (1.1, 1.0, -1.1, True),
        (1.5, 1.0, -1.2, False),
        (1.5, -1.0, 1.5, True),
        (0.5, 1.0, -0.5, True),
        (0.5, -1.0, 0.8, False),
    ],
)
def test_the_policy_loss_is_the_clipped_surrogate(ratio: float, advantage: float, loss: float, moves: bool) -> None:
    logprobs = F([math.log(ratio)], requires_grad=True)
    value, clipped = policy_loss(logprobs, F([0.0]), logprobs.detach(), F([advantage]), clip=0.2)
    value.sum().backward()
    assert value.item() == pytest.approx(loss)
    assert (logprobs.grad.item() != 0.0) == moves
    assert bool(clipped.item()) == (not moves)


def test_the_staleness_factor_is_min_of_ratio_and_one_and_has_no_gradient() -> None:
    for difference in (-0.1, 0.0, 0.1):
        logprobs = F([difference], requires_grad=True)
        loss, _ = policy_loss(logprobs, F([0.0]), F([0.0]), F([1.0]), clip=0.5)
        loss.sum().backward()
        factor = min(math.exp(difference), 1.0)
        assert loss.item() == pytest.approx(-math.exp(difference) * factor)
        assert logprobs.grad.item() == pytest.approx(-math.exp(difference) * factor)  # twice that if it had one


def test_before_the_first_step_the_ratio_is_one() -> None:
    logprobs = F([-0.7, -3.0])
    loss, clipped = policy_loss(logprobs, logprobs, logprobs, F([0.3, -2.0]), clip=0.2)
    assert loss.tolist() == pytest.approx([-0.3, 2.0])
    assert clipped.sum() == 0


@pytest.mark.parametrize(
    ("value", "old", "target", "clip", "loss"),
    [
        (0.5, 0.5, 1.0, 0.2, 0.5 * 0.25),
        (1.0, 0.0, 1.0, 0.2, 0.5 * 0.64),  # moved too far in one go: the clipped term is the larger
        (0.1, 0.0, 1.0, 0.2, 0.5 * 0.81),
        (-1.0, 0.0, 1.0, 0.2, 0.5 * 4.0),
        (1.0, 0.0, 1.0, None, 0.0),
    ],
)
def test_the_value_loss_is_the_larger_of_plain_and_clipped(value, old, target, clip, loss) -> None:
    assert value_loss(F([value]), F([old]), F([target]), clip).item() == pytest.approx(loss)
