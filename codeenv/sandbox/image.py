"""The container image: an interpreter of this machine with its library, our worker, chosen packages, and nothing else.

It is made from local files and imported into the engine: it needs no registry, and submissions run on the interpreter that is
used here.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codeenv.sandbox.levels import package_places
from codeenv.sandbox.units import SandboxError

__all__ = ["IMAGE", "LABEL", "boot_command", "build", "code_digest", "image_archive", "shared_libraries"]

IMAGE = f"codeenv-sandbox:py{sys.version_info.major}.{sys.version_info.minor}"
LABEL = "codeenv.sandbox"

_WORKER = "/codeenv/sandbox"
_TRACE = "/codeenv/trace"
_PACKAGES = "/codeenv/packages"
_LEFT_OUT = {
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "ensurepip",
    "lib2to3",
    "turtledemo",
    "tkinter",
    "__pycache__",
}


def boot_command(labels: Mapping[str, str]) -> list[str]:
    """Return the command that starts the worker in a container of an image with these labels.

    Raises:
        SandboxError: the image is not one of ours, or its code is not this code.
    """
    interpreter = labels.get(f"{LABEL}.interpreter")
    if not interpreter:
        raise SandboxError("the image was not made by 'codeenv docker build'; make it anew with that")
    if labels.get(f"{LABEL}.code") != code_digest():
        raise SandboxError("the image was made by another version of codeenv; make it anew with: codeenv docker build")
    boot = f"import sys; sys.path[0] = {_WORKER!r}; from inside.bridge import run; del sys.path[0]; run()"
    return [interpreter, "-s", "-S", "-B", "-c", boot]


def code_digest() -> str:
    """Return what identifies the code that an image has a copy of."""
    folder = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for path in sorted([*(folder / "inside").glob("*.py"), *(folder.parent / "trace").glob("*.py")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def build(client: Any, tag: str = IMAGE, packages: Sequence[str] = ("numpy",)) -> str:
    """Make the image in an engine and return its id.

    Raises:
        SandboxError: the interpreter's shared libraries cannot be found.
    """
    interpreter = os.path.realpath(sys.executable)
    repository, _, version = tag.partition(":")
    changes = [
        f"LABEL {LABEL}.interpreter={interpreter}",
        f"LABEL {LABEL}.code={code_digest()}",
        f"LABEL {LABEL}.trace={_TRACE}",
        f"LABEL {LABEL}.packages={_PACKAGES}",
        "USER 65532:65532",
    ]
    client.api.import_image_from_data(image_archive(packages), repository=repository, tag=version or "latest", changes=changes)
    return str(client.images.get(tag).id)


def image_archive(packages: Sequence[str]) -> bytes:
    """Return the image's files as a tar archive."""
    buffer = io.BytesIO()
    interpreter = os.path.realpath(sys.executable)
    stdlib = Path(sysconfig.get_path("stdlib")).resolve()
    sandbox = Path(__file__).resolve().parent
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(interpreter, interpreter)
        _add_folder(archive, stdlib, str(stdlib), _LEFT_OUT)
        _add_folder(archive, sandbox / "inside", f"{_WORKER}/inside", {"__pycache__"})
        _add_folder(archive, sandbox.parent / "trace", _TRACE, {"__pycache__"})
        binaries = [interpreter, *map(str, (stdlib / "lib-dynload").glob("*.so"))]
        inside = [str(stdlib)]
        for source, name in package_places(tuple(packages), sys.executable):
            _add_folder(archive, Path(source), f"{_PACKAGES}/{name}", {"__pycache__", "tests"})
            binaries += [str(path) for path in Path(source).rglob("*.so*")]
            inside.append(str(Path(source)))
        for library in shared_libraries(binaries):
            if not any(library.startswith(folder + "/") for folder in inside):
                archive.add(os.path.realpath(library), library)
        empty = tarfile.TarInfo("tmp")
        empty.type, empty.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(empty)
        archive.addfile(tarfile.TarInfo("tmp/.read-only"))  # gVisor puts a writable folder over an empty one
    return buffer.getvalue()


def _add_folder(archive: tarfile.TarFile, source: Path, name: str, left_out: set[str]) -> None:
    def readable(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        base = Path(entry.name).name
        if base in left_out or (base.startswith("config-") and entry.isdir()):
            return None
        entry.uid = entry.gid = 0
        entry.mode |= 0o555 if entry.isdir() else 0o444
        return entry

    archive.add(source, name, filter=readable)


def shared_libraries(binaries: Sequence[str]) -> list[str]:
    found: set[str] = set()
    for start in range(0, len(binaries), 50):
        try:
            done = subprocess.run(["ldd", *binaries[start : start + 50]], capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.SubprocessError):
            raise SandboxError("the program 'ldd' is needed to find the interpreter's shared libraries; install it") from None
        for line in done.stdout.splitlines():
            words = line.split()
            path = words[2] if "=>" in words and len(words) > 2 else words[0] if words else ""
            if path.startswith("/") and not path.endswith(":") and Path(path).exists():
                found.add(os.path.normpath(path))
    return sorted(path for path in found if path not in binaries)
