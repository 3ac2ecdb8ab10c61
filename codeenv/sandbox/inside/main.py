"""The worker program: build the walls of the asked-for level, warm up, and serve.

Started as `python -c "..." CONTROL REQUEST REPLY JUDGE_PID`; the configuration is the first message on the control socket.
The first process stays outside as a guard: it ends the worker when the judge's process ends, in whatever way.
"""

from __future__ import annotations

import _sitebuiltins
import builtins
import importlib
import marshal
import os
import resource
import select
import signal
import struct
import sys
from typing import Any, NoReturn

from . import landlock, memory, namespaces, rehearsal, runqueue, seccomp, syscalls, traced, zygote

_CONTROL, _REQUEST, _REPLY, _GUARD = 100, 101, 102, 103
KILLED = 99
"""Exit status of the guard of a worker that was killed."""


def main(arguments: list[str]) -> NoReturn:
    """Run the worker; never returns."""
    control, request, reply, judge = map(int, arguments)
    take_places(control, request, reply)
    length = struct.unpack("<I", _exactly(4))[0]
    config: dict[str, Any] = marshal.loads(_exactly(length))
    try:
        if "world" in config:  # programs of other languages; imported while its file can still be reached
            from . import native
        _stack_for_recursion()
        ours, theirs = syscalls.socketpair()
        proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        if config["level"] == "namespaces":
            namespaces.enter()
        pid = os.fork()
        if pid:
            _guard(pid, judge, theirs, proc)
        os.dup2(ours, _GUARD, inheritable=False)
        os.closerange(3, _CONTROL)
        runqueue.PLACE["guard"] = _GUARD
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    except BaseException as error:
        _fail(error)
    if "world" in config:
        try:
            native.confine(config["world"], _CONTROL, _REQUEST, _REPLY, _say)
        except BaseException as error:
            _fail(error)
    confine(config)


def take_places(control: int, request: int, reply: int) -> None:
    """Move the three descriptors of a worker to their places and close all others but the standard streams."""
    given = control, request, reply
    spare = [number for number in range(_REPLY + 1, _REPLY + 7) if number not in given]
    for file, number in zip(given, spare):  # one may have come in the place of another
        os.dup2(file, number)
    for file, number in zip(spare, (_CONTROL, _REQUEST, _REPLY)):
        os.dup2(file, number)
    os.closerange(3, _CONTROL)
    os.closerange(_REPLY + 1, 1 << 16)


def confine(config: dict[str, Any]) -> NoReturn:
    """Build the walls around this process and serve requests; says why if that fails."""
    try:
        _confine(config)
    except BaseException as error:
        _fail(error)


def _fail(error: BaseException) -> NoReturn:
    _say({"error": str(error.strerror or error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"})
    os._exit(1)


def _stack_for_recursion() -> None:
    """Allow a deep main stack, as contest machines do."""
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = 1 << 30
    resource.setrlimit(resource.RLIMIT_STACK, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _guard(pid: int, judge: int, asked: int, proc: int) -> NoReturn:
    """Wait until the worker ends, or end it when the judge's process has ended; say how long its programs waited when asked."""
    os.dup2(asked, 0)
    os.dup2(proc, 1)
    os.closerange(2, 1 << 16)
    poll = select.poll()
    worker = os.pidfd_open(pid)
    poll.register(worker, select.POLLIN)
    poll.register(0, select.POLLIN)
    try:
        poll.register(os.pidfd_open(judge), select.POLLIN)
        while (ready := [file for file, _ in poll.poll()]) == [0]:
            if not runqueue.answer(0, 1, pid):
                poll.unregister(0)
        if worker not in ready:
            os.kill(pid, signal.SIGKILL)
    except OSError:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os._exit(KILLED if os.WIFSIGNALED(status) else 0)


def _confine(config: dict[str, Any]) -> NoReturn:
    level = config["level"]
    for name in config["modules"]:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    recorder = traced.load(config["tracing"]) if config["tracing"] else None
    base = _address_space()
    stdlib = os.path.dirname(os.path.realpath(os.__file__))
    sys.path[:] = [path for path in sys.path if os.path.isdir(path) and not path.endswith(("site-packages", "dist-packages"))]
    _build_walls(level, stdlib, config["packages"])
    sys.path += [config["path"]] if config.get("path") else []
    for name, value in (("NPROC", 64), ("NOFILE", 128), ("CORE", 0), ("MEMLOCK", 0), ("MSGQUEUE", 0)):
        number = getattr(resource, f"RLIMIT_{name}", None)
        if number is not None and not (name == "NPROC" and level != "namespaces"):  # elsewhere it counts the processes of others
            try:
                resource.setrlimit(number, (value, value))
            except ValueError:  # gVisor refuses this one; no message queue gets through the filter
                if name != "MSGQUEUE":
                    raise
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update({"LANG": "C.UTF-8", "HOME": "/tmp", "PATH": "/nowhere", **config["environment"]})
    builtins.exit, builtins.quit = _sitebuiltins.Quitter("exit", ""), _sitebuiltins.Quitter("quit", "")  # as `site` does
    sys.argv = ["solution.py"]
    sys.executable = ""
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # type: ignore[misc]
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    filtered = level != "rlimits"
    arch = syscalls.machine()
    extra = seccomp.Filter(arch, *seccomp.child_filter(arch)) if filtered else None
    worker = zygote.Zygote(_CONTROL, _REQUEST, _REPLY, extra, level == "namespaces", recorder)
    if filtered:
        seccomp.Filter(arch, seccomp.worker_filter(arch)).load()
    _warm_up(worker)
    _say({"pid": os.getpid(), "python": sys.version.split()[0], "address_space": base})
    worker.serve()


def _build_walls(level: str, stdlib: str, packages: list[tuple[str, str]]) -> None:
    if level not in ("namespaces", "landlock", "rlimits", "container"):
        raise ValueError(f"no walls are known for the level {level!r}")
    folders, hidden = namespaces.library_folders(stdlib)
    if level == "namespaces":
        namespaces.build_root(folders, hidden, packages)
        sys.path.append("/packages")
        namespaces.drop_capabilities()
        return
    sites = sorted({os.path.dirname(source) for source, _ in packages})
    sys.path += sites
    if level in ("rlimits", "container"):  # the walls of a container are the engine's
        return
    if os.geteuid() == 0:
        landlock.leave_root(folders)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    readable, listable = landlock.readable_parts(folders, hidden)
    devices = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"]
    landlock.restrict(readable + [source for source, _ in packages], listable + sites, devices)
    if os.geteuid() == 0:
        namespaces.drop_capabilities()


def _warm_up(worker: zygote.Zygote) -> None:
    """Do here once what every child would do, and hide what submissions must not find."""
    rehearsal.rehearse(worker.other, worker.value, worker.code, worker.board, worker.outcomes)
    for name in [name for name in sys.modules if name.split(".")[0] == "inside"]:
        del sys.modules[name]  # a submission that imports a module of such a name must not find ours
    random = sys.modules.get("random")
    if random is not None:
        random.seed(0)
    memory.settle()


def _address_space() -> int:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 64 << 20


def _exactly(count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = os.read(_CONTROL, count - len(data))
        if not part:
            os._exit(0)
        data += part
    return data


def _say(words: dict[str, Any]) -> None:
    data = marshal.dumps(words, 2)
    os.write(_CONTROL, struct.pack("<I", len(data)) + data)
