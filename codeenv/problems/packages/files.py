"""The files of a package, whether it is a folder or a zip; nothing outside the package is ever read."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from codeenv.problems.packages.links import back_to_itself, dangling, in_folder, linked_twice, no_file, outside, zip_entries
from codeenv.problems.problem import ProblemError

__all__ = ["MAX_FILES", "MAX_FILE_BYTES", "MAX_PACKAGE_BYTES", "PackageFiles"]

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Largest file of a package that is read."""

MAX_PACKAGE_BYTES = 1 << 30
"""Most bytes, unpacked, of the files that a problem is made of."""

MAX_FILES = 100_000
"""Most files of a package."""

_DAMAGED = (OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError)
"""What reading a file or a zip raises if it is damaged, encrypted or packed in an unknown way."""

_USED = ("problem.yaml", "data", "problem_statement", "statement", "submissions", "output_validator")
"""Beginnings of the names whose content a problem is made of."""


class PackageFiles:
    """Names (with `/`, relative to the folder of problem.yaml) and contents of a package's files.

    Raises:
        ProblemError: for a broken zip, a zip with no or several problem.yaml, a path or link that leaves the package.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._entries: dict[str, zipfile.ZipInfo] = {}
        if path.is_dir():
            self.names = sorted(self._names_in_folder())
            if not (path / "problem.yaml").is_file():
                raise ProblemError("it has no problem.yaml")
        else:
            self._open_zip()
        self._known = set(self.names)
        if len(self.names) > MAX_FILES:
            raise ProblemError(f"it has {len(self.names)} files; the limit is {MAX_FILES}")
        total = sum(self._size(name) for name in self.names if name.startswith(_USED))
        if total > MAX_PACKAGE_BYTES:
            raise ProblemError(
                f"its files are {total / 1048576:.0f} MB long unpacked; the limit is {MAX_PACKAGE_BYTES // 1048576} MB"
            )

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def under(self, folder: str) -> list[str]:
        """Return the names below a folder."""
        return [name for name in self.names if name.startswith(folder + "/")]

    def read_bytes(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            ProblemError: if it is missing, too large or damaged.
        """
        try:
            if self._zip is not None:
                info = self._entries[name]
                self._check_size(name, info.file_size)
                return self._zip.read(info)
            file = self.path / name
            self._check_size(name, file.stat().st_size)
            return file.read_bytes()
        except KeyError:
            raise ProblemError(f"{name} is missing") from None
        except _DAMAGED as error:
            raise ProblemError(f"{name} cannot be read: {error}") from None

    def read_text(self, name: str) -> str:
        """Return a file as UTF-8 text with `\\n` line ends; raise `ProblemError` if it is something else."""
        try:
            return self.read_bytes(name).decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise ProblemError(f"{name}: byte {error.start} is not UTF-8 text") from None

    def _open_zip(self) -> None:
        try:
            self._zip = zipfile.ZipFile(self.path)
        except _DAMAGED as error:
            raise ProblemError(f"it is no complete zip file ({error})") from None
        names = [info.filename for info in self._zip.infolist() if not info.is_dir()]
        for name in names:
            parts = PurePosixPath(name.replace("\\", "/"))
            if parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0]:
                raise ProblemError(f"the zip holds the path {name!r}, which leaves the package")
        manifests = sorted(name for name in names if PurePosixPath(name).name == "problem.yaml" and name.count("/") <= 1)
        if len(manifests) != 1:
            raise ProblemError(f"the zip holds {len(manifests)} problem.yaml files at its top; it must hold one")
        try:
            self._entries = zip_entries(self._zip, manifests[0].removesuffix("problem.yaml"), _USED, MAX_FILES)
        except _DAMAGED as error:
            raise ProblemError(f"a link in the zip cannot be read: {error}") from None
        self.names = sorted(self._entries)

    def _names_in_folder(self) -> Iterator[str]:
        """Yield the files of a folder; a link to another folder of the package stands for the files there."""
        for file in self.path.rglob("*"):
            name = file.relative_to(self.path).as_posix()
            if not self._usable(file, name):
                continue
            if file.is_file():
                yield name
            elif file.is_symlink():
                target = file.resolve()
                for inner in target.rglob("*"):
                    within = f"{name}/{inner.relative_to(target).as_posix()}"
                    if self._usable(inner, within):
                        if inner.is_file():
                            yield within
                        elif inner.is_symlink() and within.startswith(_USED):
                            raise linked_twice(within)

    def _size(self, name: str) -> int:
        if self._zip is not None:
            return self._entries[name].file_size
        try:
            return (self.path / name).stat().st_size
        except OSError as error:
            raise ProblemError(f"{name} cannot be read: {error}") from None

    def _usable(self, file: Path, name: str) -> bool:
        """Whether this is a file or folder of the package; what is not is refused where its content would be used."""
        error = self._fault(file, name)
        if error is not None and name.startswith(_USED):
            raise error
        return error is None

    def _fault(self, file: Path, name: str) -> ProblemError | None:
        if not file.is_symlink():
            return None if file.is_file() or file.is_dir() else no_file(name)
        try:
            target = file.resolve()
            file.stat()
        except FileNotFoundError:
            pass
        except (OSError, RuntimeError):  # a loop is one or the other, by the version of Python
            return back_to_itself(name)
        root = self.path.resolve()
        if not target.is_relative_to(root):
            return outside(name, str(target))
        if not target.exists():
            return dangling(name, str(file.readlink()))
        if target.is_dir():
            return in_folder(name) if file.parent.resolve().is_relative_to(target) else None
        return None if target.is_file() else no_file(name)

    def _check_size(self, name: str, size: int) -> None:
        if size > MAX_FILE_BYTES:
            raise ProblemError(f"{name} is {size / 1048576:.0f} MB long; the limit is {MAX_FILE_BYTES // 1048576} MB")
