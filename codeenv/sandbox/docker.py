"""Workers in containers of a Docker engine: the same worker, behind the engine's walls and its own system-call filter.

A container has no network, a read-only root with nothing but an interpreter in it, no capabilities, an ordinary user, and limits
on processes, memory and CPU. It stays warm: a request costs a message on its stream, not a new container.
"""

from __future__ import annotations

import contextlib
import marshal
import select
import struct
import time
from dataclasses import dataclass
from typing import Any

from codeenv.errors import MissingExtraError
from codeenv.sandbox.image import IMAGE, LABEL, boot_command
from codeenv.sandbox.inside.bridge import LENGTH, REQUEST
from codeenv.sandbox.inside.zygote import LAST_WORDS, MESSAGE
from codeenv.sandbox.units import Run, SandboxError, Unit, WorkerLost, pack, unpack
from codeenv.sandbox.worker import MODULES

__all__ = ["DockerConfig", "DockerWorker", "engine"]

_START_LIMIT_S = 120.0
_FRAME = struct.Struct(">BxxxI")


@dataclass(frozen=True)
class DockerConfig:
    """How containers are made.

    Attributes:
        image: image made by `codeenv docker build`.
        runtime: the engine's runtime, such as `runsc` for gVisor; the engine's default if empty.
        memory_mb: most memory of a container, all its processes together.
        cpus: most cores of a container.
        pids: most processes and threads of a container.
        tracing: the worker can also record runs.
    """

    image: str = IMAGE
    runtime: str = ""
    memory_mb: int = 4096
    cpus: float = 1.0
    pids: int = 128
    tracing: bool = False

    def __post_init__(self) -> None:
        for name, least, words in (("memory_mb", 64, "a whole number of MiB"), ("pids", 4, "a whole number")):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise SandboxError(f"{name} of a container is {value!r}; use {words} of at least {least}")
        if type(self.cpus) not in (int, float) or not 0.01 <= self.cpus <= 1024:
            raise SandboxError(f"cpus of a container is {self.cpus!r}; use a number between 0.01 and 1024")
        for name in ("image", "runtime"):
            if type(getattr(self, name)) is not str:
                raise SandboxError(f"{name} of a container is {getattr(self, name)!r}; use a text")


def engine() -> Any:
    """Return a client of the Docker engine.

    Raises:
        MissingExtraError: the package is not installed.
        SandboxError: no engine answers.
    """
    try:
        import docker
    except ImportError:
        raise MissingExtraError("sandbox 'docker'", "docker", "docker") from None
    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise SandboxError(f"no Docker engine answers ({reason}); start one, or set DOCKER_HOST") from None
    return client


