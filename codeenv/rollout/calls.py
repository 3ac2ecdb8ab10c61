"""Calls of an agent, in the way it wants to be called: awaited, batched, from one thread or from many; each with a deadline.

The deadline of a call begins when the call begins, not when it is queued. Threads are daemons: an agent that never returns
costs its episode and a thread, and never keeps the process alive.
"""

from __future__ import annotations

import asyncio
import inspect
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from codeenv.problems import Problem
from codeenv.rollout.agent import Agent, AgentError, Response, act_of, check_response
from codeenv.rollout.conversation import Conversation

__all__ = ["AgentCaller"]


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
        self._threads = _Threads(concurrency if getattr(agent, "thread_safe", False) else 1)
        self._waiting: list[tuple[Conversation, asyncio.Future[Any]]] = []
        self._batch_task: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Tell the agent that the run has ended and let idle threads end; a call that is still running is left to itself."""
        try:
            if callable(end_run := getattr(self._agent, "end_run", None)):
                await self._call(end_run)
        finally:
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
                return await asyncio.wait_for(_contained(function(*arguments)), self._timeout_s)
            answer = await self._threads.run(function, arguments, self._timeout_s)
            return await asyncio.wait_for(_contained(answer), self._timeout_s) if inspect.isawaitable(answer) else answer
        except TimeoutError:
            raise AgentError(f"the agent gave no answer within {self._timeout_s:g} s") from None

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


async def _contained(awaitable: Awaitable[Any]) -> Any:
    """Await, and turn an attempt to end the process into an error of the agent."""
    try:
        return await awaitable
    except SystemExit as error:
        raise AgentError(f"the agent called sys.exit({error.code!r})") from None


class _Threads:
    """At most so many daemon threads that run functions; one that overruns its deadline is given up and replaced."""

    def __init__(self, most: int) -> None:
        self._slots = asyncio.Semaphore(most)
        self._idle: list[_Tasks] = []

    async def run(self, function: Callable[..., Any], arguments: tuple[Any, ...], timeout_s: float) -> Any:
        """Return what a function returns.

        Raises:
            TimeoutError: if it takes longer; it goes on in its thread, and its result is dropped.
        """
        async with self._slots:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
            tasks = self._idle.pop() if self._idle else _start_thread(loop)
            tasks.put((function, arguments, future))
            try:
                value, error = await asyncio.wait_for(future, timeout_s)
            except BaseException:
                tasks.put(None)  # the thread ends when the function returns
                raise
            self._idle.append(tasks)
        if error is not None:
            raise error
        return value

    def close(self) -> None:
        """Let the idle threads end."""
        while self._idle:
            self._idle.pop().put(None)


_Tasks = queue.SimpleQueue[Any]


def _start_thread(loop: asyncio.AbstractEventLoop) -> _Tasks:
    tasks: _Tasks = queue.SimpleQueue()
    threading.Thread(target=_work, args=(tasks, loop), name="agent", daemon=True).start()
    return tasks


def _work(tasks: _Tasks, loop: asyncio.AbstractEventLoop) -> None:
    while (task := tasks.get()) is not None:
        function, arguments, future = task
        value: Any = None
        error: BaseException | None = None
        try:
            value = function(*arguments)
        except SystemExit as exit_:
            error = AgentError(f"the agent called sys.exit({exit_.code!r})")
        except KeyboardInterrupt:  # Ctrl-C reaches the main thread alone: this one is the agent's own
            error = AgentError("the agent raised KeyboardInterrupt")
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(_settle, future, (value, error))
        except RuntimeError:  # the loop is closed: nobody waits for this answer any more
            return
        del task, function, arguments, future, value, error


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if not future.done():
        future.set_result(outcome)
