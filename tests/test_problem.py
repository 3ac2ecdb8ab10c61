"""A problem row is read back as it was written, and a bad one is refused with its id, its field and its value."""

import pytest

from codeenv.problems import CallTest, Checker, CodeTest, Limits, Problem, ProblemError, StdioTest

ROW = {
    "id": "demo/inversions",
    "statement": "Count the inversions.",
    "mode": "call",
    "entry_point": "inversions",
    "public_tests": [{"args": [[2, 1]], "kwargs": {}, "expected": 1}],
    "private_tests": [
        {"args": [[3, 2, 1]], "kwargs": {"key": {"$tuple": [1]}}, "expected": 3},
        {"code": "def check(candidate): ..."},
    ],
    "limits": {"time_limit_s": 2.5, "memory_mb": 256, "output_kb": 64},
    "checker": {"kind": "exact"},
    "difficulty": 0.5,
    "tags": ["sorting"],
    "correct_solutions": ["def inversions(x): ..."],
}


def test_a_row_becomes_a_problem_and_back():
    problem = Problem.from_dict(ROW)
    assert problem.public_tests == (CallTest(([2, 1],), {}, 1),)
    assert problem.private_tests[0].kwargs == {"key": (1,)}
    assert problem.private_tests[1] == CodeTest("def check(candidate): ...")
    assert problem.limits == Limits(2.5, 256, 64)
    assert problem.checker == Checker("exact")
    assert Problem.from_dict(problem.to_dict()) == problem


def test_the_default_limits_are_those_of_rlef():
    assert Limits() == Limits(time_limit_s=10.0, memory_mb=1024)


def test_a_stdio_row_has_inputs_and_outputs():
    row = {"id": "x", "statement": "", "mode": "stdio", "public_tests": [{"input": "1\n", "output": "2\n"}]}
    assert Problem.from_dict(row).tests("all") == (StdioTest("1\n", "2\n"),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "shell"}, "mode is 'shell'; use 'stdio' or 'call'"),
        ({"statement": 3}, "field 'statement' is 3; it must be a text"),
        ({"entry_point": None}, "needs an entry_point"),
        ({"entry_point": ["f"]}, "field 'entry_point'"),
        ({"public_tests": [], "private_tests": []}, "has no tests"),
        ({"public_tests": "abc"}, "field 'public_tests' is 'abc'; it must be a list"),
        ({"public_tests": [7]}, r"public_tests\[0\] is 7"),
        ({"public_tests": [{"input": "1"}]}, r"public_tests\[0\] has the fields \['input'\]"),
        ({"public_tests": [{"input": "1", "output": "2"}]}, r"public_tests\[0\] is a StdioTest"),
        ({"public_tests": [{"args": 3, "expected": 1}]}, "field 'args' is 3"),
        ({"public_tests": [{"args": [{"$what": 1}], "expected": 1}]}, r"unknown tag '\$what'"),
        ({"limits": {"time_limit_s": -1}}, "time_limit_s is -1"),
        ({"limits": {"time_limit_s": float("nan")}}, "time_limit_s is nan"),
        ({"limits": {"seconds": 1}}, "unknown field limits.seconds"),
        ({"limits": 10}, "field 'limits' is 10"),
        ({"limits": {"memory_mb": True}}, "memory_mb is True"),
        ({"checker": {"kind": "eval"}}, "checker kind is 'eval'"),
        ({"checker": {"kind": "program"}}, "need a source in 'program'"),
        ({"checker": {"absolute": -1}}, "checker absolute tolerance is -1"),
        ({"difficulty": "hard"}, "field 'difficulty' is 'hard'"),
        ({"tags": ["a", 3]}, r"field 'tags\[1\]' is 3"),
        ({"hidden_tests": []}, "unknown field 'hidden_tests'"),
    ],
)
def test_a_malformed_row_is_refused_in_one_sentence(change, message):
    with pytest.raises(ProblemError, match=message) as caught:
        Problem.from_dict({**ROW, **change})
    assert "demo/inversions" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("row", [None, [], "text", {"id": "x"}, {"id": "", "statement": "", "mode": "call"}])
def test_what_is_no_row_is_refused(row):
    with pytest.raises(ProblemError):
        Problem.from_dict(row)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("assert (", "does not compile: '(' was never closed (line 1)"),
        ("\0", "does not compile"),
        ("assert '\ud800' == f()", "does not compile"),
        ("", "is empty; it would accept every program"),
        ("# nothing yet", "is empty; it would accept every program"),
    ],
)
def test_test_code_that_can_test_nothing_is_refused(code: str, words: str) -> None:
    row = {"id": "p", "statement": "", "mode": "call", "entry_point": "f", "private_tests": [{"code": code}]}
    with pytest.raises(ProblemError, match=r"the code of private_tests\[0\] ") as caught:
        Problem.from_dict(row)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (
            {"public_tests": [{"input": "1 \ud800", "output": ""}]},
            r"public_tests\[0\]\.input has a lone surrogate \(U\+D800\) at position 2",
        ),
        ({"private_tests": [{"input": "", "output": "\udbff"}]}, r"private_tests\[0\]\.output has a lone surrogate \(U\+DBFF\)"),
        ({"public_tests": [{"input": "\udc7f", "output": ""}]}, r"public_tests\[0\]\.input has a lone surrogate \(U\+DC7F\)"),
        ({"starter_code": "x = '\udc80'"}, r"starter_code has a lone surrogate \(U\+DC80\) at position 5"),
        ({"statement": "é\ud83d"}, r"statement has a lone surrogate \(U\+D83D\) at position 1"),
    ],
)
def test_a_text_with_half_a_character_is_refused_by_its_field(change: dict[str, object], field: str) -> None:
    row = {"id": "p", "statement": "", "mode": "stdio", "public_tests": [{"input": "", "output": ""}]}
    with pytest.raises(ProblemError, match="problem 'p': " + field):
        Problem.from_dict(row | change)


def test_bytes_that_are_no_utf8_stay_legal_in_tests_and_whole_characters_everywhere() -> None:
    raw = bytes(range(256)).decode("utf-8", "surrogateescape")
    row = {
        "id": "p",
        "statement": "\U0001f600",
        "mode": "stdio",
        "starter_code": "é",
        "public_tests": [{"input": raw, "output": raw}],
    }
    problem = Problem.from_dict(row)
    assert problem.public_tests == (StdioTest(raw, raw),)
    assert problem.public_tests[0].input.encode("utf-8", "surrogateescape") == bytes(range(256))


@pytest.mark.parametrize("test", [StdioTest(1, ""), StdioTest("", None)])
def test_a_stdio_test_that_is_no_text_is_refused(test: StdioTest) -> None:
    with pytest.raises(ProblemError, match=r"public_tests\[0\]\.(input is 1|output is None); it must be a text"):
        Problem("p", "", "stdio", public_tests=(test,))
