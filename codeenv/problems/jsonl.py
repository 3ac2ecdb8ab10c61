"""JSON Lines with random access: an index of line offsets, rows read when asked for, one writer.

The index holds 8 bytes a row, so a file of 100,000 problems opens without being held in memory. Reading uses `pread`, which
forked workers and threads may share.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast, overload

import numpy as np
import numpy.typing as npt

from codeenv.problems.plain import too_many_digits
from codeenv.problems.problem import Problem, ProblemError

__all__ = ["JsonlRows", "check_targets", "check_writable", "first_byte", "read_json", "write_jsonl"]

MAX_ROW_BYTES = 256 * 1024 * 1024
"""Longest row that is read; a longer one is named in an error instead of filling the memory."""

MAX_UNPACKED_BYTES = 4 << 30
"""Most bytes that a gzip file may unpack to, since its lines are held in memory."""

_CHUNK = 1 << 22
_MARK = b"\xef\xbb\xbf"
"""The byte order mark, which some programs write before the first row."""


class JsonlRows(Sequence[bytes]):
    """The non-empty lines of a JSONL file (`.gz` is read into memory), each returned as undecoded bytes.

    Raises:
        ProblemError: if the file cannot be read or a gzip file ends early.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lines: list[bytes] = []
        self._offsets: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._ends: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._file: int | None = None
        if self.path.suffix == ".gz":
            self._lines = list(_unpacked_lines(self.path))
            self._lines[:1] = [line.removeprefix(_MARK) for line in self._lines[:1]]
            return
        try:
            self._offsets, self._ends = _line_spans(self.path)
            self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ProblemError(f"{self.path} cannot be read: {error.strerror or error}") from None

    def __len__(self) -> int:
        return len(self._lines) if self._file is None else len(self._offsets)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if self._file is None:
            return self._lines[index]
        begin = start = int(self._offsets[index])
        size = int(self._ends[index]) - start
        if size > MAX_ROW_BYTES:
            raise ProblemError(f"the row is {size / 1048576:.0f} MB long; the limit is {MAX_ROW_BYTES // 1048576} MB")
        parts = []
        while size > 0:
            part = os.pread(self._file, size, start)
            if not part:
                raise ProblemError(f"{self.path} became shorter while it was read")
            parts.append(part)
            start, size = start + len(part), size - len(part)
        row = b"".join(parts)
        return row if begin else row.removeprefix(_MARK)

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            os.close(self._file)  # type: ignore[arg-type]
            self._file = None

    def __getstate__(self) -> Path:
        return self.path

    def __setstate__(self, path: Path) -> None:
        self.__init__(path)  # type: ignore[misc]


def read_json(path: Path) -> list[Any]:
    """Return the rows of a JSON file, packed with gzip or not: its list, or its one value.

    Raises:
        ProblemError: if it cannot be read or is not JSON.
    """
    try:
        with _opened(path) as file:
            data = json.loads(file.read().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ProblemError(f"{path}: byte {error.start} is not UTF-8 text") from None
    except (json.JSONDecodeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ProblemError(f"{path} is not JSON: {reason}") from None
    except ValueError:
        raise ProblemError(f"{path} holds {too_many_digits()}") from None
    return data if isinstance(data, list) else [data]


def first_byte(path: Path) -> bytes:
    """Return the first byte of a file, packed or not, that is no white space and no byte order mark; empty if there is none."""
    with _opened(path) as file:
        return file.read(1 << 16).removeprefix(_MARK).lstrip()[:1]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, packed with gzip or not; what goes wrong while it is read is a `ProblemError`."""
    try:
        with path.open("rb") as file:
            yield cast(IO[bytes], gzip.GzipFile(fileobj=file)) if path.suffix == ".gz" else file
    except EOFError:
        raise ProblemError(f"{path} ends early; the gzip file is truncated") from None
    except zlib.error as error:
        raise ProblemError(f"{path} cannot be read: the gzip file is damaged ({error})") from None
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {error.strerror or error}") from None


def write_jsonl(path: str | Path, problems: Iterable[Problem | Mapping[str, Any]]) -> int:
    """Write one problem a row, packed if the name ends in `.gz`, and return their number; the file appears only when it is whole.

    What is there and no file, such as a pipe or `/dev/stdout`, is written into; a link leads to the file that is written.

    Raises:
        ProblemError: if the file cannot be written.
    """
    check_writable(path)
    path = Path(path)
    count = 0
    try:
        with _written(path) as file:
            for problem in problems:
                row = problem.to_dict() if isinstance(problem, Problem) else problem
                file.write((json.dumps(row, ensure_ascii=True) + "\n").encode())
                count += 1
    except OSError as error:
        raise ProblemError(f"{path} cannot be written: {error.strerror or error}") from None
    return count


def check_targets(target: str | Path, *others: str | Path | None) -> None:
    """Raise `ProblemError` unless a file can be written, under another name than the other files that a command writes."""
    check_writable(target)
    for other in others:
        if other is not None and Path(other).resolve() == Path(target).resolve():
            raise ProblemError(f"{str(target)!r} would be written twice; name another file for the bad rows")


def check_writable(path: str | Path) -> None:
    """Raise `ProblemError` if a file of this name cannot be written, before there is anything to write."""
    path = Path(path)
    if not path.name or path.is_dir():
        raise ProblemError(f"{str(path)!r} is a folder; name a file")
    if not path.resolve().parent.is_dir():
        raise ProblemError(f"{path} cannot be written: there is no folder {str(path.resolve().parent)!r}; make it first")
    if not os.access(path if path.exists() else path.resolve().parent, os.W_OK):
        raise ProblemError(f"{path} cannot be written: permission denied")


@contextlib.contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes its name when the block has ended, or what is there if it is no file."""
    place = path.resolve()
    if place.exists() and not place.is_file():
        with place.open("wb") as file:
            yield file
        return
    unfinished = place.with_name(f"{place.name}.{os.getpid()}.{threading.get_ident()}.unfinished")
    try:
        with unfinished.open("xb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed:
                    yield cast(IO[bytes], packed)
            else:
                yield file
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)


def _unpacked_lines(path: Path) -> Iterator[bytes]:
    size = 0
    with _opened(path) as file:
        while line := file.readline(MAX_ROW_BYTES + 1):
            size += len(line)
            if len(line) > MAX_ROW_BYTES or size > MAX_UNPACKED_BYTES:
                what = "a row" if len(line) > MAX_ROW_BYTES else "the file"
                most = MAX_ROW_BYTES if len(line) > MAX_ROW_BYTES else MAX_UNPACKED_BYTES
                raise ProblemError(f"{path}: {what} unpacks to more than {most >> 20} MB; unpack and divide the file")
            if line.strip():
                yield line


def _line_spans(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return where each non-empty line starts and ends."""
    breaks: list[npt.NDArray[np.int64]] = []
    position = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            breaks.append(np.flatnonzero(np.frombuffer(chunk, dtype=np.uint8) == 10).astype(np.int64) + position)
            position += len(chunk)
    ends = np.concatenate([*breaks, np.array([position], dtype=np.int64)])
    starts = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1] + 1])
    filled = ends > starts
    short = np.flatnonzero(ends - starts == 1)
    with path.open("rb") as file:
        for index in short:  # `\r` or a space alone is an empty line; another character is a row, and a bad one
            file.seek(int(starts[index]))
            filled[index] = bool(file.read(1).strip())
    return starts[filled], ends[filled]
