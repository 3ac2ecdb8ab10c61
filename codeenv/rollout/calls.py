"""Calls of an agent, in the way it wants to be called: awaited, batched, from one thread or from many; each with a deadline.

The deadline of a call begins when the call begins, not when it is queued. No code of an agent runs in the engine's thread, and
the agent's threads are daemons: one that never returns costs its episode and a thread, and never keeps the process alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from codeenv.errors import CodeenvError
from codeenv.problems import Problem
from codeenv.rollout.agent import Agent, AgentError, Response, act_of, check_response
from codeenv.rollout.conversation import Conversation
from codeenv.rollout.deadline import DeadlineMissed
from codeenv.rollout.loops import AgentLoop
from codeenv.rollout.threads import AgentThreads
from codeenv.text import one_line

__all__ = ["AgentCaller"]

_CUT_SHORT_S = 1.0
"""What `end_run` may take after Ctrl-C or an error."""


class AgentCaller:
    """Calls one agent for many episodes.

    Args:
        agent: see `codeenv.rollout.agent`.
        timeout_s: longest wall time of one call.
        concurrency: most conversations in one batch, and most threads of an agent that is thread-safe.
    """

    def __init__(self, agent: Agent, timeout_s: float, concurrency: int) -> None:
        self._agent = agent
        self._timeout_s = timeout_s
        self._concurrency = concurrency
        self._threads = AgentThreads(concurrency if getattr(agent, "thread_safe", False) else 1, timeout_s)
        self._loop = AgentLoop(timeout_s)
        self._waiting: list[tuple[Conversation, asyncio.Future[Any]]] = []
        self._batch_task: asyncio.Task[None] | None = None

    async def close(self, whole: bool = True) -> None:
        """Tell the agent that the run has ended and let its threads end; a call that is still running is left to itself.

        Args:
            whole: whether the run came to its end; if not, the agent has a moment only, and its errors are not told.

        Raises:
            AgentError: if the agent's `end_run` fails.
        """
        try:
            if callable(end_run := getattr(self._agent, "end_run", None)):
                if whole:
                    await self._call(end_run)
                else:
                    with contextlib.suppress(Exception):
                        await asyncio.wait_for(self._call(end_run), min(self._timeout_s, _CUT_SHORT_S))
        except CodeenvError as error:
            raise AgentError(f"the episodes are finished, but the agent's end_run failed: {error}") from None
        except Exception as error:
            raise AgentError(
                f"the episodes are finished, but the agent's end_run raised {one_line(f'{type(error).__name__}: {error}')}"
            ) from error
        finally:
            self._loop.close()
            self._threads.close()

    async def for_episode(self, problem: Problem, seed: int) -> Callable[[Conversation], Awaitable[Response]]:
        """Return what answers the conversations of one episode, after the agent's `reset`, if it has one."""
        agent = self._agent
        if callable(reset := getattr(agent, "reset", None)):
            agent = await self._call(reset, problem, seed) or agent
        act = act_of(agent)

        async def answer(conversation: Conversation) -> Response:
            given = await (self._batched(conversation) if act is None else self._call(act, conversation))
            return check_response(agent, given)

        return answer

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what an agent's function returns, awaited if need be.

        Raises:
            AgentError: if it takes too long or tries to end the process.
        """
        try:
            if _is_async(function):
                return await self._loop.run(function, *arguments)
            answer = await self._threads.run(function, *arguments)
            return await self._loop.run(lambda: answer) if inspect.isawaitable(answer) else answer
        except DeadlineMissed as missed:
            waited = f"; {missed}" if str(missed) else ""
            raise AgentError(f"the agent gave no answer within {self._timeout_s:g} s{waited}") from None

    async def _batched(self, conversation: Conversation) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((conversation, future))
        if self._batch_task is None or self._batch_task.done():
            self._batch_task = asyncio.create_task(self._serve_batches())
        return await future

    async def _serve_batches(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # lets every episode that is ready add its conversation
            waiting, self._waiting = self._waiting[: self._concurrency], self._waiting[self._concurrency :]
            try:
                answers = await self._call(self._agent.act_batch, [conversation for conversation, _ in waiting])
                if not hasattr(answers, "__len__") or len(answers) != len(waiting):
                    found = f"{len(answers)} responses" if hasattr(answers, "__len__") else type(answers).__name__
                    raise AgentError(f"act_batch returned {found} for {len(waiting)} conversations; return one response each")
            except Exception as error:
                for _, future in waiting:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), answer in zip(waiting, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
