"""The curriculum of completion subtasks (StepCoder, arXiv 2402.01391): start near the end of a known solution, move towards
its beginning.

Starting points are the branches, loops and `try` statements of the solution. Everything before the point is given in the prompt,
so it gets no loss; the policy completes the rest. The rule for moving is open in the paper; ours is below.
"""

from __future__ import annotations

import ast
import random
from dataclasses import dataclass
from typing import Any, Literal

from codeenv.agents.settings import check_choice, check_number
from codeenv.errors import CodeenvError
from codeenv.prediction.attempt import random_from_list, random_to_list

__all__ = ["CurriculumConfig", "PrefixCurriculum", "cut_lines"]


@dataclass(frozen=True, slots=True)
class CurriculumConfig:
    """How the starting point moves.

    Attributes:
        mode: `off`, or `prefix`: episodes begin behind a part of a known solution.
        advance: running success rate above which the start moves one point towards the beginning.
        retreat: running success rate below which it moves one point back.
        memory: weight of the past in the running success rate.
        full: least share of episodes that start from nothing, so that the policy does not drift from the task.
    """

    mode: Literal["off", "prefix"] = "prefix"
    advance: float = 0.5
    retreat: float = 0.1
    memory: float = 0.8
    full: float = 0.25

    def __post_init__(self) -> None:
        check_choice("the curriculum's mode", self.mode, ("off", "prefix"))
        for name in ("advance", "retreat", "memory", "full"):
            check_number(f"the curriculum's {name}", getattr(self, name), 0.0, 1.0, below=name == "memory")
        if self.retreat >= self.advance:
            raise CodeenvError(f"retreat is {self.retreat!r} and advance {self.advance!r}; use 0 <= retreat < advance <= 1")


def cut_lines(source: str) -> list[int]:
    """Return the first lines of the branches, loops and `try` statements of a program, last one first; none if it does not parse.

    >>> cut_lines("def f(x):\\n    if x:\\n        return 1\\n    for y in x:\\n        print(y)\\n")
    [4, 2]
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    kinds = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar)
    return sorted({node.lineno for node in ast.walk(tree) if isinstance(node, kinds)}, reverse=True)


@dataclass(slots=True)
class _State:
    level: int
    highest: int
    success: float


class PrefixCurriculum:
    """Where each problem starts. Level 0 is no prefix; the highest level is the latest cut.

    Args:
        config: the rule.
        seed: of the share of full starts.
    """

    def __init__(self, config: CurriculumConfig | None = None, seed: int = 0) -> None:
        self.config = config or CurriculumConfig()
        self._states: dict[str, _State] = {}
        self._random = random.Random(seed)

    def level(self, problem_id: str, solution: str) -> int:
        """Return the current level of a problem; a new one starts at its latest cut."""
        if problem_id not in self._states:
            highest = len(cut_lines(solution))
            self._states[problem_id] = _State(highest, highest, self._middle)
        return self._states[problem_id].level

    def prefix(self, problem_id: str, solution: str) -> str:
        """Return the part of the solution that this episode is given: whole lines, "" for a full start."""
        level = self.level(problem_id, solution)
        if level == 0 or self._random.random() < self.config.full:
            return ""
        cuts = cut_lines(solution)
        line = cuts[len(cuts) - level]
        return "".join(solution.splitlines(keepends=True)[: line - 1])

    def record(self, problem_id: str, prefix: str, solved: bool) -> None:
        """Count an episode; full starts of a problem above level 0 say nothing about its current point."""
        state = self._states[problem_id]
        if state.level > 0 and not prefix:
            return
        state.success = self.config.memory * state.success + (1 - self.config.memory) * solved
        if state.success > self.config.advance and state.level > 0:
            state.level, state.success = state.level - 1, self._middle
        elif state.success < self.config.retreat and state.level < state.highest:
            state.level, state.success = state.level + 1, self._middle

    def knows(self, problem_id: str) -> bool:
        """Return whether an episode on the problem has begun here."""
        return problem_id in self._states

    def levels(self) -> list[int]:
        """Return the current level of every problem."""
        return [state.level for state in self._states.values()]

    def to_dict(self) -> dict[str, Any]:
        """Return levels, success rates and the state of the draws, ready for JSON."""
        states = {name: [state.level, state.highest, state.success] for name, state in self._states.items()}
        return {"states": states, "random": random_to_list(self._random)}

    def load_dict(self, state: dict[str, Any]) -> None:
        """Take what `to_dict` returned."""
        self._states = {name: _State(*values) for name, values in state["states"].items()}
        random_from_list(self._random, state["random"])

    @property
    def _middle(self) -> float:
        return (self.config.advance + self.config.retreat) / 2
