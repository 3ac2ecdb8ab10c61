"""Many machines: the local sandbox in Ray actors, one per worker, spread over the nodes of a cluster.

Each actor takes one core and runs whole submissions, so the tests of one stay on one node. What travels is what travels to a
local worker: programs and inputs there, outputs back; expected values stay with the judge. If an actor or its node is lost,
another one is started on the nodes that are left and does the work again.
"""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from codeenv.errors import MissingExtraError
from codeenv.sandbox.pool import Pool
from codeenv.sandbox.units import Run, SandboxError, Unit, WorkerLost

try:
    import ray
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError
except ModuleNotFoundError as error:
    raise MissingExtraError("sandbox 'ray'", error.name or "ray", "ray") from error

__all__ = ["RayWorker", "open_ray_pool"]

_START_LIMIT_S = 120.0
_RESTART_LIMIT_S = 20.0
_STARTS = 5
_GREETING_S = 10.0
_PROBE_S = 60.0
"""Backstop for a process that imports Ray and asks for the cluster once; Ray's own client gives that question up after 30 s."""
_PROBE = """
import sys
try:
    from ray._raylet import GcsClient
except ImportError:
    sys.exit(0)
try:
    GcsClient(address=sys.argv[1])
except Exception as error:
    sys.exit(str(error))
"""
_HEAD = 9
_SETTINGS = b"\x04"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + _SETTINGS + bytes(5)  # RFC 9113, section 3.4, with empty settings


class _RemoteWorker:
    """Lives in an actor: a pool of one worker of its node's own sandbox."""

    def __init__(self, level: str, options: dict[str, Any]) -> None:
        from codeenv.sandbox.levels import open_pool

        self._pool, self._level = open_pool(level, 1, **options)

    def hello(self) -> dict[str, str]:
        from codeenv.version import __version__

        return {
            "codeenv": __version__,
            "python": platform.python_version(),
            "level": self._level,
            "node": ray.util.get_node_ip_address(),
        }

    def run(self, units: list[Unit]) -> tuple[list[list[Run]], float]:
        return self._pool.run(units), self._pool.cpu_s

    def close(self) -> None:
        self._pool.close()


class RayWorker:
    """One actor, seen from the judge.

    Args:
        level: isolation level of the node's sandbox.
        options: settings of the node's sandbox.

    Raises:
        SandboxError: no actor can be had, or its node has another version of codeenv or Python.
    """

    def __init__(self, level: str, options: dict[str, Any], cores: int = 1) -> None:
        self.cpu_s = 0.0
        self._level = level
        self._options = options
        self._start(cores)

    def run(self, units: list[Unit]) -> list[list[Run]]:
        """Run units on the actor's node; if actor or node are lost, on another one.

        Raises:
            WorkerLost: the node's own worker was lost, or the cluster loses every actor; this worker must be closed then.
        """
        longest = sum((unit.time_s * 10 + 12) * max(1, len(unit.tests)) for unit in units) + 120
        reason = ""
        for _ in range(_STARTS):
            try:
                runs, self.cpu_s = ray.get(self._actor.run.remote(units), timeout=longest)
            except GetTimeoutError:
                raise WorkerLost(f"the worker on {self.hello['node']} did not answer within {longest:.0f} s") from None
            except RayTaskError as error:
                if isinstance(error.cause, SandboxError):
                    raise error.cause from None
                raise WorkerLost(f"the worker on {self.hello['node']} failed: {_last_line(error)}") from None
            except RayError as error:
                reason = f"the worker on {self.hello['node']} was lost: {_last_line(error)}"
                self._kill()
                # A smaller cluster may have no core to spare; limits are in CPU time, so sharing one changes no verdict.
                self._start(cores=1 if ray.available_resources().get("CPU", 0) >= 1 else 0, again=True)
            else:
                return runs  # type: ignore[no-any-return]
        raise WorkerLost(reason)

    def interrupt(self) -> None:
        """End the actor while another thread waits for it: that call raises `WorkerLost`."""
        self._kill()

    def close(self) -> None:
        """End the actor; its node's worker ends with it."""
        self._kill()

    def _start(self, cores: int, again: bool = False) -> None:
        remote = ray.remote(num_cpus=cores, max_restarts=0, scheduling_strategy="SPREAD")(_RemoteWorker)
        for attempt in range(_STARTS):
            self._actor: Any = remote.remote(self._level, self._options)
            try:
                limit = _RESTART_LIMIT_S if again and cores else _START_LIMIT_S
                self.hello: dict[str, str] = ray.get(self._actor.hello.remote(), timeout=limit)
                break
            except GetTimeoutError:
                self._kill()
                if again and cores:  # the core that seemed to be free was that of a lost node
                    remote, cores = remote.options(num_cpus=0), 0
                    continue
                free = ray.available_resources().get("CPU", 0)
                raise SandboxError(
                    f"no worker started within {_START_LIMIT_S:g} s; the cluster has {free:g} free cores"
                ) from None
            except RayError as error:  # its node was lost while it started, or it cannot be had there
                self._kill()
                cause = getattr(error, "cause", None)
                if attempt == _STARTS - 1 or isinstance(cause, SandboxError):
                    raise SandboxError(f"a worker on the cluster could not start: {_last_line(cause or error)}") from None
        self._check_versions()

    def _kill(self) -> None:
        with contextlib.suppress(RayError, ValueError, AttributeError):
            ray.kill(self._actor, no_restart=True)

    def _check_versions(self) -> None:
        from codeenv.version import __version__

        for name, ours in (("codeenv", __version__), ("python", platform.python_version())):
            if self.hello[name] != ours:
                self._kill()
                raise SandboxError(
                    f"node {self.hello['node']} has {name} {self.hello[name]}, this process has {ours}; "
                    "install the same on every node"
                )


