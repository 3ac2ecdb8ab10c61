"""What a report says at first sight: cards, tables and figures made from the summaries of its runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from codeenv.evaluation.intervals import Estimate, paired_bootstrap
from codeenv.evaluation.records import RunRecord
from codeenv.evaluation.report.data import Card, Cell, Curve, Figure, Series, Table
from codeenv.evaluation.report.figures import flow_figure, histogram_figure, line_figure
from codeenv.evaluation.summary import ERROR_CLASSES, Summary, budget_curve, per_problem

__all__ = ["behaviour_table", "comparison_table", "edits_figure", "group_tables", "run_cards", "run_figures", "solve_table"]

_BARS = 3
"""Most runs whose histograms are drawn as bars side by side."""


def run_cards(runs: Sequence[RunRecord], summaries: Sequence[Summary]) -> list[Card]:
    """Return the numbers at the top of the page: of the first run, and how much there is of everything."""
    first = summaries[0]
    in_all = sum(summary.episodes for summary in summaries)
    found = [
        Card(f"{first.solve_rate.value:.1%}", f"solved, {first.name}", interval_text(first.solve_rate)),
        Card(f"{in_all:,}", "episodes", f"{len(runs)} run{'s' if len(runs) > 1 else ''}"),
        Card(f"{first.problems:,}", "problems", f"up to {first.turn_limit} turns each"),
        Card(f"{sum(summary.responses for summary in summaries):,}", "programs judged"),
    ]
    isolation = sorted({str(run.header.get("isolation")) for run in runs if run.header.get("isolation")})
    if isolation:
        found.append(Card(", ".join(isolation), "isolation", "of the submitted programs"))
    return found


def interval_text(estimate: Estimate) -> str:
    """Return `a to b` in percent."""
    if math.isnan(estimate.low):
        return ""
    return f"{estimate.low:.1%} to {estimate.high:.1%}"


def solve_table(summaries: Sequence[Summary]) -> Table:
    """Return how often each run solves: by turn, and at sample budgets."""
    turns = max(summary.turn_limit for summary in summaries)
    budgets = list(dict.fromkeys(name for summary in summaries for name in summary.budgets))
    columns = ["run", "episodes", *(f"by turn {turn}" for turn in range(1, turns + 1)), "public passed", *budgets]
    rows: list[list[Cell]] = []
    for summary in summaries:
        by_turn: list[Cell] = [*summary.solved_at, *([None] * (turns - len(summary.solved_at)))]
        rows.append([summary.name, summary.episodes, *by_turn, summary.public_rate, *map(summary.budgets.get, budgets)])
    note = (
        "Share of episodes solved, with 95 % bootstrap intervals over problems. In n@k every response counts as one of the k "
        "samples, and n programs are submitted; pass@k counts whole episodes."
    )
    return Table("Solve rate", columns, rows, note)


def behaviour_table(summaries: Sequence[Summary]) -> Table:
    """Return what happens between two turns."""
    classes = [name for name in ERROR_CLASSES if any(name in summary.repair for summary in summaries)]
    columns = [
        "run", *(f"repairs {name.replace('_', ' ')}" for name in classes), "same program again", "breaks a passing test",
        "right type next", "right value next", "edit (1 - chrF)",
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [
            summary.name, *map(summary.repair.get, classes), summary.identical, summary.regressions, summary.type_right,
            summary.value_right, summary.edit,
        ]
        for summary in summaries
    ]  # fmt: skip
    note = (
        "Shares of the steps from one turn to the next. Repairs: the next program passes all public tests, by the verdict "
        "before. Right type and right value: what the next program returns on the first test that failed."
    )
    return Table("Between two turns", columns, rows, note)


def comparison_table(runs: Sequence[RunRecord]) -> Table | None:
    """Return the differences in solve rate between the first run and the others, over the problems they share."""
    if len(runs) < 2:
        return None
    base = per_problem(runs[0], lambda episode: episode.solved)
    rows: list[list[Cell]] = []
    for other in runs[1:]:
        rates = per_problem(other, lambda episode: episode.solved)
        shared = sorted(base.keys() & rates.keys())
        if not shared:
            continue
        difference = paired_bootstrap([base[name] for name in shared], [rates[name] for name in shared])
        better = sum(base[name] > rates[name] for name in shared)
        worse = sum(base[name] < rates[name] for name in shared)
        rows.append([f"{runs[0].name} minus {other.name}", difference, len(shared), better, worse])
    if not rows:
        return None
    columns = ("difference", "solve rate", "shared problems", f"{runs[0].name} better", f"{runs[0].name} worse")
    return Table("Differences", columns, rows, "Paired by problem; 95 % bootstrap intervals.")


def group_tables(summaries: Sequence[Summary]) -> list[Table]:
    """Return the solve rate by difficulty and by source, where there is more than one."""
    tables = []
    for title in ("difficulty", "source"):
        names = sorted({name for summary in summaries for name in summary.groups.get(title, {})})
        if len(names) > 1:
            rows: list[list[Cell]] = [
                [summary.name, *(summary.groups.get(title, {}).get(name) for name in names)] for summary in summaries
            ]
            tables.append(Table(f"Solve rate by {title}", ["run", *names], rows))
    return tables


def edits_figure(edits: Mapping[str, Sequence[float]]) -> Figure:
    """Draw sizes of edits: bars for a few runs, cumulative lines for many."""
    if len(edits) <= _BARS:
        note = "1 - chrF between successive programs; 'same' is an exact repetition."
        return histogram_figure("Size of edits", "1 - chrF", edits, note=note)
    x = [step / 40 for step in range(41)]
    series = [
        Series(name, x, [sum(value <= at for value in values) / len(values) for at in x])
        for name, values in edits.items()
        if values
    ]
    note = "1 - chrF between successive programs; the value at 0 is the share of exact repetitions."
    return line_figure(Curve("Size of edits", "1 - chrF", "steps with at most this", series, note))


def run_figures(runs: Sequence[RunRecord], summaries: Sequence[Summary]) -> list[Figure]:
    """Return the overview's figures."""
    figures = []
    if max(summary.turn_limit for summary in summaries) > 1:
        turns = [
            Series(
                summary.name,
                range(1, summary.turn_limit + 1),
                [estimate.value for estimate in summary.solved_at],
                [estimate.low for estimate in summary.solved_at],
                [estimate.high for estimate in summary.solved_at],
            )
            for summary in summaries
        ]
        note = "Whiskers: 95 % intervals over problems."
        figures.append(line_figure(Curve("Solved by turn", "turn", "episodes solved", turns, note, discrete=True)))
    curves = {run.name: budget_curve(run) for run in runs}
    if any(len(curve) > 1 for curve in curves.values()):
        series = [Series(name, [k for k, _ in curve], [rate for _, rate in curve]) for name, curve in curves.items()]
        note = "1@k: expected solve rate when k responses are spent and one program is submitted."
        figures.append(line_figure(Curve("Sample budget", "responses k", "1@k", series, note, log_x=True)))
    edits = {summary.name: summary.edits for summary in summaries}
    if any(edits.values()):
        figures.append(edits_figure(edits))
    order = ("accepted", *ERROR_CLASSES, "judge_error")
    for summary in summaries[:6]:
        if summary.turn_limit > 1:
            title = f"Public verdicts from turn to turn: {summary.name}"
            figures.append(flow_figure(title, summary.flow, order))
    return figures
