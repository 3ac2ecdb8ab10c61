"""The rollout engine: many episodes in flight, the agent and the judge each with a bound of their own."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codeenv.episode import EnvConfig, Episode
from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.problems import Problem
from codeenv.rollout.agent import Agent, AgentError
from codeenv.rollout.calls import AgentCaller
from codeenv.rollout.conversation import conversation_of
from codeenv.rollout.folder import RunFolder
from codeenv.rollout.judging import JudgeQueue
from codeenv.rollout.trajectory import episode_row
from codeenv.text import one_line, shorten

__all__ = ["Progress", "RolloutConfig", "RolloutResult", "run_episodes"]


@dataclass(frozen=True, slots=True)
class RolloutConfig:
    """How episodes are run.

    Attributes:
        episodes: number of episodes; episode `i` is on problem `i % len(problems)`.
        seed: the run's seed; episode `i` has seed `seed + i`.
        concurrency: most episodes in flight, and most concurrent calls of an async agent.
        agent_timeout_s: longest wall time of one response.
        give_up_after: the run stops if its first so many episodes all fail.
        history: whether the agent sees the conversation; if not, it sees the first message alone in every turn.
    """

    episodes: int
    seed: int = 0
    concurrency: int = 64
    agent_timeout_s: float = 600.0
    give_up_after: int = 8
    history: bool = True

    def __post_init__(self) -> None:
        for name in ("episodes", "concurrency", "give_up_after"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise CodeenvError(f"{name} is {value!r}; use a whole number of at least 1")
        if not self.agent_timeout_s > 0:
            raise CodeenvError(f"agent_timeout_s is {self.agent_timeout_s!r}; use seconds above 0")


@dataclass(slots=True)
class RolloutResult:
    """What came out.

    Attributes:
        rows: the rows of the episodes of this call, by episode number; empty if they went to a folder.
        total: number of episodes of the whole run.
        episodes: number of finished episodes, those of a resumed run included.
        solved: how many of them were solved.
        solved_in: how many were solved in turn 1, 2, ...
        in_flight: episodes under way.
        judging: of these, how many wait for the judge.
        failures: one sentence per episode that could not be finished.
    """

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    total: int = 0
    episodes: int = 0
    solved: int = 0
    solved_in: Counter[int] = field(default_factory=Counter)
    in_flight: int = 0
    judging: int = 0
    failures: list[str] = field(default_factory=list)


Progress = Callable[[RolloutResult], None]
"""Called after each episode."""


async def run_episodes(
    problems: Sequence[Problem],
    agent: Agent,
    judge: Judge,
    env: EnvConfig,
    config: RolloutConfig,
    folder: RunFolder | None = None,
    on_progress: Progress | None = None,
) -> RolloutResult:
    """Run episodes and return what came out; with a folder, rows go there as they finish.

    An episode that cannot be finished (the agent raises, times out or answers with something that is no text; the judge
    fails after its retries) is recorded as a failure and never as an episode.

    Raises:
        AgentError: if the first `give_up_after` episodes all fail.
    """
    if not len(problems):
        raise CodeenvError("the problem set is empty; give at least one problem")
    result = RolloutResult(total=config.episodes)
    if folder is not None:
        result.episodes, result.solved_in = len(folder.done), Counter(folder.solved_in)
        result.solved = sum(result.solved_in.values())
    numbers = iter([number for number in range(config.episodes) if folder is None or number not in folder.done])
    caller = AgentCaller(agent, config.agent_timeout_s, config.concurrency)
    queue = JudgeQueue(judge, env, lambda: result.in_flight)

    async def episode_of(number: int, problem: Problem) -> dict[str, Any]:
        episode = Episode(problem, env)
        extras: list[Mapping[str, Any]] = []
        agent_s = judge_s = 0.0
        act = await caller.for_episode(problem, config.seed + number)
        while not episode.done:
            start = time.perf_counter()
            response = await act(conversation_of(episode)[: None if config.history else 1])
            answered = time.perf_counter()
            result.judging += 1
            try:
                step = await queue.step(episode, response.text)
            except CodeenvError:
                raise
            except Exception as error:
                raise CodeenvError(f"the environment raised {type(error).__name__}: {error}") from error
            finally:
                result.judging -= 1
            agent_s += answered - start
            judge_s += time.perf_counter() - answered
            extras.append(response.extras)
            if step.truncated:
                raise CodeenvError(f"the judge failed on {problem.id}: {step.info['judge_error']}")
        times = {"agent_s": round(agent_s, 4), "judge_s": round(judge_s, 4)}
        return episode_row(number, number // len(problems), config.seed + number, episode, extras, times)

    async def play(number: int) -> None:
        problem = problems[number % len(problems)]
        result.in_flight += 1
        try:
            row = await episode_of(number, problem)
        except Exception as error:
            _record_failure(result, folder, number, problem, error)
        else:
            if folder is not None:
                folder.append(row, problem)
            else:
                result.rows[number] = row
            result.episodes += 1
            if row["solved"]:
                result.solved += 1
                result.solved_in[len(row["turns"])] += 1
        finally:
            result.in_flight -= 1
        if on_progress is not None:
            on_progress(result)

    async def worker() -> None:
        for number in numbers:
            await play(number)
            if len(result.failures) >= config.give_up_after and not result.episodes:
                raise AgentError(f"the first {len(result.failures)} episodes all failed; the last: {result.failures[-1]}")

    whole = False
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(config.concurrency, config.episodes)):
                group.create_task(worker())
        whole = True
    except BaseExceptionGroup as problems_met:
        raise problems_met.exceptions[0] from None
    finally:
        queue.close(wait=whole)
        await caller.close(whole)
    return result


def _record_failure(result: RolloutResult, folder: RunFolder | None, number: int, problem: Problem, error: Exception) -> None:
    if isinstance(error, CodeenvError):
        sentence = one_line(str(error), 1000)
    else:
        places = traceback.extract_tb(error.__traceback__)
        where = f" ({places[-1].filename}, line {places[-1].lineno})" if places else ""
        sentence = f"the agent raised {one_line(f'{type(error).__name__}: {error}')}{where}"
    result.failures.append(f"episode {number} ({problem.id}): {sentence}")
    if folder is not None:
        details = shorten("".join(traceback.format_exception(error)), 20_000)
        folder.fail({"schema": 1, "episode": number, "problem_id": problem.id, "error": sentence, "traceback": details})
