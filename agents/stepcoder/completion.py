"""Completion subtasks in a learner (StepCoder, arXiv 2402.01391): an episode is given the beginning of a known solution.

The given lines stand in the prompt, so they get no loss; a response holds the rest, and the two together are the program that is
judged. Problems without a known solution, and starts from nothing, are as without the curriculum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from codeenv.agents.stepcoder.curriculum import CurriculumConfig, PrefixCurriculum
from codeenv.problems import Problem
from codeenv.submission import extract_code, fence

__all__ = ["Completion", "given_part", "joined", "with_beginning"]


class Begun(Protocol):
    """A played episode that knows what it was given."""

    given: str

    @property
    def solved(self) -> bool: ...

    @property
    def problem_id(self) -> str: ...


def with_beginning(message: str, given: str) -> str:
    """Return a problem's first message with the lines that the episode is given; as it was, if there are none."""
    if not given:
        return message
    return f"{message}\n\nThe program begins with the lines below. Write only what follows them.\n\n{fence(given)}"


def joined(response: str, given: str, require_fence: bool) -> str:
    """Return the response whose program is the given lines and the one in `response`.

    A response without a program stays as it is, and so does one that repeats the given lines itself.
    """
    code = extract_code(response, require_fence) if given else None
    if code is None or code.lstrip("\n").startswith(given.strip("\n")):
        return response
    return fence(given + code.lstrip("\n"))


def given_part(source: str, response: str, given: str) -> str:
    """Return the beginning of a program that its response did not write: the given lines, or "" if it repeated them itself."""
    return given if source.startswith(given) and given not in response else ""


class Completion:
    """The curriculum of a learner.

    Args:
        config: how starting points move.
        seed: of the share of full starts.
    """

    def __init__(self, config: CurriculumConfig | None = None, seed: int = 0) -> None:
        self.curriculum = PrefixCurriculum(config, seed)

    def begin(self, problems: Sequence[Problem]) -> list[str]:
        """Return what each episode is given: whole lines of a known solution, or ""."""
        return [
            self.curriculum.prefix(problem.id, problem.correct_solutions[0]) if problem.correct_solutions else ""
            for problem in problems
        ]

    def record(self, played: Sequence[Begun]) -> dict[str, float]:
        """Move the starting points by what became of some episodes; return the share of episodes that were given something."""
        for one in played:
            if self.curriculum.knows(one.problem_id):
                self.curriculum.record(one.problem_id, one.given, one.solved)
        levels = self.curriculum.levels()
        return {
            "curriculum_given": sum(bool(one.given) for one in played) / max(1, len(played)),
            "curriculum_level": sum(levels) / max(1, len(levels)),
        }

    def state(self) -> dict[str, Any]:
        """Return the starting points, ready for JSON."""
        return self.curriculum.to_dict()

    def load(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self.curriculum.load_dict(state)
