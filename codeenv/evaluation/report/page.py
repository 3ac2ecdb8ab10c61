"""The page: one HTML file with everything in it, from report data."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from codeenv.errors import CodeenvError
from codeenv.evaluation.intervals import Estimate
from codeenv.evaluation.records import load_run
from codeenv.evaluation.report.data import Card, Cell, Curve, Figure, ReportData, Table
from codeenv.evaluation.report.embed import embed_runs
from codeenv.evaluation.report.figures import line_figure, whisker
from codeenv.evaluation.report.overview import (
    behaviour_table,
    comparison_table,
    group_tables,
    run_cards,
    run_figures,
    solve_table,
)
from codeenv.evaluation.summary import summarise
from codeenv.rollout.output import writing

__all__ = ["render_report", "write_report"]

Runs = Mapping[str, str | os.PathLike[str]] | Sequence[str | os.PathLike[str]]

_SCRIPTS = ("store.js", "table.js", "code.js", "trace.js", "predictions.js", "episode.js", "main.js")


def write_report(
    runs: Runs,
    out_html: str | os.PathLike[str],
    *,
    title: str = "",
    subtitle: str = "",
    tables: Sequence[Table] = (),
    curves: Sequence[Curve] = (),
    cards: Sequence[Card] = (),
) -> Path:
    """Write a self-contained HTML report of one or several runs.

    Args:
        runs: run folders by name, or folders alone (named after themselves); may be empty if there are tables or curves.
        out_html: the file.
        title: of the page; by default the runs' names.
        subtitle: a sentence below the title.
        tables, curves, cards: shown before what is made from the runs; the first table stands above the figures.

    Returns:
        The path of the file.

    Raises:
        RunError: if a folder holds no readable run or no episode.
    """
    named = named_runs(runs)
    out = Path(out_html)
    text = render_report(ReportData(title or " and ".join(named) or "Report", subtitle, tables, curves, named, cards))
    with writing(out, "the report") as file:
        file.write(text)
    return out


def named_runs(runs: Runs) -> dict[str, Path]:
    """Return run folders by name; names of folders that are called alike are made longer until they differ."""
    if isinstance(runs, Mapping):
        return {name: Path(path) for name, path in runs.items()}
    paths = [Path(path) for path in runs]
    for depth in range(1, 6):
        names = ["/".join(path.resolve().parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return dict(zip(names, paths, strict=True))
    raise CodeenvError(f"the run {str(paths[0])!r} is given twice; give each run once")


def render_report(data: ReportData) -> str:
    """Return the HTML text of a report."""
    import jinja2

    from codeenv.version import __version__

    named = named_runs(data.runs)
    records = [load_run(path, name) for name, path in named.items()]
    summaries = [summarise(record) for record in records]
    tables = list(data.tables)
    figures: list[Figure] = [line_figure(curve) for curve in data.curves]
    lead = min(1, len(tables))
    context: dict[str, Any] = {"cards": list(data.cards), "episodes": 0, "blocks": [], "index": ""}
    if records:
        tables.append(solve_table(summaries))
        tables += [table for table in [comparison_table(records)] if table is not None]
        lead = lead or len(tables)
        if max(summary.turn_limit for summary in summaries) > 1:
            tables.append(behaviour_table(summaries))
        tables += group_tables(summaries)
        figures += run_figures(records, summaries)
        embedded = embed_runs(named)
        context = {
            "cards": [*data.cards, *run_cards(records, summaries)],
            "episodes": sum(len(record.episodes) for record in records),
            "blocks": embedded.blocks,
            "index": embedded.index,
        }
    page = _asset("codeenv.evaluation.report", "page.html")
    template = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(page)
    return template.render(
        **context,
        title=data.title,
        lead=lead,
        subtitle=data.subtitle,
        tables=[_drawn_table(table) for table in tables],
        figures=figures,
        footer=f"codeenv {__version__}",
        style=_asset("codeenv.evaluation.report", "page.css") + _asset("codeenv.trace", "stepper.css"),
        stepper=_asset("codeenv.trace", "stepper.js"),
        script="\n".join(_asset("codeenv.evaluation.report", f"js/{name}") for name in _SCRIPTS),
    )


def _asset(package: str, name: str) -> str:
    return (files(package) / name).read_text(encoding="utf-8")


def _drawn_table(table: Table) -> dict[str, Any]:
    tops = [_top(row[index] for row in table.rows) for index in range(len(table.columns))]
    rows = [[_drawn_cell(cell, table.percent, top) for cell, top in zip(row, tops, strict=True)] for row in table.rows]
    return {"title": table.title, "columns": table.columns, "rows": rows, "note": table.note}


def _top(cells: Iterable[Cell]) -> float:
    """Return the end of a column's interval bars: 1 unless its values are larger."""
    return max([1.0, *(cell.high for cell in cells if isinstance(cell, Estimate) and math.isfinite(cell.high))])


def _drawn_cell(cell: Cell, percent: bool, top: float) -> dict[str, str]:
    if isinstance(cell, Estimate):
        if math.isnan(cell.value):
            return {"kind": "number", "text": "–"}
        value = f"{cell.value:.1%}" if percent else f"{cell.value:.4g}"
        shown = f"{cell.low:.1%} to {cell.high:.1%}" if percent else f"{cell.low:.4g} to {cell.high:.4g}"
        bar = whisker(cell.value, cell.low, cell.high, top) if cell.low >= 0 else ""
        return {"kind": "number", "text": value, "range": shown, "whisker": bar}
    if cell is None:
        return {"kind": "number", "text": "–"}
    if isinstance(cell, str):
        return {"kind": "text", "text": cell}
    if isinstance(cell, int):
        return {"kind": "number", "text": f"{cell:,}"}
    return {"kind": "number", "text": "–" if math.isnan(cell) else f"{cell:.1%}" if percent else f"{cell:.4g}"}
