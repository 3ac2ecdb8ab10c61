"""Alignment and the trace head in miniature: solve rate, sample efficiency and what the policy knows about values, arm by arm.

    python benchmarks/alignment.py --arms rlef alignment --seeds 3 --out runs/alignment
    python benchmarks/alignment.py --report --out runs/alignment

Every arm starts from the same supervised policy, which can execute programs (its accuracy is printed), and does the same
number of gradient steps. An arm that is in --out already is not run again. Costs are CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scipy import stats

from codeenv.agents.alignment.answers import answer_items
from codeenv.agents.alignment.config import AlignmentConfig
from codeenv.agents.alignment.kind_critic import KindCritic
from codeenv.agents.alignment.learner import MixedLearner
from codeenv.agents.alignment.miniature import (
    FamilyBuilder,
    ValuesDocuments,
    build_tokenizer,
    env_config,
    exam,
    family_labels,
)
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.generation import Sampling
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.rlef.collect import collect
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.sft import SFTConfig, train_supervised
from codeenv.agents.stepcoder.mask import MaskConfig
from codeenv.agents.stepcoder.masking import Masking
from codeenv.agents.trace_head.auxiliary import Auxiliary
from codeenv.agents.trace_head.config import AuxiliaryConfig
from codeenv.judge import ExecutionCache, Judge
from codeenv.prediction import PredictionScorer
from codeenv.problems.procedural import values

SHAPE = MiniShape()
CRITIC = MiniShape(hidden=32, feed_forward=88, layers=2, heads=2)
SFT = SFTConfig(steps=1500)
BATCH = 256
CODE = BATCH - int(BATCH * 0.4)

ARMS: dict[str, dict[str, Any]] = {
    "rlef": {},  # 256 code prompts: as many prompts and steps as the alignment arms
    "rlef-code": {"episodes": CODE},  # 154 code prompts: as many code prompts and steps
    "head": {"head": 0.1},
    "alignment": {"fraction": 0.4},
    "both": {"fraction": 0.4, "head": 0.1},
    "inverse": {"fraction": 0.4, "kind": "repair"},
    "alignment-0.2": {"fraction": 0.2},
    "alignment-0.6": {"fraction": 0.6},
    "alignment-all": {"fraction": 0.4, "source": "all"},
    "alignment-paper": {"fraction": 0.4, "reward": "paper"},
    "grpo": {"algorithm": "grpo", "group": 8},
    "grpo-alignment": {"algorithm": "grpo", "group": 8, "fraction": 0.4, "samples": 8},
    "reinforce++": {"algorithm": "reinforce++"},
    "reinforce++-alignment": {"algorithm": "reinforce++", "fraction": 0.4},
    "mask": {"mask": "coverage"},
    "mask-random": {"mask": "random"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--arms", nargs="+", default=["rlef", "rlef-code", "head", "alignment", "both"], choices=list(ARMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--warm-starts", type=int, default=1, help="number of supervised policies that the seeds share")
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--evaluation", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("runs/alignment"))
    parser.add_argument("--report", action="store_true", help="print the tables of what is in --out, run nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.report:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=values.input_domain())) as judge:
            for seed in arguments.seeds:
                for arm in arguments.arms:
                    start = warm_start(seed % arguments.warm_starts, arguments.out)
                    run(arm, seed, start, judge, arguments.iterations, arguments.evaluation, arguments.out)
    report(arguments.out)


def warm_start(seed: int, out: Path) -> Any:
    """Return the supervised policy of a seed, from the disk if it is there."""
    chat = PlainFormat(build_tokenizer())
    policy = build_mini_policy(chat.tokenizer, SHAPE, seed)
    path = out / f"warm-{seed}.pt"
    if path.exists():
        policy.load_state_dict(torch.load(path, weights_only=True))
        return policy
    start = time.process_time()
    train_supervised(policy, ValuesDocuments(chat, seed), SFT, seed)
    torch.save(policy.state_dict(), path)
    print(f"seed {seed}: supervised, {time.process_time() - start:.0f} CPU s", flush=True)
    return policy


def run(arm: str, seed: int, start: Any, judge: Judge, iterations: int, evaluation: int, out: Path) -> None:
    """Run one arm of one seed and write its row."""
    path = out / f"{arm}-{seed}.json"
    if path.exists():
        return
    spec = ARMS[arm]
    policy = copy.deepcopy(start)
    chat = PlainFormat(build_tokenizer())
    config = replace(
        MINI,
        iterations=iterations,
        episodes=spec.get("episodes", BATCH),
        max_response_tokens=14,
        algorithm=spec.get("algorithm", "rlef"),
        group=spec.get("group", 1),
    )
    alignment = None
    if "fraction" in spec:
        alignment = AlignmentConfig(
            fraction=spec["fraction"], prompt="compact", samples=spec.get("samples", 1), reward=spec.get("reward", "official")
        )
    head = None
    if "head" in spec:
        head = Auxiliary(SHAPE.hidden, AuxiliaryConfig("on", spec["head"], measure_every=10), seed=seed, labeller=family_labels)
    masking = None
    if "mask" in spec:
        masking = Masking(MaskConfig(mode=spec["mask"]), seed)
    learner = MixedLearner(
        policy,
        KindCritic(build_mini_critic(chat.tokenizer, CRITIC, seed).trunk),
        chat,
        env_config(),
        config,
        seed,
        alignment=alignment,
        builder=FamilyBuilder(spec.get("kind", "state"), spec.get("source", "failed"), seed),
        scorer=PredictionScorer(judge, reward=spec.get("reward", "official")),
        auxiliary=head,
        masking=masking,
    )

    def problems(iteration: int, count: int) -> list[Any]:
        return [values.problem(task) for task in values.sample_tasks("train", count, seed=(seed * 100_003 + iteration))]

    known = out / f"warm-{seed}.before"
    if not known.exists():
        known.write_text(json.dumps(evaluate(policy, chat, judge, evaluation, seed)))
    before = json.loads(known.read_text())
    curve = []
    cpu = time.process_time()
    for _ in range(iterations):
        curve.append(learner.step(problems, judge))
    cpu = time.process_time() - cpu
    after = evaluate(policy, chat, judge, evaluation, seed)
    torch.save(policy.state_dict(), out / f"{arm}-{seed}.pt")
    row = {"arm": arm, "seed": seed, "iterations": iterations, "cpu_s": cpu, "before": before, "after": after, "curve": curve}
    path.write_text(json.dumps(row))
    print(f"{arm} seed {seed}: solved {before['solve']:.3f} -> {after['solve']:.3f}, {cpu:.0f} CPU s", flush=True)


def evaluate(policy: Any, chat: Any, judge: Judge, count: int, seed: int) -> dict[str, float]:
    """Return solve rate, first-turn solve rate and value-right rate on new problems, and accuracy on exams of held-out programs.

    The problems are about programs of the train split with inputs drawn anew: the supervised documents hold no other
        program, and a
    policy that has learned which programs exist does not write the others. Executing held-out programs is what the exams ask.
    """
    policy.eval()
    generator = torch.Generator().manual_seed(9_000 + seed)
    tasks = values.sample_tasks("train", count, seed=1_000_000 + seed)
    sampling = Sampling(max_tokens=14, max_context=128)
    collection = collect(policy, chat, [values.problem(task) for task in tasks], judge, env_config(), sampling, generator)
    followed = right = 0
    for one in collection.played:
        for earlier, later in zip(one.episode.turns, one.episode.turns[1:], strict=False):
            followed += 1
            shown = earlier.public.failed[0].index if earlier.public.failed else 0
            results = {result.index: result.verdict.value for result in later.public.results}
            right += results.get(shown) == "accepted"
    found = {
        "solve": collection.solve_rate,
        "first_turn": sum(one.solved and len(one.episode.turns) == 1 for one in collection.played)
        / max(1, len(collection.played)),
        "value_right": right / max(1, followed),
        "ceiling": values.posterior_solve_rate(tasks, informed=False, split="train"),
        "bayes": values.posterior_solve_rate(tasks, split="train"),
    }
    greedy = Sampling(temperature=0.0, max_tokens=14, max_context=128)
    for kind in ("state", "repair"):
        items = exam("report", 300, seed=7, kind=kind)
        answers = answer_items(policy, chat, items, "compact", PredictionScorer(judge), greedy, generator)
        found[f"exam_{kind}"] = sum(answer.score.exact for answer in answers) / max(1, len(answers))
    return found


def report(out: Path) -> None:
    """Print the tables of the runs in a folder: means over seeds with 95 % t intervals, and differences paired by seed."""
    rows = [json.loads(path.read_text()) for path in sorted(out.glob("*-[0-9]*.json"))]
    arms = [arm for arm in ARMS if any(row["arm"] == arm for row in rows)]
    if not arms:
        print("nothing has been run yet")
        return
    by = {(row["arm"], row["seed"]): row for row in rows}
    first = by.get(("rlef", 0)) or rows[0]
    print(f"references: blind {first['after']['ceiling']:.3f}, posterior {first['after']['bayes']:.3f}")
    for seed in sorted({row["seed"] for row in rows}):
        row = next(row for row in rows if row["seed"] == seed)["before"]
        print(
            f"warm start, seed {seed}: solve {row['solve']:.3f}, executes {row['exam_state']:.3f}, fills {row['exam_repair']:.3f}"
        )
    columns = ("solve", "value_right", "first_turn", "exam_state", "exam_repair")
    print("\n| arm | seeds | " + " | ".join(columns) + " | iterations to .40 | CPU s |")
    print("|" + "---|" * (len(columns) + 4))
    for arm in arms:
        mine = [by[key] for key in sorted(by) if key[0] == arm]
        cells = [interval([row["after"][column] for row in mine]) for column in columns]
        reached = [first_iteration(row["curve"], 0.40) for row in mine]
        cells.append(", ".join("-" if one is None else str(one) for one in reached))
        cells.append(f"{sum(row['cpu_s'] for row in mine) / len(mine):.0f}")
        print(f"| {arm} | {len(mine)} | " + " | ".join(cells) + " |")
    print("\n| difference in solve rate | paired by seed, 95 % interval |")
    print("|---|---|")
    for arm in arms:
        for base in ("rlef", "rlef-code", "grpo", "reinforce++", "mask-random"):
            seeds = [seed for seed in range(100) if (arm, seed) in by and (base, seed) in by]
            if arm != base and len(seeds) > 1 and _comparable(arm, base):
                gaps = [by[arm, seed]["after"]["solve"] - by[base, seed]["after"]["solve"] for seed in seeds]
                print(f"| {arm} - {base} | {interval(gaps, signed=True)} |")


def _comparable(arm: str, base: str) -> bool:
    special = ("grpo", "reinforce++", "mask")
    family = next((name for name in special if arm.startswith(name)), "")
    return base.startswith(family) if family and family != "mask" else base in ("rlef", "rlef-code") or arm == "mask"


def first_iteration(curve: list[dict[str, float]], threshold: float, window: int = 8) -> int | None:
    """Return after how many iterations the mean training solve rate over the last `window` passes a threshold."""
    rates = [row["solve_rate"] for row in curve]
    for end in range(window, len(rates) + 1):
        if sum(rates[end - window : end]) / window >= threshold:
            return end
    return None


def interval(numbers: list[float], signed: bool = False) -> str:
    """Return mean and 95 % t interval; the number alone if there is one."""
    mean = sum(numbers) / len(numbers)
    shown = f"{mean:+.3f}" if signed else f"{mean:.3f}"
    if len(numbers) < 2:
        return shown
    deviation = math.sqrt(sum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
    half = float(stats.t.ppf(0.975, len(numbers) - 1)) * deviation / math.sqrt(len(numbers))
    return f"{shown} ± {half:.3f}"


if __name__ == "__main__":
    main()
