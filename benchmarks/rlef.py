"""RLEF in miniature against its own variants and the paper's baselines, at equal numbers of sampled responses.

    python benchmarks/rlef.py --out runs/variants                    # three seeds, everything
    python benchmarks/rlef.py --out runs/variants --report           # the tables and the figure of what is there
    python benchmarks/rlef.py --out runs/quick --quick               # three variants, a few thousand responses

All variants of a seed begin with the same supervised warm start. Each result is a file of its own: a run that is cut goes on
where it was. Held-out problems, three samples a problem: true feedback, random feedback, no feedback, independent attempts.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rlef_report import write_tables

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.rlef.baselines import Documents, collect_with_repairs, dialogue_tokens, family_dialogues, repair_documents
from codeenv.agents.rlef.collect import Collection, collect
from codeenv.agents.rlef.config import MINI, RLEFConfig
from codeenv.agents.rlef.mini_run import ARMS, arm_config
from codeenv.agents.rlef.miniature import MiniDocuments, bare_feedback, build_tokenizer, env_config
from codeenv.agents.rlef.sft import SFTConfig, mined_conversations, train_supervised
from codeenv.agents.rlef.trainer import Learner
from codeenv.episode import EnvConfig
from codeenv.evaluation.behaviour import edit_distance
from codeenv.evaluation.intervals import bootstrap_mean
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems import Problem
from codeenv.problems.procedural import mini

BASE = dataclasses.replace(MINI, final_learning_rate=None)
BLIND = dataclasses.replace(env_config(bare_feedback), early_stop=False)
TRAINED: dict[str, tuple[RLEFConfig, EnvConfig]] = {
    "RLEF": (BASE, env_config()),
    "single-turn RL": (BASE, env_config(turn_limit=1)),
    "RL without feedback": (BASE, BLIND),
    "token-level critic": (dataclasses.replace(BASE, critic_level="token"), env_config()),
    "GRPO": (dataclasses.replace(BASE, algorithm="grpo", group=8), env_config()),
    "no KL": (dataclasses.replace(BASE, kl_coefficient=0.0), env_config()),
    "RLOO": (dataclasses.replace(BASE, algorithm="rloo", group=8), env_config()),
    "REINFORCE++": (dataclasses.replace(BASE, algorithm="reinforce++"), env_config()),
    "GAE, lambda 0.9": (dataclasses.replace(BASE, gae_lambda=0.9), env_config()),
}
VARIANTS = ("start", "few-shot", "RLEF", "single-turn RL", "RL without feedback", "token-level critic", "SFT, mined",
            "repair model", "GRPO", "no KL", "RLOO", "REINFORCE++", "GAE, lambda 0.9")  # fmt: skip
"""In the order in which they are run, all seeds of one before the next."""
TURNS = (1, 2, 5, 10)
"""Turn limits other than the trained one, at which the start and RLEF are scored too."""


class Bench:
    """The variants of some seeds in a folder."""

    def __init__(self, options: argparse.Namespace, judge: Judge) -> None:
        self.options = options
        self.out: Path = options.out
        self.judge = judge
        self.chat = PlainFormat(build_tokenizer())

    def run(self, name: str, seed: int) -> None:
        """Run one variant of one seed, unless its result is there."""
        path = self.out / f"{_slug(name)}-{seed}.json"
        if path.exists():
            return
        cpu = time.process_time()
        policy, row = self._make(name, seed)
        row |= {"variant": name, "seed": seed, "cpu_s": round(time.process_time() - cpu, 1), "command": sys.argv}
        row |= self._score(name, policy, seed)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(row) + "\n", encoding="utf-8")
        part.replace(path)
        cells = "  ".join(f"{arm} {row['solved'][arm]['value']:.3f}" for arm in row["solved"])
        print(f"seed {seed}  {name:<20} {cells}  {row['responses']} responses, {row['cpu_s']:.0f} CPU s", flush=True)

    # Policies

    def _make(self, name: str, seed: int) -> tuple[Any, dict[str, Any]]:
        """Return the variant's policy and what it cost."""
        start = self._start(seed)
        if name in ("start", "few-shot"):
            return start, {"responses": 0, "curve": []}
        if name == "SFT, mined":
            return self._mined(start, seed)
        if name == "repair model":
            return self._repair(start, seed)
        config, env = TRAINED[name]
        critic = build_mini_critic(self.chat.tokenizer, MiniShape(hidden=32, feed_forward=88, layers=2, heads=2), seed + 1)
        learner = Learner(copy.deepcopy(start), critic, self.chat, env, config, seed)
        responses, spent, curve = 0, 0.0, []
        while responses < self.options.responses:
            metrics = learner.step(lambda number, count: _train(seed * 1_000_003 + number, count), self.judge)
            responses += round(metrics["turns"] * metrics["episodes"])
            spent += metrics["iteration_cpu_s"]
            kept = ("solve_rate", "turns", "kl", "explained_variance", "entropy", "clipped")
            curve.append({"responses": responses, "cpu_s": spent, **{key: metrics[key] for key in kept if key in metrics}})
        torch.save(learner.policy.state_dict(), self._weights(name, seed))
        return learner.policy, {"responses": responses, "curve": curve}

    def _start(self, seed: int) -> Any:
        """Return the supervised policy of a seed, from the disk if it is there; seeds may share one."""
        seed %= self.options.warm_starts
        policy = build_mini_policy(self.chat.tokenizer, MiniShape(), seed)
        path = self._weights("start", seed)
        if path.exists():
            policy.load_state_dict(torch.load(path, weights_only=True))
            return policy
        steps = self.options.sft_steps
        train_supervised(policy, MiniDocuments(self.chat, seed), SFTConfig(steps=steps, warmup=min(50, steps)), seed)
        torch.save(policy.state_dict(), path)
        return policy

    def _mined(self, start: Any, seed: int) -> tuple[Any, dict[str, Any]]:
        """Return the start after supervised learning on the last responses of its own solved episodes."""
        solved, responses, number = [], 0, 0
        generator = torch.Generator().manual_seed(seed)
        while responses < self.options.responses:
            played = self._play(start, _train(seed * 1_000_003 + number, 1024), env_config(), generator)
            responses, number = responses + played.samples, number + 1
            solved += [one.conversation for one in played.played if one.solved]
        policy = self._taught(start, mined_conversations(solved), seed)
        return policy, {"responses": responses, "mined": len(solved), "curve": []}

    def _repair(self, start: Any, seed: int) -> tuple[Any, dict[str, Any]]:
        """Return the single-turn policy and the start after learning to repair that policy's failures."""
        self.run("single-turn RL", seed)
        first = build_mini_policy(self.chat.tokenizer, MiniShape(), seed)
        first.load_state_dict(torch.load(self._weights("single-turn RL", seed), weights_only=True))
        generator = torch.Generator().manual_seed(seed)
        played = self._play(first, _train(seed * 1_000_003 + 900_000, 8192), env_config(turn_limit=1), generator)
        documents = repair_documents(self.chat, played.played)
        repair = self._taught(start, documents, seed)
        spent = json.loads((self.out / f"{_slug('single-turn RL')}-{seed}.json").read_text())["responses"]
        return (first, repair), {"responses": spent + played.samples, "documents": len(documents), "curve": []}

    def _taught(self, start: Any, documents: Sequence[Any], seed: int) -> Any:
        policy = copy.deepcopy(start)
        steps = max(20, self.options.sft_steps // 2)
        train_supervised(policy, Documents(documents, seed), SFTConfig(steps=steps, warmup=10, learning_rate=1e-3), seed)
        return policy

    # Scores

    def _score(self, name: str, policy: Any, seed: int) -> dict[str, Any]:
        tasks = mini.sample_tasks("report", self.options.episodes, seed=2_000_000 + seed)
        held_out = [mini.problem(task) for task in tasks]
        row: dict[str, Any] = {"ceiling": mini.blind_ceiling(tasks), "bayes": mini.bayes_solve_rate(tasks), "solved": {}}
        shown = dialogue_tokens(self.chat, family_dialogues(seed=seed)) if name == "few-shot" else ()
        for arm in ARMS:
            generator = torch.Generator().manual_seed(seed)
            if isinstance(policy, tuple):
                if arm == "independent":
                    continue
                limits = (self.chat, held_out, self.judge, arm_config(arm), BASE.sampling())
                found = collect_with_repairs(*policy, *limits, generator)
            else:
                found = self._play(policy, held_out, arm_config(arm), generator, arm == "independent", shown)
            row["solved"][arm] = bootstrap_mean([float(one.solved) for one in found.played]).to_dict()
            if arm == "true":
                row["behaviour"] = _behaviour(found)
        if name in ("start", "RLEF"):
            row["turns"] = {}
            for limit in TURNS:
                for arm in ("true", "random"):
                    env = dataclasses.replace(arm_config(arm), turn_limit=limit)
                    found = self._play(policy, held_out, env, torch.Generator().manual_seed(seed))
                    row["turns"][f"{arm} {limit}"] = found.solve_rate
        return row

    def _play(
        self,
        policy: Any,
        problems: Sequence[Problem],
        env: EnvConfig,
        generator: torch.Generator,
        independent: bool = False,
        shown: Sequence[int] = (),
    ) -> Collection:
        sampling = dataclasses.replace(BASE.sampling(), max_context=256)
        return collect(policy, self.chat, problems, self.judge, env, sampling, generator, independent, shown)

    def _weights(self, name: str, seed: int) -> Path:
        return self.out / f"{_slug(name)}-{seed}.pt"


def _train(number: int, count: int) -> list[Problem]:
    return [mini.problem(task) for task in mini.sample_tasks("train", count, seed=number)]


def _behaviour(collection: Collection) -> dict[str, Any]:
    """Return what happens between the turns: how far programs are changed, and which failures are repaired when."""
    edits: list[float] = []
    failed: dict[str, list[int]] = {}
    first = 0
    for one in collection.played:
        turns = one.episode.turns
        first += len(turns) == 1 and one.solved
        edits += [edit_distance(a.source or "", b.source or "") for a, b in itertools.pairwise(turns)]
        if len(turns) > 1:
            counts = failed.setdefault(turns[0].public.verdict.value, [0, 0, 0])
            counts[0] += 1
            passed = [turn.public.accepted for turn in turns]
            counts[1] += passed[1]
            counts[2] += any(passed)
    total = max(1, len(collection.played))
    return {"first_turn": first / total, "edit": sum(edits) / max(1, len(edits)),
            "identical": sum(edit == 0.0 for edit in edits) / max(1, len(edits)), "failed": failed}  # fmt: skip


def _slug(name: str) -> str:
    return name.replace(",", "").replace(" ", "-").lower()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--responses", type=int, default=80_000, help="sampled responses to learn from, the same for each variant"
    )
    parser.add_argument("--episodes", type=int, default=500, help="held-out problems of each arm")
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--sft-steps", type=int, default=400)
    parser.add_argument("--warm-starts", type=int, default=3, help="number of supervised policies that the seeds share")
    parser.add_argument("--seeds-first", action="store_true", help="run all variants of a seed before the next seed")
    parser.add_argument("--out", type=Path, default=Path("runs/variants"), help="folder of the results")
    parser.add_argument("--report", action="store_true", help="print the tables of what is in --out, run nothing")
    parser.add_argument("--figure", type=Path, help="also write the learning curves as SVG")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.responses, options.episodes, options.sft_steps, options.seeds = 3000, 60, 150, 1
        options.variants = ["start", "few-shot", "RLEF", "SFT, mined", "repair model"]
    torch.set_num_threads(1)
    if not options.report:
        options.out.mkdir(parents=True, exist_ok=True)
        with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=mini.inputs_of)) as judge:
            bench = Bench(options, judge)
            jobs = [(name, seed) for name in options.variants for seed in range(options.seeds)]
            for name, seed in sorted(jobs, key=lambda job: job[1]) if options.seeds_first else jobs:
                bench.run(name, seed)
    write_tables(options.out, VARIANTS, options.figure)


if __name__ == "__main__":
    main()
