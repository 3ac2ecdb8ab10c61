"""Programs that were tried, and what a builder makes of them: items, and why the rest was dropped."""

from __future__ import annotations

import ast
import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from codeenv.judge import JudgeRequest
from codeenv.prediction.item import PredictionItem
from codeenv.problems import CallTest, Limits, Problem, StdioTest

__all__ = ["Attempt", "Built", "ItemBuilder", "program_key", "random_from_list", "random_to_list", "recording_request"]

UNMATCHED = "<no run gives this value>"
"""The expected value of a run that is made for its record alone; it stays with the judge, as every expected value does."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A program that was submitted to a problem.

    Attributes:
        problem: what it was written for.
        source: the program.
        passed: whether it passed the public tests.
        test: index of the first public test that it failed, else 0.
        reward: the task's reward of its turn.
    """

    problem: Problem
    source: str
    passed: bool
    test: int = 0
    reward: float = 0.0


@dataclass(slots=True)
class Built:
    """What became of some attempts: the items, and the number dropped for each reason."""

    items: list[PredictionItem] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


class ItemBuilder(Protocol):
    """Makes items from attempts."""

    def build(self, attempts: Sequence[Attempt]) -> Built: ...

    def to_dict(self) -> dict[str, Any]:
        """Return what later calls depend on, ready for JSON."""
        ...

    def load_dict(self, state: dict[str, Any]) -> None:
        """Take what `to_dict` returned."""
        ...


def random_to_list(generator: random.Random) -> list[Any]:
    """Return the state of a generator, ready for JSON."""
    kept, numbers, normal = generator.getstate()
    return [kept, list(numbers), normal]


def random_from_list(generator: random.Random, state: list[Any]) -> None:
    """Give a generator the state that `random_to_list` returned."""
    kept, numbers, normal = state
    generator.setstate((kept, tuple(numbers), normal))


def recording_request(
    problem: Problem, test: StdioTest | CallTest, source: str, limits: Limits, trace: str = "off"
) -> JudgeRequest:
    """Return a request that runs a program on one public test whatever it gives, and records the run."""
    unmatched = StdioTest(test.input, UNMATCHED) if isinstance(test, StdioTest) else CallTest(test.args, test.kwargs, UNMATCHED)
    alone = Problem(
        f"{problem.id}/run", "", problem.mode, problem.entry_point, problem.starter_code, public_tests=(unmatched,), limits=limits
    )
    return JudgeRequest(alone, source, tests="public", trace=trace)


def program_key(source: str) -> str:
    """Return a hash of the program's syntax tree: equal for programs that differ in layout and comments alone.

    >>> program_key("x = 1  # one") == program_key("x=1"), program_key("x = 1") == program_key("x = 2")
    (True, False)
    """
    try:
        text = ast.dump(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        text = source
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
