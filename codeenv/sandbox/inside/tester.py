"""A warm tester: one process that runs the test code of several submissions, one after another, so that each costs one fork less.

Test code is trusted, submissions are not: the tester holds only proxies of them (see `calls`) and has a connection of its own
to each, so nothing that one left in a socket is read as another one's words. It serves again only if it is as it was: what
a test may change is looked at after each, and a tester that differs ends. The worker replaces it after any verdict but a
plain one, a time-out, a signal, and a number of uses.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread
import atexit
import builtins
import gc
import os
import resource
import select
import struct
import sys
import time
from collections.abc import Callable
from marshal import dumps, loads
from typing import Any, NoReturn

from . import calls, child, files
from .proxies import Remote
from .syscalls import socketpair
from .testcode import Compiler

USES = 44
"""Submissions that one tester serves, and connections that are made for it beforehand."""
_GROWTH_KB = 64 << 10
_TEXT, _INDEX, _STORE = 5, 6, 7
_CONTROL = calls.SOCKET_FD
_LENGTH = struct.Struct("<I")
_PLAIN = "PAEG"
"""Outcomes after which a tester may serve again: passed, a failed assertion, an error of the submission, its end."""
_TABLES = ("posix", "socket", "errno", "inside")
"""Modules of the interpreter's own that are not looked at, as those with an underscore: nothing that a test would replace."""
_LIMITS = tuple(getattr(resource, f"RLIMIT_{name}") for name in ("AS", "CPU", "FSIZE", "NOFILE", "STACK", "DATA", "CORE"))


