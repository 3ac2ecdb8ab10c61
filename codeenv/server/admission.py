"""Who gets a worker: a bounded queue in front of the judge, left by clients that hang up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request

__all__ = ["Admission", "BusyError", "DrainingError", "HungUpError"]

_Result = TypeVar("_Result")


class BusyError(Exception):
    """The queue has no room for `size` more submissions; the client should come back later."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class DrainingError(Exception):
    """The service is stopping and takes no new work."""


class HungUpError(Exception):
    """The client has gone; nobody wants the answer, and `left` submissions are not judged."""

    def __init__(self, left: int = 0) -> None:
        super().__init__(left)
        self.left = left


class Admission:
    """Runs blocking work on `workers` threads; at most `queue` submissions wait for one.

    Attributes:
        running: submissions being judged.
        waiting: submissions in the queue.
        abandoned: submissions that were not judged because their client hung up.
        draining: whether new work is refused.
    """

    def __init__(self, workers: int, queue: int) -> None:
        self.running = 0
        self.waiting = 0
        self.abandoned = 0
        self.draining = False
        self._queue = queue
        self._slots = asyncio.Semaphore(workers)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="serve")

    async def run(self, request: Request, work: Callable[[threading.Event], _Result], size: int = 1) -> _Result:
        """Do `work`, which judges `size` submissions, when a worker is free.

        Its argument is set when the client hangs up while it runs; it may then raise `HungUpError` of what it leaves out.

        Raises:
            BusyError: the queue is full.
            DrainingError: the service is stopping.
            HungUpError: the client hung up while it waited.
        """
        if self.draining:
            raise DrainingError
        if self._slots.locked() and self.waiting + size > self._queue:
            raise BusyError(size)
        self.waiting += size
        try:
            await self._slot(request)
        except HungUpError:
            self.abandoned += size
            raise
        finally:
            self.waiting -= size
        self.running += size
        gone = threading.Event()
        watch = asyncio.ensure_future(_hung_up(request))
        watch.add_done_callback(lambda _: gone.set())
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, gone)
        except HungUpError as error:
            self.abandoned += error.left
            raise
        finally:
            watch.cancel()
            self.running -= size
            self._slots.release()

    def close(self) -> None:
        """Take no more work; what is in hand ends when its judge is closed."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _slot(self, request: Request) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        turn = asyncio.ensure_future(self._slots.acquire())
        gone = asyncio.ensure_future(_hung_up(request))
        try:
            await asyncio.wait({turn, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not turn.done():
                raise HungUpError
        finally:
            gone.cancel()
            if not turn.done():
                turn.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
