"""From the rows of a published data set, local or on the Hub, to its problems."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

from codeenv.problems.loaders.fields import Row
from codeenv.problems.loaders.hub import hub_rows
from codeenv.problems.loaders.local import local_rows
from codeenv.problems.mapped import MappedRows, checked_rows
from codeenv.problems.problem import Problem, ProblemError
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Request, sources

__all__ = ["Row", "build"]

Convert = Callable[[Row, int], Problem | None]


def build(
    request: Request,
    name: str,
    convert: Convert,
    *,
    check: bool,
    config: str | None = None,
    files: Sequence[str] = (),
    rows: Sequence[Row] | None = None,
    splits_itself: bool = False,
) -> ProblemSet:
    """Return the problems of a data set.

    Args:
        request: where to read and which split.
        name: the data set's name in the registry; its `hub` is read if there is no path.
        convert: makes a problem of a row; `None` leaves the row out by the data set's own rule.
        check: convert every row once now; otherwise a bad row, or one left out by rule, is an error when it is asked for.
        config: the configuration on the Hub.
        files: JSON Lines files of the Hub that make the split, see `hub_rows`.
        rows: the rows themselves, if they come from neither.
        splits_itself: whether `convert` takes only rows of the split, so that one file may hold all.
    """
    hub = sources()[name].hub
    if rows is not None:
        origin = name
    elif request.path is None:
        rows, origin = hub_rows(hub, config, request.split, files), hub
    else:
        if not splits_itself:
            _check_split(request, name)
        rows, origin = local_rows(request.path, request.split, request.split_given, config), str(request.path)
    named: Callable[[int], str] | None = getattr(rows, "where", None)

    def where(index: int) -> str:
        return named(index) if named is not None else f"{origin}, row {index + 1}"

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


def _check_split(request: Request, name: str) -> None:
    """Refuse a split that was asked for by name of a file that cannot have it.

    One file is one split. Its name may say which; a data set with one split needs no word about it.
    """
    path = request.path
    if path is None or path.is_dir() or not request.split_given or len(splits := sources()[name].splits) == 1:
        return
    if request.split not in path.name:
        others = [split for split in splits if split in path.name]
        reason = (
            f"by its name it is the split {others[0]!r}"
            if others
            else "one file holds one split, and its name does not say which"
        )
        raise ProblemError(
            f"{str(path)!r} cannot give the split {request.split!r}: {reason}; leave the split out, or name another file"
        )


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
