"""The rollout engine: many episodes in flight, the agent and the judge each with a bound of their own."""

from __future__ import annotations

import asyncio
import inspect
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from codeenv.batch import EpisodeBatch
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.problems import Problem
from codeenv.rollout.agent import Agent, AgentError, Response, act_of, check_response
from codeenv.rollout.conversation import Conversation, conversation_of
from codeenv.rollout.folder import RunFolder
from codeenv.rollout.trajectory import episode_row

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
        episodes: number of finished episodes, those of a resumed run included.
        solved: how many of them were solved.
        failures: one sentence per episode that could not be finished.
    """

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    episodes: int = 0
    solved: int = 0
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
    result = RolloutResult()
    if folder is not None:
        result.episodes, result.solved = len(folder.done), folder.solved
    numbers = iter([number for number in range(config.episodes) if folder is None or number not in folder.done])
    with ThreadPoolExecutor(max_workers=max(2, 2 * judge.workers), thread_name_prefix="judge") as judge_threads:
        caller = _AgentCaller(agent, config)

        async def play(number: int) -> None:
            problem = problems[number % len(problems)]
            batch = EpisodeBatch([problem], judge, env)
            episode = batch.episodes[0]
            extras: list[Mapping[str, Any]] = []
            agent_s = judge_s = 0.0
            try:
                act = caller.for_episode(problem, config.seed + number)
                while not episode.done:
                    start = time.perf_counter()
                    response = await act(conversation_of(episode)[: None if config.history else 1])
                    agent_s += time.perf_counter() - start
                    start = time.perf_counter()
                    step = (await asyncio.get_running_loop().run_in_executor(judge_threads, batch.step, {0: response.text}))[0]
                    judge_s += time.perf_counter() - start
                    extras.append(response.extras)
                    if step.truncated:
                        raise CodeenvError(f"the judge failed on {problem.id}: {step.info['judge_error']}")
            except Exception as error:
                _record_failure(result, folder, number, problem, error)
            else:
                times = {"agent_s": round(agent_s, 4), "judge_s": round(judge_s, 4)}
                row = episode_row(number, number // len(problems), config.seed + number, episode, extras, times)
                if folder is not None:
                    folder.append(row, problem)
                else:
                    result.rows[number] = row
                result.episodes += 1
                result.solved += row["solved"]
            if on_progress is not None:
                on_progress(result)

        async def worker() -> None:
            for number in numbers:
                await play(number)
                if len(result.failures) >= config.give_up_after and not result.episodes:
                    raise AgentError(f"the first {len(result.failures)} episodes all failed; the last: {result.failures[-1]}")

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(config.concurrency, config.episodes)):
                    group.create_task(worker())
        except BaseExceptionGroup as problems_met:
            raise problems_met.exceptions[0] from None
        finally:
            caller.close()
    return result


def _record_failure(result: RolloutResult, folder: RunFolder | None, number: int, problem: Problem, error: Exception) -> None:
    if isinstance(error, CodeenvError):
        sentence = str(error)
    else:
        last = traceback.extract_tb(error.__traceback__)[-1]
        sentence = f"the agent raised {type(error).__name__}: {error} ({last.filename}, line {last.lineno})"
    result.failures.append(f"episode {number} ({problem.id}): {sentence}")
    if folder is not None:
        details = "".join(traceback.format_exception(error))
        folder.fail({"schema": 1, "episode": number, "problem_id": problem.id, "error": sentence, "traceback": details})


class _AgentCaller:
    """Calls an agent in the way it wants: awaited, batched, from one thread or from many."""

    def __init__(self, agent: Agent, config: RolloutConfig) -> None:
        self._agent = agent
        self._config = config
        threads = config.concurrency if getattr(agent, "thread_safe", False) else 1
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="agent")
        self._waiting: list[tuple[Conversation, asyncio.Future[Any]]] = []
        self._batch_task: asyncio.Task[None] | None = None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def for_episode(self, problem: Problem, seed: int) -> Callable[[Conversation], Awaitable[Response]]:
        agent = self._agent
        if callable(reset := getattr(agent, "reset", None)):
            agent = reset(problem, seed) or agent
        act = act_of(agent)

        async def call(conversation: Conversation) -> Response:
            answer = self._batched(conversation) if act is None else self._single(act, conversation)
            try:
                return check_response(agent, await asyncio.wait_for(answer, self._config.agent_timeout_s))
            except TimeoutError:
                raise AgentError(f"the agent gave no answer within {self._config.agent_timeout_s:g} s") from None

        return call

    async def _single(self, act: Callable[[Any], Any], conversation: Any) -> Any:
        if inspect.iscoroutinefunction(act) or inspect.iscoroutinefunction(getattr(act, "__call__", None)):  # noqa: B004
            return await act(conversation)
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, act, conversation)
        return await answer if inspect.isawaitable(answer) else answer

    async def _batched(self, conversation: Conversation) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((conversation, future))
        if self._batch_task is None or self._batch_task.done():
            self._batch_task = asyncio.create_task(self._serve_batches())
        return await future

    async def _serve_batches(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # lets every episode that is ready add its conversation
            waiting, self._waiting = self._waiting[: self._config.concurrency], self._waiting[self._config.concurrency :]
            try:
                conversations = [conversation for conversation, _ in waiting]
                answers = await self._single(self._agent.act_batch, conversations)
                if len(answers) != len(waiting):
                    raise AgentError(
                        f"act_batch returned {len(answers)} responses for {len(waiting)} conversations; return one each"
                    )
            except Exception as error:
                for _, future in waiting:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), answer in zip(waiting, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
