"""The branches family: what is known of its programs is what runs show, and its supervised policy has something to learn from."""

import dataclasses
import random

import pytest
import torch

from codeenv.agents.alignment.branches import BranchesDocuments, build_tokenizer, exam, known_item, known_lines
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.stepcoder.masking import Coverage
from codeenv.errors import CodeenvError
from codeenv.prediction import Attempt, PredictionScorer, answer_text, prompt_of
from codeenv.prediction.scoped import ScopedBuilder, ScopedConfig
from codeenv.problems.procedural import branches

torch.set_num_threads(1)
CHAT = PlainFormat(build_tokenizer())
PROGRAMS = random.Random(0).sample(branches.all_programs(), 8)


def test_answers_and_lines_are_those_of_python():
    for program in branches.all_programs()[::7]:
        space = {}
        exec(program.source, space)
        for inputs in branches.input_domain()[::11]:
            wanted = program.answer(inputs)
            if wanted is branches.RAISES:
                with pytest.raises(ZeroDivisionError):
                    space["f"](*inputs)
            else:
                assert space["f"](*inputs) == wanted
                assert type(space["f"](*inputs)) is type(wanted)


def test_known_lines_are_those_of_traced_runs(judge):
    problems = [branches.problem(task) for task in branches.sample_tasks("train", len(PROGRAMS), seed=2)]
    rows = [(problem, program.source, problem.public_tests[:1]) for problem, program in zip(problems, PROGRAMS, strict=True)]
    traced = Coverage(judge).lines(rows)
    known = Coverage(judge, known=known_lines).lines(rows)
    assert [lines - {1} for lines in traced] == known
    assert known_lines("def f(p,q,r):\n return r", problems[0].public_tests[0]) is None


def test_known_items_are_those_of_the_builder(judge):
    problems = [branches.problem(task) for task in branches.sample_tasks("train", len(PROGRAMS), seed=4)]
    attempts = [Attempt(problem, program.source, False) for problem, program in zip(problems, PROGRAMS, strict=True)]
    built = ScopedBuilder(judge, ScopedConfig(seed=0)).build(attempts)
    found = {item.problem.id: item for item in built.items}
    for attempt, program in zip(attempts, PROGRAMS, strict=True):
        item = known_item(attempt.problem, program, attempt.problem.public_tests[0])
        if item is not None:
            assert dataclasses.replace(found[item.problem.id], id=item.id) == item


@pytest.mark.parametrize("reach", ["all", "one"])
def test_problems_can_be_named_again_and_their_programs_never_raise(reach):
    for task in branches.sample_tasks("report", 60, seed=1, reach=reach):
        assert branches.parse(task.id) == task
        assert len(set(task.inputs)) == 6
        assert all(task.program.answer(one) is not branches.RAISES for one in task.inputs)
        if reach == "one":
            assert {task.program.branch(one) for one in task.inputs} == {task.branch}


@pytest.mark.parametrize("name", ["branches/all/train/0129/1", "branches/3/train/0123/1", "branches/all/best/0123/1", "mini/1"])
def test_an_id_of_another_shape_is_refused(name):
    with pytest.raises(CodeenvError, match="branches"):
        branches.parse(name)


def test_splits_share_no_input_and_unknown_ones_are_refused():
    drawn = {
        name: {one for task in branches.sample_tasks(name, 200, 0) for one in task.inputs} for name in ("train", "tune", "report")
    }
    assert not drawn["train"] & drawn["tune"] | drawn["train"] & drawn["report"] | drawn["tune"] & drawn["report"]
    with pytest.raises(CodeenvError, match="test"):
        branches.sample_tasks("test", 1, 0)


def test_the_exam_is_answered_by_its_own_answers_and_fits_the_policy():
    items = exam("report", 60, seed=0)
    assert len(items) == 60
    assert {item.kind for item in items} == {"state", "exception"}
    scores = PredictionScorer().score(items, [answer_text(item) for item in items])
    assert all(score.exact for score in scores)
    for item in items:
        ids = CHAT.response(answer_text(item))
        assert len(ids) <= 8
        assert len(CHAT.opening(prompt_of(item, "compact"))) + len(ids) < 40


def test_documents_fit_the_policy_and_hold_both_kinds():
    found = BranchesDocuments(CHAT, 0)(200)
    assert max(map(len, found)) < 128
    texts = [CHAT.text(one.response(0)) for one in found]
    assert 60 < sum(text.startswith("def f") for text in texts) < 140
