"""Rows of a data set seen as problems: converted when asked for, checked once, never all in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, overload

from codeenv.problems.bad_rows import ROW_ERRORS, BadRows, check_sizes, reason_of
from codeenv.problems.problem import Problem, ProblemError

__all__ = ["MappedRows", "checked_rows"]

Row = TypeVar("Row")


class MappedRows(Sequence[Problem], Generic[Row]):
    """A sequence of problems over a sequence of raw rows.

    Args:
        rows: raw rows with random access (a JSONL index, an Arrow table, a list).
        convert: makes a problem from a row and its position; raises `ProblemError` for a bad row.
        where: names a position for people, such as `file.jsonl, row 3`.
        kept: the positions that are problems; all if not given.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        convert: Callable[[Row, int], Problem],
        where: Callable[[int], str],
        kept: Sequence[int] | None = None,
    ) -> None:
        self._rows = rows
        self._convert = convert
        self._where = where
        self._kept = range(len(rows)) if kept is None else kept

    def __len__(self) -> int:
        return len(self._kept)

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Problem]: ...
    def __getitem__(self, index: int | slice) -> Problem | Sequence[Problem]:
        if isinstance(index, slice):
            return MappedRows(self._rows, self._convert, self._where, self._kept[index])
        position = self._kept[index]
        try:
            return check_sizes(self._convert(self._rows[position], position))
        except ROW_ERRORS as error:
            raise ProblemError(f"{self._where(position)}: {reason_of(error)}") from None


def checked_rows(
    rows: Sequence[Row],
    convert: Callable[[Row, int], Problem | None],
    where: Callable[[int], str],
    bad: BadRows,
) -> tuple[MappedRows[Row], dict[str, int]]:
    """Convert every row once and return the good ones, with the position of each id.

    A `convert` that returns `None` leaves the row out by the data set's own rule.

    Raises:
        ProblemError: for the first bad row, unless `bad` writes them aside.
    """
    kept: list[int] = []
    positions: dict[str, int] = {}
    for index in range(len(rows)):
        raw: Any = None
        try:
            raw = rows[index]
            problem = convert(raw, index)
            if problem is None:
                continue
            check_sizes(problem)
            if problem.id in positions:
                raise ProblemError(f"id {problem.id!r} is taken by {where(kept[positions[problem.id]])}; ids must be unique")
        except ROW_ERRORS as error:
            bad.reject(where(index), error, _as_written(rows, index, raw))
            continue
        positions[problem.id] = len(kept)
        kept.append(index)
    return MappedRows(rows, _required(convert), where, kept), positions


def _as_written(rows: Sequence[Row], index: int, raw: Any) -> Any:
    """Return a row as the file has it, where that is known; what cannot be decoded is not lost so."""
    as_written: Callable[[int], Any] | None = getattr(rows, "raw", None)
    if as_written is None:
        return raw
    try:
        return as_written(index)
    except ROW_ERRORS:  # too long, or the file has changed
        return raw


def _required(convert: Callable[[Row, int], Problem | None]) -> Callable[[Row, int], Problem]:
    def converted(row: Row, index: int) -> Problem:
        problem = convert(row, index)
        if problem is None:
            raise ProblemError("the data set's own rule leaves this row out")
        return problem

    return converted