class Tester:
    """The worker's end of a tester; `pid` is 0 while there is none."""

    def __init__(self) -> None:
        self.pid = 0
        self.control = -1
        self.value, self._nothing, self._printed, self._text, self._index, self._store = (
            os.memfd_create(name, os.MFD_CLOEXEC) for name in ("tested", "nothing", "printed", "text", "index", "store")
        )
        self.compiler = Compiler(self._index, self._store)
        self._ends: list[int] = []
        self._made_for: tuple[Any, ...] = ()

    def ready(self, job: child.Job, memory: int, output: int, fork: Callable[[list[int], Callable[[], NoReturn]], int]) -> int:
        """Have a tester with these limits; return the submission's end of the next connection."""
        if self._made_for != (job.cpu_s, memory, output) or not self._ends:
            self.end()
        if not self.pid:
            self._made_for = job.cpu_s, memory, output
            ours, theirs = socketpair()
            pairs = [socketpair() for _ in range(USES)]
            keep = [pair[1] for pair in pairs]
            limits = child.Job((0, 0), "", 10 * job.cpu_s * USES, memory, output)
            limits.filter = job.filter
            streams = [self._nothing, self._printed, self._printed, self.value, theirs, self._text, self._index, self._store]
            self.pid = fork(streams, lambda: _serve(limits, keep))
            self.control = ours
            self._ends = [pair[0] for pair in reversed(pairs)]
            for file in (theirs, *keep):
                os.close(file)
        return self._ends.pop()

    def ask(self, request: int, prelude: tuple[int, int], test: tuple[int, int], entry: str) -> None:
        """Have the next connection's submission tested."""
        files.empty(self._text)
        for offset, length in (prelude, test):
            files.copy(self._text, request, offset, length)
        message = dumps((entry, prelude[1], test[1]), 2)
        try:
            os.write(self.control, _LENGTH.pack(len(message)) + message)
        except OSError:  # it has ended; whoever waits for its answer sees that
            return

    def answered(self, seconds: float) -> bool | None:
        """Wait for the end of a test: whether the tester is still as it was, or `None` if the test goes on."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return None
        return os.read(self.control, 1) == b"K"

    def cpu_s(self) -> float:
        """CPU seconds of the tester so far."""
        try:
            return time.clock_gettime((~self.pid << 3) | 2) if self.pid else 0.0
        except OSError:
            return 0.0

    def end(self) -> Any:
        """End the tester, if there is one; return its status and resource usage."""
        if not self.pid:
            return None
        try:
            os.kill(self.pid, _signal.SIGKILL)
        except ProcessLookupError:
            pass
        _, status, usage = os.wait4(self.pid, 0)
        self.gone()
        return status, usage

    def gone(self) -> None:
        """Forget a tester that has ended and has been waited for."""
        for file in (self.control, *self._ends):
            os.close(file)
        self.pid, self.control, self._ends = 0, -1, []


def _serve(limits: child.Job, connections: list[int]) -> NoReturn:
    """Answer the worker until it goes away, or until a test has changed this process."""
    if limits.filter is not None:
        os.setpgid(0, 0)  # so that the worker can tell it from what a submission might leave behind
    child.limit(limits)
    limits.last = max(connections)
    open_files = [_STORE, *sorted(connections)]
    for place, file in enumerate(open_files[1:]):
        os.closerange(open_files[place] + 1, file)
    child.seal(limits)
    random = sys.modules.get("random")
    start = random.getstate() if random is not None else None
    compiler = Compiler(_INDEX, _STORE)
    state = _State()

    def code_of(text: str, name: str) -> Any:
        code = compiler.compiled(text, name)
        if compiler.loud:
            state.remember()
        return code

    gc.collect()
    gc.freeze()
    for connection in connections:
        entry, starter, test = _question()
        text = os.pread(_TEXT, starter + test, 0)
        job = child.Job((0, 0), entry, 0.0, 0, 0)
        compiler.loud = False
        texts = text[:starter].decode("utf-8"), text[starter:].decode("utf-8")
        letter, words = calls.tested(job, connection, *texts, code_of)
        for name in ("tests", "solution"):
            sys.modules.pop(name, None)
        child.record(letter, words)
        job.module = None
        same = letter in _PLAIN and _emptied(compiler.loud) and state.same(compiler.loud)
        if same and random is not None:
            random.setstate(start)
        os.write(_CONTROL, b"K" if same else b"E")
        if not same:
            break
    os._exit(0)


def _question() -> tuple[str, int, int]:
    data = b""
    wanted = _LENGTH.size
    while len(data) < wanted:
        part = os.read(_CONTROL, wanted - len(data))
        if not part:
            os._exit(0)
        data += part
        if len(data) == _LENGTH.size:
            wanted += _LENGTH.unpack(data)[0]
    return loads(data[_LENGTH.size :])  # type: ignore[no-any-return]


def _emptied(loud: bool) -> bool:
    """Drop what the last test left: garbage, and what it printed. Says whether that can be done."""
    try:
        if loud:
            gc.collect()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        if os.lseek(1, 0, os.SEEK_END):
            os.ftruncate(1, 0)
            os.lseek(1, 0, 0)
    except BaseException:
        return False
    return True


class _State:
    """What test code may change in its process, as it was before the first test.

    Most of it is noted before the first loud code runs, and not sooner: each object that is noted is a page of memory to copy.
    """

    def __init__(self) -> None:
        self._modules = dict(sys.modules)
        self._namespaces: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._settings: tuple[Any, ...] = ()
        self._short = _thread._count(), sys.getrecursionlimit()
        self._peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def remember(self) -> None:
        """Note what loud code may change, if that has not been done."""
        if self._settings:
            return
        self._namespaces = [
            (vars(module), dict(vars(module)))
            for name, module in self._modules.items()
            if name.isidentifier() and name[0] != "_" and name not in _TABLES
        ]
        self._namespaces.append((vars(Remote), dict(vars(Remote))))  # type: ignore[arg-type]  # a view, which shows what is now
        self._settings = _settings()

    def same(self, loud: bool) -> bool:
        """Say whether this process is as it was; all of it is looked at only if the test was loud."""
        try:
            if loud and not (all(now == then for now, then in self._namespaces) and _settings() == self._settings):
                return False
            return (
                sys.modules == self._modules
                and (_thread._count(), sys.getrecursionlimit()) == self._short
                and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss <= self._peak_kb + _GROWTH_KB
            )
        except BaseException:  # something that cannot even be compared has been put there
            return False


def _settings() -> tuple[Any, ...]:
    free = os.dup(0)
    os.close(free)
    warnings = sys.modules.get("warnings")
    return (
        free,
        list(map(id, vars(builtins).values())),
        _thread._count(),
        atexit._ncallbacks(),
        [id(_signal.getsignal(number)) for number in range(1, 32)],
        [_signal.getitimer(timer) for timer in (0, 1, 2)],
        [resource.getrlimit(limit) for limit in _LIMITS],
        (sys.gettrace(), sys.getprofile(), sys.getrecursionlimit(), sys.getswitchinterval(), sys.get_asyncgen_hooks()),
        sys.get_int_max_str_digits() if hasattr(sys, "get_int_max_str_digits") else 0,
        [list(map(id, items)) for items in (sys.meta_path, sys.path_hooks, gc.callbacks)],
        (list(sys.path), list(sys.argv), dict(os.environ), os.getcwd()),
        (gc.isenabled(), gc.get_threshold(), gc.get_debug()),
        list(map(id, warnings.filters)) if warnings is not None else None,
    )
