"""Alignment and the trace head in miniature: solve rate, sample efficiency and what the policy knows about values, arm by arm.

    python benchmarks/alignment.py --arms rlef alignment --seeds 0 1 2 --out runs/alignment
    python benchmarks/alignment.py --report --out runs/alignment --figure docs/alignment.svg

All arms of a seed start from the same supervised policy, which can execute programs, and do the same number of gradient steps. An
arm that is in --out already is not run again, and the report is made of what is there. Costs are CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from alignment_report import report

from codeenv.agents.alignment.answers import answer_items
from codeenv.agents.alignment.config import AlignmentConfig
from codeenv.agents.alignment.kind_critic import KindCritic
from codeenv.agents.alignment.learner import MixedLearner
from codeenv.agents.alignment.miniature import (
    SHAPE,
    FamilyBuilder,
    ValuesDocuments,
    build_tokenizer,
    digit_labels,
    env_config,
    exam,
)
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.generation import Sampling
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.lm.token_text import response_spans
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.collect import collect
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.sft import SFTConfig, train_supervised
from codeenv.agents.stepcoder.mask import MaskConfig
from codeenv.agents.stepcoder.masking import Masking
from codeenv.agents.trace_head.auxiliary import Auxiliary
from codeenv.agents.trace_head.config import AuxiliaryConfig
from codeenv.agents.trace_head.labels import Submission
from codeenv.agents.trace_head.positions import turn_labels
from codeenv.agents.trace_head.probing import ProbedTurn, probe_policy
from codeenv.judge import ExecutionCache, Judge
from codeenv.prediction import PredictionScorer
from codeenv.problems.procedural import values

CRITIC = MiniShape(hidden=32, feed_forward=88, layers=2, heads=2)
SFT = SFTConfig(steps=500, batch=48)
BATCH = 128
CODE = BATCH - int(BATCH * 0.4)
SAMPLING = Sampling(max_tokens=14, max_context=128)

ARMS: dict[str, dict[str, Any]] = {
    "rlef": {},  # 128 code prompts: as many prompts and steps as the alignment arms
    "alignment": {"fraction": 0.4},  # 77 code prompts and 51 alignment prompts
    "head": {"head": 0.1},
    "both": {"fraction": 0.4, "head": 0.1},
    "rlef-code": {"episodes": CODE},  # 77 code prompts: as many code prompts and steps as the alignment arms
    "official": {"fraction": 0.4, "rules": "official"},
    "grpo": {"algorithm": "grpo", "group": 8},
    "grpo-alignment": {"algorithm": "grpo", "group": 8, "fraction": 0.4, "samples": 8},
    "inverse": {"fraction": 0.4, "kind": "repair"},
    "alignment-all": {"fraction": 0.4, "source": "all"},
    "alignment-0.2": {"fraction": 0.2},
    "alignment-0.6": {"fraction": 0.6},
    "alignment-paper": {"fraction": 0.4, "reward": "paper"},
    "reinforce++": {"algorithm": "reinforce++"},
    "reinforce++-alignment": {"algorithm": "reinforce++", "fraction": 0.4},
    "ppo": {"critic_level": "token"},
    "ppo-alignment": {"critic_level": "token", "fraction": 0.4},
    "mask": {"mask": "coverage"},
    "mask-random": {"mask": "random"},
}
"""The arms, the most important first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--arms", nargs="+", default=["rlef", "alignment", "head", "both", "rlef-code"], choices=list(ARMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--evaluation", type=int, default=300)
    parser.add_argument(
        "--warm-starts", type=int, help="number of supervised policies that the seeds share; by default their own"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/alignment"))
    parser.add_argument("--report", action="store_true", help="print the tables of what is in --out, run nothing")
    parser.add_argument("--figure", type=Path, help="write the learning curves of --arms as SVG")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.report:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=values.input_domain())) as judge:
            for arm in arguments.arms:
                for seed in arguments.seeds:
                    start = seed % (arguments.warm_starts or seed + 1)
                    run(arm, seed, start, judge, arguments.iterations, arguments.evaluation, arguments.out)
    report(arguments.out, list(ARMS), arguments.figure, arguments.arms)


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


def run(arm: str, seed: int, start: int, judge: Judge, iterations: int, evaluation: int, out: Path) -> None:
    """Run one arm of one seed and write its row."""
    path = out / f"{arm}-{seed}.json"
    if path.exists():
        return
    policy = warm_start(start, out)
    known = out / f"warm-{start}-{seed}.before"
    if not known.exists():
        known.write_text(json.dumps(evaluate(policy, judge, evaluation, seed)))
    learner = make_learner(ARMS[arm], seed, policy, judge, iterations)

    def problems(iteration: int, count: int) -> list[Any]:
        return [values.problem(task) for task in values.sample_tasks("train", count, seed=(seed * 100_003 + iteration))]

    cpu = time.process_time()
    curve = [learner.step(problems, judge) for _ in range(iterations)]
    cpu = time.process_time() - cpu
    row = {
        "arm": arm,
        "seed": seed,
        "warm_start": start,
        "iterations": iterations,
        "evaluation": evaluation,
        "cpu_s": cpu,
        "before": json.loads(known.read_text()),
        "after": evaluate(policy, judge, evaluation, seed),
        "curve": curve,
    }
    part = path.with_suffix(".part")
    part.write_text(json.dumps(row))
    part.replace(path)
    print(f"{arm} seed {seed}: solved {row['before']['solve']:.3f} -> {row['after']['solve']:.3f}, {cpu:.0f} CPU s", flush=True)


