"""Scripted agents: the known points of every benchmark.

They read the problem's solutions, so their results say nothing about a model. Where theory puts them, for `t` turns:

    oracle                1 in the first turn, in every arm
    never-right           0 in every arm
    repairs-on-feedback   1 where feedback is about its own program, 0 where it is not (random, none): utilisation 1
    ignores-feedback      1 - (1 - 1/4)^t in every arm: utilisation 0
"""

from __future__ import annotations

import random
from collections.abc import Callable

from codeenv.feedback import FeedbackLimits
from codeenv.problems import CallTest, CodeTest, Problem, Test
from codeenv.problems.languages import LANGUAGES
from codeenv.rollout.agent import AgentError
from codeenv.rollout.conversation import Conversation
from codeenv.submission import fence
from codeenv.text import shorten

__all__ = ["IGNORES_RATE", "IgnoresFeedback", "NeverRight", "Oracle", "RandomWrong", "RepairsOnFeedback"]

Act = Callable[[Conversation], str]

IGNORES_RATE = 0.25
"""How often `IgnoresFeedback` draws a right program."""


class Oracle:
    """Submits a known correct solution at once. It solves every problem that has one."""

    def reset(self, problem: Problem, seed: int) -> Act:
        return lambda conversation: _right(problem)


class NeverRight:
    """Submits a program that is always wrong."""

    def reset(self, problem: Problem, seed: int) -> Act:
        return lambda conversation: _wrong(problem, seed)


class RandomWrong:
    """Draws one of the problem's known wrong programs anew in each turn."""

    def reset(self, problem: Problem, seed: int) -> Act:
        generator = random.Random(seed)
        return lambda conversation: _wrong(problem, generator.randrange(1 << 30))


class RepairsOnFeedback:
    """Submits a wrong program first, and a correct one once it reads feedback about one of the problem's own public tests.

    Args:
        wrong: wrong programs before the correct one; 2 makes demonstrations of three attempts.
    """

    def __init__(self, wrong: int = 1) -> None:
        if wrong < 1:
            raise AgentError(f"wrong is {wrong}; use a whole number of at least 1")
        self._wrong = wrong

    def reset(self, problem: Problem, seed: int) -> Act:
        marks = [mark for test in problem.public_tests for mark in _marks(problem, test)]

        def act(conversation: Conversation) -> str:
            last = conversation[-1]["content"] if len(conversation) > 1 else ""
            told = any(mark in last for mark in marks) and len(conversation) > 2 * self._wrong
            return _right(problem) if told else _wrong_on_purpose(problem)

        return act


class IgnoresFeedback:
    """Draws a known right or wrong program anew in each turn, whatever the feedback says."""

    def reset(self, problem: Problem, seed: int) -> Act:
        generator = random.Random(seed)
        return lambda conversation: (
            _right(problem) if generator.random() < IGNORES_RATE else _wrong(problem, generator.randrange(1 << 30))
        )


def _marks(problem: Problem, test: Test) -> list[str]:
    """Return texts that feedback about this test holds and feedback about another problem's test does not."""
    limit = FeedbackLimits().detail_chars
    if isinstance(test, CodeTest):
        return [line.strip() for line in test.code.splitlines() if line.strip().startswith("assert ")]
    if isinstance(test, CallTest):
        keywords = [f"{name}={value!r}" for name, value in test.kwargs.items()]
        call = f"{problem.entry_point}({', '.join([*map(repr, test.args), *keywords])})"
        return [f"Call:\n{shorten(call, limit)}\nExpected:\n{shorten(repr(test.expected), limit)}\n"]
    shown = [shorten(text.rstrip("\n"), limit) for text in (test.input, test.output)]
    return [f"Input:\n{shown[0]}\nExpected:\n{shown[1]}\n"]


def _right(problem: Problem) -> str:
    if not problem.correct_solutions:
        raise AgentError(
            f"problem {problem.id!r} has no known correct solution for a scripted agent to submit; choose another agent"
        )
    return fence(problem.correct_solutions[0], problem.language)


def _wrong(problem: Problem, seed: int) -> str:
    if problem.incorrect_solutions:
        return fence(problem.incorrect_solutions[seed % len(problem.incorrect_solutions)], problem.language)
    return _wrong_on_purpose(problem)


def _wrong_on_purpose(problem: Problem) -> str:
    """Return a program that runs and gives a wrong answer, so that feedback shows the expected one."""
    if problem.language != "python":
        return fence(LANGUAGES[problem.language].silent, problem.language)
    if problem.mode == "stdio":
        return fence("print('wrong on purpose')\n")
    name, _, method = (problem.entry_point or "f").partition("().")
    if method:
        return fence(f"class {name}:\n    def {method}(self, *args, **kwargs):\n        return 'wrong on purpose'\n")
    return fence(f"def {name}(*args, **kwargs):\n    return 'wrong on purpose'\n")
