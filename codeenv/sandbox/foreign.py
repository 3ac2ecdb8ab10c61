"""Programs in languages other than Python: compiled once, remembered, and run by warm workers.

A compiler and what it compiled never share a world. What was compiled is bytes of this process in between, which no
submission can reach.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from codeenv.problems.languages import LANGUAGES
from codeenv.sandbox.levels import REMEDIES
from codeenv.sandbox.pool import Pool, WorkerLike
from codeenv.sandbox.toolchains import Toolchain, World, advice, source_name, toolchain
from codeenv.sandbox.units import CPU_LIMIT, EXITED, IDLE_LIMIT, Run, SandboxError, Unit, WorkerLost
from codeenv.sandbox.worker import Worker, WorkerConfig

__all__ = ["CompileLimits", "Compiled", "Foreign"]

_KEPT_BYTES = 256 << 20
_DIAGNOSTICS = 4000


@dataclass(frozen=True)
class CompileLimits:
    """Limits of a compiler: CPU seconds of each of its processes (twice that in all by the clock), memory, size of a file."""

    time_s: float = 30.0
    memory_mb: int = 2048
    output_mb: int = 64


@dataclass(frozen=True, slots=True)
class Compiled:
    """What became of a source: the artifact, or what the compiler said."""

    artifact: bytes
    error: str = ""


class _Artifacts:
    """Compiled programs by what they were made of; the oldest go first when there are too many bytes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Compiled] = OrderedDict()
        self._lock = threading.Lock()
        self._bytes = 0

    def get(self, key: str) -> Compiled | None:
        with self._lock:
            return self._kept.get(key)

    def put(self, key: str, compiled: Compiled) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = compiled
                self._bytes += len(compiled.artifact) + 1000
            while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
                _, old = self._kept.popitem(last=False)
                self._bytes -= len(old.artifact) + 1000


_ARTIFACTS = _Artifacts()
_TRIED: set[tuple[str, str]] = set()
_TRYING = threading.Lock()


