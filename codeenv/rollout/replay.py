"""Replay: every program of a recorded run is judged again, and the verdicts are compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codeenv.judge import Judge, JudgeRequest
from codeenv.problems import Problem
from codeenv.rollout.run import env_problems
from codeenv.rollout.trajectory import RunError, read_episodes, read_run

__all__ = ["Difference", "ReplayResult", "replay", "run_problems"]

_BLOCK = 256
"""Programs that are judged together."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A program whose verdicts are not the recorded ones; `turn` counts from 0, `recorded` and `now` have a verdict per test."""

    episode: int
    problem_id: str
    turn: int
    tests: str
    recorded: tuple[str, ...]
    now: tuple[str, ...]

    def __str__(self) -> str:
        was, now = (", ".join(verdicts) or "nothing" for verdicts in (self.recorded, self.now))
        return f"episode {self.episode} ({self.problem_id}), turn {self.turn + 1}, {self.tests} tests: {was}; now {now}"


@dataclass(slots=True)
class ReplayResult:
    """What a replay found: how many programs were judged again, and which differ."""

    programs: int = 0
    differences: list[Difference] = field(default_factory=list)


def run_problems(path: str | os.PathLike[str]) -> Sequence[Problem]:
    """Return the problems of a run, private tests included, from the environment that its header names.

    Raises:
        RunError: if the run was made from problems that have no name.
    """
    header = read_run(path)
    if header.get("env") in (None, "problems"):
        raise RunError(f"the run in {str(path)!r} does not say where its problems come from; name them with --problems")
    return env_problems(header["env"], header.get("split"), header.get("limit"))[0]


def replay(
    path: str | os.PathLike[str],
    judge: Judge,
    problems: Sequence[Problem] | None = None,
    on_progress: Callable[[ReplayResult], None] | None = None,
) -> ReplayResult:
    """Judge every recorded program again.

    Args:
        path: the run folder.
        judge: judges the programs.
        problems: the run's problems; by default those of its environment.
        on_progress: called after each block of programs.

    Raises:
        RunError: if a problem of the run is not among the problems.
    """
    by_id = {problem.id: problem for problem in (run_problems(path) if problems is None else problems)}
    result = ReplayResult()
    block: list[tuple[JudgeRequest, Difference]] = []
    for item in _recorded(path, by_id):
        block.append(item)
        if len(block) == _BLOCK:
            _judge(block, judge, result, on_progress)
    _judge(block, judge, result, on_progress)
    return result


def _recorded(path: str | os.PathLike[str], problems: Mapping[str, Problem]) -> Iterator[tuple[JudgeRequest, Difference]]:
    for row in read_episodes(path):
        problem = problems.get(row["problem_id"])
        if problem is None:
            raise RunError(f"problem {row['problem_id']!r} of the run is not among the {len(problems)} problems given")
        for turn_number, turn in enumerate(row["turns"]):
            if turn["source"] is None:
                continue
            for tests, recorded in (("public", _public(turn)), ("private", _private(turn))):
                if recorded is not None and problem.tests(tests):  # type: ignore[arg-type]
                    request = JudgeRequest(problem, turn["source"], tests=tests)  # type: ignore[arg-type]
                    yield request, Difference(row["episode"], problem.id, turn_number, tests, recorded, ())


def _public(turn: Mapping[str, Any]) -> tuple[str, ...]:
    results = turn["public"]["results"]
    return tuple(result["verdict"] for result in results) or (turn["public"]["verdict"],)


def _private(turn: Mapping[str, Any]) -> tuple[str, ...] | None:
    if turn["private"] is None:
        return None
    return tuple(turn["private"]["verdicts"]) or (turn["private"]["verdict"],)


def _judge(
    block: list[tuple[JudgeRequest, Difference]],
    judge: Judge,
    result: ReplayResult,
    on_progress: Callable[[ReplayResult], None] | None,
) -> None:
    for (_, was), report in zip(block, judge.judge_many([request for request, _ in block]), strict=True):
        now = tuple(item.verdict.value for item in report.results) or (report.verdict.value,)
        if now != was.recorded:
            result.differences.append(Difference(was.episode, was.problem_id, was.turn, was.tests, was.recorded, now))
    result.programs += len(block)
    block.clear()
    if on_progress is not None:
        on_progress(result)
