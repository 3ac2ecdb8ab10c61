"""Daemon threads that run an agent's plain functions; one that overruns its deadline is given up and replaced.

Functions wait in one queue.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codeenv.rollout.agent import AgentError
from codeenv.rollout.answers import Answers, Outcome
from codeenv.rollout.deadline import DeadlineMissed
from codeenv.text import one_line

__all__ = ["AgentThreads"]


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: asyncio.Future[Outcome]


class AgentThreads:
    """At most so many threads, started when they are needed.

    Args:
        most: threads at a time.
        timeout_s: longest wall time of one function, from when it begins.
    """

    def __init__(self, most: int, timeout_s: float) -> None:
        self._most = most
        self._timeout_s = timeout_s
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._threads: set[_Thread] = set()
        self._unanswered = 0
        self._answers = Answers()
        self._watch: asyncio.TimerHandle | None = None

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function returns.

        Raises:
            DeadlineMissed: if it takes longer; it goes on in its thread, and its result is dropped.
        """
        loop = asyncio.get_running_loop()
        task = _Task(function, arguments, loop.create_future())
        self._unanswered += 1
        try:
            self._tasks.put(task)
            self._start_threads(loop)
            if self._watch is None:
                self._watch = loop.call_later(self._timeout_s, self._look, loop)
            value, error = await task.future
        finally:
            self._unanswered -= 1
        if error is not None:
            raise error
        return value

    def close(self) -> None:
        """Let the threads end, those that are busy when their function returns."""
        if self._watch is not None:
            self._watch.cancel()
        for _ in self._threads:
            self._tasks.put(None)
        self._threads.clear()

    def _start_threads(self, loop: asyncio.AbstractEventLoop) -> None:
        while len(self._threads) < min(self._most, self._unanswered):
            self._threads.add(_Thread(self._tasks, lambda task, outcome: self._answers.put(loop, task.future, outcome)))

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give up threads whose function runs for too long, and look again when the next one may."""
        now = time.monotonic()
        begun = [now]
        for thread in list(self._threads):
            task, since = thread.running()
            if task is None:
                continue
            if now - since < self._timeout_s:
                begun.append(since)
            elif thread.give_up(task):
                self._threads.discard(thread)
                if not task.future.done():
                    task.future.set_result((None, DeadlineMissed()))
        self._watch = None
        if self._unanswered:
            self._start_threads(loop)
            self._watch = loop.call_later(max(0.0, min(begun) + self._timeout_s - now), self._look, loop)


class _Thread:
    """One thread; ends on `None` and, once it was given up, with the function that it is in."""

    def __init__(self, tasks: queue.SimpleQueue[_Task | None], finished: Callable[[_Task, Outcome], None]) -> None:
        self._tasks = tasks
        self._finished = finished
        self._lock = threading.Lock()
        self._task: _Task | None = None
        self._since = 0.0
        self._given_up = False
        threading.Thread(target=self._work, name="agent", daemon=True).start()

    def running(self) -> tuple[_Task | None, float]:
        """Return the task under way, if any, and when it began."""
        with self._lock:
            return self._task, self._since

    def give_up(self, task: _Task) -> bool:
        """Let the thread end after this task, if it is still in it."""
        with self._lock:
            self._given_up = self._task is task
            return self._given_up

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            if task.future.cancelled():
                continue
            with self._lock:
                self._task, self._since = task, time.monotonic()
            outcome = _outcome_of(task)
            with self._lock:
                self._task = None
                if self._given_up:
                    return
            try:
                self._finished(task, outcome)
            except RuntimeError:  # the loop is closed: nobody waits for answers any more
                return
            del task, outcome


def _outcome_of(task: _Task) -> Outcome:
    try:
        return task.function(*task.arguments), None
    except SystemExit as exit_:
        return None, AgentError(f"the agent called sys.exit({exit_.code!r})")
    except KeyboardInterrupt:  # Ctrl-C reaches the main thread alone: this one is the agent's own
        return None, AgentError("the agent raised KeyboardInterrupt")
    except Exception as error:
        return None, error
    except BaseException as error:  # GeneratorExit, or a class of the agent's: it would pass through the engine and end the run
        return None, AgentError(f"the agent raised {one_line(f'{type(error).__name__}: {error}')}")
