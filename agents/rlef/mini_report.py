"""The report of the miniature: the table before and after RL, the learning curve, and the recorded episodes to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from codeenv.agents.rlef.mini_run import ARMS, MiniRun
from codeenv.evaluation.report import Curve, Series, Table, write_report

__all__ = ["write_mini_report"]

_NAMES = {"independent": "independent attempts", "true": "true feedback", "random": "random feedback", "none": "no feedback"}


def write_mini_report(path: Path, runs: Sequence[MiniRun]) -> Path:
    """Write the page of some runs, finished or cut short.

    Episodes are embedded for the first seed: those with true feedback before and after RL, and with random feedback after it.
    """
    recorded: Mapping[str, Path] = {}
    if runs and runs[0].folder is not None:
        folder = runs[0].folder
        shown = [("after", "true"), ("before", "true"), ("after", "random")]
        recorded = {
            f"{_NAMES[arm]}, {when} RL": folder / f"{when}-{arm}" for when, arm in shown if (when, arm) in runs[0].recorded
        }
    curves = [_curve(runs)] if any(run.result.curve for run in runs) else []
    subtitle = (
        "A small transformer, warm-started on single programs, learns by PPO to use execution feedback. It is scored on programs "
        "and statements that it never saw. Every arm has three samples a problem."
    )
    tables = [_table(run) for run in runs if run.result.references]
    return write_report(recorded, path, title="RLEF in miniature", subtitle=subtitle, tables=tables, curves=curves)


def _table(run: MiniRun) -> Table:
    arms = run.result.arms
    rows = [
        (
            _NAMES[arm],
            *(arms[when][arm].solved if arm in arms[when] else None for when in ("before", "after")),
        )
        for arm in ARMS
    ]
    ceiling, bayes = run.result.references["blind_ceiling"], run.result.references["bayes"]
    note = f"The best possible without feedback is {ceiling:.1%}; a Bayes filter with true feedback reaches {bayes:.1%}."
    return Table(f"Seed {run.result.seed}: solved within three samples", ("the policy gets", "before RL", "after RL"), rows, note)


def _curve(runs: Sequence[MiniRun]) -> Curve:
    series = []
    for run in runs:
        x: list[float] = []
        y: list[float] = []
        for metrics in run.result.curve:
            x.append((x[-1] if x else 0.0) + metrics["episodes"])
            y.append(metrics["solve_rate"])
        if x:
            series.append(Series(f"seed {run.result.seed}", x, y))
    return Curve("Solve rate while learning", "training episodes", "solved", series, "Fresh problems of the train split.")
