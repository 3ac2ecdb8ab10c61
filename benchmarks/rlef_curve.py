"""The learning curve of one training run, from its metrics: a table of means over a few iterations each, and a figure.

codeenv train --config examples/rlef/smollm2_cpu.yaml --out runs/smollm2
python benchmarks/rlef_curve.py runs/smollm2 --figure docs/rlef_smollm2.svg
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from rlef_report import read_metrics, standalone_svg

from codeenv.evaluation.report.data import Curve, Series

SHOWN = {
    "solve_rate": "solved",
    "invalid_turns": "turns without a program",
    "reward": "reward",
    "tokens": "sampled tokens",
    "kl": "KL",
    "iteration_cpu_s": "CPU s",
}
SHARES = ("generation_s", "judge_s", "iteration_s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a training run")
    parser.add_argument("--block", type=int, default=4, help="iterations of one row")
    parser.add_argument("--figure", type=Path, help="write the curve here, as SVG")
    options = parser.parse_args()
    if options.block < 1:
        parser.error(f"--block is {options.block}; use 1 or more")
    try:
        metrics = read_metrics(options.run)
    except OSError as error:
        parser.error(str(error))
    blocks = [metrics[at : at + options.block] for at in range(0, len(metrics), options.block)]
    print(f"| iterations | {' | '.join(SHOWN.values())} |\n|{'---|' * (len(SHOWN) + 1)}")
    for block in blocks:
        cells = [_mean(block, key) for key in SHOWN]
        print(f"| {_place(block)} | {' | '.join(f'{cell:.3f}' if abs(cell) < 10 else f'{cell:.0f}' for cell in cells)} |")
    generation, judge, whole = (sum(row[key] for row in metrics) for key in SHARES)
    shares = f"generation took {generation / whole:.1%} and the judge {judge / whole:.2%}"
    print(f"\nOf the wall time of {len(metrics)} iterations, {shares}.")
    if options.figure:
        options.figure.write_text(standalone_svg(_curve(blocks)), "utf-8")


def _curve(blocks: list[list[dict[str, Any]]]) -> Curve:
    """Return solve rate and share of turns without a program by iteration, with the standard error of a block's episodes."""
    middle = [sum(row["iteration"] + 1 for row in block) / len(block) for block in blocks]
    series = []
    for key, name in (("solve_rate", "solved"), ("invalid_turns", "turns without a program")):
        means = [_mean(block, key) for block in blocks]
        counts = [sum(row["episodes"] for row in block) for block in blocks]
        errors = [1.96 * math.sqrt(mean * (1 - mean) / count) for mean, count in zip(means, counts, strict=True)]
        bounds = list(zip(means, errors, strict=True))
        low, high = [max(0.0, mean - error) for mean, error in bounds], [min(1.0, mean + error) for mean, error in bounds]
        series.append(Series(name, middle, means, low, high))
    return Curve("Training", "iteration", "share", series)


def _mean(rows: list[dict[str, Any]], key: str) -> float:
    return float(sum(row[key] for row in rows) / len(rows))


def _place(block: list[dict[str, Any]]) -> str:
    return f"{block[0]['iteration'] + 1} to {block[-1]['iteration'] + 1}"


if __name__ == "__main__":
    main()
