"""Procedural problems: seeded, held out by program, consistent with their references, graded, and partly open."""

import pickle

import pytest

from codeenv.judge import JudgeRequest
from codeenv.problems import Problem, ProblemError, load
from codeenv.problems.procedural.generator import split_of


@pytest.mark.parametrize("family", ["functions", "stdio"])
def test_references_pass_and_wrong_solutions_fail(family: str, judge) -> None:
    for problem in load("procedural", family=family, levels=(1, 2, 3, 4), limit=20):
        assert problem.incorrect_solutions, problem.id
        right = judge.judge_many([JudgeRequest(problem, source) for source in problem.correct_solutions])
        wrong = judge.judge_many([JudgeRequest(problem, source) for source in problem.incorrect_solutions])
        assert all(report.accepted for report in right), problem.id
        assert not any(report.accepted for report in wrong), problem.id


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (load("procedural", seed=seed, limit=50) for seed in (3, 3, 4))
    assert [problem.to_dict() for problem in first] == [problem.to_dict() for problem in again]
    assert sum(one.statement == two.statement for one, two in zip(first, other, strict=True)) < 15


def test_problem_i_does_not_depend_on_the_size_or_on_the_problems_before_it() -> None:
    assert load("procedural", size=40)[39] == load("procedural")[39]


def test_no_program_is_in_two_splits() -> None:
    programs = {
        split: {problem.correct_solutions[0] for problem in load("procedural", split=split, limit=300)}
        for split in ("train", "valid", "test")
    }
    assert not programs["train"] & programs["test"]
    assert not programs["train"] & programs["valid"]
    assert not programs["valid"] & programs["test"]
    assert all(split_of(program) == split for split, found in programs.items() for program in found)


def test_an_id_finds_its_problem() -> None:
    problems = load("procedural", split="test")
    assert problems.by_id(problems[17].id) == problems[17]
    with pytest.raises(ProblemError, match="there is no problem"):
        problems.by_id("procedural/functions-000000/0/test/17")


@pytest.mark.parametrize("vague", [0.0, 0.15, 1.0])
def test_the_share_of_open_statements_follows_the_parameter(vague: float) -> None:
    problems = load("procedural", family="functions", levels=(1,), vague=vague, limit=400)
    share = sum("open" in problem.tags for problem in problems) / 400
    assert abs(share - vague) < 0.06


def test_higher_levels_are_harder() -> None:
    means = []
    for level in (1, 2, 3, 4):
        problems = load("procedural", levels=(level,), limit=100)
        means.append(sum(problem.difficulty for problem in problems) / 100)
    assert means == sorted(means)
    assert means[3] - means[0] > 0.3


def test_rows_survive_json_and_pickling() -> None:
    problems = load("procedural", size=40)
    assert [Problem.from_dict(problem.to_dict()) for problem in problems] == list(problems)
    assert list(pickle.loads(pickle.dumps(problems))) == list(problems)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"family": "maxi"}, "family is 'maxi'"),
        ({"levels": (9,)}, "levels is (9,)"),
        ({"vague": 2.0}, "vague is 2.0"),
        ({"size": 0}, "size is 0"),
        ({"split": "dev"}, "has no split 'dev'"),
        ({"colour": 1}, "has no option 'colour'"),
    ],
)
def test_a_wrong_option_is_answered_with_a_sentence(options: dict, sentence: str) -> None:
    with pytest.raises(ProblemError) as caught:
        load("procedural", **options)
    assert sentence in str(caught.value)


def test_the_rungs_of_the_miniature_choose_what_statements_leave_open() -> None:
    for rungs, masks in ((("copy",), {"T"}), (("offset", "operator"), {"O", "K", "OK"}), (("copy", "error"), {"T", "TF"})):
        problems = load("mini", rungs=rungs, size=60)
        assert {problem.tags[1] for problem in problems} == masks
        assert len(set(problems.ids())) == 60


def test_the_miniature_needs_a_known_rung_and_split() -> None:
    with pytest.raises(ProblemError, match="rungs is"):
        load("mini", rungs=("loop",))
    with pytest.raises(ProblemError, match="no split 'valid'"):
        load("mini", split="valid")


def test_one_level_may_be_written_as_a_number() -> None:
    assert list(load("procedural", levels=2, limit=5)) == list(load("procedural", levels=(2,), limit=5))
    for bad in (9, "easy"):
        with pytest.raises(ProblemError, match="levels is"):
            load("procedural", levels=bad)
