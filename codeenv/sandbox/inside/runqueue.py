"""How long programs have waited for a processor: what wall time is their own, and what the machine's.

A program's own time is the wall time that has passed, less what it spent ready to run while others had the processors. It is
computing or sleeping in it, and it may have its time limit of it and a little more, however busy the machine is. The kernel
counts the waiting in `/proc/PID/schedstat`, which the worker cannot reach from behind its walls: its guard outside reads it.
"""

from __future__ import annotations

import ctypes
import os
import struct

from .syscalls import libc

__all__ = ["PLACE", "Patience", "Waiting", "answer", "load", "waiting"]

SLACK_S = 1.25
"""Seconds of its own that a program may have beyond its limit: starting, ending, and the clocks' disagreement."""

PLACE = {"guard": -1}
"""Where the worker reaches its guard: a descriptor, or -1."""
_ASK = struct.Struct("<i")
_TOLD = struct.Struct("<d")
_TASKS = 256
_found: dict[int, list[int]] = {}


def load() -> float:
    """Return the machine's load average of the last minute."""
    return _SYSTEM[1] / 65536 if libc.sysinfo(_SYSTEM) == 0 else 1.0


_SYSTEM = (ctypes.c_ulong * 32)()


def waiting() -> Waiting:
    """Return what asks this worker's guard; without a guard, what looks into this process's own /proc, as in a container."""
    if PLACE["guard"] >= 0:
        return Waiting(PLACE["guard"], -1)
    try:
        return Waiting(-1, os.open("/proc", os.O_RDONLY | os.O_DIRECTORY))
    except OSError:
        return Waiting(-1, -1)


class Waiting:
    """Says how long the children of this process have waited."""

    def __init__(self, guard: int, proc: int) -> None:
        """`guard` is a socket to the guard, `proc` the folder /proc; -1 for none."""
        self._fd = guard
        self._proc = proc

    def seconds(self, pid: int) -> float:
        """Return the seconds that the tasks of the child `pid`, and of what it started, have waited; -1 if that is not known."""
        if self._fd < 0:
            return _waited(self._proc, [pid]) if self._proc >= 0 else -1.0
        try:
            os.write(self._fd, _ASK.pack(pid))
            return float(_TOLD.unpack(os.read(self._fd, _TOLD.size))[0])
        except (OSError, struct.error):
            self._fd = -1
            return -1.0


class Patience:
    """How long one child may last by the wall."""

    def __init__(self, waiting: Waiting, pid: int, limit_s: float, now: float, unknown_s: float) -> None:
        """`unknown_s`: seconds that it may last where its waiting is not known."""
        self._waiting = waiting
        self._pid = pid
        self._most = limit_s + SLACK_S
        self._unknown = unknown_s
        self.restart(now)

    def restart(self, now: float) -> None:
        """Give it its time anew: it has gone on to another test."""
        self._since = now
        self._before = -1.0

    def over(self, now: float, cpu_s: float) -> bool:
        """Say whether it has had its time. `cpu_s`: what it has computed since it got it."""
        elapsed = now - self._since
        if elapsed <= self._most:
            return False
        waited = self._waiting.seconds(self._pid)
        if waited < 0:
            return elapsed > self._unknown
        if self._before < 0:  # how much of the waiting came before is not known: as little as can be
            self._before = max(0.0, waited - max(0.0, elapsed - cpu_s))
        return elapsed - (waited - self._before) > self._most


def answer(fd: int, proc: int, worker: int) -> bool:
    """Answer one question of a worker from outside; `proc` is the folder /proc. False if the worker is gone."""
    asked = os.read(fd, _ASK.size)
    if len(asked) < _ASK.size:
        return False
    token = _ASK.unpack(asked)[0]
    tasks = _found.get(token)
    total = _waited(proc, tasks) if tasks else -1.0
    if total < 0:
        _found.clear()
        tasks = _found[token] = _below(proc, worker)
        total = _waited(proc, tasks) if tasks else -1.0
    os.write(fd, _TOLD.pack(total))
    return True


def _waited(proc: int, processes: list[int]) -> float:
    """Return the seconds that all tasks of processes have waited, or -1 if one is gone."""
    total = 0
    for process in processes:
        try:
            folder = os.open(f"{process}/task", os.O_RDONLY, dir_fd=proc)
            try:
                for task in os.listdir(folder)[:_TASKS]:
                    total += int(_text(f"{task}/schedstat", folder).split()[1])
            finally:
                os.close(folder)
        except (OSError, ValueError, IndexError):
            return -1.0
    return total / 1e9


def _below(proc: int, worker: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    parents: dict[int, int] = {}
    for name in os.listdir(proc):
        if name.isdecimal():
            try:
                parents[int(name)] = int(_text(f"{name}/stat", proc).rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
    found = [worker]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process and child not in found][:_TASKS]
    return found[1:_TASKS]


def _text(path: str, folder: int) -> str:
    file = os.open(path, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(file, 4096).decode("ascii", "replace")
    finally:
        os.close(file)
