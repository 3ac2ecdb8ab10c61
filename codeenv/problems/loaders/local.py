"""Rows of a data set in local files: JSON, JSON Lines, Parquet or Arrow, one file or a folder of them."""

from __future__ import annotations

import bisect
import contextlib
import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from codeenv.errors import MissingExtraError
from codeenv.problems.jsonl import JsonlRows, first_byte, read_json
from codeenv.problems.loaders.fields import Row
from codeenv.problems.problem import ProblemError

__all__ = ["JsonRows", "datasets_library", "json_rows", "json_values", "local_rows", "quiet"]

_JSON = (".jsonl", ".jsonl.gz", ".json", ".json.gz")
_TABLES = {".parquet": "parquet", ".arrow": "arrow"}
_FORMATS = f"{', '.join([*_JSON, *_TABLES])} or a folder that holds such files"


class JsonRows(Sequence[Row]):
    """JSON objects of a file, decoded when asked for; `raw` is a row as it is written, `where` names it for people."""

    def __init__(self, path: Path, rows: Sequence[Any]) -> None:
        self._path = path
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def where(self, index: int) -> str:
        return f"{self._path}, row {index + 1}"

    def raw(self, index: int) -> Any:
        return self._rows[index]

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        row = self._rows[index]
        if isinstance(row, bytes):
            row = json.loads(row.decode("utf-8"))
        if not isinstance(row, dict):
            raise ProblemError(f"a row must be a JSON object, got {type(row).__name__}")
        return row


class _Joined(Sequence[Row]):
    """Several files of rows, one behind the other."""

    def __init__(self, parts: Sequence[JsonRows]) -> None:
        self._parts = parts
        self._ends = list(itertools.accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def where(self, index: int) -> str:
        part, position = self._place(index)
        return part.where(position)

    def raw(self, index: int) -> Any:
        part, position = self._place(index)
        return part.raw(position)

    def _place(self, index: int) -> tuple[JsonRows, int]:
        number = bisect.bisect_right(self._ends, index)
        return self._parts[number], index - (self._ends[number - 1] if number else 0)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        part, position = self._place(range(len(self))[index])
        return part[position]


def local_rows(path: Path, split: str, given: bool, config: str | None) -> Sequence[Row]:
    """Return the rows of a file, or those of a split in a folder.

    A folder is what `datasets` saved, a copy of the data set's files (`test.jsonl`, `test-00000-of-00002.parquet`, also below
    `data` or the configuration's name), or files whose names hold the split.

    Raises:
        ProblemError: for a broken file, an unknown format, a folder without the split.
        MissingExtraError: for Parquet or Arrow without the package `datasets`.
    """
    if path.is_dir():
        return _from_folder(path, split, given, config)
    if path.name.endswith(_JSON):
        return json_rows(path)
    if path.suffix in _TABLES:
        return _tables(path.suffix, [path])
    raise ProblemError(f"{str(path)!r} is of an unknown format; use {_FORMATS}")


def json_rows(*paths: Path) -> Sequence[Row]:
    """Return the rows of JSON or JSON Lines files, packed with gzip or not."""
    parts = [JsonRows(path, json_values(path)) for path in paths]
    return parts[0] if len(parts) == 1 else _Joined(parts)


def json_values(path: Path) -> Sequence[Any]:
    """Return the rows of one such file: bytes for JSON Lines, values for a list or one value."""
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return JsonlRows(path)
    if first_byte(path) == b"{":
        rows = JsonlRows(path)
        with contextlib.suppress(ValueError):  # else one object over many lines
            json.loads(rows[0])
            return rows
    return read_json(path)


def _from_folder(path: Path, split: str, given: bool, config: str | None) -> Sequence[Row]:
    if any((path / name).exists() for name in ("dataset_info.json", "dataset_dict.json", "state.json")):
        return _saved(path, split, given)
    shape = re.compile(rf"(?<![a-z]){re.escape(split)}(?![a-z])", re.I)
    for folder in (path, path / "data", *([path / config, path / "data" / config] if config else [])):
        found = [file for file in _files(folder) if shape.search(file.name)] or _files(folder / split)
        kinds = sorted({_kind(file) for file in found})
        if len(kinds) > 1:
            raise ProblemError(f"the folder {str(folder)!r} holds the split {split!r} as {' and '.join(kinds)}; name one file")
        if kinds == ["json"]:
            return json_rows(*sorted(found, key=lambda file: (len(file.name), file.name)))  # test2.jsonl before test10.jsonl
        if kinds:
            return _tables(found[0].suffix, found)
    formats = ", ".join([*_JSON, *_TABLES])
    raise ProblemError(f"the folder {str(path)!r} holds no file of the formats {formats} whose name has {split!r} in it")


def _files(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.glob("*")) if _kind(file)]


def _kind(file: Path) -> str:
    return "json" if file.name.endswith(_JSON) else _TABLES.get(file.suffix, "")


def _saved(path: Path, split: str, given: bool) -> Sequence[Row]:
    """Return what `datasets` saved: all splits, or one that may know which it is."""
    with _reading(path, "a folder saved by datasets"):
        loaded = datasets_library().load_from_disk(str(path))
    if hasattr(loaded, "keys"):
        if split not in loaded:
            raise ProblemError(f"{str(path)!r} has no split {split!r}; it has {', '.join(loaded)}")
        loaded = loaded[split]
    elif given and loaded.split and str(loaded.split) != split:
        raise ProblemError(f"{str(path)!r} is the split {str(loaded.split)!r}, not {split!r}; leave the split out")
    rows: Sequence[Row] = loaded
    return rows


def _tables(suffix: str, files: Sequence[Path]) -> Sequence[Row]:
    library = datasets_library()
    with _reading(files[0], _TABLES[suffix]):
        if suffix == ".arrow":
            tables = [library.Dataset.from_file(str(file)) for file in files]
            rows: Sequence[Row] = tables[0] if len(tables) == 1 else library.concatenate_datasets(tables)
        else:
            rows = library.load_dataset(_TABLES[suffix], data_files=[str(file) for file in files], split="train")
    return rows


@contextlib.contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    try:
        with quiet():
            yield
    except MissingExtraError:
        raise
    except Exception as error:  # the library has no common base class for a broken file
        lines = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
        raise ProblemError(f"{path} cannot be read as {kind} ({reason})") from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of the library meanwhile."""
    library = datasets_library()
    were: Callable[[], bool] = library.are_progress_bars_disabled
    disabled = were()
    library.disable_progress_bars()
    try:
        yield
    finally:
        if not disabled:
            library.enable_progress_bars()


def datasets_library() -> Any:
    """Return the package `datasets`, imported now."""
    try:
        import datasets
    except ImportError:
        raise MissingExtraError("reading from the Hub, Parquet or Arrow", "datasets", "data") from None
    return datasets