class DockerWorker:
    """A worker in a container. Not thread-safe: one request at a time.

    Raises:
        SandboxError: the engine, the image or the runtime is missing, or the worker does not start.
    """

    def __init__(self, config: DockerConfig) -> None:
        self._client = engine()
        import docker

        self.cpu_s = 0.0
        self._container = ""
        self._stream: Any = None
        self._pending = b""
        try:
            settings = self._client.images.get(config.image).labels
            host = self._client.api.create_host_config(
                network_mode="none",
                ipc_mode="none",
                read_only=True,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                pids_limit=config.pids,
                mem_limit=f"{config.memory_mb}m",
                memswap_limit=f"{config.memory_mb}m",
                nano_cpus=int(config.cpus * 1e9),
                auto_remove=True,
                runtime=config.runtime or None,
            )
            self._container = self._client.api.create_container(
                config.image, boot_command(settings), stdin_open=True, user="65532:65532", environment={
                    "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONWARNINGS": "ignore", "LANG": "C.UTF-8",
                }, host_config=host, labels={LABEL: "worker"}, network_disabled=True,
            )["Id"]  # fmt: skip
            self._stream = self._client.api.attach_socket(self._container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            self._socket = getattr(self._stream, "_sock", self._stream)
            self._client.api.start(self._container)
        except SandboxError:
            self.close()
            raise
        except docker.errors.ImageNotFound:
            self.close()
            raise SandboxError(f"the engine has no image {config.image!r}; make it with: codeenv docker build") from None
        except (docker.errors.DockerException, OSError) as error:
            self.close()
            raise SandboxError(f"the Docker engine refused a container: {str(error)[:300]}") from None
        first = marshal.dumps(
            {
                "level": "container",
                "packages": [],
                "modules": list(MODULES),
                "tracing": settings.get(f"{LABEL}.trace", "") if config.tracing else "",
                "environment": {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                "path": settings.get(f"{LABEL}.packages", ""),
            },
            2,
        )
        try:
            self._send(LENGTH.pack(len(first)) + first)
            deadline = time.monotonic() + _START_LIMIT_S
            hello = marshal.loads(self._receive(LENGTH.unpack(self._receive(LENGTH.size, deadline))[0], deadline))
        except (WorkerLost, ValueError, EOFError) as error:
            self.close()
            raise SandboxError(f"the worker in the container did not start: {error}") from None
        if "error" in hello:
            self.close()
            raise SandboxError(f"the worker in the container did not start: {hello['error']}")
        self.python: str = hello["python"]
        self._base_memory: int = hello["address_space"]

    def run(self, units: list[Unit]) -> list[list[Run]]:
        """Run units one after another and return the runs of each.

        Raises:
            WorkerLost: the container or the engine ended, or the answer is nonsense; the worker must be closed then.
        """
        data, offset, length = pack(units, self._base_memory)
        longest = sum((unit.time_s * 40 + 60) * max(1, len(unit.tests)) for unit in units) + 60
        deadline = time.monotonic() + longest
        self._send(REQUEST.pack(len(data), offset, length))
        self._send(data)
        start, size = MESSAGE.unpack(self._receive(MESSAGE.size, deadline))
        if start == LAST_WORDS:
            raise WorkerLost(f"the worker ended: {self._receive(min(size, 1 << 16), deadline).decode('utf-8', 'replace')}")
        if start + size > sum(unit.output * 3 + 4096 for unit in units for _ in unit.tests) + (1 << 20):
            raise WorkerLost("the worker's reply is longer than what was asked for")
        runs, self.cpu_s = unpack(units, self._receive(start + size, deadline), start, size)
        return runs

    def interrupt(self) -> None:
        """End the container while another thread waits for it: that call raises `WorkerLost`."""
        import docker
        import requests

        with contextlib.suppress(docker.errors.DockerException, requests.exceptions.RequestException, OSError):
            self._client.api.kill(self._container)

    def close(self) -> None:
        """End the container; returns when it is gone or the engine does not answer."""
        import docker
        import requests

        quiet = (docker.errors.DockerException, requests.exceptions.RequestException, OSError)
        if self._stream is not None:
            with contextlib.suppress(*quiet):
                self._stream.close()
            self._stream = None
        if self._container:
            with contextlib.suppress(*quiet):
                self._client.api.remove_container(self._container, force=True)
            self._container = ""
        with contextlib.suppress(*quiet):
            self._client.close()

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise WorkerLost(f"the container's stream failed: {error}") from None

    def _receive(self, count: int, deadline: float) -> bytes:
        parts = [self._pending]
        have = len(self._pending)
        while have < count:
            kind, length = _FRAME.unpack(self._raw(_FRAME.size, deadline))
            body = self._raw(length, deadline)
            if kind == 1:
                parts.append(body)
                have += len(body)
        data = b"".join(parts)
        self._pending = data[count:]
        return data[:count]

    def _raw(self, count: int, deadline: float) -> bytes:
        parts = []
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while count:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise WorkerLost("the worker did not answer in time")
            try:
                part = self._socket.recv(min(count, 1 << 20))
            except OSError as error:
                raise WorkerLost(f"the container's stream failed: {error}") from None
            if not part:
                raise WorkerLost("the container ended")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
