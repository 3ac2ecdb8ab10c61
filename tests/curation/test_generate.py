"""Generated tests are right by a trusted reference, deterministic, and catch mutants that the old tests let pass."""

from dataclasses import replace

import pytest

from codeenv.curation import generate_tests
from codeenv.curation.coverage import instrumented, line_coverage
from codeenv.curation.mutants import mutants
from codeenv.errors import CodeenvError
from codeenv.problems import CallTest, Checker, CodeTest, Limits, Problem, StdioTest

CLAMP = """def clamp(values, low):
    '''Raise every value below low to one above it.'''
    out = []
    for value in values:
        if value < low:
            out.append(low + 1)
        else:
            out.append(value)
    return out
"""


def problem(solution: str = CLAMP, **changes: object) -> Problem:
    values: dict = {
        "id": "p/clamp",
        "statement": "Clamp.",
        "mode": "call",
        "entry_point": "clamp",
        "private_tests": (CallTest(([5], 3), {}, [5]),),
        "limits": Limits(2.0, 512, 256),
        "correct_solutions": (solution,),
        **changes,
    }
    return Problem(**values)


def test_generated_tests_agree_with_the_reference_and_raise_what_they_are_worth(judge) -> None:
    result = generate_tests(problem(), judge, count=12, seed=1)
    namespace: dict = {}
    exec(CLAMP, namespace)
    assert result.tests
    assert all(namespace["clamp"](*test.args) == test.expected for test in result.tests)
    assert len({repr(test.args) for test in result.tests}) == len(result.tests)
    assert result.problem.private_tests == (CallTest(([5], 3), {}, [5]), *result.tests)
    assert "generated-tests" in result.problem.tags
    assert result.killed_after > result.killed_before
    assert result.coverage_before == pytest.approx(5 / 6)
    assert result.coverage_after == 1.0
    assert judge.judge(result.problem, CLAMP).accepted


def test_the_same_seed_generates_the_same_tests(judge) -> None:
    assert generate_tests(problem(), judge, 5, seed=3, mutant_limit=0).tests == generate_tests(problem(), judge, 5, 3, 0).tests


def test_inputs_on_which_the_reference_raises_or_is_not_deterministic_are_dropped(judge) -> None:
    unsteady = (
        "import random\n\ndef clamp(values, low):\n    if low < 0:\n        raise ValueError\n"
        "    return random.random() if values and values != [5] else 0\n"
    )
    result = generate_tests(problem(unsteady, private_tests=(CallTest(([5], 3), {}, 0),)), judge, count=10, mutant_limit=0)
    assert all(test.expected == 0 and test.args[0] in ([], [5]) and test.args[1] >= 0 for test in result.tests)


@pytest.mark.parametrize(
    "subject",
    [
        problem(correct_solutions=()),
        problem(private_tests=(CodeTest("def check(candidate):\n    assert candidate([5], 3) == [5]\n"),)),
        Problem(
            "p/2", "", "stdio", public_tests=(StdioTest("", "1"),), correct_solutions=("print(1)",),
            checker=Checker(kind="interactor", program="pass"),
        ),
    ],
    ids=["no reference", "test code alone", "a conversation"],
)  # fmt: skip
def test_a_problem_that_tests_cannot_be_generated_for_is_refused(subject: Problem, judge) -> None:
    with pytest.raises(CodeenvError, match=r"tests are (not )?generated for"):
        generate_tests(subject, judge)


def test_only_solutions_that_pass_the_known_tests_are_trusted(judge) -> None:
    wrong = CLAMP.replace("low + 1", "low")
    subject = problem(correct_solutions=(wrong, CLAMP), private_tests=(CallTest(([1], 3), {}, [4]),))
    result = generate_tests(subject, judge, count=6, seed=1, mutant_limit=0)
    assert result.tests
    assert judge.judge(result.problem, CLAMP).accepted
    assert result.problem.correct_solutions == (wrong, CLAMP)
    with pytest.raises(CodeenvError, match=r"none of its first 1 correct solutions passes the known tests \(wrong_answer\)"):
        generate_tests(replace(subject, correct_solutions=(wrong,)), judge)


METHOD = "class Solution:\n" + "".join(f"    {line}\n" for line in CLAMP.replace("(values", "(self, values").splitlines())


def test_a_method_gets_tests_with_what_they_are_worth(judge) -> None:
    result = generate_tests(problem(METHOD, entry_point="Solution().clamp"), judge, count=12, seed=1)
    assert result.tests
    assert result.mutants
    assert result.killed_after > result.killed_before
    assert result.coverage_before == pytest.approx(5 / 6)
    assert result.coverage_after == 1.0


def test_mutants_differ_in_one_place_and_are_spread_over_the_program() -> None:
    source = "def f(x, y):\n    if x < 3 and y == 2:\n        return x + y\n    else:\n        return x * 2\n"
    found = mutants(source)
    for change in ("x <= 3", "x < 4", "y != 2", "y == 3", " or ", "x - y", "x + 2", "x * 3"):
        assert any(change in text for text in found), change
    assert len(found) == len(set(found))
    assert len(mutants(source, limit=4)) <= 4
    assert mutants("def f(:") == []


def test_lines_that_do_not_run_are_not_covered(judge) -> None:
    assert line_coverage(problem(private_tests=(CallTest(([1, 5], 3), {}, [4, 5]),)), CLAMP, judge) == 1.0
    assert line_coverage(problem(private_tests=(CallTest(([], 3), {}, []),)), CLAMP, judge) == pytest.approx(3 / 6)
    assert instrumented("class clamp:\n    pass\n", "clamp") is None
