"""A world of its own for the worker: new user, process, network, mount, IPC and host-name namespaces, and a read-only root.

The root holds the interpreter's library, the system's shared libraries, the allowed packages and three devices, nothing else:
no /proc, no home, no /etc. As root the worker becomes a host user that nothing else uses, so limits on processes count; as an
ordinary user it keeps its own user, alone in its namespaces.
"""

from __future__ import annotations

import ctypes
import os
import stat
from typing import Any

from .syscalls import libc, machine, numbers, syscall

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x20000,
    0x2000000,
    0x4000000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
RDONLY, NOSUID, NODEV, REMOUNT, BIND, _REC, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_DETACH = 2
_UNUSED_IDS = 1_900_000_000


def unused_id() -> int:
    """Return a host user id that this process may map and that no account is likely to have, or -1 if it may map only itself."""
    if os.geteuid() != 0:
        return -1
    with open("/proc/self/uid_map") as lines:
        extents = [tuple(map(int, line.split())) for line in lines]
    start, _, count = max(extents, key=lambda extent: extent[2])
    if count < 1000:
        return -1
    offset = min(_UNUSED_IDS, count - 70_000) if count > 140_000 else count // 2
    return start + offset + os.getpid() % min(60_000, count // 4)


def enter() -> None:
    """Move the calling process into new namespaces; its next child is process 1 of the new process namespace.

    Raises:
        OSError: the kernel or its configuration refuses; the message says which step.
    """
    uid, gid = os.getuid(), os.getgid()
    host_id = unused_id()
    if host_id >= 0:
        os.setgroups([])
    ready, go = os.pipe(), os.pipe()
    pid = os.getpid()
    helper = os.fork()
    if helper == 0:  # a process outside, which may write any mapping
        os.close(go[1])
        os.close(ready[0])
        code = 1
        try:
            if os.read(go[0], 1):
                if host_id >= 0:
                    _write(f"/proc/{pid}/uid_map", f"0 {host_id} 1\n")
                    _write(f"/proc/{pid}/gid_map", f"0 {host_id} 1\n")
                else:
                    _write(f"/proc/{pid}/setgroups", "deny")
                    _write(f"/proc/{pid}/uid_map", f"0 {uid} 1\n")
                    _write(f"/proc/{pid}/gid_map", f"0 {gid} 1\n")
                code = 0
        finally:
            os._exit(code)
    os.close(go[0])
    os.close(ready[1])
    flags = _NEWUSER | _NEWNS | _NEWPID | _NEWNET | _NEWIPC | _NEWUTS
    error = None
    if libc.unshare(ctypes.c_int(flags)):
        code = ctypes.get_errno()
        error = OSError(code, f"new user namespaces are refused ({os.strerror(code)})")
    else:
        os.write(go[1], b"x")
    os.close(go[1])
    os.close(ready[0])
    _, status = os.waitpid(helper, 0)
    if error is not None:
        raise error
    if status:
        raise OSError("the user mapping of the new namespace was refused")


def become_mapped_user() -> None:
    """Take the mapped user and group of the namespace."""
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def drop_capabilities() -> None:
    """Give up every capability, for good."""
    for capability in range(64):
        if libc.prctl(24, ctypes.c_ulong(capability), 0, 0, 0):  # PR_CAPBSET_DROP
            break
    header = ctypes.create_string_buffer((0x20080522).to_bytes(4, "little") + bytes(4), 8)
    empty = ctypes.create_string_buffer(24)
    if libc.syscall(ctypes.c_long(numbers(machine())["capset"]), header, empty):
        raise OSError(ctypes.get_errno(), "capabilities could not be dropped")


def build_root(folders: list[str], hidden: list[str], packages: list[tuple[str, str]]) -> None:
    """Make a read-only root of `folders` (same paths), with `hidden` folders empty and `packages` (source, name) under /packages.

    Sources are opened as the old user, who may reach them; the new file system is made as the mapped user, whom it belongs to.

    Raises:
        OSError: naming the mount that failed.
    """
    mount(None, "/", None, _REC | _PRIVATE)
    base = next(
        folder
        for folder in ("/sys", "/mnt", "/srv", "/media", "/home", "/tmp")
        if os.path.isdir(folder) and not any(_inside(source, folder) for source in [*folders, *(item[0] for item in packages)])
    )
    devices = {
        f"/dev/{name}": f"/dev/{'urandom' if name == 'random' else name}" for name in ("null", "zero", "urandom", "random")
    }
    kept = [path for path in folders if not (os.path.islink(path) and os.path.isdir(path))]
    wanted = [*devices.items(), *((path, path) for path in kept)]
    wanted += [(f"/packages/{name}", source) for source, name in packages]
    opened = [(target, source, os.open(source, os.O_PATH | os.O_CLOEXEC)) for target, source in wanted]
    become_mapped_user()
    mount("none", base, "tmpfs", NOSUID, "size=1m,nr_inodes=4096,mode=755")
    for path in _top_links():
        if os.path.islink(path):
            os.symlink(os.readlink(path), base + path)
    for target, source, file in opened:
        _bind(source, file, base + target, read_only=target not in devices)
        os.close(file)
    for folder in hidden:
        mount("none", base + folder, "tmpfs", RDONLY | NOSUID | NODEV, "size=0,nr_inodes=1")
    os.mkdir(base + "/tmp", 0o755)
    os.chdir(base)
    syscall_pivot()
    if libc.umount2(b".", ctypes.c_int(_DETACH)):
        raise OSError(ctypes.get_errno(), "the old root could not be detached")
    mount(None, "/", None, REMOUNT | BIND | RDONLY | NOSUID | NODEV)
    os.chdir("/tmp")


def library_folders(stdlib: str) -> tuple[list[str], list[str]]:
    """Return the folders that an interpreter needs to import its library, and those below them to hide."""
    found: list[str] = []
    for folder in (stdlib, "/lib", "/lib64", "/usr/lib", "/usr/lib64", *_loaded_from()):
        if folder in ("/lib", "/usr/lib", "/lib64", "/usr/lib64"):
            found += [entry.path for entry in os.scandir(folder) if _is_triplet(entry)] if os.path.isdir(folder) else []
            if os.path.exists(f"{folder}/ld-linux-x86-64.so.2") or folder in _loaded_from():
                found.append(folder)
        else:
            found.append(folder)
    folders: list[str] = []
    for path in sorted({os.path.realpath(item) for item in found}):
        if not any(_inside(path, kept) for kept in folders):
            folders.append(path)
    if os.path.exists("/etc/ld.so.cache"):
        folders.append("/etc/ld.so.cache")
    hidden = []
    for name in ("site-packages", "dist-packages", "test", "ensurepip", "idlelib"):
        path = os.path.join(os.path.realpath(stdlib), name)
        if os.path.isdir(path):
            hidden.append(path)
    hidden += [
        folder
        for folder in ("/usr/lib/python3/dist-packages",)
        if any(_inside(folder, kept) for kept in folders) and os.path.isdir(folder)
    ]
    return folders, hidden


def syscall_pivot() -> None:
    """Make the current folder the root; the old one is stacked under it."""
    dot = ctypes.create_string_buffer(b".")
    syscall(numbers(machine())["pivot_root"], ctypes.addressof(dot), ctypes.addressof(dot))


def _loaded_from() -> list[str]:
    try:
        with open("/proc/self/maps") as lines:
            paths = {line.split()[-1] for line in lines if ".so" in line}
    except OSError:
        return []
    return sorted({os.path.dirname(path) for path in paths if path.startswith("/")})


def _is_triplet(entry: Any) -> bool:
    return "-linux-" in entry.name and entry.is_dir()


def _top_links() -> list[str]:
    return ["/lib", "/lib64", "/usr/lib64"] if os.path.isdir("/usr/lib") else []


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    values = [value.encode() if value is not None else None for value in (source, target, kind, data)]
    if libc.mount(values[0], values[1], values[2], ctypes.c_ulong(flags), values[3]):
        code = ctypes.get_errno()
        raise OSError(code, f"mounting {source or kind or 'nothing'} on {target} failed ({os.strerror(code)})")


def _bind(source: str, file: int, target: str, read_only: bool = True) -> None:
    if stat.S_ISDIR(os.fstat(file).st_mode):
        os.makedirs(target, 0o755, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o444))
    try:
        mount(f"/proc/self/fd/{file}", target, None, BIND | _REC)
    except OSError as error:
        raise OSError(error.errno, f"binding {source} failed ({error.strerror})") from None
    if read_only:
        kept = os.statvfs(target).f_flag & (2 | 4 | 8 | 1024 | 2048)
        mount(None, target, None, REMOUNT | BIND | RDONLY | kept)
