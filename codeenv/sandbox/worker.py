"""One warm worker: a process of its own that was started by exec, behind the walls of one isolation level.

The worker ends when this object is closed, when the judge's process ends in whatever way, or when it takes longer than everything
it was asked for may take. It holds no state between requests that matters: a lost worker is replaced by a new one.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codeenv.sandbox import cgroups
from codeenv.sandbox.inside.main import KILLED
from codeenv.sandbox.inside.zygote import LAST_WORDS, MESSAGE
from codeenv.sandbox.units import Run, SandboxError, Unit, WorkerLost, pack, unpack

__all__ = ["MODULES", "Worker", "WorkerConfig"]

MODULES = (
    "atexit",
    "bisect",
    "collections",
    "collections.abc",
    "copy",
    "enum",
    "functools",
    "heapq",
    "io",
    "itertools",
    "json.decoder",
    "math",
    "numbers",
    "operator",
    "random",
    "re",
    "string",
    "time",
    "typing",
)
"""Modules that are imported once in the worker; every fork pays for the memory they touch, every program that imports another
pays for that.
"""

_START_LIMIT_S = 60.0


@dataclass(frozen=True)
class WorkerConfig:
    """How workers are started.

    Attributes:
        level: isolation level.
        interpreter: the CPython that runs submissions.
        packages: (folder or file, name) of packages that submissions may import.
        modules: what the worker imports beforehand.
        tracing: folder of the tracing package, for a worker that records runs.
        environment: environment variables that submissions see.
        world: for programs of other languages, what `codeenv.sandbox.toolchains.World.settings` returns.
    """

    level: str = "namespaces"
    interpreter: str = sys.executable
    packages: tuple[tuple[str, str], ...] = ()
    modules: tuple[str, ...] = MODULES
    tracing: str = ""
    environment: dict[str, str] = field(default_factory=lambda: {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
    world: dict[str, Any] | None = None


class Worker:
    """A running worker. Not thread-safe: one request at a time.

    Raises:
        SandboxError: it cannot be started; the message has the worker's reason.
        WorkerLost: it was killed while it started.
    """

    def __init__(self, config: WorkerConfig) -> None:
        self.config = config
        self.cpu_s = 0.0
        self.pid = 0
        self.pipes: list[int] = []  # descriptors that go with the next request, and are closed then
        ours, theirs = socket.socketpair()
        self._control = ours
        self._request = os.memfd_create("request", os.MFD_CLOEXEC)
        self._reply = os.memfd_create("reply", os.MFD_CLOEXEC)
        self._group: cgroups.Group | None = None
        folder = str(Path(__file__).resolve().parent)
        boot = f"import sys; sys.path[0] = {folder!r}; from inside.main import main; del sys.path[0]; main(sys.argv[1:])"
        passed = [theirs.fileno(), self._request, self._reply]
        try:
            self._process = subprocess.Popen(
                [config.interpreter, "-s", "-S", "-B", "-c", boot, *map(str, passed), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=passed,
                env={"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONWARNINGS": "ignore", "LANG": "C.UTF-8", "LD_BIND_NOW": "1"},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            self._release()
            raise SandboxError(f"the interpreter {config.interpreter!r} cannot be started: {error.strerror}") from None
        finally:
            theirs.close()
        self._group = cgroups.open_group(self._process.pid)
        settings = marshal.dumps(
            {
                "level": config.level,
                "packages": list(config.packages),
                "modules": list(config.modules),
                "tracing": config.tracing,
                "environment": dict(config.environment),
                **({"world": config.world} if config.world is not None else {}),
            },
            2,
        )
        try:
            self._control.sendall(struct.pack("<I", len(settings)) + settings)
            deadline = time.monotonic() + _START_LIMIT_S
            hello = marshal.loads(self._receive(struct.unpack("<I", self._receive(4, deadline))[0], deadline))
        except (WorkerLost, OSError):
            self.close()
            if self._process.returncode < 0 or self._process.returncode == KILLED:
                raise WorkerLost("the worker was killed while it started") from None
            if config.interpreter != sys.executable:
                raise SandboxError(
                    f"the interpreter {config.interpreter!r} did not start a worker; use the path of a CPython 3.9 or newer"
                ) from None
            raise SandboxError("a worker ended while it started") from None
        if "error" in hello:
            self.close()
            raise SandboxError(str(hello["error"]))
        self.python: str = hello["python"]
        self._base_memory: int = hello["address_space"]

    def run(self, units: list[Unit]) -> list[list[Run]]:
        """Run units one after another and return the runs of each.

        Raises:
            WorkerLost: the worker ended or answered nonsense; it must be closed then.
        """
        data, offset, length = pack(units, self._base_memory)
        if self._group is not None:
            self._group.allow(units, self._base_memory)
        try:
            _write_all(self._request, data)
            self._control.sendall(MESSAGE.pack(offset, length))
            if self.pipes:
                socket.send_fds(self._control, [b"x"], self.pipes)
                while self.pipes:
                    os.close(self.pipes.pop())
            longest = sum((unit.time_s * 40 + 60) * max(1, len(unit.tests)) for unit in units) + 60
            deadline = time.monotonic() + longest
            start, size = MESSAGE.unpack(self._receive(MESSAGE.size, deadline))
            if start == LAST_WORDS:
                raise WorkerLost(f"the worker ended: {self._receive(size, deadline).decode('utf-8', 'replace')}")
            if start + size > os.fstat(self._reply).st_size:
                raise WorkerLost("the worker's reply is incomplete")
            reply = _read_all(self._reply, start + size)
        except OSError as error:
            raise WorkerLost(f"the worker's connection failed: {error.strerror}") from None
        runs, cpu_s = unpack(units, reply, start, size)
        self.cpu_s = cpu_s
        if len(data) > 1 << 20 or len(reply) > 1 << 20:
            os.ftruncate(self._request, 0)
            os.ftruncate(self._reply, 0)
        return runs

    def interrupt(self) -> None:
        """Make the worker give up what it runs, from any thread: the call that waits for it raises `WorkerLost`."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the worker and everything in it; returns when they are gone."""
        self._release()
        process = self._process
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
        if self._group is not None:
            self._group.remove()
            self._group = None

    def _release(self) -> None:
        if self._control.fileno() >= 0:
            self._control.close()
            os.close(self._request)
            os.close(self._reply)

    def _receive(self, count: int, deadline: float) -> bytes:
        data = b""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(min(left, 86_400.0) * 1000):
                raise WorkerLost("the worker did not answer in time")
            part = self._control.recv(count - len(data))
            if not part:
                raise WorkerLost("the worker ended")
            data += part
        return data


def _write_all(file: int, data: bytes) -> None:
    view: Any = memoryview(data)
    position = 0
    while position < len(data):
        position += os.pwrite(file, view[position:], position)


def _read_all(file: int, count: int) -> bytes:
    data = os.pread(file, count, 0)
    while len(data) < count:
        part = os.pread(file, count - len(data), len(data))
        if not part:
            raise WorkerLost("the worker's reply is incomplete")
        data += part
    return data
