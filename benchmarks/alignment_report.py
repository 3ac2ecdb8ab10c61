"""The tables and the figure of benchmarks/alignment.py, made of whatever rows are in its folder."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlef_report import interval

__all__ = ["figure", "first_iteration", "interval", "report"]

THRESHOLD = 0.45
WINDOW = 5
COLUMNS = ("solve", "value_right", "exam_state", "exam_repair", "exam_test_output", "probe_best")
PAIRS = (
    ("alignment", "rlef"), ("alignment", "rlef-code"), ("head", "rlef"), ("both", "rlef"), ("both", "alignment"),
    ("rlef-code", "rlef"), ("official", "rlef"), ("official", "alignment"), ("inverse", "rlef"), ("inverse", "alignment"),
    ("alignment-all", "alignment"), ("alignment-0.2", "rlef"), ("alignment-0.6", "rlef"), ("alignment-paper", "alignment"),
    ("grpo-alignment", "grpo"), ("reinforce++-alignment", "reinforce++"), ("ppo-alignment", "ppo"),
    ("mask", "rlef"), ("mask", "mask-random"),
)  # fmt: skip
COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#4a5568", "#b83280", "#319795", "#975a16", "#718096", "#e53e3e")
Rows = dict[tuple[str, int], dict[str, Any]]


def report(out: Path, order: Sequence[str], figure_path: Path | None = None, drawn: Sequence[str] = ()) -> None:
    """Print the tables of the runs in a folder: means over seeds with 95 % t intervals, and differences paired by seed.

    The figure has the arms `drawn`.
    """
    rows = [json.loads(path.read_text()) for path in sorted(out.glob("*-[0-9]*.json"))]
    by: Rows = {(row["arm"], row["seed"]): row for row in rows}
    arms = [arm for arm in order if any(row["arm"] == arm for row in rows)]
    if not arms:
        print("nothing has been run yet")
        return
    print("| warm start, seed | " + " | ".join(COLUMNS) + " | blind | posterior |")
    print("|" + "---|" * (len(COLUMNS) + 3))
    for seed in sorted({row["seed"] for row in rows}):
        row = next(row for row in rows if row["seed"] == seed)["before"]
        print(f"| {seed} | " + " | ".join(f"{row[column]:.3f}" for column in (*COLUMNS, "blind", "posterior")) + " |")
    print("\n| arm | seeds | " + " | ".join(COLUMNS) + f" | iterations to {THRESHOLD} | area | CPU s |")
    print("|" + "---|" * (len(COLUMNS) + 5))
    for arm in arms:
        mine = [by[key] for key in sorted(by) if key[0] == arm]
        cells = [interval([row["after"][column] for row in mine]) for column in COLUMNS]
        reached = [first_iteration(row["curve"]) for row in mine]
        cells.append(", ".join("-" if one is None else str(one) for one in reached))
        cells.append(interval([area(row["curve"]) for row in mine]))
        cells.append(f"{sum(row['cpu_s'] for row in mine) / len(mine):.0f}")
        print(f"| {arm} | {len(mine)} | " + " | ".join(cells) + " |")
    print("\n| difference, paired by seed | seeds | solve | area | exam_state |")
    print("|---|---|---|---|---|")
    for arm, base in PAIRS:
        seeds = [seed for seed in range(100) if (arm, seed) in by and (base, seed) in by]
        if seeds:
            pairs = [(by[arm, seed], by[base, seed]) for seed in seeds]
            cells = [_gap(pairs, name) for name in ("solve", "area", "exam_state")]
            print(f"| {arm} - {base} | {len(seeds)} | " + " | ".join(cells) + " |")
    _print_learned(by, arms)
    if figure_path is not None:
        figure_path.write_text(figure(by, [arm for arm in arms if arm in drawn]), encoding="utf-8")


def _gap(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], name: str) -> str:
    def of(row: dict[str, Any]) -> float:
        return area(row["curve"]) if name == "area" else float(row["after"][name])

    return interval([of(one) - of(other) for one, other in pairs], signed=True)


def _print_learned(by: Rows, arms: Sequence[str]) -> None:
    """Print how the predictions of own programs and of the trace head went, first and last iterations that had them."""
    print("\n| arm | what | first 5 iterations | last 5 iterations |")
    print("|---|---|---|---|")
    names = ["align_exact", "mask_kept"]
    names += [f"head_{head}_{name}" for head in ("bucket", "outcome") for name in ("accuracy", "static", "majority")]
    names += ["head_gradient_ratio", "head_gradient_cosine"]
    for arm in arms:
        for name in names:
            found = [[row[name] for row in by[key]["curve"] if name in row] for key in sorted(by) if key[0] == arm]
            found = [one for one in found if one]
            if found:
                ends = [[sum(one[:5]) / len(one[:5]) for one in found], [sum(one[-5:]) / len(one[-5:]) for one in found]]
                print(f"| {arm} | {name} | {interval(ends[0])} | {interval(ends[1])} |")


def smoothed(curve: Sequence[dict[str, float]]) -> list[float]:
    """Return the mean training solve rate over the last `WINDOW` iterations, from the first whole window on."""
    rates = [row["solve_rate"] for row in curve]
    return [sum(rates[end - WINDOW : end]) / WINDOW for end in range(WINDOW, len(rates) + 1)]


def area(curve: Sequence[dict[str, float]]) -> float:
    """Return the mean training solve rate over all iterations: sample efficiency without a threshold."""
    return sum(row["solve_rate"] for row in curve) / len(curve)


def first_iteration(curve: Sequence[dict[str, float]], threshold: float = THRESHOLD) -> int | None:
    """Return after how many iterations the smoothed training solve rate passes a threshold."""
    return next((place + WINDOW for place, rate in enumerate(smoothed(curve)) if rate >= threshold), None)


def figure(by: Rows, arms: Sequence[str]) -> str:
    """Return an SVG of the smoothed training solve rate of each arm, the mean over its seeds, by iteration."""
    left, top, wide, high = 50, 20, 520, 300
    means: dict[str, list[float]] = {}
    for arm in arms:
        curves = [smoothed(by[key]["curve"]) for key in sorted(by) if key[0] == arm]
        shortest = min(map(len, curves))
        means[arm] = [sum(curve[place] for curve in curves) / len(curves) for place in range(shortest)]
    longest = max(map(len, means.values()))
    low, peak = min(map(min, means.values())), max(map(max, means.values()))
    low, peak = math.floor(low * 10) / 10, math.ceil(peak * 10) / 10
    lines = []
    for step in range(round((peak - low) * 10) + 1):
        rate = low + step / 10
        y = top + high * (peak - rate) / (peak - low)
        lines.append(f'<path d="M{left} {y:.1f}H{left + wide}" stroke="#e2e8f0"/>')
        lines.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{rate:.1f}</text>')
    for iteration in range(0, longest + WINDOW, 10):
        x = left + wide * max(0, iteration - WINDOW) / max(1, longest - 1)
        if WINDOW <= iteration < longest + WINDOW:
            lines.append(f'<text x="{x:.1f}" y="{top + high + 16}" text-anchor="middle">{iteration}</text>')
    for number, (arm, curve) in enumerate(means.items()):
        colour = COLOURS[number % len(COLOURS)]
        dash = ' stroke-dasharray="5 3"' if number >= len(COLOURS) else ""
        points = " ".join(
            f"{left + wide * place / max(1, longest - 1):.1f},{top + high * (peak - rate) / (peak - low):.1f}"
            for place, rate in enumerate(curve)
        )
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>')
        y = top + 14 + 18 * number
        lines.append(f'<path d="M{left + wide + 16} {y - 4}h22" stroke="{colour}" stroke-width="2"{dash}/>')
        seeds = sum(key[0] == arm for key in by)
        lines.append(f'<text x="{left + wide + 44}" y="{y}">{arm} ({seeds})</text>')
    lines.append(f'<text x="{left + wide / 2}" y="{top + high + 34}" text-anchor="middle">iteration</text>')
    lines.append(f'<text x="{left}" y="12">training solve rate, mean of {WINDOW} iterations and of (n) seeds</text>')
    size = f'width="{left + wide + 220}" height="{max(top + high + 44, top + 30 + 18 * len(means))}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return head + '<rect width="100%" height="100%" fill="white"/>' + "".join(lines) + "</svg>\n"
