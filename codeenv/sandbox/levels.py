"""The isolation levels of this machine: which can be had, and pools of workers at the one that is asked for.

    namespaces   the default: a world of its own in user, process, network and mount namespaces, and a system-call filter
    landlock     no namespaces: files behind Landlock, and the same system-call filter
    docker       workers inside containers of a Docker engine
    rlimits      limits only, for trusted code: no files or processes are out of reach

A level that does not hold here is an error with its reason and a remedy, never a silent fallback: the first worker of a level
is attacked before it is used.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from codeenv.errors import CodeenvError
from codeenv.sandbox import attacks
from codeenv.sandbox.pool import Pool, WorkerLike
from codeenv.sandbox.units import SandboxError, WorkerLost
from codeenv.sandbox.worker import Worker, WorkerConfig

__all__ = ["LEVELS", "REMEDIES", "check", "open_pool", "package_places"]

LEVELS = ("namespaces", "landlock", "rlimits", "docker")

REMEDIES = {
    "namespaces": "allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone or "
    "kernel.apparmor_restrict_unprivileged_userns), or ask for sandbox='landlock' or sandbox='docker'",
    "landlock": "use Linux 5.13 or newer with Landlock enabled, or ask for sandbox='docker'",
    "rlimits": "check the interpreter",
    "docker": "start a Docker engine and build the image with: codeenv docker build",
}

_OPEN_FILES = 256
"""Open files that a process with workers may need."""
_ADDRESS_SPACE = 8 << 30
"""Bytes that a worker may need to map; each submission's own limit is set far below."""

_tested: set[tuple[Any, ...]] = set()
_testing = threading.Lock()


def open_pool(
    sandbox: str = "local",
    workers: int = 2,
    interpreter: str | None = None,
    packages: Sequence[str] = ("numpy",),
    trusted: bool = False,
    tracing: bool = False,
    **settings: Any,
) -> tuple[Pool, str]:
    """Return a pool of workers and the name of its isolation level. Workers start when first needed.

    Args:
        sandbox: a level, or `local` for `namespaces`.
        workers: most workers at a time.
        interpreter: path of the CPython (3.9 or newer) that runs submissions; the judge's own by default.
        packages: packages that submissions may import; those that the interpreter lacks are left out.
        tracing: the workers can also record runs.
        settings: for `docker`, see `codeenv.sandbox.docker.DockerConfig`.
        trusted: the submissions are trusted; needed for the level `rlimits`, which protects nothing.

    Raises:
        SandboxError: there is no such level, or a setting makes no sense. That a level does not hold here is found when the
            first worker starts.
    """
    level = "namespaces" if sandbox == "local" else sandbox
    if level not in LEVELS:
        raise SandboxError(f"sandbox is {sandbox!r}; use one of local, {', '.join(LEVELS)}, ray")
    if level == "rlimits" and not trusted:
        raise SandboxError(
            "sandbox 'rlimits' protects nothing from the submissions; pass trusted=True (--trusted) if you trust them"
        )
    start: Callable[[], WorkerLike]
    key: tuple[Any, ...]
    if level == "docker":
        from codeenv.sandbox.docker import DockerConfig, DockerWorker

        if interpreter is not None:
            raise SandboxError("sandbox 'docker' runs the interpreter of its image; make one with that interpreter's codeenv")
        try:
            docker = DockerConfig(**settings, tracing=tracing)
        except TypeError:
            raise SandboxError(f"a setting of sandbox 'docker' is unknown: {', '.join(settings)}") from None
        start, key = (lambda: DockerWorker(docker)), (level, docker)
        return Pool(lambda: _tested_worker(start, level, key), workers), level
    if settings:
        raise SandboxError(f"{next(iter(settings))!r} is not a setting of sandbox {sandbox!r}")
    _check_own_limits()
    path = interpreter or sys.executable
    if isinstance(packages, str):
        raise SandboxError(f"packages is the text {packages!r}; use a list of names, such as ['numpy']")
    for name in packages:
        if not (isinstance(name, str) and all(part.isidentifier() for part in name.split("."))):
            raise SandboxError(f"packages has {name!r}; use names to import, such as 'numpy'")
    config = WorkerConfig(
        level=level,
        interpreter=path,
        packages=package_places(tuple(packages), path),
        tracing=_tracing_folder() if tracing else "",
    )
    start, key = (lambda: Worker(config)), (level, path)
    return Pool(lambda: _tested_worker(start, level, key), workers), level


