"""Control groups around workers: limits on memory, processes and processors for everything that a worker starts, summed up.

Where the kernel and the user allow it, each worker gets a group of its own (cgroup v2 with delegated controllers, or the
controllers of v1); elsewhere the limits of each process remain, and `state` says why. A group is made when its worker starts
and removed when it is closed; what a killed judge has left is removed by the next one.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from codeenv.sandbox.units import Unit

__all__ = ["Group", "Places", "find_places", "open_group", "places", "state", "sweep"]

PIDS = 192
"""Processes and threads of one worker: 64 of a submission, 64 of test code, and the worker's own."""
CPU_QUOTA_US, CPU_PERIOD_US = 400_000, 100_000
"""A worker may use four processors on average: submission, test code, and threads of both."""
_UNLIMITED = 1 << 60
_SPARE_BYTES = 512 << 20
_STREAMS = 6  # files in memory that hold a test's input and output
_PREFIX = "codeenv-"
_numbers = itertools.count()


@dataclass(frozen=True)
class Places:
    """Where groups can be made: the folder of each controller (one and the same in v2); without folders, `reason` says why.

    Attributes:
        version: 1, 2, or 0 for none.
        folders: controller (memory, pids, cpu) to the folder in which groups can be made.
        reason: why there are none.
    """

    version: int = 0
    folders: tuple[tuple[str, Path], ...] = ()
    reason: str = ""


class Group:
    """The control group of one worker."""

    def __init__(self, version: int, folders: dict[str, Path]) -> None:
        self.folders = folders
        self._version = version
        self._memory = 0

    def add(self, pid: int) -> None:
        """Put a process into the group; what it starts from then on is in it too.

        Raises:
            OSError: the kernel refuses.
        """
        for folder in dict.fromkeys(self.folders.values()):
            _write(folder / "cgroup.procs", str(pid))

    def allow(self, units: list[Unit], base_memory: int = 0) -> None:
        """Set the memory of the group to what units may need: never less than the limits of their processes."""
        need = max((_needed(unit) for unit in units), default=0) + base_memory + _SPARE_BYTES
        if need <= self._memory <= 2 * need or "memory" not in self.folders:
            return
        with contextlib.suppress(OSError):
            _limit_memory(self.folders["memory"], self._version, need)
            self._memory = need

    def remove(self) -> None:
        """End what is left in the group and remove it."""
        _remove(list(dict.fromkeys(self.folders.values())))


def open_group(pid: int) -> Group | None:
    """Return a new group with a process in it and limits on processes and processors, or `None` where none can be had."""
    found = places()
    if not found.version:
        return None
    name = f"{_PREFIX}{_namespace()}-{os.getpid()}-{_started(os.getpid())}-{next(_numbers)}"
    folders: dict[str, Path] = {}
    try:
        for controller, parent in found.folders:
            folder = parent / name
            if folder not in folders.values():
                folder.mkdir()
            folders[controller] = folder
        if "pids" in folders:
            _write(folders["pids"] / "pids.max", str(PIDS))
        if "cpu" in folders and found.version == 2:
            _write(folders["cpu"] / "cpu.max", f"{CPU_QUOTA_US} {CPU_PERIOD_US}")
        elif "cpu" in folders:
            _write(folders["cpu"] / "cpu.cfs_period_us", str(CPU_PERIOD_US))
            _write(folders["cpu"] / "cpu.cfs_quota_us", str(CPU_QUOTA_US))
        group = Group(found.version, folders)
        group.add(pid)
    except OSError:
        _remove(list(dict.fromkeys(folders.values())))
        return None
    return group


@lru_cache(maxsize=1)
def places() -> Places:
    """Return where this process can make groups, found and tried once; removes what killed judges have left there."""
    found = find_places()
    for folder in dict.fromkeys(folder for _, folder in found.folders):
        sweep(folder)
    return found


def state() -> str:
    """Return in words whether limits by control groups are in force here."""
    found = places()
    if not found.version:
        return f"not in force: {found.reason}; limits of each process remain"
    names = ", ".join(controller for controller, _ in found.folders)
    return f"in force: {names} (cgroup v{found.version})"


def find_places(mounts: str = "/proc/self/mountinfo", own: str = "/proc/self/cgroup") -> Places:
    """Find where groups can be made, by making one in each place."""
    try:
        hierarchies = [line.split(":", 2) for line in Path(own).read_text("utf-8").splitlines()]
        roots = _mounted(Path(mounts).read_text("utf-8"))
    except (OSError, ValueError):
        return Places(reason="/proc cannot be read")
    paths = {name: path for _, names, path in hierarchies for name in (names.split(",") if names else [""])}
    if "" in roots and "" in paths:
        folder = _second_version(roots[""], paths[""])
        if folder is not None:
            names = (folder / "cgroup.subtree_control").read_text("ascii").split()
            return Places(2, tuple((name, folder) for name in ("memory", "pids", "cpu") if name in names))
    found = []
    for name in ("memory", "pids", "cpu"):
        if name in roots and name in paths:
            folder = _inside(roots[name], paths[name])
            if folder is not None and _can_make(folder):
                found.append((name, folder))
    if {"memory", "pids"} <= {name for name, _ in found}:
        return Places(1, tuple(found))
    if not roots:
        return Places(reason="no control groups are mounted")
    return Places(reason="no group with limits on memory and processes can be made by this user (delegate the controllers to it)")


