"""One episode as frameworks want it: messages in, text out, and an error where the judge failed."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codeenv.batch import EpisodeBatch
from codeenv.env import resolve_problems
from codeenv.episode import EnvConfig, Episode
from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.judge.verdict import Verdict
from codeenv.problems import Problem
from codeenv.reward import Outcome, get_reward
from codeenv.rollout.conversation import Message, conversation_of

__all__ = ["EpisodeSession", "JudgeFailedError", "Reply", "problem_of", "shared_judge", "unfinished_reward"]


class JudgeFailedError(CodeenvError):
    """The judge failed on an episode even after its retry. The episode has no reward; a trainer must leave it out."""


@functools.cache
def shared_judge(sandbox: str = "local", workers: int = 2) -> Judge:
    """Return this process's judge; its workers end with the process."""
    return Judge(sandbox=sandbox, workers=workers)


@functools.lru_cache(maxsize=8)
def _problems_by_id(problems: str) -> dict[str, Problem]:
    return {problem.id: problem for problem in resolve_problems(problems)}


def problem_of(row: Mapping[str, Any]) -> Problem:
    """Return the problem that a framework's data row names.

    A row holds `problem` (a `Problem`, its JSON row as an object or as text), or `problems` (a data set's name or a file) and
    `problem_id`.

    Raises:
        CodeenvError: if it holds neither, or there is no such problem.
    """
    if (problem := row.get("problem")) is not None:
        if isinstance(problem, Problem):
            return problem
        if isinstance(problem, str):
            try:
                problem = json.loads(problem)
            except json.JSONDecodeError as error:
                raise CodeenvError(f"the row's 'problem' is no JSON ({error}); give Problem.to_dict() as JSON text") from None
        return Problem.from_dict(problem)
    if "problems" in row and "problem_id" in row:
        known = _problems_by_id(str(row["problems"]))
        if row["problem_id"] not in known:
            raise CodeenvError(f"there is no problem {row['problem_id']!r} in {row['problems']!r}; see `codeenv problems`")
        return known[row["problem_id"]]
    raise CodeenvError(f"the row has the fields {sorted(map(str, row))}; give 'problem', or 'problems' and 'problem_id'")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the environment answers to a response.

    Attributes:
        message: the next user message, "" if the episode has ended.
        reward: the turn's reward.
        done: whether the episode has ended.
        facts: JSON-ready facts: problem_id, turn, verdict, valid, and at the end solved and private_fraction.
    """

    message: str
    reward: float
    done: bool
    facts: dict[str, Any]


class EpisodeSession:
    """One episode on one problem.

    Args:
        problem: what is asked.
        judge: judges the responses; this process's own by default.
        config: the task's settings.
    """

    def __init__(self, problem: Problem, judge: Judge | None = None, config: EnvConfig | None = None) -> None:
        self._batch = EpisodeBatch([problem], judge or shared_judge(), config)

    @property
    def episode(self) -> Episode:
        """The state of the episode."""
        return self._batch.episodes[0]

    @property
    def messages(self) -> Sequence[Message]:
        """The conversation so far; it ends with a user message while the episode goes on."""
        return conversation_of(self.episode)

    @property
    def total_reward(self) -> float:
        """The sum of the rewards so far; that of an unfinished end is added for an episode that was left before its end."""
        earned = sum(turn.reward for turn in self.episode.turns)
        return earned if self.episode.done else earned + unfinished_reward(self.episode)

    def step(self, response: str) -> Reply:
        """Judge a response.

        Raises:
            JudgeFailedError: the judge failed; the episode must not be learned from.
            CodeenvError: the response is no text, or the episode has ended.
        """
        step = self._batch.step({0: response})[0]
        if step.truncated:
            raise JudgeFailedError(f"the judge failed on problem {step.info['problem_id']!r}: {step.info['judge_error']}")
        names = ("problem_id", "turn", "verdict", "valid", "solved", "private_fraction")
        facts = {name: step.info[name] for name in names if name in step.info}
        message = "" if step.terminated else self.messages[-1]["content"]
        return Reply(message, step.reward, step.terminated, facts)


def unfinished_reward(episode: Episode) -> float:
    """Return the reward of an episode that its runner ended before its end (a token limit, no more submissions): not solved."""
    turns = episode.turns
    outcome = Outcome(
        turn=len(turns),
        valid=False,
        ended=True,
        public_passed=False,
        solved=False,
        public_fraction=turns[-1].outcome.public_fraction if turns else 0.0,
        private_fraction=None,
        verdict=Verdict.NO_CODE,
    )
    return float(sum(get_reward(episode.config.reward)(outcome).values()))
