"""The worker program for other languages: it compiles in one world, and runs what was compiled in another, by `execve`.

The walls are those of `namespaces`. The root holds what the world names (a toolchain, a runtime, or nothing) and a scratch
folder of limited size, which is empty and writable for a compiler, and read-only for a submission. This process never runs a
submission; each child limits itself, gives up its powers, loads its filter, and becomes the program.

    compile   the tests are the source files, named in the entry; the run's value is the artifact
    stdio     the source is an artifact; each test is the text of standard input
    validate  as stdio; each test is a bundle of files for the scratch folder and the text of standard input, and the run's
              value is when it ended and the files of the folder `feedback`
    piped     as validate, for one test; the streams are two pipes that follow the request
"""

from __future__ import annotations

import io
import marshal
import os
import resource
import signal
import socket
import stat
import struct
import time
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from . import child, exec_filters, memory, namespaces, seccomp, syscalls, zygote

SCRATCH = "/tmp"
CRASH_DELAY_S = 0.1
"""Seconds that the judge's side of a conversation does not know of a crash: by that much they tell who ended first."""
_SHOWN = 1 << 16
_FEEDBACK = "feedback"
_UNLIMITED = resource.RLIM_INFINITY


def confine(world: dict[str, Any], control: int, request: int, reply: int, say: Callable[[dict[str, Any]], None]) -> NoReturn:
    """Build the world around this process and serve requests."""
    namespaces.build_root(world["folders"], [], [])
    size = f"size={world['scratch_mb']}m,nr_inodes=16384,mode=755"
    namespaces.mount("none", SCRATCH, "tmpfs", namespaces.NOSUID | namespaces.NODEV, size)
    for name, value in (("NPROC", world["processes"]), ("NOFILE", 256), ("CORE", 0), ("MEMLOCK", 0), ("MSGQUEUE", 0)):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    os.chdir(SCRATCH)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    worker = Worker(control, request, reply, world)
    memory.settle()
    say({"pid": os.getpid(), "python": "", "address_space": 0})
    worker.serve()