def _check_own_limits() -> None:
    """See that this process's own limits, which workers inherit, leave them room; raise that of open files where one may.

    Raises:
        SandboxError: a limit is too low.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _OPEN_FILES:
        raise SandboxError(f"at most {hard} files may be open here (ulimit -n); the sandbox needs {_OPEN_FILES}")
    if soft != resource.RLIM_INFINITY and soft < _OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY and soft < _ADDRESS_SPACE:
        raise SandboxError(
            f"at most {soft >> 20} MiB may be mapped here (ulimit -v); the sandbox needs {_ADDRESS_SPACE >> 20}, and sets the "
            "limits of submissions itself"
        )
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if hard != resource.RLIM_INFINITY:
        raise SandboxError(f"files may grow to {hard} bytes only here (ulimit -f); the sandbox needs this limit unlimited")


def _tested_worker(start: Callable[[], WorkerLike], level: str, key: tuple[Any, ...]) -> WorkerLike:
    try:
        worker = start()
    except SandboxError as error:
        if key in _tested and level != "docker":  # it worked here before: something outside ended this one
            raise WorkerLost(str(error)) from None
        if level == "docker" or "interpreter" in str(error):
            raise
        raise SandboxError(f"sandbox {level!r} cannot be had here: {error}; {REMEDIES[level]}") from None
    if level == "rlimits" or key in _tested:
        return worker
    with _testing:
        if key not in _tested:
            try:
                through = attacks.succeeded(lambda unit: worker.run([unit])[0][0])
            except (WorkerLost, IndexError):
                through = ["the self-test ended the worker"]
            except OSError as error:
                worker.close()
                raise SandboxError(f"sandbox {level!r} cannot be tested here: {error.strerror}; make /tmp writable") from None
            excused = attacks.EXCUSED.get(getattr(key[-1], "runtime", ""), ())
            through = [name for name in through if name not in excused]
            if through:
                worker.close()
                raise SandboxError(f"sandbox {level!r} does not hold here: {', '.join(through)}; {REMEDIES[level]}")
            _tested.add(key)
    return worker


def check(level: str, interpreter: str | None = None) -> str:
    """Return an empty text if a level can be had here, else the reason why not. Starts a worker and attacks it."""
    try:
        pool, _ = open_pool(level, 1, interpreter, trusted=True)
        try:
            from codeenv.sandbox.units import Unit

            pool.run([Unit("stdio", b"print(1)", "", (b"",))])
        finally:
            pool.close()
    except (CodeenvError, WorkerLost) as error:
        return str(error)
    return ""


def _tracing_folder() -> str:
    return str(Path(__file__).resolve().parent.parent / "trace")


_FIND = """
import importlib.util, json, sys
found = []
for name in sys.argv[1:]:
    spec = importlib.util.find_spec(name)
    found.append([name, spec.origin, bool(spec.submodule_search_locations)] if spec and spec.origin else None)
print(json.dumps([item for item in found if item]))
"""
_places: dict[tuple[str, tuple[str, ...]], tuple[tuple[str, str], ...]] = {}


def package_places(names: tuple[str, ...], interpreter: str) -> tuple[tuple[str, str], ...]:
    """Return (source, name below the packages folder) of the packages that an interpreter has, and of their libraries."""
    key = (interpreter, names)
    if key not in _places:
        _places[key] = _find_places(names, interpreter)
    return _places[key]


def _find_places(names: tuple[str, ...], interpreter: str) -> tuple[tuple[str, str], ...]:
    rows: list[tuple[str, str, bool]] = []
    if interpreter == sys.executable:
        for name in names:
            try:
                spec = importlib.util.find_spec(name)
            except ModuleNotFoundError:  # of what is before a dot
                continue
            if spec is not None and spec.origin is not None:
                rows.append((name, spec.origin, bool(spec.submodule_search_locations)))
    elif names:
        try:
            done = subprocess.run(
                [interpreter, "-I", "-c", _FIND, *names], capture_output=True, text=True, timeout=60, check=True
            )
            rows = [tuple(row) for row in json.loads(done.stdout)]
        except (OSError, ValueError, subprocess.SubprocessError):
            return ()  # the worker's start says what is wrong with the interpreter
    places: list[tuple[str, str]] = []
    for name, origin, folder in rows:
        path = Path(origin).resolve()
        source = path.parent if folder else path
        places.append((str(source), source.name))
        libraries = source.parent / f"{name}.libs"
        if libraries.is_dir():
            places.append((str(libraries), libraries.name))
    return tuple(places)
