"""Small real attacks that a sandbox must stop: the self-test of every isolation level, and part of `codeenv doctor --attack`.

Each attack is a few lines that raise if they are stopped. They are harmless where nothing stops them: they only look, or send
signal 0.
"""

from __future__ import annotations

import os
import tempfile
import textwrap
from collections.abc import Callable

from codeenv.sandbox.units import Run, Unit

__all__ = ["ATTACKS", "EXCUSED", "succeeded"]

ATTACKS = {
    "read a file of the host": "open({canary!r}).read()",
    "list the host's folder of temporary files": "assert {canary_name!r} in os.listdir({canary_folder!r})",
    "write to the current folder": "open('codeenv-attack', 'w').close()",
    "write to /tmp": "open('/tmp/codeenv-attack', 'w').close()",
    "write to /dev/shm": "open('/dev/shm/codeenv-attack', 'w').close()",
    "read the environment of the judge": "assert {canary!r}.encode() in open('/proc/%d/environ' % os.getppid(), 'rb').read()",
    "read the memory map of its worker": "assert open('/proc/%d/maps' % os.getppid()).read()",
    "read the memory of its worker": "file = open('/proc/%d/mem' % os.getppid(), 'rb'); file.seek(id(None)); assert file.read(8)",
    "open an internet socket": "socket.socket(socket.AF_INET)",
    "open a local socket": "socket.socket(socket.AF_UNIX)",
    "open a netlink socket": "socket.socket(16, socket.SOCK_RAW)",
    "start a process": "pid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)",
    "start a program": "import subprocess; subprocess.run(['/bin/true'])",
    "signal its parent": "os.kill(os.getppid(), 0)",
    "signal everybody": "os.kill(-1, 0)",
    "use a descriptor of the worker": "found = [fd for fd in range(4, 200) if alive(fd)]; assert found",
    "raise its own limits": "import resource; resource.setrlimit(resource.RLIMIT_CPU, (99999, 99999))",
    "raise its priority": "os.nice(-5)",
    "become root": "os.setuid(0); assert os.getuid() == 0 and os.listdir('/root')",
    "trace its parent": "call(101, 0x4206, os.getppid(), 0, 0)",
    "make new namespaces": "call(272, 0x10000000)",
    "mount a file system": "call(165, b'none', b'/tmp', b'tmpfs', 0, None)",
    "set up io_uring": "call(425, 1, ctypes.create_string_buffer(120))",
    "load a bpf program": "call(321, 0, ctypes.create_string_buffer(64), 64)",
    "make a memory file": "os.memfd_create('attack')",
}
"""Name to Python statements that raise if the sandbox stops them. Placeholders name a file of the host and its folder."""

EXCUSED = {"runsc": {"read the memory map of its worker"}}
"""By runtime of a container, what goes through and gives nothing away: gVisor shows the map of any process of the same user,
and a child is a fork of its worker, so that it has the same map itself.
"""

_PROGRAM = """
import ctypes, os, socket, sys
_libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    if os.uname().machine != "x86_64":
        raise OSError("known by number on x86_64 only")
    if _libc.syscall(*[ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]) < 0:
        raise OSError(ctypes.get_errno(), "refused")
def alive(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
print("control")
"""


_TIDY = """
for path in ("codeenv-attack", "/tmp/codeenv-attack", "/dev/shm/codeenv-attack"):
    try:
        os.remove(path)
    except OSError:
        pass
"""


def succeeded(run: Callable[[Unit], Run]) -> list[str]:
    """Run every attack as a submission and return the names of those that succeeded; none, if the sandbox holds.

    Args:
        run: runs one unit of work in the sandbox under test.

    A sandbox that does not even run the harmless part gets the entry `the self-test did not run`.
    """
    with tempfile.NamedTemporaryFile(prefix="codeenv-canary-") as canary:
        os.chmod(canary.name, 0o644)  # noqa: PTH101
        folder, name = os.path.split(canary.name)
        blocks = [_PROGRAM]
        for title, statements in ATTACKS.items():
            body = statements.format(canary=canary.name, canary_folder=folder, canary_name=name)
            blocks.append("try:\n" + textwrap.indent(body, "    ") + f"\n    print({title!r})\nexcept BaseException: pass\n")
        blocks.append(_TIDY)
        source = "".join(blocks) + "sys.stdout.flush()\nos._exit(0)\n"
        result = run(Unit("stdio", source.encode(), "", (b"",), time_s=10.0))
    lines = result.stdout.decode("utf-8", "replace").splitlines()
    if lines[:1] != ["control"]:
        return ["the self-test did not run"]
    return lines[1:]