class Worker(zygote.Zygote):
    """The loop over units; watching, limits of time and the reply are the zygote's."""

    def __init__(self, control: int, request: int, reply: int, world: dict[str, Any]) -> None:
        arch = syscalls.machine()
        shared = world["shared_memory"]
        code = exec_filters.compile_filter(arch) if world["compiles"] else exec_filters.run_filter(arch, shared)
        super().__init__(control, request, reply, seccomp.Filter(arch, *code), True)
        self.judging_filter = seccomp.Filter(arch, *exec_filters.run_filter(arch, shared, True))
        self.world = world
        self.socket = socket.socket(fileno=os.dup(control))

    def _unit(self, number: int, unit: tuple[Any, ...]) -> None:
        kind, source, entry, cpu_s, memory, output, tests, _ = unit
        job = child.Job(source, entry, cpu_s, memory, output)
        job.tests = tests
        job.request_fd = self.request
        _empty(self.code)
        self._writable(True)
        _wipe(SCRATCH)
        if kind == "compile":
            self._compile(number, job)
            return
        os.pwrite(self.code, b"1", 0)  # an artifact has been compiled
        if kind == "stdio":
            self._place(job, lock=True)
        for index, place in enumerate(tests):
            _empty(self.value)
            pipes: list[int] = []
            if kind == "stdio":
                self._fill(self.stdin, *place)
            else:
                given = self._unpack(job, place)
                if kind == "validate":
                    _empty(self.stdin)
                    _put(self.stdin, given)
                else:
                    pipes = list(socket.recv_fds(self.socket, 1, 2)[1])
            self._one(number, index, job, pipes)

    def _unpack(self, job: child.Job, place: tuple[int, int]) -> bytes:
        """Put a program and its files into the scratch folder, locked if there are none; return what it is to read."""
        files, given = marshal.loads(child.read(job, place))
        self._writable(True)
        _wipe(SCRATCH)
        self._place(job, lock=False)
        for name, data in files.items():
            _write(os.path.join(SCRATCH, name), data)
        if files:
            os.makedirs(os.path.join(SCRATCH, _FEEDBACK), exist_ok=True)
        else:
            self._writable(False)
        return bytes(given)

    def _compile(self, number: int, job: child.Job) -> None:
        sources, _, others = job.entry.partition("\n\n")
        names = sources.split("\n")
        for name, place in zip([*names, *others.split("\n")], job.tests):
            _write(os.path.join(SCRATCH, name), child.read(job, place))
        for name, text in self.world["files"]:
            _write(os.path.join(SCRATCH, name), text.encode())
        for file in (self.stdin, self.stdout, self.stderr, self.value):
            _empty(file)
        started = time.monotonic()
        ended: Any = None
        for command in self.world["commands"]:
            words = [word for part in command for word in (names if part == "{files}" else [part])]
            run = partial(self._become, job, words)
            begun = time.monotonic()
            pid = self._fork([self.stdin, self.stdout, self.stderr], run)
            ended = self._watch(pid, 2 * job.cpu_s, False, begun)  # a driver sleeps while its compiler works
            if ended[:2] != (zygote.EXITED, 0):
                break
        artifact = self._artifact(names, job.output) if ended[:2] == (zygote.EXITED, 0) else b""
        if artifact:
            _put(self.value, artifact)
            os.pwrite(self.code, b"1", 0)
        for file in (self.stdout, self.stderr):
            os.ftruncate(file, min(os.fstat(file).st_size, _SHOWN))
        self._append(number, 0, job, ended, time.monotonic() - started)
        _wipe(SCRATCH)

    def _artifact(self, names: list[str], most: int) -> bytes:
        """Return what the compiler made: one file, or for `*.class` an archive of all of them."""
        wanted = self.world["artifact"].replace("{source}", names[0])
        if not wanted.startswith("*"):
            return _read(os.path.join(SCRATCH, wanted), most)
        found = {}
        for folder, _, files in os.walk(SCRATCH):
            for name in files:
                path = os.path.join(folder, name)
                if name.endswith(wanted[1:]):
                    found[os.path.relpath(path, SCRATCH)] = _read(path, most)
        if not found:
            return b""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            manifest = f"Manifest-Version: 1.0\nMain-Class: {_main_class(found)}\n"
            archive.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF"), manifest)
            for name, data in sorted(found.items()):
                archive.writestr(zipfile.ZipInfo(name), data)
        return buffer.getvalue()

    def _place(self, job: child.Job, lock: bool) -> None:
        path = os.path.join(SCRATCH, self.world["artifact_name"].replace("{flags}", job.entry.partition("\n")[0]))
        _write(path, child.read(job, job.source), 0o555)
        if lock:
            self._writable(False)

    def _one(self, number: int, index: int, job: child.Job, pipes: list[int]) -> None:
        """Run the program once; over pipes, waiting for the other end is not sleeping."""
        for file in (self.stdout, self.stderr):
            _empty(file)
        started = time.monotonic()
        memory = str((job.memory >> 20) - self.world["own_mb"])
        flags = job.entry.split("\n") if job.entry else []
        command = [word.replace("{memory}", memory) for word in self.world["commands"][0]]
        words = [part for word in command for part in (flags if word == "{flags}" else [word])]
        conversation = bool(pipes)
        pid = self._fork([*(pipes or [self.stdin, self.stdout]), self.stderr], partial(self._become, job, words))
        if pipes and _judging():
            os.close(pipes.pop())  # the end of its words is for itself to say
        ended = self._watch(pid, 2 * job.cpu_s + 1 if conversation else job.cpu_s, False, started)
        when = time.monotonic()
        if pipes and not _judging() and ended[:2] != (zygote.EXITED, 0):
            time.sleep(CRASH_DELAY_S)
        for file in pipes:  # only now the other side can learn of it, so that the two times tell who ended first
            os.close(file)
        if conversation and ended[2].ru_utime + ended[2].ru_stime > job.cpu_s:
            ended = zygote.CPU_LIMIT, ended[1], ended[2]
        feedback = os.path.join(SCRATCH, _FEEDBACK)
        left = {}
        if os.path.isdir(feedback):
            left = {name: _read(os.path.join(feedback, name), job.output) for name in sorted(os.listdir(feedback))[:64]}
        _put(self.value, marshal.dumps((when, left), 2))
        self._append(number, index, job, ended, time.monotonic() - started)

    def _become(self, job: child.Job, words: list[str]) -> NoReturn:
        """Limit this process, take its powers away, and become the program."""
        world = self.world
        try:
            os.closerange(3, 1 << 16)
            judging = _judging()  # what judges outlives the end of whom it talks with
            for number in (signal.SIGXFSZ, signal.SIGINT, *([] if judging else [signal.SIGPIPE])):
                signal.signal(number, signal.SIG_DFL)
            namespaces.drop_capabilities()
            syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
            seconds = int(job.cpu_s) + 1
            limits = [("CPU", seconds), ("FSIZE", job.output + 1), ("STACK", world["stack"] or min(job.memory, 1 << 28))]
            limits.append(("AS" if world["address_space"] else "DATA", job.memory + world["slack"]))
            environment = {"LANG": "C.UTF-8", "HOME": SCRATCH, "TMPDIR": SCRATCH, **world["environment"]}
            (self.judging_filter if judging else self.filter).load(os.getpid())
            for name, value in limits:
                number = getattr(resource, f"RLIMIT_{name}")
                hard = resource.getrlimit(number)[1]
                value = value if hard == _UNLIMITED else min(value, hard)
                resource.setrlimit(number, (value, value))
            os.execve(words[0], words, environment)
        except BaseException as error:
            os.write(2, f"the program cannot be started: {type(error).__name__}: {error}".encode())
        finally:
            os._exit(70)

    def _writable(self, yes: bool) -> None:
        """Open or close the scratch folder for writing."""
        flags = namespaces.REMOUNT | namespaces.BIND | namespaces.NOSUID | namespaces.NODEV
        namespaces.mount(None, SCRATCH, None, flags | (0 if yes else namespaces.RDONLY))


