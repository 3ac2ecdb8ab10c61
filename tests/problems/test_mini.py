"""The miniature family: its splits, its statements, its reference figures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from codeenv.errors import CodeenvError
from codeenv.problems import Problem
from codeenv.problems.procedural import mini


def test_there_are_3600_different_programs_and_each_defines_f() -> None:
    sources = {program.source for program in mini.all_programs()}
    assert len(sources) == len(mini.all_programs()) == 3600
    namespace: dict[str, object] = {}
    for source in sorted(sources)[::97]:
        exec(compile(source, "program", "exec"), namespace)
        assert callable(namespace["f"])


def test_a_program_returns_what_its_source_returns() -> None:
    for program in mini.all_programs()[::41]:
        namespace: dict[str, object] = {}
        exec(program.source, namespace)
        for a, b in [(0, 0), (3, 7), (9, 2)]:
            assert namespace["f"](*mini.argument_of(program.form, a, b)) == program.answer(a, b)  # type: ignore[operator]


@pytest.mark.parametrize("mask", mini.MASKS)
def test_the_candidates_are_exactly_the_programs_with_the_same_statement(mask: str) -> None:
    program = mini.Program(1, 3, 4, 2)
    same = {other for other in mini.all_programs() if mini.statement_of(other, mask) == mini.statement_of(program, mask)}
    assert set(mini.candidates(program, mask)) == same
    assert program in same
    assert len(same) > 1


def test_no_program_and_no_statement_is_in_two_splits() -> None:
    tasks = {split: mini.sample_tasks(split, 3000, seed=1) for split in ("train", "tune", "report")}
    for one, other in itertools.combinations(tasks.values(), 2):
        assert not {task.program for task in one} & {task.program for task in other}
        assert not {task.statement for task in one} & {task.statement for task in other}


def test_every_split_asks_every_mask_as_often_as_its_weight_says() -> None:
    for split in ("train", "tune", "report"):
        tasks = mini.sample_tasks(split, 20_000, seed=0)
        for mask, weight in mini.MASKS.items():
            assert np.mean([task.mask == mask for task in tasks]) == pytest.approx(weight, abs=0.015)


def test_the_same_seed_gives_the_same_tasks_and_another_seed_others() -> None:
    assert mini.sample_tasks("tune", 50, seed=3) == mini.sample_tasks("tune", 50, seed=3)
    assert mini.sample_tasks("tune", 50, seed=3) != mini.sample_tasks("tune", 50, seed=4)
    assert mini.sample_tasks("tune", 1, seed=0)[0].id == "mini/OK/1.29.0.4/880607754317"


def test_a_problem_is_known_by_its_id_and_survives_json() -> None:
    for task in mini.sample_tasks("report", 50, seed=0):
        problem = mini.problem(task)
        assert mini.parse(problem.id) == task
        assert Problem.from_dict(problem.to_dict()) == problem
        assert (len(problem.public_tests), len(problem.private_tests)) == (3, 4)
        assert len(set(task.pairs)) == 7


@pytest.mark.parametrize("text", ["HumanEval/0", "mini/XX/1.1.1.1/3", "mini/T/9.1.1.1/3", "mini/T/1.1.1/3", "mini/T/1.1.1.1/x"])
def test_an_id_of_another_shape_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(CodeenvError, match="is not a problem of the miniature family"):
        mini.parse(text)


def test_an_unknown_split_is_refused_with_a_sentence() -> None:
    with pytest.raises(CodeenvError, match="'test'"):
        mini.sample_tasks("test", 1, seed=0)  # type: ignore[arg-type]


def test_the_inputs_of_a_problem_hold_every_test_input() -> None:
    for task in mini.sample_tasks("train", 100, seed=0):
        problem = mini.problem(task)
        domain = {repr(arguments) for arguments in mini.inputs_of(problem)}
        assert len(domain) == 300
        assert {repr(test.args) for test in problem.tests("all")} <= domain  # type: ignore[union-attr]


def test_the_blind_ceiling_is_what_blind_guessing_reaches() -> None:
    tasks = mini.sample_tasks("report", 300, seed=0)
    generator = np.random.default_rng(0)

    def guess(task: mini.MiniTask) -> bool:
        fitting = mini.candidates(task.program, task.mask)
        for index in generator.permutation(len(fitting))[:3]:
            if mini.first_failure(fitting[index], task) is None:
                return mini.solves(fitting[index], task)
        return False

    simulated = np.mean([guess(task) for task in tasks for _ in range(60)])
    assert mini.blind_ceiling(tasks) == pytest.approx(simulated, abs=0.01)
    assert mini.blind_ceiling(tasks, guesses=1) < mini.blind_ceiling(tasks)


def test_feedback_makes_most_of_the_family_solvable() -> None:
    tasks = mini.sample_tasks("report", 500, seed=0)
    assert mini.bayes_solve_rate(tasks, turns=1) < 0.1
    assert 0.9 < mini.bayes_solve_rate(tasks, turns=3) < 1.0
