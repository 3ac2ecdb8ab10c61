"""Walls without namespaces: Landlock hides the contents of files and folders, and forbids TCP.

What it does not hide: that a path exists, and its size and times. Processes of the same user are out of reach by the system-call
filter, not by Landlock.
"""

from __future__ import annotations

import ctypes
import os
import stat

from .syscalls import libc, machine, numbers

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_FS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_VERSION_FLAG = 1
_PATH_BENEATH = 1


class _Attributes(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("access", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def version() -> int:
    """Return the kernel's Landlock version; 0 if it has none or it is switched off."""
    number = numbers(machine())["landlock_create_ruleset"]
    found: int = libc.syscall(ctypes.c_long(number), None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    return max(0, found)


def restrict(readable: list[str], listable: list[str], devices: list[str]) -> None:
    """Allow reading below `readable`, listing below `listable`, using `devices`, and no other file. Needs `no_new_privs`.

    Raises:
        OSError: the kernel has no Landlock, or refuses.
    """
    abi = version()
    if abi == 0:
        raise OSError(95, "the kernel has no Landlock (Linux 5.13 or newer with 'landlock' among its security modules)")
    table = numbers(machine())
    handled = (1 << _FS_BY_ABI.get(abi, 16)) - 1
    attributes = _Attributes(handled, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset: int = libc.syscall(
        ctypes.c_long(table["landlock_create_ruleset"]), ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0)
    )
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "the Landlock rules were refused")
    rules = [(path, _EXECUTE | _READ_FILE | _READ_DIR) for path in readable]
    rules += [(path, _READ_DIR) for path in listable]
    rules += [(path, _READ_FILE | _WRITE_FILE) for path in devices]
    for path, wanted in rules:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not stat.S_ISDIR(os.fstat(file).st_mode):
            wanted &= ~_READ_DIR
        rule = _PathBeneath(wanted, file)
        refused = libc.syscall(
            ctypes.c_long(table["landlock_add_rule"]), ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule),
            ctypes.c_uint32(0),
        )  # fmt: skip
        os.close(file)
        if refused:
            raise OSError(ctypes.get_errno(), f"the Landlock rule for {path} was refused")
    if libc.syscall(ctypes.c_long(table["landlock_restrict_self"]), ctypes.c_int(ruleset), ctypes.c_uint32(0)):
        raise OSError(ctypes.get_errno(), "Landlock could not be applied")
    os.close(ruleset)


def readable_parts(folders: list[str], hidden: list[str]) -> tuple[list[str], list[str]]:
    """Return what to make readable and what only listable, so that everything below `folders` but `hidden` can be read."""
    readable, listable = [], []
    for folder in folders:
        if any(path.startswith(folder + "/") for path in hidden):
            listable.append(folder)
            readable += [entry.path for entry in os.scandir(folder) if entry.path not in hidden]
        else:
            readable.append(folder)
    return readable, listable


def leave_root(folders: list[str]) -> None:
    """Become a user that nothing else uses, if such a user can read the library; else stay root, to be stripped of its powers."""
    from .namespaces import unused_id

    user = unused_id()
    if user < 0 or not all(_open_to_all(folder) for folder in folders):
        return
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _open_to_all(path: str) -> bool:
    if os.stat(path).st_mode & 4 == 0:
        return False
    while path != "/":
        path = os.path.dirname(path)
        if os.stat(path).st_mode & 1 == 0:
            return False
    return True
