"""The worker's loop: take a unit of work, fork a child for each test, watch it, hand its output to the judge as bytes.

The worker never looks at a source, an input or an output: they go between the request file, the children's files and the
reply file inside the kernel. Only the worker writes to the control socket, and the worker never runs a submission.
"""

from __future__ import annotations

import contextlib
import ctypes
import marshal
import os
import resource
import select
import signal
import struct
import time
from _signal import pthread_sigmask as _sigmask  # type: ignore[import-not-found]  # `signal` makes names of numbers: 50 pages
from _signal import sigtimedwait
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from . import batch, board, calls, child, runqueue, traced
from .files import copy, empty, size_of
from .syscalls import libc, socketpair
from .tester import Tester

MESSAGE = struct.Struct("<QQ")
"""A message on the control socket: (offset, length) of the units in the request file; the reply counts (entries, bytes)."""
LAST_WORDS = (1 << 64) - 1
"""In place of the reply's first number: the worker cannot go on, and so many bytes that say why follow on the socket."""
ENTRY = struct.Struct("<IIBBiddIQIII")
"""One run of a child: unit, first test, reason, flags, code, CPU s, wall s, peak KiB, offset in the reply file, bytes of
value, stdout, stderr.
"""

EXITED, SIGNALLED, CPU_LIMIT, IDLE_LIMIT = range(4)
"""Why a run ended; `code` is the exit status or the signal."""
COMPILED, OVERFLOWN = 1, 2
"""Flags of an entry: the submission had compiled; it wrote more than its limit to a stream (only the beginning is there)."""

_CHILD = [int(signal.SIGCHLD)]
_UNBLOCK = int(signal.SIG_UNBLOCK)
_SLICE_S = 0.25
_FORK_TRIES = 8
_SHOWN = 1 << 16

_Ended = tuple[int, int, Any]  # reason, code, resource usage


