"""The tables and the figure of `benchmarks/rlef.py`: means over seeds with 95 % t intervals, differences paired by seed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scipy import stats

from codeenv.evaluation.report.data import Curve, Series
from codeenv.evaluation.report.figures import line_figure

__all__ = ["interval", "read_metrics", "standalone_svg", "write_tables"]

ARMS = ("true", "random", "none", "independent")
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#bf3989", "#57606a", "#0a7ea4")
Row = dict[str, Any]
APART = ("single-turn RL", "RL without feedback")
"""Their training episodes have one sample, or no early stop, so that their solve rate is another number."""


def write_tables(folder: Path, order: Sequence[str], figure: Path | None = None) -> None:
    """Print the tables of the results in a folder, and write the learning curves if a path is given."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*-[0-9].json"))]
    found = {name: sorted((row for row in rows if row["variant"] == name), key=lambda row: row["seed"]) for name in order}
    found = {name: mine for name, mine in found.items() if mine}
    if not found:
        print("nothing has been run yet")
        return
    _solved(found)
    _differences(found)
    _behaviour(found)
    _turns(found)
    _at_equal_cost(found)
    if figure is not None:
        figure.write_text(_curves(found), encoding="utf-8")


def read_metrics(folder: Path) -> list[Row]:
    """Return the rows of a training run's `metrics.jsonl`.

    Raises:
        OSError: the folder holds none, with a sentence.
    """
    path = folder / "metrics.jsonl"
    if not path.is_file():
        raise OSError(f"{str(folder)!r} holds no training run (no metrics.jsonl); name the --out of a codeenv train")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if not rows:
        raise OSError(f"{str(path)!r} has no row yet; wait for the first iteration")
    return rows


