"""Settings of alignment that follow from others, and the order in which recent items are drawn."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from codeenv.agents.alignment.buffer import AlignmentBuffer, quotas
from codeenv.agents.alignment.config import AlignmentConfig
from codeenv.agents.alignment.kind_critic import KindCritic
from codeenv.agents.alignment.learner import MixedLearner
from codeenv.agents.alignment.miniature import SHAPE, FamilyBuilder, build_tokenizer, env_config
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import build_mini_critic, build_mini_policy
from codeenv.agents.rlef.config import MINI
from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.prediction import Attempt, PredictionScorer
from codeenv.prediction.released import ReleasedBuilder
from codeenv.problems.procedural import values

torch.set_num_threads(1)


def learner(samples: int | None) -> MixedLearner:
    chat = PlainFormat(build_tokenizer())
    config = dataclasses.replace(MINI, episodes=32, algorithm="grpo", group=4)
    policy, critic = build_mini_policy(chat.tokenizer, SHAPE, 0), KindCritic(build_mini_critic(chat.tokenizer, SHAPE, 0).trunk)
    alignment = AlignmentConfig(samples=samples)
    return MixedLearner(
        policy, critic, chat, env_config(), config, 0, alignment=alignment, builder=FamilyBuilder(), scorer=PredictionScorer()
    )


def test_an_item_has_as_many_answers_as_a_problem_has_episodes():
    assert learner(None)._samples == 4
    with pytest.raises(CodeenvError, match=r"alignment\.samples is 1, and algorithm 'grpo' compares"):
        learner(1)


def test_mode_official_has_the_released_schedule_unless_told_otherwise():
    official, ours = AlignmentConfig(mode="official"), AlignmentConfig()
    assert (official.least_share, official.least_right) == (0.0, 0)
    assert (ours.least_share, ours.least_right) == (0.1, 10)
    assert AlignmentConfig(mode="official", floor=0.2, least_successes=3).least_share == 0.2


@pytest.mark.parametrize(
    "wrong", [{"source": "none"}, {"strategy": "latest"}, {"buffer": -5}, {"names": -1}, {"least_successes": -3},
              {"mode": "official", "source": "all"}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(CodeenvError, match=str(next(reversed(wrong.values())))):
        AlignmentConfig(**wrong)


def test_the_released_items_are_about_programs_that_print():
    task = values.sample_tasks("train", 1, 0)[0]
    with Judge(workers=1) as judge, pytest.raises(CodeenvError, match="asks what a program prints"):
        ReleasedBuilder(judge).build([Attempt(values.problem(task), "def f(p,q,r,s):\n return 0", False)])


def test_a_batch_of_128_prompts_has_77_of_code_and_51_of_alignment():
    assert quotas(128, 0.4) == (77, 51)


def test_recent_items_are_drawn_from_the_latest_step_alone():
    chosen = [values.problem(task) for task in values.sample_tasks("train", 40, 0)]
    attempts = [Attempt(problem, str(problem.correct_solutions[0]), False) for problem in chosen]
    items = FamilyBuilder(source="all").build(attempts).items
    older, newer = items[:20], items[20:]
    drawn = {}
    for strategy in ("recent", "random"):
        buffer = AlignmentBuffer(20_000, strategy, 0)
        buffer.push(older)
        buffer.push(newer)
        drawn[strategy] = {item.id for item in buffer.sample(20)}
    assert drawn["recent"] <= {item.id for item in newer}
    assert drawn["random"] & {item.id for item in older}