class Zygote:
    """The loop over units. Descriptors: `control` socket, `request` and `reply` files shared with the judge, own files for
    children.
    """

    def __init__(self, control: int, request: int, reply: int, load_filter: Any, alone: bool, recorder: Any = None) -> None:
        self.recorder = recorder
        self.control = control
        self.request = request
        self.reply = reply
        self.filter = load_filter
        self.alone = alone and os.getpid() == 1
        self.stdin, self.stdout, self.stderr, self.value = (
            os.dup2(os.memfd_create(name, os.MFD_CLOEXEC), number) for number, name in enumerate(("in", "out", "err", "value"))
        )  # where children have them, so that these have nothing to move
        os.closerange(self.value + 1, control)
        self.other, self.code, self.outcomes = (  # `other` takes the place that is a socket's in the children of test code
            os.memfd_create(name, os.MFD_CLOEXEC) for name in ("other", "code", "outcomes")
        )
        self.board = board.opened(self.outcomes)
        self.tester = Tester()
        self.waiting = runqueue.waiting()
        self.position = 0
        self.entries: list[bytes] = []
        self.hangup = select.poll()
        self.hangup.register(control, 0)
        _sigmask(signal.SIG_BLOCK, _CHILD)

    def serve(self) -> NoReturn:
        """Answer requests until the judge goes away; a fault of this loop ends the worker, which says why."""
        try:
            self._answer()
        except BaseException as error:
            with contextlib.suppress(OSError):
                words = f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:1000]
                os.write(self.control, MESSAGE.pack(LAST_WORDS, len(words)) + words)
        finally:
            os._exit(1)  # the judge takes another worker

    def _answer(self) -> NoReturn:
        while True:
            message = b""
            while len(message) < MESSAGE.size:
                part = os.read(self.control, MESSAGE.size - len(message))
                if not part:
                    os._exit(0)
                message += part
            offset, length = MESSAGE.unpack(message)
            self.position = 0
            self.entries.clear()
            for number, unit in enumerate(marshal.loads(os.pread(self.request, length, offset))):
                self._unit(number, unit)
            usage = resource.getrusage(resource.RUSAGE_SELF)
            below = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = usage.ru_utime + usage.ru_stime + below.ru_utime + below.ru_stime + self.tester.cpu_s()
            table = struct.pack("<d", cpu) + b"".join(self.entries)
            start = self.position
            os.pwrite(self.reply, table, start)
            os.write(self.control, MESSAGE.pack(start, len(table)))

    def _unit(self, number: int, unit: tuple[Any, ...]) -> None:
        kind, source, entry, cpu_s, memory, output, tests, extra = unit
        job = child.Job(source, entry, cpu_s, memory, output)
        job.request_fd = self.request
        job.code_fd = self.code
        job.filter = self.filter
        empty(self.code)
        if kind != "code":
            self.tester.end()
        if kind.endswith("-batch"):
            job.blob, (job.count, needed) = tests, extra
            self._batch(number, job, batch.run_calls if kind == "call-batch" else batch.run_programs, needed)
            return
        job.tests, job.count = tests, len(tests)
        mode = ""
        if kind in ("code", "code-trace"):
            mode, extra = extra
        if kind == "code-trace":
            self._code_test(number, 0, job, extra, mode)
            return
        if kind.endswith("-trace"):
            self._traced_run(number, job, extra, kind == "call-trace")
            return
        for index in range(len(tests)):
            save = len(tests) > 1 and index == 0
            if kind == "stdio":
                self._fill(self.stdin, *tests[index])
                self._run(number, index, job, partial(child.run_program, job, save))
            elif kind == "call":
                empty(self.stdin)
                self._run(number, index, job, partial(child.run_call, job, save, index))
            elif mode:
                self._warm_test(number, index, job, *extra)
            else:
                self._code_test(number, index, job, extra)
            if not self._compiled():
                return

    def _batch(self, number: int, job: child.Job, run: Callable[..., NoReturn], needed: tuple[int, ...]) -> None:
        """Run all tests in one child; if one ends it, those after it in another, until every needed test had its turn."""
        order = batch.Order(job.count, needed)
        first = 0
        while first < order.needed:
            empty(self.code)
            board.clear(self.outcomes)
            _, code = self._run(number, first, job, partial(run, job, self.board, order.tests, first), self.outcomes)
            if not self._compiled() or code in (batch.MODULE_FAILED, batch.DONE):
                return
            first += board.used(self.outcomes)[1] + 1  # the test that ended the child has had its turn

    def _traced_run(self, number: int, job: child.Job, mode: str, calls: bool) -> None:
        """Run the only test of a unit under the recorder; its buffer goes where a value would."""
        self._fill(self.stdin, *job.tests[0]) if not calls else empty(self.stdin)
        empty(self.other)
        os.ftruncate(self.other, self.recorder.buffer_size(mode))
        self._run(number, 0, job, partial(traced.run, job, 0, self.recorder, mode, self.other, calls), left=self.other)

    def _compiled(self) -> bool:
        return size_of(self.code) > 0

    def _fill(self, target: int, offset: int, length: int) -> None:
        empty(target)
        copy(target, self.request, offset, length)
        os.lseek(target, 0, 0)

    def _run(
        self, number: int, index: int, job: child.Job, run: Callable[[], NoReturn], outcomes: int = -1, left: int = -1
    ) -> tuple[int, int]:
        """Fork and watch a child, append its entry and output; return why it ended, and the status.

        `outcomes` is the value file of a batch; `left` is a file that is appended in place of the value file.
        """
        batched = outcomes >= 0
        for file in (self.stdout, self.stderr) if batched else (self.stdout, self.stderr, self.value):
            empty(file)
        started = time.monotonic()
        pid = self._fork([self.stdin, self.stdout, self.stderr, outcomes if batched else self.value], run)
        ended = self._watch(pid, job.cpu_s, batched, started)
        if self.filter is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        most = job.output * job.count if batched else 0
        self._append(number, index, job, ended, time.monotonic() - started, most, outcomes if batched else left)
        return ended[:2]

    def _fork(self, streams: list[int], run: Callable[[], NoReturn]) -> int:
        pid: int = libc.fork()
        for attempt in range(_FORK_TRIES):
            if pid >= 0:
                break
            sigtimedwait(_CHILD, 0.01 * 2**attempt)  # a host that is out of processes or memory for a moment
            pid = libc.fork()
        if pid < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"no new process: {os.strerror(code)}")
        if pid:
            return pid
        try:
            if self.filter is None:
                os.setpgid(0, 0)  # no filter keeps it from starting processes; they are ended as a group
            for number, stream in enumerate(streams):
                if stream != number:
                    os.dup2(stream, number)
            _sigmask(_UNBLOCK, _CHILD)
            run()
        finally:
            os._exit(70)

    def _watch(self, pid: int, cpu_s: float, batched: bool, started: float) -> _Ended:
        """Wait for a child; kill it past its CPU time, or when it has slept as long as it may compute.

        While the child lives, each page that this process writes to is one more to copy. So it first waits, and does all
        else only when most children have ended.
        """
        sigtimedwait(_CHILD, cpu_s if cpu_s < _SLICE_S else _SLICE_S)
        done, status, usage = os.wait4(pid, os.WNOHANG)
        return _ended(status, usage, cpu_s, batched) if done else self._watch_on(pid, cpu_s, batched, started)

    def _watch_on(self, pid: int, cpu_s: float, batched: bool, before: float) -> _Ended:
        """Watch a child that takes longer; `before` is when it started."""
        clock = (~pid << 3) | 2
        idle = used = base = 0.0
        progress = 0
        crowd = runqueue.load()
        unknown = (10 * cpu_s + 10) * max(1.0, crowd / 10)
        patience = runqueue.Patience(self.waiting, pid, cpu_s, before, unknown)
        while True:
            if self.hangup.poll(0):
                self._kill(pid)
                os._exit(0)
            now = time.monotonic()
            with contextlib.suppress(OSError):
                cpu = time.clock_gettime(clock)
                idle += max(0.0, now - before - (20 + 2 * crowd) * (cpu - used))  # waiting for a core is not sleeping
                used, before = cpu, now
                if batched:
                    done_now = board.used(self.outcomes)[1]
                    if done_now != progress:
                        progress, base, idle = done_now, cpu, 0.0
                        patience.restart(now)
                if used - base >= cpu_s:
                    return CPU_LIMIT, 9, self._kill(pid)
                if idle > cpu_s + 0.5 or patience.over(now, used - base):
                    return IDLE_LIMIT, 9, self._kill(pid)
            sigtimedwait(_CHILD, max(0.001, min(cpu_s - (used - base), _SLICE_S)))
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                return _ended(status, usage, cpu_s, batched)

    def _kill(self, pid: int) -> Any:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return os.wait4(pid, 0)[2]

    def _append(
        self, number: int, index: int, job: child.Job, ended: _Ended, wall: float, most: int = 0, value: int = -1
    ) -> None:
        """Add the entry of a run and what it left: at most `most` bytes of each stream, `value` in place of the value file."""
        reason, code, usage = ended
        files = (self.value if value < 0 else value, self.stdout, self.stderr)
        sizes = [min(size_of(file), (most or job.output) + 64) for file in files]
        if most:
            sizes[0] = min(size_of(value), board.used(value)[0])
        flags = COMPILED if self._compiled() else 0
        if not most and max(sizes[1:]) > job.output:  # the verdict is clear; a part is enough to show
            flags |= OVERFLOWN
            sizes[1:] = [min(size, _SHOWN) for size in sizes[1:]]
        cpu = usage.ru_utime + usage.ru_stime
        place = (self.position, *sizes)
        self.entries.append(ENTRY.pack(number, index, reason, flags, code, cpu, wall, usage.ru_maxrss, *place))
        os.lseek(self.reply, self.position, 0)
        for file, size in zip(files, sizes):
            if size:
                copy(self.reply, file, 0, size)
                self.position += size
        if self.alone:
            self._sweep()

    def _sweep(self) -> None:
        """Kill whatever is left in the process namespace. Only process 1 of a private namespace may say "everybody"."""
        if os.getpid() != 1:
            return
        if self.tester.pid:
            try:
                os.waitid(os.P_PGID, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # nothing is left but the tester, which is in a group of its own
                return
            self.tester.end()
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return
        while True:
            try:
                os.wait4(-1, 0)
            except ChildProcessError:
                return

    def _warm_test(self, number: int, index: int, job: child.Job, prelude: tuple[int, int], memory: int, output: int) -> None:
        """Run trusted test code in the warm tester, and the submission in a child."""
        for file in (self.stdin, self.stdout, self.stderr, self.value, self.tester.value):
            empty(file)
        theirs = self.tester.ready(job, memory, output, self._fork)
        spent = self.tester.cpu_s()
        self.tester.ask(self.request, prelude, job.tests[index], job.entry)  # now: a child's memory is copied where we write
        started = time.monotonic()
        streams = [self.stdin, self.stdout, self.stderr, self.value, theirs]
        candidate = self._fork(streams, partial(calls.run_candidate, job))
        os.close(theirs)
        reason, code, usage, phase = self._watch_two(self.tester.pid, candidate, job.cpu_s, started, spent)
        value = self.tester.value if phase else self.value  # of a submission that did not compile, its own record counts
        self._append(number, index, job, (reason, code, usage), time.monotonic() - started, value=value)

    def _code_test(self, number: int, index: int, job: child.Job, extra: tuple[Any, ...], mode: str = "") -> None:
        """Run trusted test code in one child and the submission in another, joined by a socket; with `mode`, the submission
        under the recorder, whose buffer is what comes back.
        """
        empty(self.other)
        answer = partial(calls.run_candidate, job)
        if mode:
            os.ftruncate(self.other, self.recorder.buffer_size(mode))
            answer = partial(traced.run_candidate, job, self.recorder, mode)
        for file in (self.stdin, self.stdout, self.stderr, self.value):
            empty(file)
        ours, theirs = socketpair()
        started = time.monotonic()
        candidate = self._fork([self.stdin, self.stdout, self.stderr, self.other, theirs], answer)
        os.close(theirs)
        tester = self._fork(
            [self.stdin, self.stdout, self.stderr, self.value, ours],
            partial(calls.run_tester, job, index, extra, self.tester.compiler),
        )
        os.close(ours)
        reason, code, usage, phase = self._watch_two(tester, candidate, job.cpu_s, started)
        wall = time.monotonic() - started
        if mode:
            self._append(number, index, job, (reason, code, usage), wall, value=self.other)
            return
        if not phase:  # the submission did not compile: its record is the one that counts
            self.value, self.other = self.other, self.value
        self._append(number, index, job, (reason, code, usage), wall)

    def _watch_two(
        self, tester: int, candidate: int, cpu_s: float, before: float, spent: float = -1.0
    ) -> tuple[int, int, Any, bool]:
        """Wait for the test code; the submission's CPU time counts against the limit, the test code's against ten times that.

        `spent`: the CPU seconds that a warm tester had before; -1 for one that ends with its test.
        """
        warm = spent >= 0
        clocks = {pid: (~pid << 3) | 2 for pid in (tester, candidate)}
        used = {candidate: 0.0, tester: max(0.0, spent)}
        idle = crowd = 0.0
        gone: dict[int, Any] = {}
        patience: runqueue.Patience | None = None
        reason, code = EXITED, 0
        while True:
            wait = max(0.001, min(cpu_s - used[candidate], _SLICE_S))
            if warm:
                answer = self.tester.answered(wait)
                if answer is not None:
                    status = self._after(answer)
                    reason, code = _why(status)
                    break
            else:
                sigtimedwait(_CHILD, wait)
                done, status, usage = os.wait4(tester, os.WNOHANG)
                if done:
                    gone[tester] = usage
                    reason, code = _why(status)
                    break
            if candidate not in gone:
                done, status, usage = os.wait4(candidate, os.WNOHANG)
                if done:
                    gone[candidate] = usage
                    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
                        used[candidate] = cpu_s
            if self.hangup.poll(0):
                os._exit(0)
            now = time.monotonic()
            if patience is None:
                crowd = runqueue.load()
                unknown = (10 * cpu_s + 10) * max(1.0, crowd / 10)
                patience = runqueue.Patience(self.waiting, candidate, cpu_s, before, unknown)
            computed_now = 0.0
            for pid in clocks:
                if pid not in gone:
                    try:
                        cpu = time.clock_gettime(clocks[pid])
                    except OSError:
                        continue
                    computed_now += cpu - used[pid]
                    used[pid] = cpu
            idle += max(0.0, now - before - (20 + 2 * crowd) * computed_now)
            before = now
            testing = used[tester] - max(0.0, spent)
            computed = used[candidate] >= cpu_s or testing >= 10 * cpu_s
            if computed or idle > cpu_s + 0.5 or patience.over(now - testing, used[candidate]):
                reason, code = (CPU_LIMIT if computed else IDLE_LIMIT), 9
                if warm:
                    self.tester.end()
                else:
                    self._kill(tester)
                break
        if candidate not in gone:
            gone[candidate] = self._kill(candidate)
        if warm:
            sigtimedwait(_CHILD, 0)  # their ends have been heard of
        usage = gone[candidate]
        if usage.ru_utime + usage.ru_stime > cpu_s and reason == EXITED:
            reason = CPU_LIMIT
        return reason, code, usage, self._compiled()

    def _after(self, same: bool) -> int:
        """Return the status of a warm tester that has answered, or whose connection has ended: 0 if it is to serve again."""
        if same:
            return 0
        _, status, _ = os.wait4(self.tester.pid, 0)
        self.tester.gone()
        return int(status)


def _why(status: int) -> tuple[int, int]:
    """Return reason and code of a tester's end."""
    return (SIGNALLED, os.WTERMSIG(status)) if os.WIFSIGNALED(status) else (EXITED, os.WEXITSTATUS(status))


def _ended(status: int, usage: Any, cpu_s: float, batched: bool) -> _Ended:
    """Return why a child ended that ended by itself."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return (CPU_LIMIT if number == signal.SIGXCPU else SIGNALLED), number, usage
    over = usage.ru_utime + usage.ru_stime > cpu_s and not batched
    return (CPU_LIMIT if over else EXITED), os.WEXITSTATUS(status), usage
