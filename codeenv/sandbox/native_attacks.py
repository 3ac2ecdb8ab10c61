"""The small real attacks of `codeenv.sandbox.attacks` as a C++ program, which asks the kernel without an interpreter."""

from __future__ import annotations

import os
import tempfile

from codeenv.sandbox.foreign import Foreign
from codeenv.sandbox.units import Unit

__all__ = ["NATIVE_ATTACKS", "native_attacks_that_succeed"]

NATIVE_ATTACKS = {
    "read a file of the host": 'open(CANARY, O_RDONLY) >= 0 || open("/etc/passwd", O_RDONLY) >= 0',
    "list the host's folders": 'opendir("/proc") || opendir("/home") || opendir("/root")',
    "write outside /tmp": 'creat("/codeenv-attack", 0600) >= 0 || creat("/usr/codeenv-attack", 0600) >= 0',
    "read the judge's environment": "getenv(SECRET) != nullptr",
    "open a socket": "socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || socket(16, 3, 0) >= 0",
    "start a process": "start() >= 0",
    "start a program": 'execl("/bin/sh", "sh", "-c", "true", (char*)0) == 0 || execl("/usr/bin/true", "true", (char*)0) == 0',
    "signal its parent": "kill(getppid(), 0) == 0",
    "signal everybody": "kill(-1, 0) == 0",
    "trace its parent": "ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0",
    "read the memory of its parent": "syscall(SYS_process_vm_readv, (long)getppid(), &mine, 1L, &theirs, 1L, 0L) > 0",
    "raise its own limits": "setrlimit(RLIMIT_CPU, &wide) == 0",
    "raise its priority": "setpriority(PRIO_PROCESS, 0, -5) == 0",
    "become root": "setuid(0) == 0 && open(CANARY, O_RDONLY) >= 0",
    "make new namespaces": "unshare(CLONE_NEWUSER) == 0 || unshare(CLONE_NEWNET) == 0",
    "mount a file system": 'mount("none", "/tmp", "tmpfs", 0, 0) == 0',
    "leave its root": 'chroot("/tmp") == 0 || chdir("/proc/1/root") == 0',
    "load a bpf program": "syscall(SYS_bpf, 0L, block, 64L) >= 0",
    "set up io_uring": "syscall(425L, 1L, block) >= 0",
    "use a key ring": 'syscall(SYS_add_key, "user", "attack", "x", 1L, -2L) >= 0',
    "read the kernel's log": "syscall(SYS_syslog, 3L, block, 64L) >= 0",
    "set the clock": "settimeofday(&now, nullptr) == 0",
}
"""Name to a C++ condition that is true if the sandbox does not stop it."""

_PROGRAM = """
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
static int start() { int pid = fork(); if (pid == 0) _exit(0); if (pid > 0) waitpid(pid, nullptr, 0); return pid; }
int main() {
    static char block[256];
    iovec mine{block, 8}, theirs{(void*)0x400000, 8};
    rlimit wide{99999, 99999};
    timeval now{};
    gettimeofday(&now, nullptr);
    puts("control");
"""


def native_attacks_that_succeed() -> list[str]:
    """Compile the attacks, run them as a submission, and return the names of those that succeeded; none, if the sandbox holds.

    Raises:
        SandboxError: C++ programs do not run here.
    """
    secret = "CODEENV_ATTACK_SECRET"
    with tempfile.NamedTemporaryFile(prefix="codeenv-canary-") as canary:
        os.chmod(canary.name, 0o644)  # noqa: PTH101
        named = f'#define CANARY "{canary.name}"\n#define SECRET "{secret}"\n'
        checks = "".join(
            f'    if ({condition}) puts("{name}");\n    fflush(stdout);\n' for name, condition in NATIVE_ATTACKS.items()
        )
        source = named + _PROGRAM + checks + "    _exit(0);\n}\n"
        os.environ[secret] = "1"
        foreign = Foreign("namespaces", 1)
        try:
            compiled = foreign.compile("cpp", {"main.cpp": source.encode()})
            if not compiled.artifact:
                return [f"the attacks did not compile: {compiled.error[:200]}"]
            run = foreign.run("cpp", Unit("stdio", compiled.artifact, "", (b"",), time_s=10.0))[0]
        finally:
            foreign.close()
            del os.environ[secret]
    lines = run.stdout.decode("utf-8", "replace").splitlines()
    return lines[1:] if lines[:1] == ["control"] else ["the self-test did not run"]
