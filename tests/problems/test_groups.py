"""Test groups give partial points: as rows, through an episode, and when tests are dropped."""

from __future__ import annotations

import math

import pytest

from codeenv.batch import EpisodeBatch
from codeenv.episode import EnvConfig
from codeenv.judge import Judge
from codeenv.problems import Problem, ProblemError, StdioTest
from codeenv.problems.groups import Group, full_score, kept
from codeenv.problems.problem import Limits

SMALL = Group("small", 30.0, "min", (0, 1))
LARGE = Group("large", 70.0, "sum", (2, 3))
PROBLEM = Problem(
    "double",
    "Print twice the number.",
    "stdio",
    public_tests=(StdioTest("1\n", "2\n"),),
    private_tests=tuple(StdioTest(f"{n}\n", f"{2 * n}\n") for n in (2, 3, 10, 100)),
    limits=Limits(time_limit_s=5.0),
    groups=(SMALL, LARGE),
)


@pytest.mark.parametrize(
    ("program", "reward"),
    [
        ("print(2 * int(input()))", 1.0),
        ("n = int(input())\nprint(2 * n if n < 50 else 0)", 0.65),
        ("n = int(input())\nprint(2 * n if n < 3 or n > 9 else 0)", 0.7),
        ("print(2)", 0.0),
        ("print(3)", 0.0),
    ],
)
def test_the_reward_scores_is_the_share_of_the_points(program: str, reward: float, judge: Judge) -> None:
    batch = EpisodeBatch([PROBLEM], judge, EnvConfig(turn_limit=1, reward="scores"))
    step = batch.step({0: f"```python\n{program}\n```"})[0]
    assert step.reward == pytest.approx(reward)


def test_groups_are_part_of_a_row() -> None:
    open_ended = Group("open", math.inf, "min", (0,))
    whole = Problem("p", "", "stdio", private_tests=PROBLEM.private_tests, groups=(SMALL, LARGE, open_ended))
    assert Problem.from_dict(whole.to_dict()) == whole
    assert full_score(whole.groups) == 101.0
    assert "groups" not in Problem("p", "", "stdio", private_tests=PROBLEM.private_tests).to_dict()


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ({"name": "a", "cases": [4]}, "has the case 4; there are 4 private tests"),
        ({"name": "a", "cases": [0], "mode": "max"}, "has mode 'max'; use one of min, first_error, sum"),
        ({"name": "a", "cases": [0], "max_score": "much"}, "has max_score 'much'; use a number or null"),
        ({"cases": [0]}, "must be an object with name, cases"),
    ],
)
def test_a_malformed_group_is_refused(group: dict[str, object], words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        Problem.from_dict({**PROBLEM.to_dict(), "groups": [group]})


def test_groups_follow_the_tests_that_are_kept() -> None:
    assert kept((SMALL, LARGE), (1, 3)) == (Group("small", 30.0, "min", (0,)), Group("large", 70.0, "sum", (1,)))
    assert kept((SMALL, LARGE), (2,)) == (Group("large", 70.0, "sum", (0,)),)