def sweep(folder: Path) -> None:
    """Remove the groups of judges that are gone, and end what runs in them."""
    with contextlib.suppress(OSError):
        for left in folder.glob(f"{_PREFIX}*"):
            parts = left.name[len(_PREFIX) :].split("-")
            if len(parts) != 4 or parts[0] != _namespace() or not parts[1].isdecimal():
                continue
            if _started(int(parts[1])) != parts[2]:
                _remove([left])


def _needed(unit: Unit) -> int:
    if unit.memory <= 0:
        return _UNLIMITED
    tester = max(unit.memory, 1 << 30) + max(unit.output, 1 << 24) if unit.kind.startswith("code") else 0
    if unit.kind == "compile":  # the processes of a compiler and their files
        tester = 2 * unit.memory + (1 << 30)
    return unit.memory + tester + _STREAMS * unit.output + sum(map(len, unit.tests))


def _limit_memory(folder: Path, version: int, size: int) -> None:
    text = str(size) if size < _UNLIMITED else "max" if version == 2 else "-1"
    if version == 2:
        _write(folder / "memory.max", text)
        with contextlib.suppress(OSError):  # no swap accounting
            _write(folder / "memory.swap.max", "0")
        return
    both = folder / "memory.memsw.limit_in_bytes"
    names = [folder / "memory.limit_in_bytes", *([both] if both.exists() else [])]
    try:
        for path in names:
            _write(path, text)
    except OSError:  # the limit with swap is never below that without: the order depends on which way they go
        for path in reversed(names):
            _write(path, text)


def _mounted(text: str) -> dict[str, tuple[str, Path]]:
    """Return for each mounted controller ("" for v2) the group at the mount's root, and the folder."""
    found: dict[str, tuple[str, Path]] = {}
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        before, after = left.split(), right.split()
        if len(before) < 6 or len(after) < 3 or after[0] not in ("cgroup", "cgroup2"):
            continue
        root, folder = before[3], Path(before[4].encode().decode("unicode_escape"))
        for name in [""] if after[0] == "cgroup2" else after[2].split(","):
            found.setdefault(name, (root, folder))
    return found


def _inside(mounted: tuple[str, Path], path: str) -> Path | None:
    """Return the folder of a group below a mount; the mount's folder if the group lies outside of what is mounted."""
    root, folder = mounted
    path = path.removeprefix(root if root != "/" else "")
    inner = folder / path.lstrip("/")
    chosen = inner if inner.is_dir() else folder
    return chosen if chosen.is_dir() else None


def _second_version(mounted: tuple[str, Path], path: str) -> Path | None:
    """Return the nearest folder, from this process's own group upwards, below which limits on memory and processes work."""
    top = mounted[1]
    folder = _inside(mounted, path)
    while folder is not None:
        with contextlib.suppress(OSError):
            offered = (folder / "cgroup.controllers").read_text("ascii").split()
            if {"memory", "pids"} <= set(offered):
                wanted = [name for name in ("memory", "pids", "cpu") if name in offered]
                missing = set(wanted) - set((folder / "cgroup.subtree_control").read_text("ascii").split())
                if (not missing or _enabled(folder, wanted)) and _can_make(folder):
                    return folder
        if folder == top or top not in folder.parents:
            return None
        folder = folder.parent
    return None


def _enabled(folder: Path, names: Sequence[str]) -> bool:
    """Try to enable controllers below a folder; the kernel refuses where processes are in the group itself."""
    try:
        _write(folder / "cgroup.subtree_control", " ".join(f"+{name}" for name in names))
    except OSError:
        return False
    return True


def _can_make(folder: Path) -> bool:
    trial = folder / f"{_PREFIX}{_namespace()}-{os.getpid()}-{_started(os.getpid())}-trial{next(_numbers)}"
    try:
        trial.mkdir()
        usable = os.access(trial / "cgroup.procs", os.W_OK)
        trial.rmdir()
    except OSError:
        return False
    return usable


def _remove(folders: list[Path]) -> None:
    """Remove groups; a process that is still in one is killed, and its end waited for, for a second."""
    for folder in folders:
        for attempt in range(20):
            try:
                folder.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                with contextlib.suppress(OSError, ValueError):
                    for pid in (folder / "cgroup.procs").read_text("ascii").split():
                        os.kill(int(pid), signal.SIGKILL)
                time.sleep(0.002 * 2 ** min(attempt, 5))


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="ascii") as file:
        file.write(text)


def _namespace() -> str:
    """Return the number of this process namespace: the pids in the names of groups count in it alone."""
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    return "0"


def _started(pid: int) -> str:
    """Return when a process started, in the kernel's ticks; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
