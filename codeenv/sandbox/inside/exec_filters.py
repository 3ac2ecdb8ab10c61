"""System-call filters for programs that are started by `execve`: compilers, and what they compiled.

Both are allow-lists of their own, loaded by the child right before `execve`. What runs a submission may exchange itself for
another program of its root, which holds none but the runtime, and start threads; new processes, signals to others and shared
memory that no limit counts are refused. A compiler may also start processes and change files: those of its scratch folder.
"""

from __future__ import annotations

import errno

from . import seccomp, syscalls

_RUN_MORE = "execve statfs fstatfs sched_getparam sched_getscheduler fadvise64 fsync fdatasync truncate getdents"
_RUN_LESS = {"fork", "vfork", "kill", "tgkill", "clone", "mmap"}
_FILES = """
unlinkat renameat renameat2 linkat symlinkat fchmod fchmodat umask utimensat fallocate copy_file_range fchown fchownat
rename mkdir mkdirat rmdir creat link unlink symlink chmod
"""
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE, _UNKNOWN = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_THREAD, _NEW_NAMESPACE = 0x00010000, 0x7E020080
_LD_NUMBER, _LD_ARCH, _LD_ARGUMENT = 0, 4, 16
_SHARED = 1  # MAP_SHARED is 1, MAP_SHARED_VALIDATE 3, MAP_PRIVATE 2


def run_filter(arch: str, shared_memory: bool, files: bool = False) -> tuple[bytes, list[int]]:
    """Return the filter for a submission, and the offsets where its own pid goes.

    Args:
        arch: the machine.
        shared_memory: whether shared mappings are allowed; not where memory is limited by private data alone.
        files: whether files may be changed: those of a validator's feedback folder.
    """
    number, program = _begin(arch)
    _allow(program, number, [name for name in (seccomp.PLAIN + _RUN_MORE).split() if name not in _RUN_LESS])
    if files:
        _allow(program, number, _FILES.split())
    _arguments(program, number)
    program.equal(number["clone"], 0, 4)
    program.load(_LD_ARGUMENT)
    program.any_bit(_THREAD, 0, 1)
    program.give(_ALLOW)
    program.give(_REFUSE)
    if shared_memory:
        _allow(program, number, ["mmap"])
    else:
        program.equal(number["mmap"], 0, 4)
        program.load(_LD_ARGUMENT + 8 * 3)
        program.any_bit(_SHARED, 0, 1)
        program.give(_REFUSE)
        program.give(_ALLOW)
    pid_at = []
    for name in ("kill", "tgkill"):
        program.equal(number[name], 0, 4)
        program.load(_LD_ARGUMENT)
        pid_at.append(len(program.code) * 8 + 4)
        program.equal(0, 0, 1)
        program.give(_ALLOW)
        program.give(_REFUSE)
    _end(program, number)
    return program.pack(), pid_at


def compile_filter(arch: str) -> tuple[bytes, list[int]]:
    """Return the filter for a compiler."""
    number, program = _begin(arch)
    _allow(program, number, (seccomp.PLAIN + _RUN_MORE + _FILES + "mmap").split())
    _arguments(program, number)
    program.equal(number["clone"], 0, 4)
    program.load(_LD_ARGUMENT)
    program.any_bit(_NEW_NAMESPACE, 0, 1)
    program.give(_REFUSE)
    program.give(_ALLOW)
    _end(program, number)
    return program.pack(), []


def _begin(arch: str) -> tuple[dict[str, int], seccomp.Program]:
    program = seccomp.Program()
    program.load(_LD_ARCH)
    program.equal(syscalls.AUDIT_ARCH[arch], 1, 0)
    program.give(_KILL)
    program.load(_LD_NUMBER)
    return syscalls.numbers(arch), program


def _allow(program: seccomp.Program, number: dict[str, int], names: list[str]) -> None:
    for name in names:
        if name in number:
            program.equal(number[name], 0, 1)
            program.give(_ALLOW)


def _arguments(program: seccomp.Program, number: dict[str, int]) -> None:
    for name, (index, values) in seccomp.ARGUMENT_IN.items():
        if name == "seccomp":
            continue
        program.equal(number[name], 0, len(values) * 2 + 2)
        program.load(_LD_ARGUMENT + 8 * index)
        for value in values:
            program.equal(value, 0, 1)
            program.give(_ALLOW)
        program.give(_REFUSE)


def _end(program: seccomp.Program, number: dict[str, int]) -> None:
    program.equal(number["clone3"], 0, 1)
    program.give(_UNKNOWN)
    program.give(_REFUSE)
