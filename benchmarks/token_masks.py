"""Fine-grained masks (StepCoder, arXiv 2402.01391) against random masks of equal sparsity and no mask, in miniature.

    python benchmarks/token_masks.py --seeds 0 1 2 --out runs/masks
    python benchmarks/token_masks.py --report --out runs/masks

The family is `codeenv.problems.procedural.branches`: a program has three branches and the tests of a problem reach one of them,
so that the text of the other two has no part in the reward. One turn an episode. All arms of a seed start from the same
supervised policy, whose programs follow the statement in a part of their slots, and do the same number of gradient steps. An arm
that is in --out already is not run again. Costs are CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scipy import stats

from codeenv.agents.alignment.branches import SHAPE, BranchesDocuments, build_tokenizer, env_config, known_lines
from codeenv.agents.alignment.learner import MixedLearner
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.rlef.collect import collect
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.sft import SFTConfig, train_supervised
from codeenv.agents.stepcoder.mask import MaskConfig
from codeenv.agents.stepcoder.masking import Masking
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems import Problem
from codeenv.problems.procedural import branches

ARMS = ("none", "coverage", "random")
CRITIC = MiniShape(hidden=32, feed_forward=88, layers=2, heads=2)
MEASURES: dict[str, Callable[[dict[str, Any]], float]] = {
    "solved": lambda row: row["after"]["one"],
    "solved, tests of all branches": lambda row: row["after"]["all"],
    "training solve rate, mean of all iterations": lambda row: sum(row["curve"]) / len(row["curve"]),
    "iterations until .8 of the episodes are solved": lambda row: first_above(row["curve"], 0.8),
    "tokens kept": lambda row: row["kept"],
    "CPU s": lambda row: row["cpu_s"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--episodes", type=int, default=128)
    parser.add_argument("--steps", type=int, default=300, help="of the supervised warm start")
    parser.add_argument("--agreeing", type=float, default=0.3, help="share of slots that follow the statement in its documents")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--evaluation", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("runs/masks"))
    parser.add_argument("--report", action="store_true", help="print the tables of what is in --out, run nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.report:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with Judge(workers=1, isolation="batch", cache=ExecutionCache()) as judge:
            for seed in arguments.seeds:
                for arm in arguments.arms:
                    run(arm, seed, judge, arguments)
    report(arguments.out)


def warm_start(seed: int, arguments: argparse.Namespace) -> Any:
    """Return the supervised policy of a seed, from the disk if it is there."""
    chat = PlainFormat(build_tokenizer())
    policy = build_mini_policy(chat.tokenizer, SHAPE, seed)
    path = arguments.out / f"warm-{seed}.pt"
    if path.exists():
        policy.load_state_dict(torch.load(path, weights_only=True))
        return policy
    start = time.process_time()
    documents = BranchesDocuments(chat, seed, execution=0.0, agreeing=arguments.agreeing, turns=1)
    train_supervised(policy, documents, SFTConfig(steps=arguments.steps, batch=48), seed)
    torch.save(policy.state_dict(), path)
    print(f"seed {seed}: supervised, {time.process_time() - start:.0f} CPU s", flush=True)
    return policy


def run(arm: str, seed: int, judge: Judge, arguments: argparse.Namespace) -> None:
    """Run one arm of one seed and write its row."""
    path = arguments.out / f"{arm}-{seed}.json"
    if path.exists():
        return
    policy = warm_start(seed, arguments)
    chat = PlainFormat(build_tokenizer())
    before = evaluate(policy, judge, arguments.evaluation, seed)
    config = replace(
        MINI,
        iterations=arguments.iterations,
        episodes=arguments.episodes,
        learning_rate=arguments.learning_rate,
        final_learning_rate=arguments.learning_rate / 2,
    )
    learner = MixedLearner(
        policy, build_mini_critic(chat.tokenizer, CRITIC, seed), chat, env_config(turn_limit=1), config, seed,
        masking=None if arm == "none" else Masking(MaskConfig(mode=arm), seed, known=known_lines),  # type: ignore[arg-type]
    )  # fmt: skip

    def problems(iteration: int, count: int) -> list[Problem]:
        tasks = branches.sample_tasks("train", count, seed * 100_003 + iteration, "one")
        return [branches.problem(task) for task in tasks]

    cpu = time.process_time()
    metrics = [learner.step(problems, judge) for _ in range(arguments.iterations)]
    row = {
        "arm": arm,
        "seed": seed,
        "settings": {name: value for name, value in vars(arguments).items() if isinstance(value, (int, float))},
        "cpu_s": time.process_time() - cpu,
        "kept": sum(one.get("mask_kept", 1.0) for one in metrics) / len(metrics),
        "before": before,
        "after": evaluate(policy, judge, arguments.evaluation, seed),
        "curve": [one["solve_rate"] for one in metrics],
    }
    part = path.with_suffix(".part")
    part.write_text(json.dumps(row))
    part.replace(path)
    print(f"{arm} seed {seed}: solved {before['one']:.3f} -> {row['after']['one']:.3f}, {row['cpu_s']:.0f} CPU s", flush=True)


def evaluate(policy: Any, judge: Judge, count: int, seed: int) -> dict[str, float]:
    """Return the solve rate on held-out inputs, for tests that reach one branch and for tests that reach all."""
    policy.eval()
    chat = PlainFormat(build_tokenizer())
    found = {}
    for reach in ("one", "all"):
        tasks = branches.sample_tasks("report", count, 1_000_000 + seed, reach)  # type: ignore[arg-type]
        generator = torch.Generator().manual_seed(9_000 + seed)
        problems = [branches.problem(task) for task in tasks]
        found[reach] = collect(policy, chat, problems, judge, env_config(turn_limit=1), MINI.sampling(), generator).solve_rate
    return found


def report(out: Path) -> None:
    """Print means over seeds with 95 % t intervals, and differences paired by seed."""
    rows = [json.loads(path.read_text()) for path in sorted(out.glob("*-[0-9]*.json"))]
    by = {(row["arm"], row["seed"]): row for row in rows}
    seeds = sorted(seed for arm, seed in by if arm == "coverage" and all((other, seed) in by for other in ARMS))
    if not seeds:
        print("nothing has been run yet")
        return
    print(f"{len(seeds)} seeds, settings {by['none', seeds[0]]['settings']}")
    for reach in ("one", "all"):
        print(f"before, tests of {reach}: {interval([by['none', seed]['before'][reach] for seed in seeds])}")
    print("\n| | " + " | ".join(ARMS) + " | coverage - random | coverage - none |\n|" + "---|" * (len(ARMS) + 3))
    for name, measure in MEASURES.items():
        cells = [interval([measure(by[arm, seed]) for seed in seeds]) for arm in ARMS]
        for base in ("random", "none"):
            cells.append(interval([measure(by["coverage", seed]) - measure(by[base, seed]) for seed in seeds], "+"))
        print(f"| {name} | " + " | ".join(cells) + " |")


def first_above(curve: Sequence[float], rate: float) -> float:
    """Return the 1-based number of the first iteration with at least this solve rate; one more than there are if none has it."""
    return float(next((number for number, value in enumerate(curve, 1) if value >= rate), len(curve) + 1))


def interval(values: Sequence[float], sign: str = "") -> str:
    """Return a mean with its 95 % t interval."""
    count = len(values)
    mean = sum(values) / count
    if count < 2:
        return f"{mean:{sign}.3f}"
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1))
    return f"{mean:{sign}.3f} ± {float(stats.t.ppf(0.975, count - 1)) * deviation / math.sqrt(count):.3f}"


if __name__ == "__main__":
    main()
