"""System-call filters: the worker's allow-list, loaded once, and the small one that every child adds.

A filter is classic BPF over (number, architecture, arguments). The allow-list is inherited by every child; what it lacks
fails with "operation not permitted", and a foreign calling convention kills the process. The child's filter refuses new
processes and signals to others, which the worker itself needs.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from . import syscalls

_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_ERRNO = 0x00050000
_CLONE_THREAD = 0x00010000
_NEW_NAMESPACE = 0x7E020080  # every CLONE_NEW* flag of clone

PLAIN = """
read write close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64 pwrite64 readv writev
sched_yield mremap msync madvise dup nanosleep getitimer setitimer getpid sendfile sendto recvfrom shutdown getsockopt exit
wait4 uname flock ftruncate getcwd chdir gettimeofday getrusage sysinfo times getuid getgid geteuid getegid getppid getgroups
getresuid getresgid getpgid getsid rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack getpriority gettid futex
sched_getaffinity getdents64 set_tid_address clock_gettime clock_getres clock_nanosleep exit_group epoll_ctl waitid openat
newfstatat readlinkat faccessat pselect6 ppoll set_robust_list get_robust_list epoll_pwait eventfd2 epoll_create1 dup3 pipe2
getrandom membarrier statx rseq faccessat2 close_range kill tgkill open stat lstat poll access pipe select dup2 alarm fork
vfork readlink getrlimit setrlimit getpgrp arch_prctl time epoll_create epoll_wait eventfd pause
"""
_BEFORE = "setpgid"
"""What a child may call before it has added its own filter, which refuses it."""

ARGUMENT_IN = {
    "prlimit64": (0, [0]),  # of the caller only
    "socketpair": (0, [1]),  # AF_UNIX; an event loop needs one
    "prctl": (0, [15, 16]),  # the thread's name
    "ioctl": (1, [0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451]),  # what text streams and selectors ask
    "fcntl": (1, [0, 1, 2, 3, 4, 5, 6, 7, 1030, 1032, 1034]),  # no owner, signal, lease, seal or pipe size
    "seccomp": (0, [1]),  # a further filter
}

_LD_NUMBER, _LD_ARCH = 0, 4


def _argument(index: int) -> int:
    return 16 + 8 * index  # low half, little endian


class Program:
    """An assembler for the few instructions that filters need."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []

    def load(self, offset: int) -> None:
        self.code.append((0x20, 0, 0, offset))

    def equal(self, value: int, then: int, otherwise: int) -> None:
        self.code.append((0x15, then, otherwise, value))

    def any_bit(self, value: int, then: int, otherwise: int) -> None:
        self.code.append((0x45, then, otherwise, value))

    def give(self, action: int) -> None:
        self.code.append((0x06, 0, 0, action))

    def pack(self) -> bytes:
        return b"".join(struct.pack("<HBBI", *instruction) for instruction in self.code)


def worker_filter(arch: str) -> bytes:
    """Return the allow-list of the worker and all its descendants, as BPF instructions."""
    number = syscalls.numbers(arch)
    refuse = _ERRNO | errno.EPERM
    program = Program()
    program.load(_LD_ARCH)
    program.equal(syscalls.AUDIT_ARCH[arch], 1, 0)
    program.give(_KILL)
    program.load(_LD_NUMBER)
    for name in (PLAIN + _BEFORE).split():
        if name in number:
            program.equal(number[name], 0, 1)
            program.give(_ALLOW)
    for name, (index, values) in ARGUMENT_IN.items():
        program.equal(number[name], 0, len(values) * 2 + 2)
        program.load(_argument(index))
        for value in values:
            program.equal(value, 0, 1)
            program.give(_ALLOW)
        program.give(refuse)
    program.equal(number["clone"], 0, 4)
    program.load(_argument(0))
    program.any_bit(_NEW_NAMESPACE, 0, 1)
    program.give(refuse)
    program.give(_ALLOW)
    program.equal(number["clone3"], 0, 1)
    program.give(_ERRNO | errno.ENOSYS)  # its flags are behind a pointer; the C library then uses clone
    program.give(refuse)
    return program.pack()


def child_filter(arch: str) -> tuple[bytes, list[int]]:
    """Return the filter that a child adds before it runs a submission, and the offsets where its own pid goes."""
    number = syscalls.numbers(arch)
    refuse = _ERRNO | errno.EPERM
    program = Program()
    pid_at = []
    program.load(_LD_NUMBER)
    for name in ("fork", "vfork", "seccomp", *_BEFORE.split()):
        if name in number:
            program.equal(number[name], 0, 1)
            program.give(refuse)
    program.equal(number["clone"], 0, 4)
    program.load(_argument(0))
    program.any_bit(_CLONE_THREAD, 0, 1)
    program.give(_ALLOW)
    program.give(refuse)
    for name in ("kill", "tgkill"):
        program.equal(number[name], 0, 4)
        program.load(_argument(0))
        pid_at.append(len(program.code) * 8 + 4)
        program.equal(0, 0, 1)
        program.give(_ALLOW)
        program.give(refuse)
    program.give(_ALLOW)
    return program.pack(), pid_at


class _Header(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


class Filter:
    """A filter that is ready to be loaded; `load` is one system call."""

    def __init__(self, arch: str, code: bytes, pid_at: list[int] | None = None) -> None:
        self._number = syscalls.numbers(arch)["seccomp"]
        self._buffer = ctypes.create_string_buffer(code, len(code))
        self._pid_at = pid_at or []
        header = _Header(len(code) // 8, ctypes.addressof(self._buffer))
        self._header = header
        self._call = ctypes.PyDLL(None, use_errno=True).syscall
        self._arguments = (ctypes.c_long(self._number), ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.byref(header))

    def load(self, pid: int = 0) -> None:
        """Apply the filter to the calling thread and all that it starts. Needs `no_new_privs`.

        Raises:
            OSError: the kernel refuses; nothing may run then.
        """
        for offset in self._pid_at:
            struct.pack_into("<I", self._buffer, offset, pid)
        if self._call(*self._arguments) != 0:
            raise OSError(ctypes.get_errno(), "the system-call filter was refused")
