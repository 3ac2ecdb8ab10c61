"""The miniature: what the family knows of itself equals what the judge finds, and an arm changes text alone."""

from __future__ import annotations

import re

import pytest
import torch

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_policy
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.collect import collect
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.miniature import (
    MiniDocuments,
    bare_feedback,
    build_tokenizer,
    env_config,
    random_feedback,
    true_feedback,
    true_report,
)
from codeenv.agents.rlef.sft import SFTConfig, mined_conversations, train_supervised
from codeenv.batch import EpisodeBatch
from codeenv.feedback import FeedbackContext, compact
from codeenv.judge import ExecutionCache, Judge, JudgeRequest
from codeenv.problems.procedural import mini

CHAT = PlainFormat(build_tokenizer())


@pytest.fixture(scope="module")
def judge():
    with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=mini.inputs_of)) as judge:
        yield judge


def attempts(count: int) -> list[tuple[mini.MiniTask, mini.Program]]:
    """Tasks, each with another program that fits its statement; all input forms meet each other."""
    found = []
    for number, task in enumerate(mini.sample_tasks("tune", count, seed=1)):
        fitting = mini.candidates(task.program, task.mask)
        found.append((task, fitting[(number * 7919) % len(fitting)]))
    return found


def test_what_the_family_says_of_its_programs_is_what_the_judge_finds(judge: Judge) -> None:
    pairs = attempts(120)
    forms = {(task.program.form, program.form) for task, program in pairs}
    assert len(forms) == 9
    requests = [JudgeRequest(mini.problem(task), program.source, tests="public") for task, program in pairs]
    for (task, program), request, report in zip(pairs, requests, judge.judge_many(requests), strict=True):
        ours = true_report(program, task)
        assert ours.verdict is report.verdict
        assert [result.verdict for result in ours.results] == [result.verdict for result in report.results]
        if not report.accepted:
            judged = compact(FeedbackContext(request.problem, program.source, report, 0))
            assert judged == true_feedback(program, task)
    private = [JudgeRequest(mini.problem(task), program.source, tests="all") for task, program in pairs]
    assert [report.accepted for report in judge.judge_many(private)] == [mini.solves(program, task) for task, program in pairs]


def context(task: mini.MiniTask, program: mini.Program) -> FeedbackContext:
    return FeedbackContext(mini.problem(task), program.source, true_report(program, task), 0)


def test_random_feedback_has_the_true_form_and_is_about_another_program_with_the_same_statement() -> None:
    wrong = [(task, program) for task, program in attempts(150) if mini.first_failure(program, task) is not None]
    different = 0
    for task, program in wrong:
        text = random_feedback(context(task, program))
        assert re.fullmatch(r"wrong: f\(.+\) (gave \('\w+',-?\d+\)|raised \(\w+\)) not \('\w+',-?\d+\)( diff [+-]\d+)?", text)
        shown = re.search(r"not \('(\w+)',", text)
        if "T" not in task.mask:
            assert shown
            assert shown.group(1) == mini.TAGS[task.program.tag]
        assert text == random_feedback(context(task, program))
        different += text != true_feedback(program, task)
    assert different > 0.95 * len(wrong)


@pytest.mark.parametrize("feedback", [random_feedback, bare_feedback])
def test_an_arm_changes_the_text_alone(feedback, judge: Judge) -> None:
    """The same responses end the same episodes at the same turns with the same rewards, whatever the policy is told."""
    pairs = attempts(60)
    runs = []
    for arm in ("compact", feedback):
        batch = EpisodeBatch([mini.problem(task) for task, _ in pairs], judge, env_config(arm))
        seen = []
        for turn in range(3):
            answers = {
                index: (pairs[index][0].program if (index + turn) % 4 == 2 else pairs[index][1]).source for index in batch.live
            }
            steps = batch.step(answers)
            seen.append({index: (step.reward, step.terminated, step.info.get("solved")) for index, step in steps.items()})
        runs.append((seen, [turn.feedback for episode in batch.episodes for turn in episode.turns]))
    assert runs[0][0] == runs[1][0]
    assert runs[0][1] != runs[1][1]


def test_documents_come_from_the_train_split_and_teach_responses_alone() -> None:
    documents = MiniDocuments(CHAT, seed=0)(300)
    sources = {program.source: program for program in mini.all_programs()}
    several = 0
    for document in documents:
        several += len(document.spans) > 1
        for turn, span in enumerate(document.spans):
            program = sources[CHAT.text(document.response(turn))]
            assert mini.program_split(program) == "train"
            assert all(document.sampled[span.start : span.stop])
        assert sum(document.sampled) == sum(span.stop - span.start for span in document.spans)
    assert 0.25 < several / 300 < 0.5
    assert [one.ids for one in MiniDocuments(CHAT, seed=0)(20)] == [one.ids for one in MiniDocuments(CHAT, seed=0)(20)]


def test_an_attempt_in_a_document_does_not_depend_on_the_feedback_before_it() -> None:
    """Among documents with a tag to find, the second attempt has the tag that the feedback names no more often than chance."""
    hits = total = 0
    for document in MiniDocuments(CHAT, seed=1, multi_turn=1.0, bare=0.0)(1500):
        text = str(CHAT.tokenizer.decode(document.ids))
        if "some tag," in text and len(document.spans) > 1:
            named = re.search(r"not \('(\w+)',", text)
            assert named
            hits += f"'{named.group(1)}'," in CHAT.text(document.response(1))
            total += 1
    assert total > 300
    assert hits / total < 0.1


def test_independent_attempts_see_the_problem_alone(judge: Judge) -> None:
    policy = build_mini_policy(CHAT.tokenizer, MiniShape(hidden=32, feed_forward=64, layers=1, heads=2), seed=0)
    problems = [mini.problem(task) for task in mini.sample_tasks("tune", 8, seed=0)]
    generator = torch.Generator().manual_seed(0)
    got = collect(policy, CHAT, problems, judge, env_config(), MINI.sampling(), generator, independent=True)
    for one in got.played:
        opening = CHAT.opening(one.episode.problem.statement)
        assert one.conversation.ids[: len(opening)] == opening
        assert len(one.conversation.spans) == 1
        assert len(one.episode.turns) == 3


def test_supervised_learning_lowers_the_loss() -> None:
    policy = build_mini_policy(CHAT.tokenizer, MiniShape(hidden=32, feed_forward=64, layers=1, heads=2), seed=0)
    losses: list[float] = []
    config = SFTConfig(steps=30, batch=32, warmup=5, bucket=4)
    train_supervised(policy, MiniDocuments(CHAT, 0), config, seed=0, on_step=lambda step, loss: losses.append(loss))
    assert len(losses) == 30
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_mined_conversations_teach_the_last_response_alone_or_all_of_them() -> None:
    conversation = TokenConversation()
    conversation.add_environment([1, 2])
    conversation.add_response([3, 4], [-0.5, -0.5], "stop")
    conversation.add_environment([5])
    conversation.add_response([6, 7], [-0.1, -0.2], "stop")
    (last,) = mined_conversations([conversation])
    (whole,) = mined_conversations([conversation], last_only=False)
    assert last.ids == whole.ids == conversation.ids
    assert [last.response(turn) for turn in range(len(last.spans))] == [[6, 7]]
    assert [whole.response(turn) for turn in range(len(whole.spans))] == [[3, 4], [6, 7]]
