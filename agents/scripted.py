"""Scripted agents: the known points of every benchmark.

They read the problem's solutions, so their results say nothing about a model.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from codeenv.problems import Problem
from codeenv.rollout.conversation import Conversation
from codeenv.submission import fence

__all__ = ["IgnoresFeedback", "NeverRight", "Oracle", "RepairsOnFeedback"]

Act = Callable[[Conversation], str]


class Oracle:
    """Submits a known correct solution at once. It solves every problem that has one."""

    def reset(self, problem: Problem, seed: int) -> Act:
        return lambda conversation: _right(problem)


class NeverRight:
    """Submits a program that is always wrong."""

    def reset(self, problem: Problem, seed: int) -> Act:
        return lambda conversation: _wrong(problem, seed)


class RepairsOnFeedback:
    """Submits a wrong program first, and a correct one once feedback shows a failing test: perfect use of feedback."""

    def reset(self, problem: Problem, seed: int) -> Act:
        def act(conversation: Conversation) -> str:
            told = len(conversation) > 1 and "Test " in conversation[-1]["content"]
            return _right(problem) if told else _wrong(problem, seed)

        return act


class IgnoresFeedback:
    """Draws a known right or wrong program anew in each turn, whatever the feedback says."""

    def reset(self, problem: Problem, seed: int) -> Act:
        generator = random.Random(seed)
        return lambda conversation: (
            _right(problem) if generator.random() < 0.25 else _wrong(problem, generator.randrange(1 << 30))
        )


def _right(problem: Problem) -> str:
    if not problem.correct_solutions:
        return "There is no known solution."
    return fence(problem.correct_solutions[0])


def _wrong(problem: Problem, seed: int) -> str:
    if problem.incorrect_solutions:
        return fence(problem.incorrect_solutions[seed % len(problem.incorrect_solutions)])
    if problem.mode == "stdio":
        return fence("print()\n")
    name, _, method = (problem.entry_point or "f").partition("().")
    if method:
        return fence(f"class {name}:\n    def {method}(self, *args, **kwargs):\n        return None\n")
    return fence(f"def {name}(*args, **kwargs):\n    return None\n")