def interval(numbers: Sequence[float], signed: bool = False) -> str:
    """Return mean and 95 % t interval over seeds; the number alone if there is one."""
    mean = sum(numbers) / len(numbers)
    shown = f"{mean:+.3f}" if signed else f"{mean:.3f}"
    if len(numbers) < 2:
        return shown
    deviation = math.sqrt(sum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
    return f"{shown} ± {float(stats.t.ppf(0.975, len(numbers) - 1)) * deviation / math.sqrt(len(numbers)):.3f}"


def _solved(found: dict[str, list[Row]]) -> None:
    some = [row for mine in found.values() for row in mine]
    print(f"best without feedback {interval([row['ceiling'] for row in some if row['variant'] == some[0]['variant']])}, "
          f"Bayes filter {interval([row['bayes'] for row in some if row['variant'] == some[0]['variant']])}\n")  # fmt: skip
    _table(("variant", "seeds", *ARMS, "first turn", "responses", "CPU s"))
    for name, mine in found.items():
        cells = [
            interval([row["solved"][arm]["value"] for row in mine]) if all(arm in row["solved"] for row in mine) else ""
            for arm in ARMS
        ]
        first = interval([row["behaviour"]["first_turn"] for row in mine])
        _cells(name, len(mine), *cells, first, f"{_mean(mine, 'responses'):,.0f}", f"{_mean(mine, 'cpu_s'):.0f}")


def _differences(found: dict[str, list[Row]]) -> None:
    print()
    _table(("difference in solve rate, true feedback", "seeds", "paired by seed, 95 % interval"))
    for name, mine in found.items():
        for base in ("start", "RLEF"):
            of = {row["seed"]: row["solved"]["true"]["value"] for row in found.get(base, [])}
            gaps = [row["solved"]["true"]["value"] - of[row["seed"]] for row in mine if row["seed"] in of]
            if name != base and gaps and not (name == "RLEF" and base == "RLEF") and not (name == "start" and base == "RLEF"):
                _cells(f"{name} - {base}", len(gaps), interval(gaps, signed=True))
    for name in ("start", "RLEF"):
        for arm in ("random", "none", "independent"):
            gaps = [row["solved"]["true"]["value"] - row["solved"][arm]["value"] for row in found.get(name, [])]
            if gaps:
                _cells(f"{name}: true - {arm}", len(gaps), interval(gaps, signed=True))


def _behaviour(found: dict[str, list[Row]]) -> None:
    print()
    kinds = sorted({kind for mine in found.values() for row in mine for kind in row["behaviour"]["failed"]})
    _table(("variant", "1 - chrF", "resubmitted", *(f"{kind}: passes at turn 2, by turn 3" for kind in kinds)))
    for name, mine in found.items():
        cells = [interval([row["behaviour"][key] for row in mine]) for key in ("edit", "identical")]
        for kind in kinds:
            counts = [row["behaviour"]["failed"].get(kind, [0, 0, 0]) for row in mine]
            total = sum(count[0] for count in counts)
            shares = [sum(count[place] for count in counts) / max(1, total) for place in (1, 2)]
            cells.append(f"{shares[0]:.2f}, {shares[1]:.2f} of {total}")
        _cells(name, *cells)


def _turns(found: dict[str, list[Row]]) -> None:
    chosen = {name: mine for name, mine in found.items() if all("turns" in row for row in mine)}
    if not chosen:
        return
    limits = sorted({int(key.split()[1]) for mine in chosen.values() for row in mine for key in row["turns"]})
    print()
    _table(("variant, feedback", *(f"{limit} turns" for limit in limits)))
    for name, mine in chosen.items():
        for arm in ("true", "random"):
            _cells(f"{name}, {arm}", *(interval([row["turns"][f"{arm} {limit}"] for row in mine]) for limit in limits))


def _at_equal_cost(found: dict[str, list[Row]]) -> None:
    """Print the solve rate on fresh train problems, the mean of ten collections, when so many CPU seconds were spent."""
    learned = {name: mine for name, mine in found.items() if all(row["curve"] for row in mine) and name not in APART}
    if not learned:
        return
    shortest = min(row["curve"][-1]["cpu_s"] for mine in learned.values() for row in mine)
    budgets = [round(shortest * part) for part in (0.25, 0.5, 0.75, 1.0)]
    print()
    _table(("solved on fresh train problems after", *(f"{budget} CPU s" for budget in budgets), "all responses"))
    for name, mine in learned.items():
        cells = []
        for budget in (*budgets, math.inf):
            passed = [[point["solve_rate"] for point in row["curve"] if point["cpu_s"] <= budget][-10:] for row in mine]
            cells.append(interval([sum(rates) / max(1, len(rates)) for rates in passed]))
        _cells(name, *cells)


def _curves(found: dict[str, list[Row]]) -> str:
    """Return the solve rate on fresh train problems against sampled responses, the mean over seeds in bins."""
    series = []
    for name, mine in found.items():
        curves = [row["curve"] for row in mine if row["curve"]]
        if curves and name not in APART:
            step, last = 5000, min(curve[-1]["responses"] for curve in curves)
            edges = list(range(step, last + 1, step))
            x = [edge - step / 2 for edge in edges]
            y = [_mean_between(curves, edge - step, edge, lambda point: point["solve_rate"]) for edge in edges]
            series.append(Series(name, x, y))
    curve = Curve("Solve rate while learning", "sampled responses", "solved on fresh train problems", series)
    return standalone_svg(curve)


def standalone_svg(curve: Curve) -> str:
    """Return a line chart as an SVG file that needs no style sheet, with its legend below."""
    figure = line_figure(curve)
    inner = figure.svg.partition(">")[2].rpartition("</svg>")[0]
    style = (
        "text{font:12px sans-serif;fill:#1f2328}.grid{stroke:#d0d7de;fill:none}.line{fill:none;stroke-width:1.6}.dot{opacity:.7}"
    )
    for number, colour in enumerate(COLOURS):
        style += f".s{number} .line,.s{number} .whisker{{stroke:{colour}}}.s{number} .dot,.s{number} .band{{fill:{colour}}}"
    style += ".band{opacity:.15}.tick{font-size:11px}"
    height = 310 + 18 * ((len(figure.legend) + 2) // 3)
    legend = ""
    for place, (kind, name) in enumerate(figure.legend):
        x, y = 60 + 170 * (place % 3), 318 + 18 * (place // 3)
        legend += f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{COLOURS[int(kind[1:])]}"/><text x="{x + 10}" y="{y}">{name}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 {height}" width="840" height="{height * 3 // 2}">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="white"/>{inner}{legend}</svg>\n'
    )


def _mean_between(curves: Sequence[list[Row]], low: float, high: float, value: Callable[[Row], float]) -> float:
    numbers = [value(point) for curve in curves for point in curve if low < point["responses"] <= high]
    return sum(numbers) / len(numbers) if numbers else math.nan


def _mean(rows: Sequence[Row], key: str) -> float:
    return sum(row[key] for row in rows) / len(rows)


def _table(columns: Sequence[object]) -> None:
    _cells(*columns)
    print("|" + "---|" * len(columns))


def _cells(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |")
