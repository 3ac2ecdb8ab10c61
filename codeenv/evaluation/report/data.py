"""What a report shows: tables, curves and recorded runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from codeenv.errors import CodeenvError
from codeenv.evaluation.intervals import Estimate

__all__ = ["Card", "Cell", "Curve", "Figure", "ReportData", "Series", "Table"]

Cell: TypeAlias = "str | int | float | Estimate | None"
"""A table cell; an `Estimate` is shown as a percentage with its interval, `None` as a dash."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: column names, rows of cells, a sentence below. `percent` shows estimates and floats as percentages."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    percent: bool = True

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise CodeenvError(f"table {self.title!r} has {len(self.columns)} columns and a row of {len(row)} cells: {row!r}")


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a curve; `low` and `high` bound its interval and may be empty."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or len(self.low) != len(self.high) or len(self.low) not in (0, len(self.x)):
            raise CodeenvError(
                f"series {self.name!r} has {len(self.x)} x, {len(self.y)} y, {len(self.low)} low and {len(self.high)} high "
                "values; they must be equally many"
            )


@dataclass(frozen=True, slots=True)
class Curve:
    """A line chart, such as a learning curve.

    Attributes:
        percent: whether y values are shares, shown as percentages from 0 to 100.
        log_x: whether x is on a logarithmic scale.
        discrete: whether x takes few whole values (turns), which are all labelled.
    """

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    note: str = ""
    percent: bool = True
    log_x: bool = False
    discrete: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawn figure: its title, its SVG (trusted, from `figures`), a legend of (series number, name), a sentence below."""

    title: str
    svg: str
    legend: Sequence[tuple[str, str]] = ()
    note: str = ""
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """A number at the top of the page: what it is worth, what it is, a few words more."""

    value: str
    name: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ReportData:
    """A report.

    Attributes:
        title: of the page.
        subtitle: a sentence below it, such as the command that made the runs.
        tables, curves: shown in the overview, before the figures that are made from the runs.
        runs: run folders by name (the arms of a benchmark, or before and after training), or folders alone.
        cards: numbers at the top of the page, before those of the first run.
    """

    title: str
    subtitle: str = ""
    tables: Sequence[Table] = ()
    curves: Sequence[Curve] = ()
    runs: Mapping[str, str | os.PathLike[str]] | Sequence[str | os.PathLike[str]] = field(default_factory=tuple)
    cards: Sequence[Card] = ()
