"""What an outcome is worth: pure functions from what happened in a turn to a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from codeenv.errors import CodeenvError
from codeenv.judge.verdict import Verdict

__all__ = ["REWARDS", "Outcome", "Reward", "get_reward"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one turn led to.

    Attributes:
        turn: 0-based number of the turn.
        valid: whether the response held code that compiles.
        ended: whether the episode ended with this turn.
        public_passed: whether all public tests passed.
        solved: whether all public and private tests passed; always `False` before the end.
        public_fraction: share of the public tests that passed.
        private_fraction: share of the private tests that passed, `None` if they were not run.
        verdict: the verdict of the public tests, at the end of all tests that were run.
        private_score: share of the points that the private tests are worth, `None` if they were not run or have no points.
    """

    turn: int
    valid: bool
    ended: bool
    public_passed: bool
    solved: bool
    public_fraction: float
    private_fraction: float | None
    verdict: Verdict
    private_score: float | None = None


Reward: TypeAlias = Callable[[Outcome], dict[str, float]]
"""A reward function returns named parts; the reward is their sum."""

INVALID_PENALTY = -0.2
"""RLEF (arXiv 2410.02089, section 2.2): the reward of a turn without valid code that does not end the episode."""


def rlef(outcome: Outcome) -> dict[str, float]:
    """RLEF's reward (arXiv 2410.02089, section 2.2).

    +1 if the episode ends and every public and private test passes, -1 if it ends otherwise, -0.2 for a turn before the end
    that holds no valid code, else 0. An invalid last turn gets -1 alone.
    """
    if outcome.ended:
        return {"solved": 1.0 if outcome.solved else -1.0}
    return {"invalid": INVALID_PENALTY} if not outcome.valid else {}


def binary(outcome: Outcome) -> dict[str, float]:
    """1 for a solved problem at the end, else 0."""
    return {"solved": 1.0} if outcome.ended and outcome.solved else {}


def fraction(outcome: Outcome) -> dict[str, float]:
    """At the end, the share of private tests that passed (0 if they were not run), else 0."""
    return {"private_fraction": outcome.private_fraction or 0.0} if outcome.ended else {}


def scores(outcome: Outcome) -> dict[str, float]:
    """At the end, the share of the points of the test groups; without groups, the share of private tests; else 0."""
    if not outcome.ended:
        return {}
    if outcome.private_score is None:
        return fraction(outcome)
    return {"private_score": outcome.private_score}


def four_level(outcome: Outcome) -> dict[str, float]:
    """Return StepCoder's reward (arXiv 2402.01391): +1 solved, -0.3 a test fails, -0.6 a crash or a limit, -1 no valid code."""
    if not outcome.ended:
        return {}
    if outcome.solved:
        return {"solved": 1.0}
    if not outcome.valid:
        return {"invalid": -1.0}
    return {"failed": -0.3} if outcome.verdict in (Verdict.WRONG_ANSWER, Verdict.ACCEPTED) else {"crashed": -0.6}


REWARDS: dict[str, Reward] = {"rlef": rlef, "binary": binary, "fraction": fraction, "scores": scores, "four_level": four_level}
"""The reward functions that have a name."""


def get_reward(reward: str | Reward) -> Reward:
    """Return a reward function by name, or the function itself."""
    if callable(reward):
        return reward
    if reward not in REWARDS:
        raise CodeenvError(f"there is no reward named {reward!r}; use one of {', '.join(REWARDS)} or a function")
    return REWARDS[reward]