def make_learner(spec: dict[str, Any], seed: int, policy: Any, judge: Judge, iterations: int) -> MixedLearner:
    """Return the learner of an arm."""
    chat = PlainFormat(build_tokenizer())
    config = replace(
        MINI,
        iterations=iterations,
        episodes=spec.get("episodes", BATCH),
        learning_rate=2e-3,
        final_learning_rate=1e-3,
        max_response_tokens=SAMPLING.max_tokens,
        algorithm=spec.get("algorithm", "rlef"),
        group=spec.get("group", 1),
        critic_level=spec.get("critic_level", "turn"),
    )
    released = spec.get("rules") == "official"
    alignment = None
    if "fraction" in spec:
        alignment = AlignmentConfig(
            fraction=spec["fraction"],
            prompt="compact",
            samples=spec.get("samples"),
            reward=spec.get("reward", "official"),
            **({"floor": 0.0, "least_successes": 0} if released else {}),
        )
    head = None
    if "head" in spec:
        head = Auxiliary(SHAPE.hidden, AuxiliaryConfig("on", spec["head"], measure_every=10), seed=seed, labeller=digit_labels)
    return MixedLearner(
        policy,
        KindCritic(build_mini_critic(chat.tokenizer, CRITIC, seed).trunk),
        chat,
        env_config(),
        config,
        seed,
        alignment=alignment,
        builder=FamilyBuilder(spec.get("kind", "state"), spec.get("source", "failed"), seed, released),
        scorer=PredictionScorer(judge, reward=spec.get("reward", "official"), strict=released),
        auxiliary=head,
        masking=Masking(MaskConfig(mode=spec["mask"]), seed) if "mask" in spec else None,
    )


def evaluate(policy: Any, judge: Judge, count: int, seed: int) -> dict[str, float]:
    """Return solve rate and value-right rate on problems, accuracy on exams and of linear probes: all on held-out inputs."""
    policy.eval()
    chat = PlainFormat(build_tokenizer())
    generator = torch.Generator().manual_seed(9_000 + seed)
    tasks = values.sample_tasks("report", count, seed=1_000_000 + seed)
    collection = collect(policy, chat, [values.problem(task) for task in tasks], judge, env_config(), SAMPLING, generator)
    followed = right = 0
    for one in collection.played:
        for earlier, later in zip(one.episode.turns, one.episode.turns[1:], strict=False):
            followed += 1
            shown = earlier.public.failed[0].index if earlier.public.failed else 0
            results = {result.index: result.verdict.value for result in later.public.results}
            right += results.get(shown) == "accepted"
    found = {
        "solve": collection.solve_rate,
        "first_turn": sum(one.solved and len(one.episode.turns) == 1 for one in collection.played) / len(collection.played),
        "value_right": right / max(1, followed),
        "blind": values.posterior_solve_rate(tasks, informed=False),
        "posterior": values.posterior_solve_rate(tasks),
    }
    greedy = replace(SAMPLING, temperature=0.0)
    for kind in ("state", "repair", "test_output"):
        answers = answer_items(
            policy, chat, exam("report", 300, seed=7, kind=kind), "compact", PredictionScorer(judge), greedy, generator
        )
        found[f"exam_{kind}"] = sum(answer.score.exact for answer in answers) / len(answers)
    return found | probes(policy, chat, judge)


def probes(policy: Any, chat: PlainFormat, judge: Judge) -> dict[str, float]:
    """Return per layer how much more often than the best control a linear probe reads a variable's value where it is bound."""
    tasks = values.sample_tasks("report", 400, seed=11)
    programs = [other.program.source for other in values.sample_tasks("report", 400, seed=12)]
    problems = [values.problem(task) for task in tasks]
    reports = [judge.judge(problem, source, tests="public") for problem, source in zip(problems, programs, strict=True)]
    labels = digit_labels([Submission(*row) for row in zip(problems, programs, reports, strict=True)])
    turns = []
    for problem, source, label in zip(problems, programs, labels, strict=True):
        ids = chat.response(source)
        conversation = TokenConversation()
        conversation.add_environment(chat.opening(problem.statement))
        conversation.add_response(ids, [0.0] * len(ids), "stop")
        found = turn_labels(source, source, response_spans(chat.tokenizer, ids, source), label)
        if found is not None:
            turns.append(ProbedTurn(conversation, 0, found, problem.id))
    results = [one for one in probe_policy(copy.deepcopy(policy), turns) if one.question == "bucket"]
    return {f"probe_{one.layer}": one.gain for one in results} | {"probe_best": max(one.gain for one in results)}


if __name__ == "__main__":
    main()
