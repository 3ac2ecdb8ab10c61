"""Several warm workers: started when first needed, lent to one caller at a time, replaced when lost, gone when the pool is
closed.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from codeenv.sandbox.units import Run, SandboxError, Unit

__all__ = ["Pool", "WorkerLike"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class WorkerLike(Protocol):
    """What a pool needs of a worker."""

    cpu_s: float

    def run(self, units: list[Unit]) -> list[list[Run]]: ...

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


class Pool:
    """At most `size` workers, made by `start`. Thread-safe; a process that forks gets workers of its own.

    Args:
        start: starts a worker; may raise `SandboxError`.
        size: most workers at a time, at least 1.
    """

    def __init__(self, start: Callable[[], WorkerLike], size: int) -> None:
        if type(size) is not int or size < 1:
            raise SandboxError(f"workers is {size!r}; use a whole number of at least 1")
        self.size = size
        self._start = start
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._free = threading.Semaphore(self.size)
        self._idle: list[WorkerLike] = []
        self._lent: list[WorkerLike] = []
        self._executor: ThreadPoolExecutor | None = None
        self._spent_s = 0.0
        self._closed = False

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all workers and their children, those of replaced workers included, as of their last answers."""
        with self._lock:
            return self._spent_s + sum(worker.cpu_s for worker in self._idle)

    def run(self, units: list[Unit]) -> list[list[Run]]:
        """Run units on one worker.

        Raises:
            WorkerLost: the worker failed; it has been replaced.
            SandboxError: no worker can be started.
        """
        with self._worker() as worker:
            return worker.run(units)

    def map(self, function: Callable[[_Item], _Result], items: list[_Item]) -> list[_Result]:
        """Apply `function`, which calls `run`, to all items, on as many threads as there are workers; results in order."""
        self._check()
        if len(items) <= 1 or self.size == 1:
            return [function(item) for item in items]
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self.size, thread_name_prefix="judge")
            executor = self._executor
        return list(executor.map(function, items))

    def close(self) -> None:
        """End all workers; what they are running is lost (`WorkerLost`). A closed pool cannot be used again."""
        if self._pid != os.getpid():
            return
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            executor, self._executor = self._executor, None
            for worker in self._lent:
                worker.interrupt()
        for worker in idle:
            self._retire(worker)
        if executor is not None:
            executor.shutdown(wait=True)

    def lend(self) -> contextlib.AbstractContextManager[WorkerLike]:
        """Lend a worker to the caller alone; one that raises is replaced."""
        return self._worker()

    @contextlib.contextmanager
    def _worker(self) -> Iterator[WorkerLike]:
        self._check()
        self._free.acquire()
        worker: WorkerLike | None = None
        try:
            with self._lock:
                if self._idle:
                    worker = self._idle.pop()
            if worker is None:
                worker = self._start()
            with self._lock:
                self._lent.append(worker)
                if self._closed:
                    worker.interrupt()
            yield worker
        except BaseException:
            if worker is not None:
                self._retire(worker)
            raise
        else:
            with self._lock:
                closed = self._closed
                if not closed:
                    self._idle.append(worker)
            if closed:
                self._retire(worker)
        finally:
            with self._lock:
                if worker in self._lent:
                    self._lent.remove(worker)
            self._free.release()

    def _retire(self, worker: WorkerLike) -> None:
        with self._lock:
            self._spent_s += worker.cpu_s
        worker.close()

    def _check(self) -> None:
        if self._pid != os.getpid():
            self._reset()  # the workers belong to the process that we were forked from
        if self._closed:
            raise SandboxError("the judge is closed; make a new one")
