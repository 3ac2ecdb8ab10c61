"""What the service may do: where it listens, whom it serves, and how much of the machine a request may use."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass

from codeenv.errors import CodeenvError
from codeenv.problems import Limits, Problem

__all__ = ["ServerSettings"]


_COUNTS = ("workers", "queue", "max_connections", "max_body_mb", "max_tests", "max_batch", "max_memory_mb", "max_output_kb")

_LONGEST_DRAIN_S = 86_400


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The service's settings.

    Attributes:
        host: address to listen on; anything but a loopback address needs a token.
        port: port to listen on; 0 takes a free one.
        token: what clients must show (`Authorization: Bearer`, or Basic with the token as password), `None` for no token.
        workers: judge workers; as many submissions are judged at a time.
        queue: most submissions that wait for a worker; more are answered with 429.
        sandbox: where programs run.
        isolation: `test` or `batch`, see `codeenv.Judge`.
        problem_sets: data sets (names or files) whose problems clients may name by id.
        max_connections: most connections at a time; further ones are told 503 and closed.
        max_body_mb: most MiB of a request.
        max_tests: most tests of a problem.
        max_batch: most submissions in one request, at most `queue`.
        max_time_limit_s, max_memory_mb, max_output_kb: highest limits that a client's problem may ask for.
        max_total_s: most time that all tests of a client's problem may take together: tests times time limit.
        client_timeout_s: how long a client may take to send the head of a request, to send its body, and to take the answer.
        drain_s: how long requests in flight may take to end after a stop signal.
    """

    host: str = "127.0.0.1"
    port: int = 8111
    token: str | None = None
    workers: int = 2
    queue: int = 256
    sandbox: str = "local"
    isolation: str = "test"
    problem_sets: tuple[str, ...] = ()
    max_connections: int = 512
    max_body_mb: int = 16
    max_tests: int = 1000
    max_batch: int = 256
    max_time_limit_s: float = 60.0
    max_memory_mb: int = 4096
    max_output_kb: int = 16384
    max_total_s: float = 3600.0
    client_timeout_s: float = 60.0
    drain_s: float = 60.0

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < 16:
            raise CodeenvError(f"the token has {len(self.token)} characters; use at least 16")
        if not self.loopback and self.token is None:
            raise CodeenvError(
                f"--host {self.host} is reachable from other machines; give a token with --token-file or CODEENV_TOKEN"
            )
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise CodeenvError(f"{name} is {getattr(self, name)!r}; use a whole number of at least 1")
        for name in ("max_time_limit_s", "max_total_s", "client_timeout_s"):
            value = getattr(self, name)
            if not math.isfinite(value) or value <= 0:
                raise CodeenvError(f"{name} is {value!r}; use a number of seconds above 0")
        if not 0 <= self.drain_s <= _LONGEST_DRAIN_S:
            raise CodeenvError(f"drain_s is {self.drain_s!r}; use a number of seconds from 0 to {_LONGEST_DRAIN_S}")
        if self.max_batch > self.queue:
            raise CodeenvError(
                f"max_batch is {self.max_batch} and queue {self.queue}: such a batch would never find room; "
                "use a max_batch of at most the queue"
            )
        if not 0 <= self.port <= 65535:
            raise CodeenvError(f"port is {self.port!r}; use a number from 0 to 65535")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def check(self, problem: Problem) -> None:
        """Make sure that a client's problem stays within the limits.

        Raises:
            CodeenvError: with the limit and the value.
        """
        tests = len(problem.tests("all"))
        if tests > self.max_tests:
            raise CodeenvError(f"problem {problem.id!r} has {tests} tests; at most {self.max_tests} are judged here")
        limits: Limits = problem.limits
        asked = (
            ("time_limit_s", limits.time_limit_s, self.max_time_limit_s),
            ("memory_mb", limits.memory_mb, self.max_memory_mb),
            ("output_kb", limits.output_kb, self.max_output_kb),
        )
        for name, value, most in asked:
            if value > most:
                raise CodeenvError(f"problem {problem.id!r} asks for {name} {value:g}; at most {most:g} is given here")
        total = tests * limits.time_limit_s
        if total > self.max_total_s:
            raise CodeenvError(
                f"problem {problem.id!r} has {tests} tests of {limits.time_limit_s:g} s, {total:g} s together; "
                f"at most {self.max_total_s:g} s are given here"
            )
