"""System-call numbers by name for the machines that are supported, and the ways to make a call that Python has no name for."""

from __future__ import annotations

import ctypes
import os
import sys
from _socket import socketpair as _socketpair

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Linux audit architecture, as seccomp sees it."""

_BOTH = """
read 0 63, write 1 64, close 3 57, fstat 5 80, lseek 8 62, mmap 9 222, mprotect 10 226, munmap 11 215, brk 12 214,
rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, ioctl 16 29, pread64 17 67, pwrite64 18 68, readv 19 65,
writev 20 66, sched_yield 24 124, mremap 25 216, msync 26 227, madvise 28 233, dup 32 23, nanosleep 35 101, getitimer 36 102,
setitimer 38 103, getpid 39 172, sendfile 40 71, sendto 44 206, recvfrom 45 207, shutdown 48 210, socketpair 53 199,
getsockopt 55 209, clone 56 220, exit 60 93, wait4 61 260, kill 62 129, uname 63 160, fcntl 72 25, flock 73 32, ftruncate 77
46, getcwd 79 17, chdir 80 49, gettimeofday 96 169, getrusage 98 165, sysinfo 99 179, times 100 153, getuid 102 174, getgid
104 176, geteuid 107 175, getegid 108 177, getppid 110 173, getgroups 115 158, getresuid 118 148, getresgid 120 150, getpgid
121 155, getsid 124 156, rt_sigpending 127 136, rt_sigtimedwait 128 137, rt_sigsuspend 130 133, sigaltstack 131 132,
getpriority 140 141, prctl 157 167, gettid 186 178, tkill 200 130, futex 202 98, sched_getaffinity 204 123, getdents64 217 61,
set_tid_address 218 96, clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115, exit_group 231 94, epoll_ctl 233
21, tgkill 234 131, waitid 247 95, openat 257 56, newfstatat 262 79, readlinkat 267 78, faccessat 269 48, pselect6 270 72,
ppoll 271 73, set_robust_list 273 99, get_robust_list 274 100, epoll_pwait 281 22, eventfd2 290 19, epoll_create1 291 20, dup3
292 24, pipe2 293 59, prlimit64 302 261, getrandom 318 278, membarrier 324 283, statx 332 291, rseq 334 293, faccessat2 439
439, close_range 436 436, seccomp 317 277, clone3 435 435, pivot_root 155 41, landlock_create_ruleset 444 444,
landlock_add_rule 445 445, landlock_restrict_self 446 446, memfd_create 319 279, capset 126 91, execve 59 221, mkdirat 258 34,
unlinkat 263 35, renameat 264 38, renameat2 316 276, linkat 265 37, symlinkat 266 36, fchmod 91 52, fchmodat 268 53, umask 95
166, utimensat 280 88, fsync 74 82, fdatasync 75 83, fallocate 285 47, truncate 76 45, fadvise64 221 223, copy_file_range 326
285, statfs 137 43, fstatfs 138 44, sched_getparam 143 121, sched_getscheduler 145 120, fchown 93 55, fchownat 260 54,
setpgid 109 154
"""
_X86_64_ONLY = """
open 2, stat 4, lstat 6, poll 7, access 21, pipe 22, select 23, dup2 33, alarm 37, fork 57, vfork 58, readlink 89, getrlimit 97,
setrlimit 160, getpgrp 111, arch_prctl 158, time 201, epoll_create 213, epoll_wait 232, eventfd 284, pause 34, rename 82,
mkdir 83, rmdir 84, creat 85, link 86, unlink 87, symlink 88, chmod 90, getdents 78
"""
_AARCH64_ONLY = "getrlimit 163, setrlimit 164"


def machine() -> str:
    """Return `x86_64` or `aarch64`; raise `OSError` for another machine, whose system calls are not known here."""
    said = os.uname().machine.lower()  # `platform` would say the same, and every fork would pay for its memory
    name = {"arm64": "aarch64", "amd64": "x86_64"}.get(said, said)
    if name not in AUDIT_ARCH or sys.maxsize < 1 << 32:
        raise OSError(f"no system-call table for the machine {said!r}; x86_64 and aarch64 are supported")
    return name


def numbers(arch: str) -> dict[str, int]:
    """Return system-call numbers by name for one machine."""
    column = 1 if arch == "x86_64" else 2
    table = {}
    for entry in _BOTH.replace("\n", " ").split(","):
        parts = entry.split()
        table[parts[0]] = int(parts[column])
    for entry in (_X86_64_ONLY if arch == "x86_64" else _AARCH64_ONLY).replace("\n", " ").split(","):
        name, number = entry.split()
        table[name] = int(number)
    return table


libc = ctypes.PyDLL(None, use_errno=True)
"""The C library, called with the interpreter lock held: the worker has one thread."""


def socketpair() -> tuple[int, int]:
    """Return the descriptors of two connected sockets."""
    one, other = _socketpair()
    return one.detach(), other.detach()


def syscall(number: int, *arguments: int) -> int:
    """Make a raw system call with integer arguments; raise `OSError` if it fails."""
    result: int = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(argument) for argument in arguments))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(option: int, argument: int = 0) -> None:
    """Call `prctl` with one argument; raise `OSError` if it fails."""
    if libc.prctl(ctypes.c_int(option), ctypes.c_ulong(argument), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
