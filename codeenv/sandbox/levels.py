"""The isolation levels of this machine: which can be had, and pools of workers at the one that is asked for."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from codeenv.sandbox.pool import Pool
from codeenv.sandbox.units import SandboxError
from codeenv.sandbox.worker import Worker, WorkerConfig

__all__ = ["open_pool", "package_places"]

LEVELS = ("namespaces",)


def open_pool(
    sandbox: str = "local", workers: int = 2, interpreter: str | None = None, packages: Sequence[str] = ("numpy",)
) -> tuple[Pool, str]:
    """Return a pool of workers and the name of its isolation level. Workers start when first needed.

    Args:
        sandbox: a level, or `local` for `namespaces`.
        workers: most workers at a time.
        interpreter: path of the CPython (3.9 or newer) that runs submissions; the judge's own by default.
        packages: importable packages; those that are not installed are left out.

    Raises:
        SandboxError: there is no such level, or it cannot be had here.
    """
    level = "namespaces" if sandbox == "local" else sandbox
    if level not in LEVELS:
        raise SandboxError(f"sandbox is {sandbox!r}; use one of local, {', '.join(LEVELS)}")
    path = interpreter or sys.executable
    config = WorkerConfig(level=level, interpreter=path, packages=package_places(packages) if interpreter is None else ())
    return Pool(lambda: Worker(config), workers), level


def package_places(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return (source, name below the packages folder) of installed packages, with the library folders that belong to them."""
    places: list[tuple[str, str]] = []
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin).resolve()
        source = origin.parent if spec.submodule_search_locations else origin
        places.append((str(source), source.name))
        libraries = source.parent / f"{name}.libs"
        if libraries.is_dir():
            places.append((str(libraries), libraries.name))
    return tuple(places)
