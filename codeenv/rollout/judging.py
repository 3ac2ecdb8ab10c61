"""Turns of many episodes, judged together: whoever waits when the judge is free goes in one batch.

A judge is cheaper per program when it is given many at once; an episode still waits for no more than one batch before its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from codeenv.batch import EpisodeBatch
from codeenv.episode import EnvConfig, Episode, Step
from codeenv.judge import Judge

__all__ = ["JudgeQueue"]

_BATCHES = 2
"""Batches at the judge at the same time: while one is being judged, the texts of the other are made."""
_PER_WORKER = 32
"""Most episodes of one batch for each of the judge's workers."""
_LINGER_S = 0.005
"""How long a batch waits for episodes that are still with the agent; about what judging one program takes."""

_Waiting = tuple[Episode, str, "asyncio.Future[Step]"]


class JudgeQueue:
    """Does turns of episodes in threads of its own.

    Args:
        judge: judges them.
        env: the episodes' settings.
        in_flight: returns how many episodes are under way.
    """

    def __init__(self, judge: Judge, env: EnvConfig, in_flight: Callable[[], int]) -> None:
        self._judge = judge
        self._env = env
        self._in_flight = in_flight
        self._most = _PER_WORKER * judge.workers
        self._threads = ThreadPoolExecutor(max_workers=_BATCHES, thread_name_prefix="judge")
        self._waiting: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def step(self, episode: Episode, response: str) -> Step:
        """Do one turn of an episode."""
        future: asyncio.Future[Step] = asyncio.get_running_loop().create_future()
        self._waiting.append((episode, response, future))
        if len(self._tasks) < _BATCHES:
            task = asyncio.create_task(self._serve())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    def close(self, wait: bool) -> None:
        """End the threads, after what is at the judge if `wait`; else that goes on until the judge is closed."""
        self._threads.shutdown(wait=wait, cancel_futures=True)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            if len(self._waiting) < min(self._most, self._in_flight()):
                await asyncio.sleep(_LINGER_S)
            block, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                outcomes = await loop.run_in_executor(self._threads, self._step_all, [item[:2] for item in block])
            except Exception as error:
                outcomes = [error] * len(block)
            for (_, _, future), outcome in zip(block, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    def _step_all(self, items: Sequence[tuple[Episode, str]]) -> list[Step | Exception]:
        batch = EpisodeBatch([], self._judge, self._env)
        batch.episodes = [episode for episode, _ in items]
        judged = batch.judge_responses({index: response for index, (_, response) in enumerate(items)})
        outcomes: list[Step | Exception] = []
        for index, (episode, response) in enumerate(items):
            try:
                outcomes.append(episode.advance(response, *judged[index]))
            except Exception as error:  # a feedback function of the user's: it costs this episode alone
                outcomes.append(error)
        return outcomes