def open_ray_pool(workers: int, address: str | None = "auto", level: str = "local", **options: Any) -> tuple[Pool, str]:
    """Return a pool of `workers` actors on a Ray cluster, and the isolation level of its nodes.

    Args:
        workers: most actors; each takes one core of the cluster.
        address: address of the cluster (`host:port`), `auto` for the one that this machine is part of, `None` for the one that
            this process is connected to.
        level: isolation level on the nodes, as in `codeenv.sandbox.levels.open_pool`.
        options: further settings of the nodes' sandbox.

    Raises:
        SandboxError: there is no such cluster, it has too few cores, or its nodes differ from this one.
    """
    _connect(address)
    cores = int(ray.cluster_resources().get("CPU", 0))
    if workers > cores:
        raise SandboxError(f"workers is {workers}, but the cluster has {cores} cores; ask for at most {cores}")
    share = 0 if options.get("tracing") else 1  # the one worker that records traces shares a core
    first: list[RayWorker] = [RayWorker(level, options, share)]
    lock = threading.Lock()

    def start() -> RayWorker:
        with lock:
            if first:
                return first.pop()
        return RayWorker(level, options, share)

    return _RayPool(start, workers, first), first[0].hello["level"]


class _RayPool(Pool):
    """A pool that also ends a first actor that nobody has asked for yet."""

    def __init__(self, start: Any, size: int, first: list[RayWorker]) -> None:
        super().__init__(start, size)
        self._first = first

    def close(self) -> None:
        while self._first:
            self._first.pop().close()
        super().close()


def _connect(address: str | None) -> None:
    if ray.is_initialized():
        return
    if address is None:
        raise SandboxError("this process is connected to no Ray cluster; call ray.init first, or give its address")
    host, separator, port = address.rpartition(":")
    try:
        if separator and port.isdigit() and "/" not in address:
            _greet(host.strip("[]"), int(port))  # Ray itself would try for minutes
            _probe(address)
        ray.init(address=address, namespace="codeenv", logging_level="ERROR", log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise SandboxError(
            f"there is no Ray cluster at {address!r} ({_last_line(error)}); start one with: ray start --head"
        ) from None


def _greet(host: str, port: int) -> None:
    """Make sure that what listens at an address speaks HTTP/2, as Ray's servers do.

    Raises:
        OSError: nothing listens there, or something else does.
    """
    deadline = time.monotonic() + _GREETING_S
    with socket.create_connection((host, port), timeout=_GREETING_S) as connection:
        if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
            return
        connection.sendall(_PREFACE)
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while len(answer) < _HEAD and (left := deadline - time.monotonic()) > 0:
                connection.settimeout(left)
                piece = connection.recv(_HEAD - len(answer))
                if not piece:
                    break
                answer += piece
    if len(answer) < _HEAD or answer[3:4] != _SETTINGS:
        raise OSError("what listens there does not answer as Ray's server does")


def _probe(address: str) -> None:
    """Ask for the cluster from a process that can be ended: `ray.init` asks many times, and in C++ nothing interrupts it.

    Raises:
        OSError: no cluster answers at the address.
    """
    try:
        done = subprocess.run([sys.executable, "-c", _PROBE, address], capture_output=True, text=True, timeout=_PROBE_S)
    except subprocess.TimeoutExpired:
        raise OSError(f"what listens there did not answer as Ray's server does within {_PROBE_S:g} s") from None
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise OSError(f"what listens there does not answer as Ray's server does: {why[0]}")


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
