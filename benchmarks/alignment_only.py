"""Does training on alignment prompts alone raise their reward? Programs of the branches family, inputs held out.

    python benchmarks/alignment_only.py --seeds 0 1 2

A supervised policy knows the form of the answers and a part of what programs do. Then nine tenths of every batch ask about
programs that are drawn anew, and the reward is measured on 300 other questions about inputs of another split, before and after.
The seeds share one warm start. Costs are CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import copy
import time
from dataclasses import replace
from typing import Any

import torch

from codeenv.agents.alignment.answers import answer_items
from codeenv.agents.alignment.branches import SHAPE, BranchesDocuments, build_tokenizer, env_config, exam
from codeenv.agents.alignment.config import AlignmentConfig
from codeenv.agents.alignment.kind_critic import KindCritic
from codeenv.agents.alignment.learner import MixedLearner
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.sft import SFTConfig, train_supervised
from codeenv.judge import ExecutionCache, Judge
from codeenv.prediction import PredictionScorer
from codeenv.prediction.scoped import ScopedBuilder
from codeenv.problems import Problem
from codeenv.problems.procedural import branches

CRITIC = MiniShape(hidden=32, feed_forward=88, layers=2, heads=2)
RISE = 0.2
"""The least rise of the reward that counts as learning, fixed before the runs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--prompts", type=int, default=128)
    parser.add_argument("--steps", type=int, default=250, help="of the supervised warm start")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chat = PlainFormat(build_tokenizer())
    start = build_mini_policy(chat.tokenizer, SHAPE, 0)
    cpu = time.process_time()
    train_supervised(start, BranchesDocuments(chat, 0, execution=0.7), SFTConfig(steps=arguments.steps, batch=48), 0)
    before = measure(start, chat)
    print(f"warm start: {time.process_time() - cpu:.0f} CPU s, reward {before[0]:.3f}, wholly right {before[1]:.3f}", flush=True)
    with Judge(workers=1, isolation="batch", cache=ExecutionCache()) as judge:
        for seed in arguments.seeds:
            cpu = time.process_time()
            after = trained(copy.deepcopy(start), chat, judge, seed, arguments)
            rise = after[0] - before[0]
            print(
                f"seed {seed}: {time.process_time() - cpu:.0f} CPU s, reward {after[0]:.3f}, wholly right {after[1]:.3f}; "
                f"the reward rose by {rise:+.3f}, {'at least' if rise >= RISE else 'less than'} {RISE}",
                flush=True,
            )


def trained(policy: Any, chat: PlainFormat, judge: Judge, seed: int, arguments: argparse.Namespace) -> tuple[float, float]:
    """Train a policy and return what `measure` says."""
    config = replace(
        MINI,
        iterations=arguments.iterations,
        episodes=arguments.prompts,
        learning_rate=arguments.learning_rate,
        final_learning_rate=arguments.learning_rate / 2,
        warmup_updates=10,
        max_response_tokens=14,
    )
    learner = MixedLearner(
        policy, KindCritic(build_mini_critic(chat.tokenizer, CRITIC, seed).trunk), chat, env_config(turn_limit=1), config, seed,
        alignment=AlignmentConfig(fraction=0.9, prompt="compact", floor=0.0), builder=ScopedBuilder(judge),
        scorer=PredictionScorer(judge, reward="official"),
    )  # fmt: skip
    assert learner.buffer is not None

    def problems(iteration: int, count: int) -> list[Problem]:
        return [branches.problem(task) for task in branches.sample_tasks("train", count, seed * 100_003 + iteration)]

    for iteration in range(arguments.iterations):
        learner.buffer.push(exam("train", arguments.prompts, seed=seed * 100_003 + iteration))
        learner.step(problems, judge)
    return measure(policy, chat)


def measure(policy: Any, chat: PlainFormat) -> tuple[float, float]:
    """Return the mean reward and the share of wholly right answers to fixed questions, sampled."""
    policy.eval()
    sampling = replace(MINI.sampling(), max_tokens=14)
    scorer = PredictionScorer(reward="official")
    answers = answer_items(
        policy, chat, exam("report", 300, seed=7), "compact", scorer, sampling, torch.Generator().manual_seed(0)
    )
    rewards, right = [answer.score.reward for answer in answers], [answer.score.exact for answer in answers]
    return sum(rewards) / len(rewards), sum(right) / len(right)


if __name__ == "__main__":
    main()
