"""Links in a package: what is said about those that cannot be followed, and where those in a zip lead."""

from __future__ import annotations

import bisect
import stat
import zipfile
from collections.abc import Mapping, Sequence

from codeenv.problems.problem import ProblemError

__all__ = ["back_to_itself", "dangling", "in_folder", "linked_twice", "no_file", "outside", "zip_entries"]

_MAX_HOPS = 40
"""Most links that one path may lead through, as in Linux."""

_MAX_TARGET_BYTES = 4096

_MAX_FOLDERS = 100
"""Most links to folders in a zip; each stands for all the files there."""


def outside(name: str, target: str) -> ProblemError:
    """Return the error of a link that leaves the package."""
    return ProblemError(f"{name} is a link to {target!r}, outside the package; put what it leads to in its place")


def dangling(name: str, target: str) -> ProblemError:
    """Return the error of a link to nothing."""
    return ProblemError(f"{name} is a link to {target!r}, which does not exist; put a file in its place")


def back_to_itself(name: str) -> ProblemError:
    """Return the error of a link in a circle of links."""
    return ProblemError(f"{name} is a link that leads back to itself")


def in_folder(name: str) -> ProblemError:
    """Return the error of a link to a folder above it."""
    return ProblemError(f"{name} is a link to a folder that it is in")


def linked_twice(name: str) -> ProblemError:
    """Return the error of a link to a folder, seen through another such link."""
    return ProblemError(f"{name} is a link to a folder, within a folder that is a link too; put its files in its place")


def no_file(name: str) -> ProblemError:
    """Return the error of a pipe, socket or device."""
    return ProblemError(f"{name} is neither a file nor a folder (a pipe, socket or device); put a file in its place")


def zip_entries(archive: zipfile.ZipFile, prefix: str, used: tuple[str, ...], most: int) -> dict[str, zipfile.ZipInfo]:
    """Return the entries of the files of a zip by name; the name of a link has the entry of the file that it leads to.

    Args:
        archive: the zip; its entries' modes say which of them are links.
        prefix: the package's folder in the zip, removed from the names.
        used: beginnings of the names for which a bad link is an error; others are left out.
        most: largest number of files.

    Raises:
        ProblemError: for a bad link among the names that are used, and for too many files.
    """
    entries: dict[str, zipfile.ZipInfo] = {}
    targets: dict[str, str] = {}
    bad: dict[str, ProblemError] = {}
    for info in archive.infolist():
        if info.is_dir() or not info.filename.startswith(prefix):
            continue
        name, mode = info.filename.removeprefix(prefix), info.external_attr >> 16
        if stat.S_ISLNK(mode):
            if info.file_size > _MAX_TARGET_BYTES:
                bad[name] = ProblemError(f"{name} is a link to a path of {info.file_size} bytes; put a file in its place")
            else:
                targets[name] = archive.read(info).decode("utf-8", "surrogateescape")
        elif stat.S_IFMT(mode) and not stat.S_ISREG(mode):
            bad[name] = no_file(name)
        else:
            entries[name] = info
    folders: dict[str, str] = {}
    files = dict(entries)
    own = sorted([*files, *targets])
    for name, target in targets.items():
        try:
            place = _followed(name, targets)
            if place in files:
                entries[name] = files[place]
            elif not place or name.startswith(place + "/"):
                raise in_folder(name)
            elif not _below(own, place):
                raise dangling(name, target)
            else:
                folders[name] = place
        except ProblemError as error:
            bad[name] = error
    if len(folders) > _MAX_FOLDERS:
        raise ProblemError(f"it has {len(folders)} links to folders; the limit is {_MAX_FOLDERS}")
    plain = sorted(entries)
    for name, place in folders.items():
        for inner in sorted(other for other in folders if other.startswith(place + "/")):
            bad[f"{name}{inner.removeprefix(place)}"] = linked_twice(f"{name}{inner.removeprefix(place)}")
        for inner in sorted(other for other in bad if other.startswith(place + "/")):
            bad.setdefault(f"{name}{inner.removeprefix(place)}", bad[inner])
        for inner in _below(plain, place):
            entries.setdefault(f"{name}{inner.removeprefix(place)}", entries[inner])
        if len(entries) > most:
            raise ProblemError(f"it has more than {most} files, which is the limit")
    for name, reason in bad.items():
        if name.startswith(used):
            raise reason
    return entries


def _followed(name: str, targets: Mapping[str, str]) -> str:
    """Return the path, relative to the package, to which a link leads at last."""
    place: list[str] = []
    ahead = name.split("/")[::-1]
    hops = 0
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not place:
                raise outside(name, targets[name])
            place.pop()
            continue
        place.append(part)
        target = targets.get("/".join(place))
        if target is not None:
            hops += 1
            if hops > _MAX_HOPS:
                raise back_to_itself(name)
            if target.startswith("/"):
                raise outside(name, target)
            place.pop()
            ahead.extend(reversed(target.split("/")))
    return "/".join(place)


def _below(names: Sequence[str], folder: str) -> Sequence[str]:
    """Return those of the sorted names that are in a folder."""
    return names[bisect.bisect_left(names, folder + "/") : bisect.bisect_left(names, folder + "0")]  # "0" follows "/"
