"""A benchmark's result for people: a table for the terminal, tables for the page."""

from __future__ import annotations

import math
from collections.abc import Sequence

from codeenv.evaluation.arms import ARMS
from codeenv.evaluation.bench import BenchResult
from codeenv.evaluation.intervals import Estimate, McNemar
from codeenv.evaluation.report import Card, Cell, Table

__all__ = ["arms_table", "bench_cards", "bench_sentence", "bench_tables", "known_table", "text_table", "width_note"]


def arms_table(result: BenchResult) -> Table:
    """Return the arms: solve rate, and the difference of the true arm to each."""
    rows: list[list[Cell]] = []
    against = {item.second: item for item in result.comparisons}
    for name, summary in result.summaries.items():
        item = against.get(name)
        row: list[Cell] = [name, ARMS[name][0], summary.solve_rate, summary.solved_at[0], summary.public_rate]
        compared: list[Cell] = [None] * 4
        if item is not None:
            compared = [item.difference, item.share, f"{item.p_value:.2g}", _mcnemar(item.mcnemar)]
        rows.append(row + compared)
    columns = (
        "arm", "after a failed turn it sees", "solved", "in turn 1", "public passed", "true minus this",
        "share of possible gain", "p (sign flip)", "McNemar",
    )  # fmt: skip
    note = (
        "Same agent, problems, seeds, budget, early stop and reward in every arm. 'True minus random' is feedback utilisation. "
        "Intervals: 95 % bootstrap over problems. McNemar: problems that only true / only this arm solves in the first rollout, "
        "and the exact p-value."
    )
    return Table("Feedback arms", columns, rows, f"{note} {width_note(result)}".rstrip())


def width_note(result: BenchResult) -> str:
    """Return what an interval of no width hides, in words; empty if no arm has one."""
    if all(summary.solve_rate.low < summary.solve_rate.high for summary in result.summaries.values()):
        return ""
    least = min(summary.problems for summary in result.summaries.values())
    return f"A rate of 0 or 1 has an interval of no width; with {least} problems it may be {min(1.0, 3 / least):.0%} off."


def _mcnemar(test: McNemar) -> str:
    return f"{test.only_a} / {test.only_b}, p\u00a0{test.p_value:.2g}"


def bench_sentence(result: BenchResult) -> str:
    """Return in words what the benchmark says of the use of feedback; empty without a random arm."""
    used = result.utilisation
    if used is None:
        return ""
    gain = used.difference
    if (gain.low > 0 or gain.high < 0) and used.p_value >= 0.05:
        return (
            f"Too few problems differ to tell: the interval of true minus {used.second} excludes 0, but the sign-flip test does "
            f"not reject (p {used.p_value:.2g}); use more problems."
        )
    if gain.low > 0:
        return f"It uses feedback: true feedback solves {_points(gain.value)} more than {used.second} feedback."
    if gain.high < 0:
        return f"True feedback harms it: {_points(-gain.value)} fewer are solved than with {used.second} feedback."
    return f"No use of feedback is shown: the interval of true minus {used.second} holds 0."


def _points(share: float) -> str:
    return f"{share * 100:.1f} percentage points"


def known_table(result: BenchResult) -> Table | None:
    """Return the scripted agents beside what theory says, `None` if they were not run."""
    if not result.known:
        return None
    rows: list[list[Cell]] = [
        [item.agent, item.arm, item.rate, item.theory, "yes" if item.lands else f"NO, p {item.p_value:.1g}"]
        for item in result.known
    ]
    note = "Agents that read the solutions; their results are known beforehand and check the measurement."
    return Table("Known points", ("agent", "arm", "solved", "theory", "lands there"), rows, note)


def bench_tables(result: BenchResult) -> list[Table]:
    """Return the tables of a benchmark's page."""
    return [table for table in (arms_table(result), known_table(result)) if table is not None]


def bench_cards(result: BenchResult) -> list[Card]:
    """Return feedback utilisation as the first number of the page."""
    used = result.utilisation
    if used is None:
        return []
    gain = used.difference
    return [Card(f"{gain.value:+.1%}", f"feedback utilisation, true minus {used.second}", f"{gain.low:+.1%} to {gain.high:+.1%}")]


def text_table(table: Table) -> str:
    """Return a table as aligned text."""
    rows = [list(table.columns), *([_cell(cell) for cell in row] for row in table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _cell(cell: Cell) -> str:
    if isinstance(cell, Estimate):
        return "-" if math.isnan(cell.value) else f"{cell.value:.1%} ({cell.low:.1%} to {cell.high:.1%})"
    if cell is None:
        return "-"
    return cell if isinstance(cell, str) else f"{cell:.1%}" if isinstance(cell, float) else f"{cell:,}"


def columns_of(table: Table, names: Sequence[str]) -> Table:
    """Return the table with only these columns."""
    places = [list(table.columns).index(name) for name in names]
    return Table(table.title, names, [[row[place] for place in places] for row in table.rows], table.note, table.percent)
