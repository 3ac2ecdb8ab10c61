"""What the recorded episodes of `codeenv demo` say about the paper's claims: differences by seed, edits, repairs, more turns.

codeenv demo --seeds 3 --out runs/demo
python benchmarks/rlef_demo.py runs/demo                 # tables from the recorded episodes
python benchmarks/rlef_demo.py runs/demo --turns 1 2 5 10   # also plays the trained policies with other turn limits
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlef_report import interval, standalone_svg

from codeenv.evaluation.behaviour import edit_distance
from codeenv.evaluation.report.data import Curve, Series
from codeenv.problems.procedural import mini
from codeenv.rollout.trajectory import read_episodes

ARMS = {"true": "true feedback", "random": "random feedback", "none": "no feedback", "independent": "independent attempts"}
KINDS = {"wrong_answer": "wrong answer", "runtime_error": "exception"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder of `codeenv demo`")
    parser.add_argument("--turns", type=int, nargs="*", default=[], help="turn limits to play the trained policies with")
    parser.add_argument("--episodes", type=int, default=500, help="problems a seed for --turns")
    parser.add_argument("--figure", type=Path, help="write the learning curves as SVG")
    options = parser.parse_args()
    seeds = sorted(path for path in options.demo.glob("seed*") if (path / "after-true").is_dir())
    runs = {
        (when, arm): [list(read_episodes(seed / f"{when}-{arm}")) for seed in seeds]
        for when in ("before", "after")
        for arm in ARMS
    }
    print(f"{len(seeds)} seeds, {len(runs['after', 'true'][0])} problems each; 95 % t intervals over seeds\n")
    _solved(runs)
    _claims(runs)
    _repairs(runs)
    if options.figure is not None:
        options.figure.write_text(_curves(seeds), encoding="utf-8")
    if options.turns:
        _turns(seeds, options.turns, options.episodes)


Runs = dict[tuple[str, str], list[list[dict[str, Any]]]]


def _rate(rows: Sequence[dict[str, Any]]) -> float:
    return sum(row["solved"] for row in rows) / len(rows)


def _solved(runs: Runs) -> None:
    _row("solved within three samples", "before RL", "after RL", "after - before")
    _rule(4)
    for arm, name in ARMS.items():
        rates = {when: [_rate(rows) for rows in runs[when, arm]] for when in ("before", "after")}
        gaps = [after - before for before, after in zip(rates["before"], rates["after"], strict=True)]
        _row(name, interval(rates["before"]), interval(rates["after"]), interval(gaps, signed=True))


def _claims(runs: Runs) -> None:
    print()
    _row("difference, paired by seed", "before RL", "after RL")
    _rule(3)
    for first, second in (
        ("true", "random"),
        ("true", "none"),
        ("true", "independent"),
        ("random", "none"),
        ("none", "independent"),
    ):
        cells = []
        for when in ("before", "after"):
            pairs = zip(runs[when, first], runs[when, second], strict=True)
            cells.append(interval([_rate(one) - _rate(other) for one, other in pairs], signed=True))
        _row(f"{ARMS[first]} - {ARMS[second]}", *cells)


def _repairs(runs: Runs) -> None:
    """Print how far programs are changed, and what share of first attempts of each class of error passes a turn or two later."""
    print()
    _row("true feedback", "before RL", "after RL", "after RL, random feedback")
    _rule(4)
    chosen = (("before", "true"), ("after", "true"), ("after", "random"))
    found = [[_behaviour(rows) for rows in runs[key]] for key in chosen]
    for name in found[0][0]:
        _row(name, *(interval([one[name] for one in seeds]) for seeds in found))


def _behaviour(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    edits, first = [], 0
    counts = {kind: [0, 0, 0] for kind in KINDS}
    for row in rows:
        turns = row["turns"]
        first += row["solved"] and len(turns) == 1
        edits += [edit_distance(one["source"] or "", other["source"] or "") for one, other in itertools.pairwise(turns)]
        kind = turns[0]["public"]["verdict"]
        if kind in counts and len(turns) > 1:
            passed = [turn["public"]["verdict"] == "accepted" for turn in turns]
            counts[kind][0] += 1
            counts[kind][1] += passed[1]
            counts[kind][2] += any(passed)
    found = {"solved at the first turn": first / len(rows), "1 - chrF between attempts": sum(edits) / max(1, len(edits)),
             "same program again": sum(edit == 0.0 for edit in edits) / max(1, len(edits))}  # fmt: skip
    for kind, (total, second, third) in counts.items():
        found[f"{KINDS[kind]}: passes at turn 2"] = second / max(1, total)
        found[f"{KINDS[kind]}: passes by turn 3"] = third / max(1, total)
    return found


def _curves(seeds: Sequence[Path], bin_size: int = 4000) -> str:
    """Return the solve rate on fresh train problems against sampled responses, one line a seed."""
    series = []
    for seed in seeds:
        rows = [json.loads(line) for line in (seed / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        bins: dict[int, list[float]] = {}
        responses = 0.0
        for row in rows:
            responses += row["turns"] * row["episodes"]
            bins.setdefault(int(responses // bin_size), []).append(row["solve_rate"])
        x = [(number + 0.5) * bin_size for number in sorted(bins)]
        series.append(Series(seed.name, x, [sum(bins[number]) / len(bins[number]) for number in sorted(bins)]))
    return standalone_svg(Curve("Solve rate while learning", "sampled responses", "solved on fresh train problems", series))


def _turns(seeds: Sequence[Path], limits: Sequence[int], episodes: int) -> None:
    """Play the trained policies with other turn limits than the three of training."""
    import torch

    from codeenv.agents.lm.chat_format import PlainFormat
    from codeenv.agents.lm.load import load_policy
    from codeenv.agents.rlef.collect import collect
    from codeenv.agents.rlef.config import MINI
    from codeenv.agents.rlef.mini_run import arm_config
    from codeenv.agents.rlef.miniature import build_tokenizer
    from codeenv.judge import ExecutionCache, Judge

    torch.set_num_threads(1)
    chat = PlainFormat(build_tokenizer())
    sampling = dataclasses.replace(MINI.sampling(), max_context=512)
    rates: dict[tuple[str, int], list[float]] = {}
    with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=mini.inputs_of)) as judge:
        for number, seed in enumerate(seeds):
            policy = load_policy(str(seed / "policy"))
            problems = [mini.problem(task) for task in mini.sample_tasks("report", episodes, seed=3_000_000 + number)]
            for limit, arm in itertools.product(limits, ("true", "random")):
                env = dataclasses.replace(arm_config(arm), turn_limit=limit)
                found = collect(policy, chat, problems, judge, env, sampling, torch.Generator().manual_seed(number))
                rates.setdefault((arm, limit), []).append(found.solve_rate)
    print()
    _row("after RL (trained with 3 turns), solved within", *(f"{limit} turns" for limit in limits))
    _rule(len(limits) + 1)
    for arm in ("true", "random"):
        _row(ARMS[arm], *(interval(rates[arm, limit]) for limit in limits))


def _row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def _rule(columns: int) -> None:
    print("|" + "---|" * columns)


if __name__ == "__main__":
    main()
