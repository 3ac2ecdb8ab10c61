"""Names of data sets and the one function that loads them all."""

from __future__ import annotations

import functools
import importlib
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codeenv.problems.bad_rows import BadRows
from codeenv.problems.filters import Filter, compile_filter
from codeenv.problems.options import check_options
from codeenv.problems.problem import ProblemError
from codeenv.problems.problem_set import ProblemSet

__all__ = ["Request", "Source", "load", "register", "sources"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a loader is asked for.

    Attributes:
        path: a local file or folder in the data set's published format, `None` for its usual origin.
        split: one of the source's splits.
        bad: what happens to bad rows.
        limit: only the first so many problems are needed; a loader may use it to read less, `load` cuts in any case.
        split_given: whether the split was asked for; otherwise it is the source's first.
    """

    path: Path | None
    split: str
    bad: BadRows
    limit: int | None
    split_given: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A data set.

    Attributes:
        name: as typed by users, lower case.
        loader: `module:function`, imported at the first use; called with a `Request` and the options of `load`.
        summary: what it is, one line.
        tests: where its public and private tests come from, one line.
        splits: the allowed splits, the default first.
        hub: the name on the Hugging Face Hub, empty if it does not come from there.
        environment: the name in `codeenv/<environment>-v0`.
    """

    name: str
    loader: str
    summary: str
    tests: str
    splits: tuple[str, ...]
    environment: str
    hub: str = ""


_SOURCES: dict[str, Source] = {}


def register(source: Source) -> None:
    """Add a data set; a name that is taken is an error."""
    if source.name in _SOURCES:
        raise ProblemError(f"the data set name {source.name!r} is taken; choose another")
    _SOURCES[source.name] = source


def sources() -> dict[str, Source]:
    """Return the known data sets by name."""
    return dict(_SOURCES)


def load(
    name_or_path: str | Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    filter: Filter | str | None = None,
    skip_bad: str | Path | None = None,
    **options: Any,
) -> ProblemSet:
    """Load problems by the name of a data set, from a local copy of one, from JSONL or from problem packages.

    Args:
        name_or_path: a name (`humaneval`, `procedural`), `name:path` for a local file in that data set's published format,
            a `.jsonl`, `.jsonl.gz` or `.json` file of our schema, a problem package (folder or zip) or a folder of packages.
        split: a part of the data set; its first if not given.
        limit: at most this many problems, after the filter.
        filter: a predicate on problems, or conditions such as `"difficulty<0.5 tag=dp"` (see `filters.compile_filter`).
        skip_bad: a file that receives the bad rows with their reasons; without it the first bad row is an error.
        options: the data set's own options, such as `seed` of `procedural`.

    Raises:
        ProblemError: for an unknown name, split or option, and for a bad row: file, row and field in one sentence.
        MissingExtraError: if a package that the data set needs is not installed.

    >>> load("procedural", split="train", limit=2)
    <ProblemSet 'procedural', split 'train': 2 problems>
    """
    try:
        source, path = _resolve(name_or_path)
    except OSError as error:
        reason = f"{reprlib.repr(str(name_or_path))} cannot be looked up: {error.strerror or error}"
        raise ProblemError(f"{reason}; use the name of a data set or the path of a file") from None
    if split is not None and split not in source.splits:
        raise ProblemError(f"{source.name!r} has no split {split!r}; use one of {', '.join(source.splits)}")
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise ProblemError(f"limit is {limit!r}; use a whole number of at least 1; without it all problems are taken")
    module, function = source.loader.split(":")
    loader: Callable[..., ProblemSet] = getattr(importlib.import_module(module), function)
    check_options(source.name, loader, options)
    if filter is not None and not isinstance(filter, str) and not callable(filter):
        raise ProblemError(f"filter is {reprlib.repr(filter)}; use conditions such as 'difficulty<0.5 tag=dp', or a function")
    if skip_bad is not None and not isinstance(skip_bad, (str, Path)):
        raise ProblemError(f"skip_bad is {reprlib.repr(skip_bad)}; use the path of a file for the bad rows")
    keep = compile_filter(filter) if isinstance(filter, str) else filter
    request = Request(
        path, split or source.splits[0], BadRows(skip_bad, path), limit if keep is None else None, split is not None
    )
    problems = loader(request, **options)
    if keep is not None:
        problems = problems.where(keep, limit)
    elif limit is not None and limit < len(problems):
        problems = problems[:limit]
    if not len(problems):
        raise ProblemError(f"{str(name_or_path)!r} holds no problem" + (" that passes the filter" if keep else ""))
    again = functools.partial(load, name_or_path, split=split, limit=limit, filter=filter, skip_bad=skip_bad, **options)
    return problems.loaded_by(again)


def _resolve(name_or_path: str | Path) -> tuple[Source, Path | None]:
    text = str(name_or_path)
    name, colon, rest = text.partition(":")
    if isinstance(name_or_path, str):
        key = _key(text)
        if key in _SOURCES:
            return _SOURCES[key], None
        if colon and _key(name) in _SOURCES:
            if not rest.strip():
                raise ProblemError(f"{text!r} names no file; write {name}:PATH, or {name} alone for its usual origin")
            return _SOURCES[_key(name)], _existing(Path(rest))
    path = Path(text)
    if text.endswith((".jsonl", ".json", ".jsonl.gz", ".json.gz")):
        return _SOURCES["jsonl"], _existing(path)
    if path.is_dir() or path.suffix in (".zip", ".kpp"):
        return _SOURCES["package"], _existing(path)
    if path.exists():
        raise ProblemError(f"{text!r} is no .jsonl, .json or .zip file; say which data set it is as NAME:{text}")
    raise ProblemError(f"there is no data set and no file {text!r}; data sets are {', '.join(sorted(_SOURCES))}")


def _key(name: str) -> str:
    """Return a name as registered: `HumanEval+`, `codeenv/HumanEval-v0` and `human_eval` spellings are forgiven."""
    key = name.lower().removeprefix("codeenv/").removesuffix("-v0").replace("_", "-")
    return {"human-eval": "humaneval", "humanevalplus": "humaneval+", "mbppplus": "mbpp+", "code-contests": "codecontests"}.get(
        key, key
    )


def _existing(path: Path) -> Path:
    if not path.exists():
        raise ProblemError(f"there is no file {str(path)!r}")
    return path
