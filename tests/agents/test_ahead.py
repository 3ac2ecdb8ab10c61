"""Collections that are played while the learner updates: how old their policy is, that they can be resumed, that off is off."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.lm.scoring import build_batch, response_logprobs
from codeenv.agents.rlef.ahead import Ahead
from codeenv.agents.rlef.checkpoint import load_checkpoint, save_checkpoint
from codeenv.agents.rlef.collect import Collection
from codeenv.agents.rlef.config import MINI, RLEFConfig
from codeenv.agents.rlef.miniature import build_tokenizer, env_config
from codeenv.agents.rlef.trainer import Learner
from codeenv.errors import CodeenvError
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems import Problem
from codeenv.problems.procedural import mini

torch.set_num_threads(1)
TOKENIZER = build_tokenizer()
CHAT = PlainFormat(TOKENIZER)
SHAPE = MiniShape(hidden=16, feed_forward=32, layers=1, heads=2)
SMALL = replace(
    MINI, iterations=4, episodes=8, critic_only_iterations=0, warmup_updates=0, max_response_tokens=4, learning_rate=1e-2,
    recompute_logprobs=True,
)  # fmt: skip
TIMED = ("generation_s", "judge_s", "judge_cpu_s", "iteration_s", "iteration_cpu_s")


@pytest.fixture(scope="module")
def batch_judge():
    with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=mini.inputs_of)) as judge:
        yield judge


def learner(config: RLEFConfig = SMALL) -> Learner:
    return Learner(
        build_mini_policy(TOKENIZER, SHAPE, 0), build_mini_critic(TOKENIZER, SHAPE, 1), CHAT, env_config(), config, seed=0
    )


def problems(number: int, count: int) -> Sequence[Problem]:
    return [mini.problem(task) for task in mini.sample_tasks("train", count, seed=number)]


def untimed(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name not in TIMED}


@pytest.mark.parametrize("staleness", [1, 2])
def test_a_collection_is_played_by_the_policy_of_that_many_iterations_before(staleness: int, batch_judge: Judge) -> None:
    """The recorded log-probabilities say which policy sampled."""
    one = learner(replace(SMALL, staleness=staleness))
    policies = []
    ages = []
    learn = one.learn

    def watched(collection: Collection) -> dict[str, float]:
        policies.append([value.clone() for value in one.policy.state_dict().values()])
        batch = build_batch([played.conversation for played in collection.played], pad_id=0)
        probe = build_mini_policy(TOKENIZER, SHAPE, 0).eval()
        gaps = []
        for weights in policies:
            probe.load_state_dict(dict(zip(probe.state_dict(), weights, strict=True)))
            with torch.no_grad():
                gaps.append(float((response_logprobs(probe, batch)[0] - batch.behaviour).abs().max()))
        assert min(gaps) < 1e-4
        ages.append(len(policies) - 1 - gaps.index(min(gaps)))
        return learn(collection)

    one.learn = watched  # type: ignore[method-assign]
    for _ in range(4):
        one.step(problems, batch_judge)
    one.close()
    assert ages == [min(staleness, number) for number in range(4)]


def test_no_collection_is_played_behind_the_last_iteration(batch_judge: Judge) -> None:
    numbers: list[int] = []

    def counted(number: int, count: int) -> Sequence[Problem]:
        numbers.append(number)
        return problems(number, count)

    one = learner(replace(SMALL, staleness=2))
    for _ in range(4):
        one.step(counted, batch_judge)
    one.close()
    assert numbers == [0, 1, 2, 3]


def test_the_next_collection_is_played_while_the_learner_updates() -> None:
    began, may_end = threading.Event(), threading.Event()

    def play(policy: Any, number: int) -> Collection:
        if number == 1:
            began.set()
            assert may_end.wait(30)
        return Collection(judge_errors=number)

    ahead = Ahead(play, staleness=1)
    policy = build_mini_policy(TOKENIZER, SHAPE, 0)
    assert ahead.take(policy, 0, last=3).judge_errors == 0
    assert began.wait(30)  # collection 1 is being played, and this thread is free
    may_end.set()
    assert ahead.take(policy, 1, last=3).judge_errors == 1
    ahead.close()


def test_a_run_with_collections_ahead_resumes_with_the_same_numbers(batch_judge: Judge, tmp_path: Path) -> None:
    config = replace(SMALL, staleness=2)
    whole = learner(config)
    expected = [untimed(whole.step(problems, batch_judge)) for _ in range(4)]
    whole.close()
    first = learner(config)
    for _ in range(2):
        first.step(problems, batch_judge)
    folder = save_checkpoint(first, tmp_path, {}, keep=1)
    first.close()
    again = learner(config)
    load_checkpoint(again, folder)
    assert [untimed(again.step(problems, batch_judge)) for _ in range(2)] == expected[2:]
    again.close()


def test_without_staleness_nothing_is_played_ahead_and_nothing_is_added_to_a_checkpoint(batch_judge: Judge) -> None:
    one = learner()
    one.step(problems, batch_judge)
    assert one._ahead is None
    assert one.more_state() == {}
    assert RLEFConfig().staleness == 0


@pytest.mark.parametrize("change", [{"recompute_logprobs": False}, {"algorithm": "grpo", "group": 2}])
def test_stale_collections_need_the_factor_for_them(change: dict[str, Any]) -> None:
    with pytest.raises(CodeenvError, match="staleness is 1, which needs the factor"):
        replace(SMALL, staleness=1, **change)
