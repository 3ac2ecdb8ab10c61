"""A training run with alignment, head and mask on: it learns from mixed batches, and resumes with the same numbers."""

import dataclasses
from pathlib import Path

import pytest
import torch

from codeenv.agents.rlef.run import TrainingRun, open_judge
from codeenv.agents.rlef.run_config import read_config
from codeenv.agents.trace_head.classes import HEADS
from codeenv.errors import CodeenvError
from codeenv.feedback import FeedbackContext, values
from codeenv.judge.verdict import Report, TestResult, Verdict
from codeenv.problems.procedural import values as family
from codeenv.rollout import read_episodes

torch.set_num_threads(1)

CONFIG = Path(__file__).parents[2] / "examples" / "coderlplus" / "mini.yaml"


def small(iterations):
    config = read_config(CONFIG)
    rlef = dataclasses.replace(config.rlef, iterations=iterations, episodes=16, micro_batch=16, critic_only_iterations=0)
    alignment = dataclasses.replace(config.alignment, floor=0.0)
    head = dataclasses.replace(config.trace_head, mode="on")
    return dataclasses.replace(
        config, rlef=rlef, alignment=alignment, trace_head=head, sft_steps=10, validate_every=0, checkpoint_every=2, workers=1
    )


def interrupt_at_2(metrics):
    if metrics["iteration"] == 1:
        raise KeyboardInterrupt


def rows(run):
    timed = ("generation_s", "judge_s", "judge_cpu_s", "iteration_s", "iteration_cpu_s")
    # A number that is undefined is nan in memory and nothing in the file; nan is no equal of itself.
    return [
        {name: value if value == value else None for name, value in metrics.items() if name not in timed}
        for metrics in run.metrics
    ]


@pytest.mark.slow
def test_a_resumed_run_goes_on_with_the_same_numbers(tmp_path):
    with open_judge(small(4)) as judge:
        whole = TrainingRun(small(4), tmp_path / "whole", judge)
        whole.train()
        part = TrainingRun(small(4), tmp_path / "part", judge)
        with pytest.raises(KeyboardInterrupt):
            part.train(interrupt_at_2)
        part.close()
        resumed = TrainingRun(small(4), tmp_path / "part", judge, resume=True)
        resumed.train()
        assert rows(resumed) == rows(whole)
        assert {"align_buffer", "align_built", "head_outcome_accuracy"} <= set(rows(whole)[-1])


def test_a_run_with_a_trace_head_records_what_it_says_of_each_program(tmp_path):
    config = small(1)
    head = dataclasses.replace(config.trace_head, heads=tuple(HEADS))
    config = dataclasses.replace(config, trace_head=head, alignment=dataclasses.replace(config.alignment, fraction=0.0))
    with open_judge(config) as judge:
        TrainingRun(config, tmp_path / "run", judge).train()
    rows = list(read_episodes(tmp_path / "run" / "predictions"))
    assert len(rows) == 64
    said = [turn["extras"]["trace_head"] for row in rows for turn in row["turns"]]
    assert all(sum(one["outcome"].values()) == pytest.approx(1.0, abs=1e-3) for one in said)
    for turn in (turn for row in rows for turn in row["turns"]):
        assert len(turn["extras"]["pieces"]) == len(turn["extras"]["tokens"])
        assert (turn["source"] or "").strip() in "".join(turn["extras"]["pieces"])  # tokens are shown as texts
    verdicts = [turn["public"]["verdict"] for row in rows for turn in row["turns"]]
    passed = [one["true_outcome"] == "pass" for one in said]
    assert passed == [verdict == "accepted" for verdict in verdicts]
    assert any(one["lines"] for one in said)
    assert {one["true_exception"] is not None for one in said if one["true_outcome"] != "exception"} == {False}


def test_masks_and_labels_are_made_while_a_collection_is_played_ahead(tmp_path):
    config = small(3)
    rlef = dataclasses.replace(config.rlef, staleness=1, recompute_logprobs=True)
    mask, alignment = dataclasses.replace(config.mask, mode="coverage"), dataclasses.replace(config.alignment, fraction=0.0)
    config = dataclasses.replace(config, rlef=rlef, mask=mask, alignment=alignment)
    with open_judge(config) as judge:
        run = TrainingRun(config, tmp_path / "run", judge)
        run.train()
        run.close()
    assert all({"mask_kept", "head_outcome_accuracy"} <= set(metrics) for metrics in run.metrics)
    assert len(run.metrics) == 3


def test_a_wrong_setting_of_alignment_is_refused_with_its_name(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("alignment: {mode: best}\n")
    with pytest.raises(CodeenvError, match=r"alignment\.mode"):
        read_config(path)


def report(verdict, output=""):
    return Report("p", verdict, (TestResult(0, True, verdict, output=output),))


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (Verdict.WRONG_ANSWER, "wrong on p={0},q={1},r={2},s={3} gave 4 not {4}"),
        (Verdict.RUNTIME_ERROR, "invalid code"),
        (Verdict.COMPILE_ERROR, "invalid code"),
    ],
)
def test_the_familys_feedback_names_the_arguments_and_no_difference(verdict, text):
    task = family.sample_tasks("train", 1, seed=0)[0]
    inputs = task.inputs[0]
    context = FeedbackContext(family.problem(task), task.program.source, report(verdict, "4"), 0)
    assert values(context) == text.format(*inputs, task.program.answer(inputs))


def test_the_familys_programs_do_what_the_family_says():
    for program in family.all_programs():
        space = {}
        exec(program.source, space)
        for inputs in ((3, 1, 4, 6), (2, 6, 5, 1)):
            assert space["f"](*inputs) == program.answer(inputs)


def test_problems_can_be_named_again_and_splits_share_no_input():
    for task in family.sample_tasks("tune", 5, seed=1):
        assert family.parse(task.id) == task
    splits = {
        name: {inputs for task in family.sample_tasks(name, 300, 0) for inputs in task.inputs}
        for name in ("train", "tune", "report")
    }
    assert not splits["train"] & splits["report"] | splits["train"] & splits["tune"]
    assert len(splits["train"]) > len(splits["report"]) > 50


@pytest.mark.parametrize("name", ["values/X/train/0/1", "values/open/all/0/1", "values/open/train/8/1", "values/open/train/0"])
def test_an_id_of_another_shape_is_refused(name):
    with pytest.raises(CodeenvError, match="values"):
        family.parse(name)


def test_feedback_can_solve_what_guessing_cannot():
    tasks = family.sample_tasks("report", 300, seed=2)
    assert family.posterior_solve_rate(tasks) > family.posterior_solve_rate(tasks, informed=False) + 0.25
