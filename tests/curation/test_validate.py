"""Validation finds wrong tests and wrong solutions, and `repair` drops them."""

import pytest

from codeenv.curation import static_findings, validate
from codeenv.curation.validate import mend, repair
from codeenv.problems import CallTest, Limits, Problem, StdioTest

RIGHT = "def f(x):\n    return x + 1\n"


def problem(**changes: object) -> Problem:
    values: dict = {
        "id": "p/1",
        "statement": "Add one.",
        "mode": "call",
        "entry_point": "f",
        "public_tests": (CallTest((1,), {}, 2),),
        "private_tests": (CallTest((2,), {}, 3), CallTest((5,), {}, 6)),
        "limits": Limits(2.0, 512, 256),
        "correct_solutions": (RIGHT,),
        "incorrect_solutions": ("def f(x):\n    return 2 * x\n",),
        **changes,
    }
    return Problem(**values)


CASES = {
    "a good problem": (problem(), set()),
    "a reference that fails": (problem(correct_solutions=(RIGHT, "def f(x):\n    return x + (x < 5)\n")), {"reference_fails"}),
    "a reference that crashes": (problem(correct_solutions=("def f(x):\n    return x.y\n",)), {"reference_fails"}),
    "a wrong solution that passes": (problem(incorrect_solutions=("def f(x):\n    return 1 + x\n",)), {"wrong_solution_passes"}),
    "a test with a wrong result": (
        problem(private_tests=(CallTest((2,), {}, 3), CallTest((5,), {}, 7))),
        {"test_disagrees", "reference_fails"},
    ),
    "a reference that depends on chance": (
        problem(
            correct_solutions=("import random\n\ndef f(x):\n    return x + 1 + (random.random() < 0.9) * random.random()\n",)
        ),
        {"flaky_reference"},
    ),
    "a reference that depends on time": (
        problem(correct_solutions=("import time\n\ndef f(x):\n    return time.time()\n",)),
        {"flaky_reference"},
    ),
    "a repeated test": (
        problem(private_tests=(CallTest((2,), {}, 3), CallTest((2,), {}, 3))),
        {"duplicate_test"},
    ),
    "tests that contradict each other": (
        problem(private_tests=(CallTest((2,), {}, 3), CallTest((2,), {}, 4))),
        {"contradicting_tests", "reference_fails", "test_disagrees"},
    ),
    "public tests that are all of the private ones": (
        problem(private_tests=(CallTest((1,), {}, 2),), incorrect_solutions=()),
        {"public_leaks_private"},
    ),
    "no public test": (problem(public_tests=()), {"no_public_test"}),
    "no reference": (problem(correct_solutions=(), incorrect_solutions=()), {"no_reference"}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_found(case: str, judge) -> None:
    subject, kinds = CASES[case]
    (result,) = validate([subject], judge)
    found = {finding.kind for finding in result.findings}
    assert found == kinds
    harmless = {"duplicate_test", "public_leaks_private", "no_public_test", "no_reference"}
    assert result.good == (kinds <= harmless)


def test_a_long_row_is_reported() -> None:
    long = problem(private_tests=(CallTest(("x" * (5 << 20),), {}, 1),))
    assert [finding.kind for finding in static_findings(long)] == ["long_row"]


def test_a_reference_that_prints_differently_from_run_to_run_is_flaky_in_stdio_mode(judge) -> None:
    subject = Problem(
        "p/2", "Print 1.", "stdio", public_tests=(StdioTest("", "1\n"),),
        correct_solutions=("import random\nprint(random.random())\n",),
    )  # fmt: skip
    (result,) = validate([subject], judge)
    assert "flaky_reference" in {finding.kind for finding in result.findings}


REPAIRS = {
    "the wrong test goes": ("a test with a wrong result", {"private_tests": (CallTest((2,), {}, 3),)}),
    "the failing reference goes": ("a reference that fails", {"correct_solutions": (RIGHT,)}),
    "the passing wrong solution goes": ("a wrong solution that passes", {"incorrect_solutions": ()}),
    "the repeated test goes": ("a repeated test", {"private_tests": (CallTest((2,), {}, 3),)}),
}


@pytest.mark.parametrize("case", REPAIRS)
def test_repair_drops_what_is_bad_and_the_rest_is_good(case: str, judge) -> None:
    name, changes = REPAIRS[case]
    (result,) = validate([CASES[name][0]], judge)
    mended = repair(result)
    assert mended == problem(**changes)
    (again,) = validate([mended], judge)
    assert again.good


@pytest.mark.parametrize(
    "case", ["tests that contradict each other", "a reference that crashes", "a reference that depends on chance"]
)
def test_a_problem_without_a_trustworthy_rest_is_not_repaired(case: str, judge) -> None:
    (result,) = validate([CASES[case][0]], judge)
    assert repair(result) is None


WRONG = "def f(x):\n    return 7 if x == 5 else 9\n"
LAYERS = {
    "a wrong solution that only the wrong test rejected": problem(
        private_tests=(CallTest((2,), {}, 3), CallTest((5,), {}, 7)), incorrect_solutions=("def f(x):\n    return 1 + x\n", WRONG)
    ),
    "more bad references than are judged at once": problem(
        correct_solutions=(*[f"def f(x):\n    return {n}\n" for n in range(5)], RIGHT)
    ),
    "more passing wrong solutions than are judged at once": problem(
        incorrect_solutions=(*[f"def f(x):\n    return x + {n} - {n - 1}\n" for n in range(5)], WRONG)
    ),
    "a good problem": problem(),
}  # fmt: skip


@pytest.mark.parametrize("case", LAYERS)
def test_a_mended_problem_has_nothing_more_to_mend(case: str, judge) -> None:
    (result,) = validate([LAYERS[case]], judge)
    mended = mend(result, judge)
    assert mended is not None
    (again,) = validate([mended], judge)
    assert again.good
    assert repair(again) == mended
    assert len(mended.incorrect_solutions) == 1
    assert mended.correct_solutions == (RIGHT,)


def test_a_problem_whose_references_are_all_bad_is_not_mended(judge) -> None:
    (result,) = validate([problem(correct_solutions=tuple(f"def f(x):\n    return {n}\n" for n in range(5)))], judge)
    assert mend(result, judge) is None
