"""Rows of a published data set: from a local file or folder, or from the Hub through `datasets`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from codeenv.errors import MissingExtraError
from codeenv.problems.jsonl import JsonlRows, read_json
from codeenv.problems.mapped import MappedRows, checked_rows
from codeenv.problems.problem import Problem, ProblemError
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Request, sources

__all__ = ["Row", "build", "read_rows", "text_list"]

Row = Mapping[str, Any]
Convert = Callable[[Row, int], Problem | None]


def build(request: Request, name: str, convert: Convert, *, check: bool, config: str | None = None) -> ProblemSet:
    """Return the problems of a data set.

    Args:
        request: where to read and which split.
        name: the data set's name in the registry; its `hub` is read if there is no path.
        convert: makes a problem of a row; `None` leaves the row out by the data set's own rule.
        check: convert every row once now; otherwise a bad row, or one left out by rule, is an error when it is asked for.
        config: the configuration on the Hub.
    """
    rows, origin = read_rows(request, name, config)

    def where(index: int) -> str:
        return f"{origin}, row {index + 1}"

    if request.limit is not None and not check:
        rows = _Head(rows, request.limit)
    if check:
        problems, positions = checked_rows(rows, convert, where, request.bad)
        return ProblemSet(problems, name=name, split=request.split, find=positions.get)

    def converted(row: Row, index: int) -> Problem:
        problem = convert(row, index)
        if problem is None:
            raise ProblemError("the data set's own rule leaves this row out; load with check=True to skip such rows")
        return problem

    return ProblemSet(MappedRows(rows, converted, where), name=name, split=request.split)


def read_rows(request: Request, name: str, config: str | None) -> tuple[Sequence[Row], str]:
    """Return the raw rows with random access, and what to call their origin."""
    if request.path is None:
        return _from_hub(sources()[name].hub, config, request.split)
    path = request.path
    if path.is_dir():
        return _from_folder(path, request.split)
    if path.suffix == ".parquet":
        return _arrow("parquet", path), str(path)
    if path.suffix == ".json" and not _starts_with_object(path):
        return read_json(path), str(path)
    return _Decoded(JsonlRows(path)), str(path)


def text_list(value: Any) -> list[Any]:
    """Return a list that a row holds as it is or as JSON text; an empty text is an empty list."""
    if isinstance(value, str):
        value = json.loads(value) if value.strip() else []
    return list(value) if value is not None else []


def _starts_with_object(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) == b"{"
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {error.strerror or error}") from None


class _Decoded(Sequence[Row]):
    """JSON objects over a JSONL index."""

    def __init__(self, rows: JsonlRows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        row = json.loads(self._rows[index].decode("utf-8"))
        if not isinstance(row, dict):
            raise ProblemError(f"a row must be a JSON object, got {type(row).__name__}")
        return row


class _Head(Sequence[Row]):
    """The first rows of a sequence, without copying it."""

    def __init__(self, rows: Sequence[Row], limit: int) -> None:
        self._rows = rows
        self._length = min(limit, len(rows))

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(self._length))]
        return self._rows[range(self._length)[index]]


def _from_folder(path: Path, split: str) -> tuple[Sequence[Row], str]:
    if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
        loaded = _datasets().load_from_disk(str(path))
        if hasattr(loaded, "keys") and split in loaded:
            loaded = loaded[split]
        return loaded, str(path)
    files = sorted(file for file in path.iterdir() if file.suffix in (".parquet", ".jsonl") and split in file.name)
    if not files:
        raise ProblemError(f"the folder {str(path)!r} holds no .parquet or .jsonl file whose name has {split!r} in it")
    kinds = {file.suffix for file in files}
    if kinds == {".jsonl"} and len(files) == 1:
        return _Decoded(JsonlRows(files[0])), str(files[0])
    return _arrow("parquet" if kinds == {".parquet"} else "json", *files), str(path)


def _arrow(kind: str, *files: Path) -> Sequence[Row]:
    try:
        rows: Sequence[Row] = _datasets().load_dataset(kind, data_files=[str(file) for file in files], split="train")
    except MissingExtraError:
        raise
    except Exception as error:  # the library has no common base class for a broken file
        raise ProblemError(f"{files[0]} cannot be read as {kind}: {_first_line(error)}") from None
    return rows


def _from_hub(hub: str, config: str | None, split: str) -> tuple[Sequence[Row], str]:
    datasets = _datasets()
    try:
        rows: Sequence[Row] = datasets.load_dataset(hub, config, split=split)
    except Exception as error:  # no connection, no such file, no access: the library has no common base class
        raise ProblemError(
            f"the data set {hub!r} could not be read from the Hub ({_first_line(error)}); "
            "pass a local copy as NAME:PATH if there is no network"
        ) from None
    return rows, hub


def _datasets() -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingExtraError("reading from the Hub, Parquet or Arrow", "datasets", "data") from None
    return datasets


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
