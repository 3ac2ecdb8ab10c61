"""What the agent is told after each kind of failure."""

import pytest

from codeenv.errors import CodeenvError
from codeenv.feedback import FEEDBACKS, FeedbackContext, FeedbackLimits, get_feedback, rlef, rlef_prompt
from codeenv.judge.verdict import Report, TestResult, Verdict, combined_verdict
from codeenv.problems import CallTest, CodeTest, Problem, StdioTest

SECRET = "private-4711"
STDIO = Problem(
    "p",
    "Add one.",
    "stdio",
    public_tests=(StdioTest("1\n", "2\n"), StdioTest("5\n", "6\n")),
    private_tests=(StdioTest(SECRET, SECRET),),
)
CALL = Problem(
    "c", "Add.", "call", "f", public_tests=(CallTest(([3, 1],), {}, ("kg", 9)), CallTest((2,), {"key": "a"}, 3)),
    private_tests=(CallTest((SECRET,), {}, SECRET), CodeTest(f"assert f(1) == {SECRET!r}")),
)  # fmt: skip


def context(problem, *results, verdict=None, error="", source="x"):
    return FeedbackContext(problem, source, Report(problem.id, verdict or combined_verdict(results), tuple(results), error), 0)


def result(index, verdict, output="", error=""):
    return TestResult(index, True, verdict, output=output, error=error)


def test_a_wrong_output_shows_input_expected_and_got():
    text = rlef(context(STDIO, result(0, Verdict.ACCEPTED), result(1, Verdict.WRONG_ANSWER, "7\n")))
    assert "Test 2: wrong answer.\nInput:\n5\nExpected:\n6\nGot:\n7" in text
    assert "Test 1" not in text
    assert text.endswith("one block that starts with ```python and ends with ```.")


def test_an_exception_shows_the_traceback():
    text = rlef(context(CALL, result(1, Verdict.RUNTIME_ERROR, error="Traceback ...\nValueError: no")))
    assert "Call:\nf(2, key='a')\nError:\nTraceback ...\nValueError: no" in text


def test_time_and_memory_limits_are_said_in_a_sentence():
    assert "it takes too long.\nInput:\n1\nThe limit is 10 seconds." in rlef(context(STDIO, result(0, Verdict.TIME_LIMIT)))
    assert "uses too much memory.\nInput:\n1\nThe limit is 1024 MiB." in rlef(context(STDIO, result(0, Verdict.MEMORY_LIMIT)))


def test_all_failing_tests_are_shown():
    text = rlef(context(STDIO, result(0, Verdict.WRONG_ANSWER, "0"), result(1, Verdict.TIME_LIMIT)))
    assert "Test 1:" in text
    assert "Test 2:" in text


def test_a_response_without_a_program_and_one_that_does_not_compile_are_told_so():
    assert "no program that can be run" in rlef(context(STDIO, verdict=Verdict.NO_CODE, source=None))
    assert "SyntaxError: oops" in rlef(context(STDIO, verdict=Verdict.COMPILE_ERROR, error="SyntaxError: oops"))


def test_long_details_are_cut_and_the_cut_is_said():
    text = rlef(context(STDIO, result(0, Verdict.WRONG_ANSWER, "9" * 100_000)), FeedbackLimits(detail_chars=100))
    assert "[99,900 characters left out]" in text
    assert len(text) < 1_000


def test_many_failures_are_cut_and_the_cut_is_said():
    problem = Problem("many", "", "stdio", public_tests=tuple(StdioTest(str(i), "x") for i in range(50)))
    text = rlef(context(problem, *(result(i, Verdict.WRONG_ANSWER, "y") for i in range(50))))
    assert "... and 30 more failing tests." in text


@pytest.mark.parametrize(
    ("got", "line"),
    [
        (result(0, Verdict.WRONG_ANSWER, "('cm', 7)"), "wrong: f([3,1]) gave ('cm',7) not ('kg',9) diff +2"),
        (result(0, Verdict.WRONG_ANSWER, "('kg', -2)"), "wrong: f([3,1]) gave ('kg',-2) not ('kg',9) diff +11"),
        (result(0, Verdict.WRONG_ANSWER, "None"), "wrong: f([3,1]) gave None not ('kg',9)"),
        (
            result(0, Verdict.RUNTIME_ERROR, error="Traceback\nTypeError: bad: it"),
            "wrong: f([3,1]) raised (TypeError) not ('kg',9)",
        ),
        (result(0, Verdict.TIME_LIMIT), "wrong: f([3,1]) raised (time_limit) not ('kg',9)"),
    ],
)
def test_compact_feedback_is_one_line_about_the_first_failure(got, line):
    assert FEEDBACKS["compact"](context(CALL, got)) == line


def test_compact_feedback_about_no_program_is_two_words():
    assert FEEDBACKS["compact"](context(CALL, verdict=Verdict.COMPILE_ERROR)) == "invalid code"


def test_weaker_kinds_of_feedback_say_less():
    failed = context(STDIO, result(0, Verdict.WRONG_ANSWER, "0"), result(1, Verdict.TIME_LIMIT))
    assert "Test 2" not in FEEDBACKS["first_failure"](failed)
    assert "wrong answer" in FEEDBACKS["error_class"](failed)
    assert "Input" not in FEEDBACKS["error_class"](failed)
    assert "wrong" not in FEEDBACKS["binary"](failed)
    assert FEEDBACKS["none"](failed) == FEEDBACKS["none"](context(STDIO, result(0, Verdict.TIME_LIMIT)))


@pytest.mark.parametrize("name", [name for name in FEEDBACKS if name != "compact"])
@pytest.mark.parametrize("problem", [STDIO, CALL], ids=["stdio", "call"])
def test_no_feedback_shows_anything_of_a_private_test(name, problem):
    for verdict in Verdict:
        assert SECRET not in FEEDBACKS[name](context(problem, result(0, verdict, "0", "E: e"), result(1, verdict, "0", "E: e")))
    assert SECRET not in rlef_prompt(problem)


def test_an_unknown_feedback_is_refused():
    with pytest.raises(CodeenvError, match="there is no feedback named 'loud'"):
        get_feedback("loud")
