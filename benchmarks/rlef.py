"""RLEF in miniature against its own variants, at equal numbers of sampled responses, from the same warm start.

    python benchmarks/rlef.py --seeds 3 --responses 130000          # the whole table
    python benchmarks/rlef.py --quick                               # two variants, a few thousand responses

Each variant is scored on held-out problems with three samples a problem: true feedback, random feedback, independent attempts.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import sys
import time
from pathlib import Path

import torch

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.rlef.collect import Collection
from codeenv.agents.rlef.config import MINI, RLEFConfig
from codeenv.agents.rlef.mini_run import play_arm
from codeenv.agents.rlef.miniature import MiniDocuments, bare_feedback, build_tokenizer, env_config
from codeenv.agents.rlef.sft import SFTConfig, train_supervised
from codeenv.agents.rlef.trainer import Learner
from codeenv.episode import EnvConfig
from codeenv.evaluation.intervals import Estimate, bootstrap_mean
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems.procedural import mini

BASE = dataclasses.replace(MINI, final_learning_rate=None)
BLIND = dataclasses.replace(env_config(bare_feedback), early_stop=False)
VARIANTS: dict[str, tuple[RLEFConfig, EnvConfig]] = {
    "rlef": (BASE, env_config()),
    "single-turn RL": (BASE, env_config(turn_limit=1)),
    "no-feedback RL": (BASE, BLIND),
    "token-level critic": (dataclasses.replace(BASE, critic_level="token"), env_config()),
    "no KL": (dataclasses.replace(BASE, kl_coefficient=0.0), env_config()),
    "grpo": (dataclasses.replace(BASE, algorithm="grpo", group=8), env_config()),
    "rloo": (dataclasses.replace(BASE, algorithm="rloo", group=8), env_config()),
    "reinforce++": (dataclasses.replace(BASE, algorithm="reinforce++"), env_config()),
}
ARMS = ("true", "random", "independent")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--responses", type=int, default=50_000, help="sampled responses to learn from, the same for each variant"
    )
    parser.add_argument("--episodes", type=int, default=500, help="held-out problems of each arm")
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--sft-steps", type=int, default=400)
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.responses, options.episodes, options.sft_steps, options.variants = 3000, 100, 60, ["rlef", "grpo"]
    torch.set_num_threads(1)
    rows = []
    print("seed  variant             true             random           independent      responses  CPU s", flush=True)
    with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=mini.inputs_of)) as judge:
        for seed in range(options.seeds):
            chat = PlainFormat(build_tokenizer())
            start = build_mini_policy(chat.tokenizer, MiniShape(), seed)
            sft = SFTConfig(steps=options.sft_steps, warmup=min(50, options.sft_steps))
            train_supervised(start, MiniDocuments(chat, seed), sft, seed)
            held_out = [mini.problem(task) for task in mini.sample_tasks("report", options.episodes, seed=2_000_000 + seed)]

            def score(policy: torch.nn.Module, seed: int = seed, chat: PlainFormat = chat, held_out: list = held_out) -> dict:
                return {arm: _solved(play_arm(policy, chat, held_out, judge, arm, MINI.sampling(), seed)) for arm in ARMS}

            rows.append(_row(seed, "warm start", score(start), 0, 0.0))
            for name in options.variants:
                config, env = VARIANTS[name]
                critic = build_mini_critic(chat.tokenizer, MiniShape(hidden=32, feed_forward=88, layers=2, heads=2), seed + 1)
                learner = Learner(copy.deepcopy(start), critic, chat, env, config, seed)
                cpu, responses = time.process_time(), 0
                while responses < options.responses:
                    metrics = learner.step(
                        lambda number, count, seed=seed: [
                            mini.problem(task) for task in mini.sample_tasks("train", count, seed=seed * 1_000_003 + number)
                        ],
                        judge,
                    )
                    responses += round(metrics["turns"] * metrics["episodes"])
                rows.append(_row(seed, name, score(learner.policy), responses, time.process_time() - cpu))
                if options.out:
                    options.out.write_text(json.dumps({"command": sys.argv, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def _solved(collection: Collection) -> Estimate:
    return bootstrap_mean([float(one.solved) for one in collection.played])


def _row(seed: int, name: str, arms: dict[str, Estimate], responses: int, cpu_s: float) -> dict:
    cells = "  ".join(f"{arms[arm].value:.3f} [{arms[arm].low:.2f},{arms[arm].high:.2f}]" for arm in ARMS)
    print(f"{seed:>4}  {name:<18}  {cells}  {responses:>9}  {cpu_s:>5.0f}", flush=True)
    scores = {arm: arms[arm].to_dict() for arm in ARMS}
    return {"seed": seed, "variant": name, "responses": responses, "cpu_s": round(cpu_s, 1), "solved": scores}


if __name__ == "__main__":
    main()