class Foreign:
    """Compilers and workers of other languages at one isolation level. Thread-safe.

    Args:
        level: isolation level; only `namespaces` can run other languages.
        workers: most workers of a language at a time.
        limits: limits of compilers.
    """

    def __init__(self, level: str, workers: int, limits: CompileLimits | None = None) -> None:
        self.level = level
        self.limits = limits or CompileLimits()
        self._workers = workers
        self._pools: dict[tuple[str, str], Pool] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all workers and what they ran."""
        return sum(pool.cpu_s for pool in list(self._pools.values()))

    def compile(self, language: str, files: Mapping[str, bytes], others: Mapping[str, bytes] | None = None) -> Compiled:
        """Compile source files beside others that they include; equal files are compiled once.

        Raises:
            SandboxError: the language cannot be had here.
            WorkerLost: the compiler's worker was lost twice.
        """
        self._check(language)
        return self._compile(toolchain(language), files, others or {})

    def _compile(self, chain: Toolchain, files: Mapping[str, bytes], others: Mapping[str, bytes]) -> Compiled:
        language = chain.language
        parts = [language, chain.version, repr(chain.compile.commands), repr(self.limits)]
        everything = {**files, **others}
        parts += [f"{name} {hashlib.sha256(data).hexdigest()}" for name, data in everything.items()]
        names = "\n".join(files) + ("\n\n" + "\n".join(others) if others else "")
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        known = _ARTIFACTS.get(key)
        if known is not None:
            return known
        limits = self.limits
        sources = tuple(everything.values())
        memory, most = limits.memory_mb << 20, limits.output_mb << 20
        unit = Unit("compile", b"", names, sources, time_s=limits.time_s, memory=memory, output=most)
        run = self._twice(self._pool("compile", language, chain.compile, 0), unit)[0]
        compiled = Compiled(run.value) if run.compiled else Compiled(b"", _complaint(run, language, limits))
        if run.reason not in (CPU_LIMIT, IDLE_LIMIT):  # another try on a quieter machine may end otherwise
            _ARTIFACTS.put(key, compiled)
        return compiled

    def run(self, language: str, unit: Unit) -> list[Run]:
        """Run an artifact (the unit's source) on tests; the unit's limits are without the runtime's share.

        Raises:
            WorkerLost: twice in a row.
        """
        pool, unit = self.prepared(language, unit)
        return self._twice(pool, unit)

    def prepared(self, language: str, unit: Unit, purpose: str = "run") -> tuple[Pool, Unit]:
        """Return the pool that runs a language, and the unit with the share of the language's runtime added to its limits.

        An interactor and the submission it talks with have workers of different purposes, so that neither waits for the other.
        """
        self._check(language)
        return self._prepared(toolchain(language), unit, purpose)

    def _prepared(self, chain: Toolchain, unit: Unit, purpose: str) -> tuple[Pool, Unit]:
        unit = replace(unit, time_s=unit.time_s + chain.start_s, memory=unit.memory + (chain.own_mb << 20))
        return self._pool(purpose, chain.language, chain.run, chain.own_mb), unit

    def interact(self, language: str, unit: Unit, other: str, judging: Unit) -> tuple[Run, Run]:
        """Run two programs whose standard streams are joined by pipes; both units are of kind `piped` with one test.

        Raises:
            WorkerLost: one of the workers was lost.
        """
        pool, unit = self.prepared(language, unit)
        other_pool, judging = self.prepared(other, judging, "interact")
        with pool.lend() as one, other_pool.lend() as two, ThreadPoolExecutor(2) as executor:
            down, up = os.pipe(), os.pipe()
            left = executor.submit(_piped, one, unit, [down[0], up[1]])
            right = executor.submit(_piped, two, judging, [up[0], down[1]])
            return left.result(), right.result()

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()

    def works(self, language: str) -> str:
        """Return an empty text if a small program in a language compiles and runs here, else why not."""
        try:
            self._check(language)
        except (SandboxError, WorkerLost) as error:
            return str(error)
        return ""

    def _check(self, language: str) -> None:
        """Compile and run a program that does nothing, once in a process: what fails then is not a submission's fault."""
        title = LANGUAGES[language].title if language in LANGUAGES else language
        if self.level != "namespaces":
            what = "conversations with an interactor and several passes" if language == "python" else f"programs in {title}"
            raise SandboxError(
                f"{what} run at the level 'namespaces' only, and the sandbox is {self.level!r}; use sandbox='local'"
            )
        chain = toolchain(language)
        with _TRYING:
            if (key := (language, chain.version)) in _TRIED:
                return
            source = LANGUAGES[language].silent
            name = source_name(language, source)
            compiled = self._compile(chain, {name: source.encode()}, {})
            said = compiled.error
            if compiled.artifact:
                entry = name if language in ("javascript", "python") else ""
                pool, unit = self._prepared(chain, Unit("stdio", compiled.artifact, entry, (b"",)), "run")
                run = self._twice(pool, unit)[0]
                if run.reason == EXITED and run.code == 0:
                    _TRIED.add(key)
                    return
                said = run.stderr.decode("utf-8", "replace").strip() or f"it ended with {run.code}"
            raise SandboxError(
                f"{title} ({chain.version}) does not work in the sandbox: {' '.join(said.split())[:300]}; {advice(chain)}"
            )

    def _pool(self, purpose: str, language: str, world: World, own_mb: int) -> Pool:
        with self._lock:
            if self._pid != os.getpid():
                self._pools, self._pid = {}, os.getpid()
            key = (purpose, language)
            if key not in self._pools:
                config = WorkerConfig(level=self.level, world=world.settings(own_mb))
                self._pools[key] = Pool(lambda: _started(config), self._workers)
            return self._pools[key]

    def _twice(self, pool: Pool, unit: Unit) -> list[Run]:
        try:
            return pool.run([unit])[0]
        except WorkerLost:
            return pool.run([unit])[0]


def _piped(worker: WorkerLike, unit: Unit, pipes: list[int]) -> Run:
    """Run a unit whose streams are these descriptors, which are closed here in any case."""
    assert isinstance(worker, Worker)
    worker.pipes = pipes
    try:
        return worker.run([unit])[0][0]
    finally:
        while pipes:
            os.close(pipes.pop())


def _started(config: WorkerConfig) -> WorkerLike:
    try:
        return Worker(config)
    except SandboxError as error:
        raise SandboxError(f"sandbox {config.level!r} cannot be had here: {error}; {REMEDIES[config.level]}") from None


def _complaint(run: Run, language: str, limits: CompileLimits) -> str:
    """Return the first lines of what a compiler said, or how it ended."""
    said = (run.stderr + b"\n" + run.stdout).decode("utf-8", "replace").replace("/tmp/", "").strip()
    said = re.sub(r"\x1b\[[0-9;]*m", "", said)
    if run.reason in (CPU_LIMIT, IDLE_LIMIT):
        said = f"the {LANGUAGES[language].title} compiler took more than {limits.time_s:g} s"
    elif run.reason != EXITED and not said:
        said = f"the {LANGUAGES[language].title} compiler was ended by signal {run.code}"
    if len(said) > _DIAGNOSTICS:
        said = said[:_DIAGNOSTICS].rsplit("\n", 1)[0] + f"\n... {len(said) - _DIAGNOSTICS} characters left out ..."
    return said or "the compiler left no program"


def memory_is_out(chain: Toolchain, run: Run, memory: int) -> bool:
    """Whether a run took more memory than its limit (bytes), by its peak or by what its runtime said about it."""
    if run.memory_mb * (1 << 20) > memory:
        return True
    tail = run.stderr[:2000] + run.stderr[-2000:]
    return (run.reason != EXITED or run.code != 0) and any(mark.encode() in tail for mark in chain.memory_marks)
