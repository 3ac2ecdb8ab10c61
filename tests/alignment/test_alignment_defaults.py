"""Settings of alignment that follow from others, and the order in which recent items are drawn."""

from __future__ import annotations

import dataclasses
import math
import re

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
from codeenv.agents.stepcoder.curriculum import CurriculumConfig
from codeenv.agents.stepcoder.mask import MaskConfig
from codeenv.agents.trace_head.config import AuxiliaryConfig
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
    ("kind", "wrong"),
    [
        *((AlignmentConfig, wrong) for wrong in (
            {"source": "none"}, {"strategy": "latest"}, {"buffer": -5}, {"names": -1}, {"least_successes": -3},
            {"mode": "official", "source": "all"}, {"mode": "official", "repairs": 0.5}, {"fraction": 1.0}, {"fraction": "0.4"},
            {"fraction": math.nan}, {"samples": 0}, {"samples": 2.5}, {"recheck": None}, {"floor": 2}, {"mutants": "no"},
            {"reward": None}, {"prompt": "long"},
        )),
        *((AuxiliaryConfig, wrong) for wrong in (
            {"mode": "yes"}, {"weight": -1.0}, {"weight": "0.1"}, {"weight": math.inf}, {"learning_rate": 0}, {"width": 0},
            {"width": 8.0}, {"heads": ()}, {"heads": "line"}, {"heads": ("lines",)}, {"heads": ("line", "line")}, {"layer": -1},
            {"measure_every": -1}, {"measure_every": True},
        )),
        *((MaskConfig, wrong) for wrong in (
            {"mode": "on"}, {"mode": None}, {"tests": "all"}, {"comments": 1}, {"mask_passed": "no"}, {"normalise": None},
        )),
        *((CurriculumConfig, wrong) for wrong in (
            {"mode": "suffix"}, {"advance": "0.5"}, {"retreat": 0.5}, {"memory": 1.0}, {"full": 1.5}, {"full": None},
            {"memory": math.nan},
        )),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(kind, wrong):
    with pytest.raises(CodeenvError, match=f"(?s){re.escape(str(next(reversed(wrong.values()))))}.*; (use|name)|official"):
        kind(**wrong)


def test_the_familys_builder_keeps_its_source_and_its_number_of_names():
    chosen = [values.problem(task) for task in values.sample_tasks("train", 8, 0)]
    attempts = [Attempt(one, str(one.correct_solutions[0]), passed=number < 3) for number, one in enumerate(chosen)]
    built = {source: FamilyBuilder(source=source).build(attempts) for source in ("failed", "passed", "all")}
    assert {source: len(one.items) for source, one in built.items()} == {"failed": 5, "passed": 3, "all": 8}
    assert built["passed"].dropped == {"failed": 5}
    assert sum(bool(item.passed) for item in built["all"].items) == 3
    (item, *_) = FamilyBuilder(names=0).build(attempts).items
    assert (item.kind, item.names) == ("output", ())
    with pytest.raises(CodeenvError, match="source"):
        FamilyBuilder(source="best")


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