def _judging() -> bool:
    """Whether the program that is placed judges another: only such a one has a folder for feedback."""
    return os.path.isdir(os.path.join(SCRATCH, _FEEDBACK))


def _main_class(found: dict[str, bytes]) -> str:
    """Return the name of the class that holds `public static void main(String[])`: `Main` or `Solution` before others."""
    mark = b"\x00\x04main"
    kind = struct.pack(">BH", 1, 22) + b"([Ljava/lang/String;)V"
    names = [
        name.removesuffix(".class").replace("/", ".") for name, data in sorted(found.items()) if mark in data and kind in data
    ]
    for wanted in ("Main", "Solution", *[name for name in names if "$" not in name], *names):
        if wanted in names:
            return wanted
    return "Main"


def _read(path: str, most: int) -> bytes:
    """Return the beginning of a regular file; nothing of anything else."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return b""
        parts = []
        while most > 0:
            part = os.read(file, min(most, 1 << 20))
            if not part:
                break
            parts.append(part)
            most -= len(part)
        return b"".join(parts)
    finally:
        os.close(file)


def _write(path: str, data: bytes, mode: int = 0o444) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o700)
    try:
        _put(file, data)
        os.fchmod(file, mode)
    finally:
        os.close(file)


def _put(file: int, data: bytes) -> None:
    position = 0
    while position < len(data):
        position += os.pwrite(file, data[position:], position)


def _empty(file: int) -> None:
    os.ftruncate(file, 0)
    os.lseek(file, 0, 0)


def _wipe(folder: str) -> None:
    """Remove everything in a folder, following no link."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, 0o700)
            _wipe(entry.path)
            os.rmdir(entry.path)
        else:
            os.unlink(entry.path)
