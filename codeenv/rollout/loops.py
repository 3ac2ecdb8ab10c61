"""The event loop of an async agent, in a daemon thread of its own: an agent that blocks it or refuses to be cancelled costs its
call and never holds up the engine.

All calls share one loop, so that they are concurrent. A loop that shows no sign of life for as long as a call may take is
replaced: calls that had not begun there begin in the new one, those that had begun end with their deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from codeenv.rollout.agent import AgentError
from codeenv.rollout.answers import Answers, Outcome
from codeenv.rollout.deadline import CURRENT, Deadline, DeadlineMissed
from codeenv.text import one_line

__all__ = ["AgentLoop"]


@dataclass(slots=True, eq=False)
class _Call:
    function: Callable[..., Awaitable[Any]]
    arguments: tuple[Any, ...]
    future: asyncio.Future[Outcome]
    thread: _LoopThread
    begun: float | None = None
    deadline: Deadline | None = None
    task: asyncio.Task[None] | None = None


class AgentLoop:
    """Runs an agent's coroutines.

    Args:
        timeout_s: longest wall time of one call, from when it begins.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._thread: _LoopThread | None = None
        self._calls: set[_Call] = set()
        self._answers = Answers()
        self._watch: asyncio.TimerHandle | None = None

    async def run(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """Return what awaiting `function(*arguments)` gives.

        Raises:
            DeadlineMissed: if it takes longer; it is cancelled, and nobody waits for it to comply.
        """
        engine = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = self._started(engine)
        call = _Call(function, arguments, engine.create_future(), self._thread)
        self._calls.add(call)
        try:
            call.thread.begin(call)
            if self._watch is None:
                self._look(engine)
            value, error = await call.future
        finally:
            self._calls.discard(call)
            if not call.future.done() or call.future.cancelled():
                call.thread.cancel(call)
        if error is not None:
            raise error
        return value

    def close(self) -> None:
        """Let the thread end; what is still running there is cancelled and left to itself."""
        if self._watch is not None:
            self._watch.cancel()
        if self._thread is not None:
            self._thread.end()
            self._thread = None

    def _started(self, engine: asyncio.AbstractEventLoop) -> _LoopThread:
        return _LoopThread(self._timeout_s, lambda call, outcome: self._answers.put(engine, call.future, outcome))

    def _look(self, engine: asyncio.AbstractEventLoop) -> None:
        """End calls that take too long, replace a loop that is stuck, and look again when the next may be."""
        self._watch = None
        if not self._calls or self._thread is None:
            return
        now = time.monotonic()
        if self._thread.stuck_at(now, self._timeout_s) <= now:
            self._thread.end()
            self._thread = self._started(engine)
            for call in self._calls:
                if call.begun is None:
                    call.thread = self._thread
                    self._thread.begin(call)
        self._thread.ask(now)
        again = min(now + self._timeout_s / 2, self._thread.stuck_at(now, self._timeout_s))
        for call in self._calls:
            if call.begun is None or call.future.done():
                continue
            if now - call.begun < self._timeout_s:
                again = min(again, call.begun + self._timeout_s)
            else:
                call.future.set_result((None, DeadlineMissed(call.deadline.waiting_for if call.deadline else "")))
                call.thread.cancel(call)
        self._watch = engine.call_later(max(0.001, again - now), self._look, engine)


class _LoopThread:
    """One thread and its event loop."""

    def __init__(self, timeout_s: float, finished: Callable[[_Call, Outcome], None]) -> None:
        self._timeout_s = timeout_s
        self._finished = finished
        self._loop = asyncio.new_event_loop()
        self._asked: float | None = None
        self._alive = time.monotonic()
        self._ending = False
        threading.Thread(target=self._work, name="agent loop", daemon=True).start()

    def begin(self, call: _Call) -> None:
        """Start a call."""
        self._loop.call_soon_threadsafe(self._start, call)

    def cancel(self, call: _Call) -> None:
        """Cancel a call, whether or not it has begun."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and its calls with it
            self._loop.call_soon_threadsafe(lambda: call.task is not None and call.task.cancel())

    def ask(self, now: float) -> None:
        """Ask for a sign of life, unless one is owed already."""
        if self._asked is None:
            self._asked = now
            self._loop.call_soon_threadsafe(self._answer)

    def stuck_at(self, now: float, timeout_s: float) -> float:
        """Return when the loop counts as stuck if it stays silent."""
        asked = self._asked
        return now + timeout_s if asked is None else max(self._alive + timeout_s, asked + timeout_s / 2)

    def end(self) -> None:
        """Let the thread end as soon as it can."""
        self._ending = True
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _answer(self) -> None:
        self._alive, self._asked = time.monotonic(), None

    def _start(self, call: _Call) -> None:
        if call.thread is self and not call.future.done():
            call.task = self._loop.create_task(self._serve(call))

    async def _serve(self, call: _Call) -> None:
        if call.thread is not self:  # given to another loop in the meantime
            return
        call.begun = self._alive = time.monotonic()
        call.deadline = Deadline(self._timeout_s, call.begun + self._timeout_s)
        CURRENT.set(call.deadline)  # the task has a context of its own
        self._finished(call, await _outcome_of(call))

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._ending:
            with contextlib.suppress(SystemExit, KeyboardInterrupt):  # of a task that the agent started and nobody awaits
                self._loop.run_forever()
        self._loop.set_exception_handler(lambda loop, context: None)  # tasks that refuse to end are not worth a line each
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            with contextlib.suppress(BaseException):
                self._loop.run_until_complete(asyncio.wait(left, timeout=1.0))
        self._loop.close()


async def _outcome_of(call: _Call) -> Outcome:
    try:
        return await call.function(*call.arguments), None
    except asyncio.CancelledError:
        return None, AgentError("the agent raised CancelledError")
    except SystemExit as exit_:
        return None, AgentError(f"the agent called sys.exit({exit_.code!r})")
    except KeyboardInterrupt:  # Ctrl-C reaches the main thread alone: this one is the agent's own
        return None, AgentError("the agent raised KeyboardInterrupt")
    except Exception as error:
        return None, error
    except BaseException as error:  # GeneratorExit, or a class of the agent's: it would pass through the engine and end the run
        return None, AgentError(f"the agent raised {one_line(f'{type(error).__name__}: {error}')}")
