"""Completion subtasks, mutated programs and the static baseline in a learner: what they change, and that off is off."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from codeenv.agents.alignment.answers import mutated
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.generation import Sampling
from codeenv.agents.lm.models import MiniShape, build_mini_policy
from codeenv.agents.lm.tokenizer import build_piece_tokenizer
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.collect import Played, collect
from codeenv.agents.rlef.miniature import env_config
from codeenv.agents.rlef.run import TrainingRun, open_judge
from codeenv.agents.rlef.run_config import TrainConfig, read_config
from codeenv.agents.stepcoder.completion import Completion, joined, with_beginning
from codeenv.agents.stepcoder.curriculum import CurriculumConfig
from codeenv.agents.stepcoder.mask import MaskConfig
from codeenv.agents.stepcoder.masking import Coverage, Masking
from codeenv.agents.trace_head.auxiliary import Auxiliary
from codeenv.agents.trace_head.labels import RunLabels, Variable
from codeenv.agents.trace_head.positions import TurnLabels
from codeenv.agents.trace_head.static import StaticBaseline
from codeenv.batch import EpisodeBatch
from codeenv.judge import Judge
from codeenv.prediction import Attempt
from codeenv.problems import CallTest, Problem
from codeenv.submission import extract_code

torch.set_num_threads(1)
SOLUTION = "def f(x):\n    y = x + 1\n    if x > 0:\n        return y\n    return 0\n"
BEGINNING = "def f(x):\n    y = x + 1\n"
REST = "    if x > 0:\n        return y\n    return 0\n"
TESTS = (CallTest((1,), {}, 2), CallTest((-1,), {}, 0))
PROBLEM = Problem("p", "say f", "call", "f", public_tests=TESTS, private_tests=TESTS, correct_solutions=(SOLUTION,))
CONFIG = Path(__file__).parents[2] / "examples" / "coderlplus" / "mini.yaml"


@pytest.fixture(scope="module")
def judge():
    with Judge(workers=1) as judge:
        yield judge


@pytest.mark.parametrize(
    ("response", "program"),
    [
        (f"```python\n{REST}```", BEGINNING + REST),
        (f"```python\n\n{REST}```", BEGINNING + REST),
        (f"```python\n{SOLUTION}```", SOLUTION),  # it repeats what it was given
    ],
)
def test_the_given_lines_and_the_response_are_one_program(response: str, program: str) -> None:
    assert (extract_code(joined(response, BEGINNING, True), True) or "").strip() == program.strip()


def test_a_response_without_a_program_and_an_episode_from_nothing_stay_as_they_are() -> None:
    assert joined("I cannot", BEGINNING, True) == "I cannot"
    assert joined("```python\nx = 1\n```", "", True) == "```python\nx = 1\n```"
    assert with_beginning("say f", "") == "say f"
    assert with_beginning("say f", BEGINNING).startswith("say f\n\n")
    assert BEGINNING in with_beginning("say f", BEGINNING)


class Writes(PlainFormat):
    """A format whose responses are always the same text."""

    said = f"```python\n{REST}```"

    def text(self, ids: list[int]) -> str:
        return self.said


def play(judge: Judge, begins: list[str]) -> Any:
    tokenizer = build_piece_tokenizer([])
    policy = build_mini_policy(tokenizer, MiniShape(hidden=16, feed_forward=16, layers=1, heads=2), 0)
    env = dataclasses.replace(env_config("rlef"), turn_limit=1, require_fence=True)
    sampling, generator = Sampling(max_tokens=60, max_context=512), torch.Generator().manual_seed(0)
    return collect(policy, Writes(tokenizer), [PROBLEM] * len(begins), judge, env, sampling, generator, begins=begins)


def test_an_episode_that_is_given_the_beginning_is_judged_on_the_whole_program(judge: Judge) -> None:
    played = play(judge, [BEGINNING, ""]).played
    assert [one.solved for one in played] == [True, False]
    assert [one.given for one in played] == [BEGINNING, ""]
    opening = [one.conversation.ids[: one.conversation.spans[0].start] for one in played]
    assert len(opening[0]) > len(opening[1])
    assert not any(flag for one in played for flag in one.conversation.sampled[: one.conversation.spans[0].start])


def test_the_starting_point_moves_to_the_beginning_as_episodes_succeed_and_survives_a_checkpoint(judge: Judge) -> None:
    completion = Completion(CurriculumConfig(full=0.0, memory=0.5), seed=0)
    (given,) = completion.begin([PROBLEM])
    assert given == BEGINNING
    again = Completion(CurriculumConfig(full=0.0, memory=0.5), seed=0)
    for _ in range(3):
        found = completion.record(play(judge, [given]).played)
    assert found["curriculum_level"] == 0.0
    again.load(completion.state())
    assert completion.begin([PROBLEM]) == again.begin([PROBLEM]) == [""]


def test_masks_are_those_of_the_lines_that_the_response_wrote(judge: Judge) -> None:
    """Each character is a token here, so that the mask can be read."""
    said = "```python\n    if x > 5:\n        return 7\n    return y if x > 0 else 0\n```"
    tokenizer = build_piece_tokenizer([])
    chat = PlainFormat(tokenizer)
    episode = play(judge, [BEGINNING]).played[0]
    one = dataclasses.replace(episode, conversation=TokenConversation())
    one.conversation.add_environment(chat.opening("say f"))
    ids = chat.response(said)
    one.conversation.add_response(ids, [0.0] * len(ids), "stop")
    batch = EpisodeBatch([PROBLEM], judge, one.episode.config)
    batch.step({0: joined(said, BEGINNING, True)})
    one.episode = batch.episodes[0]
    masking = Masking(MaskConfig(mode="coverage"))
    kept = masking.weights(masking.masks([one], chat, judge)).tolist()
    dropped = "".join(character for character, weight in zip(said, kept, strict=False) if not weight)
    assert dropped.strip() == "return 7"  # the only line that no test ran
    ((_, labels),) = Auxiliary(4).labelled([one], chat, judge)[0]
    assert labels is not None
    lines = {said[at[0] : at[-1] + 1].strip(): run for at, run in labels.lines}
    assert set(lines) == {"if x > 5:", "return 7", "return y if x > 0 else 0"}  # and none of the given ones


def test_a_program_is_run_once_on_an_input_for_its_coverage(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    run = judge.judge_many
    monkeypatch.setattr(judge, "judge_many", lambda requests: asked.append(len(requests)) or run(requests))
    coverage = Coverage(judge)
    solved = (PROBLEM, SOLUTION, TESTS)
    first = coverage.lines([solved, solved, (PROBLEM, "def f(x):\n    return 0", TESTS)])
    assert first[0] == first[1] != first[2] == frozenset({1, 2})
    assert coverage.lines([solved]) == first[:1]
    assert asked == [2 * len(TESTS), 0]
    coverage.keep = 0
    assert coverage.lines([solved]) == first[:1]
    assert coverage.lines([solved]) == first[:1]
    assert asked[2:] == [0, len(TESTS)]


@pytest.mark.parametrize(("tests", "dropped"), [("reward", ""), ("public", "return y")])
def test_masks_count_the_runs_behind_the_reward(judge: Judge, tests: Any, dropped: str) -> None:
    """The public test does not reach `return y`, and the private one does."""
    said = "def f(x):\n    if x > 0:\n        return y\n    return 0\n".replace("y", "x + 1")
    problem = dataclasses.replace(PROBLEM, public_tests=TESTS[1:], private_tests=TESTS[:1])
    chat = PlainFormat(build_piece_tokenizer([]))
    ids = chat.response(said)
    batch = EpisodeBatch([problem], judge, dataclasses.replace(env_config(), require_fence=False))
    batch.step({0: said})
    conversation = TokenConversation()
    conversation.add_environment(chat.opening("say f"))
    conversation.add_response(ids, [0.0] * len(ids), "stop")
    one = Played(batch.episodes[0], conversation)
    assert one.solved
    masking = Masking(MaskConfig(tests=tests))
    kept = masking.weights(masking.masks([one], chat, judge)).tolist()
    found = "".join(character for character, weight in zip(said, kept, strict=False) if not weight)
    assert found.strip() == dropped.replace("y", "x + 1")


def test_the_random_control_is_drawn_anew_for_each_collection() -> None:
    masks = [[[True] * 20 + [False] * 20]]
    masking, again = Masking(MaskConfig(mode="random"), seed=1), Masking(MaskConfig(mode="random"), seed=1)
    first, second = masking.weights(masks, 0), masking.weights(masks, 1)
    assert first.sum() == second.sum() == 20
    assert not torch.equal(first, second)
    assert torch.equal(second, again.weights(masks, 1))


def test_a_mutated_copy_differs_in_one_place_and_counts_as_failed() -> None:
    attempts = [Attempt(PROBLEM, SOLUTION, True), Attempt(PROBLEM, "pass", False)]
    (copy,) = mutated(attempts, seed=3)
    assert copy.passed is False
    assert copy.source != SOLUTION
    assert mutated(attempts, seed=3) == [copy]


def labels(run: int, kind: int) -> TurnLabels:
    variable = Variable("y", len("y = 1"), kind, kind)
    found = RunLabels(0, None, {1: bool(run)}, (variable,))
    return TurnLabels(0, found, (((0,), run),), (1,), ((0, kind, kind),), ("y",))


def test_the_static_baseline_learns_what_a_line_tells_and_predicts_before_it_learns() -> None:
    baseline = StaticBaseline()
    sources = ["y = 1", "y = 'a'"] * 20
    turns = [labels(1, 2), labels(0, 4)] * 20
    first = baseline.observe(sources, turns)
    assert first["head_type_static"] == 0.0  # nothing is known yet: every class scores alike, and the first is neither
    later = baseline.observe(sources, turns)
    assert later == {"head_outcome_static": 1.0, "head_line_static": 1.0, "head_type_static": 1.0, "head_bucket_static": 1.0}
    again = StaticBaseline()
    again.load_state_dict(baseline.state_dict())
    assert again.observe(sources, turns) == baseline.observe(sources, turns)
    assert StaticBaseline().observe([None], [None]) == {}


def small(**change: Any) -> TrainConfig:
    config = read_config(CONFIG)
    rlef = dataclasses.replace(config.rlef, iterations=2, episodes=12, micro_batch=12, critic_only_iterations=0)
    return dataclasses.replace(
        config, problems="values", rlef=rlef, sft_steps=5, validate_every=0, checkpoint_every=2, workers=1, **change
    )


def test_the_static_baseline_reads_outcome_and_exception_from_the_whole_program() -> None:
    baseline = StaticBaseline()
    sources = ["x = 1\nreturn x", "x = y[9]\nreturn x", None] * 20
    runs = [RunLabels(0), RunLabels(2, 3), RunLabels(5)] * 20
    turns = [TurnLabels(0, run, (), (), (), ()) for run in runs]
    assert baseline.observe(sources, turns)["head_exception_static"] == 0.0
    assert baseline.observe(sources, turns) == {"head_outcome_static": 1.0, "head_exception_static": 1.0}


def test_the_switches_run_from_a_config_and_leave_their_numbers(tmp_path: Path) -> None:
    alignment = dataclasses.replace(read_config(CONFIG).alignment, floor=0.0, mutants=True)
    config = small(alignment=alignment, curriculum=CurriculumConfig())
    with open_judge(config) as judge:
        run = TrainingRun(config, tmp_path / "run", judge)
        run.train()
        run.close()
    assert {"curriculum_given", "curriculum_level", "align_built", "head_line_static", "head_bucket_static"} <= set(
        run.metrics[-1]
    )


def test_both_switches_are_off_by_default() -> None:
    config = TrainConfig()
    assert config.curriculum.mode == "off"
    assert config.alignment.mutants is False
