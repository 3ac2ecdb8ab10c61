"""What the judge says about everyday programs: verdicts, comparison, order, and sources that are no programs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codeenv.judge import ExecutionCache, Judge, JudgeRequest, Report, Verdict
from codeenv.problems.problem import CallTest, Checker, CodeTest, Limits, Problem, ProblemError, StdioTest

SUM = Problem("sum", "Add one.", "stdio", public_tests=(StdioTest("1\n", "2\n"),), private_tests=(StdioTest("41\n", "42\n"),))
DOUBLE = Problem(
    "double",
    "Double.",
    "call",
    "f",
    public_tests=(CallTest((1,), {}, 2),),
    private_tests=(CallTest(([],), {}, []), CallTest((1.5,), {}, 3.0)),
)
QUICK = Limits(time_limit_s=0.5, memory_mb=256, output_kb=64)


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(workers=2) as judge:
        yield judge


def call(expected: object, *args: object, checker: Checker | None = None) -> Problem:
    return Problem("p", "", "call", "f", public_tests=(CallTest(args, {}, expected),), checker=checker or Checker(), limits=QUICK)


def stdio(given: str, expected: str, checker: Checker | None = None) -> Problem:
    return Problem("p", "", "stdio", public_tests=(StdioTest(given, expected),), checker=checker or Checker(), limits=QUICK)


STDIO_PROGRAMS = {
    "a right program": ("print(int(input()) + 1)", Verdict.ACCEPTED),
    "a wrong program": ("print(int(input()) + 2)", Verdict.WRONG_ANSWER),
    "sys.exit(0) after the answer": ("import sys\nprint(int(input()) + 1)\nsys.exit(0)", Verdict.ACCEPTED),
    "a status that is not zero": ("import sys\nprint(int(input()) + 1)\nsys.exit(3)", Verdict.RUNTIME_ERROR),
    "an uncaught exception": ("print(int(input()) + 1)\nprint(1 // 0)", Verdict.RUNTIME_ERROR),
    "input from sys.stdin.buffer": ("import sys\nprint(int(sys.stdin.buffer.read()) + 1)", Verdict.ACCEPTED),
    "input from descriptor 0": ("print(int(open(0).read()) + 1)", Verdict.ACCEPTED),
    "output by os.write": ("import os\nos.write(1, b'%d' % (int(input()) + 1))", Verdict.ACCEPTED),
    "a main guard": ("def main():\n    print(int(input()) + 1)\nif __name__ == '__main__':\n    main()", Verdict.ACCEPTED),
    "reading past the end": ("print(int(input()) + 1)\ninput()", Verdict.RUNTIME_ERROR),
    "output that os._exit loses": ("import os\nprint(int(input()) + 1)\nos._exit(0)", Verdict.WRONG_ANSWER),
    "a loop": ("while True: pass", Verdict.TIME_LIMIT),
    "a sleeper": ("import time\ntime.sleep(60)", Verdict.TIME_LIMIT),
    "a memory hog": ("x = bytearray(1 << 30)", Verdict.MEMORY_LIMIT),
    "an output flood": ("while True: print('x' * 1000)", Verdict.OUTPUT_LIMIT),
    "a flood of standard error": ("import sys\nwhile True: print('x' * 1000, file=sys.stderr)", Verdict.OUTPUT_LIMIT),
    "a syntax error": ("print(int(input()) + 1", Verdict.COMPILE_ERROR),
    "one big-stack thread": (
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 26)\n"
        "def depth(n): return n and 1 + depth(n - 1)\n"
        "def main(): print(int(input()) + 1 + depth(20000) - 20000)\n"
        "thread = threading.Thread(target=main)\nthread.start()\nthread.join()",
        Verdict.ACCEPTED,
    ),
    "an exit function that prints": ("import atexit\natexit.register(lambda: print(int(input()) + 1))", Verdict.ACCEPTED),
}


@pytest.mark.parametrize("name", STDIO_PROGRAMS)
def test_programs_over_standard_streams(judge: Judge, name: str) -> None:
    source, verdict = STDIO_PROGRAMS[name]
    report = judge.judge(stdio("41\n", "42\n"), source)
    assert report.verdict is verdict, report


CALLS = {
    "the right value": ("def f(x): return x + 1", 3, (2,), Verdict.ACCEPTED),
    "a wrong value": ("def f(x): return x", 3, (2,), Verdict.WRONG_ANSWER),
    "True is not 1": ("def f(x): return True", 1, (2,), Verdict.WRONG_ANSWER),
    "1.0 is not 1": ("def f(x): return 1.0", 1, (2,), Verdict.WRONG_ANSWER),
    "a tuple is not a list": ("def f(x): return (1,)", [1], (2,), Verdict.WRONG_ANSWER),
    "a float within tolerance": ("def f(x): return 0.1 + 0.2", 0.3, (2,), Verdict.ACCEPTED),
    "nested containers": (
        "def f(x): return {'a': [(1, None), {2, 3}, b'x', 1j]}",
        {"a": [(1, None), {2, 3}, b"x", 1j]}, (2,), Verdict.ACCEPTED,
    ),
    "a huge integer": ("def f(x): return 7 ** 20000", 7**20000, (2,), Verdict.ACCEPTED),
    "not a number": ("def f(x): return float('nan')", float("nan"), (2,), Verdict.ACCEPTED),
    "infinity": ("def f(x): return -float('inf')", float("-inf"), (2,), Verdict.ACCEPTED),
    "a subclass of a built-in": ("class A(int):\n    pass\ndef f(x): return A(3)", 3, (2,), Verdict.WRONG_ANSWER),
    "an object": ("def f(x): return object()", 3, (2,), Verdict.WRONG_ANSWER),
    "a cyclic list": ("def f(x):\n    a = []\n    a.append(a)\n    return a", [], (2,), Verdict.WRONG_ANSWER),
    "an exception": ("def f(x): raise KeyError(x)", 3, (2,), Verdict.RUNTIME_ERROR),
    "sys.exit": ("import sys\ndef f(x): sys.exit(0)", 3, (2,), Verdict.RUNTIME_ERROR),
    "os._exit": ("import os\ndef f(x): os._exit(0)", 3, (2,), Verdict.RUNTIME_ERROR),
    "a missing function": ("def g(x): return 3", 3, (2,), Verdict.RUNTIME_ERROR),
    "a method of Solution": ("class Solution:\n    def f(self, x): return x + 1", 3, (2,), Verdict.ACCEPTED),
    "a main guard": ("def f(x): return x + 1\nif __name__ == '__main__':\n    f(int(input()))", 3, (2,), Verdict.ACCEPTED),
    "a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\ndef f(x): return A(x).x + 1",
        3, (2,), Verdict.ACCEPTED,
    ),
    "endless recursion": ("def f(x): return f(x)", 3, (2,), Verdict.RUNTIME_ERROR),
    "a loop": ("def f(x):\n    while True: pass", 3, (2,), Verdict.TIME_LIMIT),
}  # fmt: skip


@pytest.mark.parametrize("isolation", ["test", "batch"])
@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str, isolation: str, judges: dict[str, Judge]) -> None:
    source, expected, args, verdict = CALLS[name]
    report = judges[isolation].judge(call(expected, *args), source)
    assert report.verdict is verdict, report


@pytest.fixture(scope="module")
def judges(judge: Judge) -> Iterator[dict[str, Judge]]:
    with Judge(workers=1, isolation="batch") as batch:
        yield {"test": judge, "batch": batch}


NO_PROGRAMS = {
    "an empty text": ("", Verdict.NO_CODE),
    "white space": (" \n\t", Verdict.NO_CODE),
    "a NUL byte": ("print(1)\0", Verdict.COMPILE_ERROR),
    "a lone surrogate": ("print('\ud800')", Verdict.COMPILE_ERROR),
    "ten megabytes": ("#" * 10_000_000, Verdict.COMPILE_ERROR),
    "bytes": (b"print(1)", Verdict.COMPILE_ERROR),
    "nothing": (None, Verdict.COMPILE_ERROR),
    "a hundred thousand parentheses": ("(" * 100_000 + ")" * 100_000, Verdict.COMPILE_ERROR),
    "a constant that takes forever to fold": ("x = " + "(1 << 100000) * " * 200 + "1\nprint(2", Verdict.COMPILE_ERROR),
}


@pytest.mark.parametrize("name", NO_PROGRAMS)
def test_sources_that_are_no_programs_get_a_verdict_and_a_sentence(judge: Judge, name: str) -> None:
    source, verdict = NO_PROGRAMS[name]
    report = judge.judge(SUM, source)  # type: ignore[arg-type]
    assert (report.verdict, report.results) == (verdict, ())
    assert report.error


def test_results_carry_index_publicness_output_and_resources(judge: Judge) -> None:
    report = judge.judge(DOUBLE, "def f(x): return x * 2")
    assert [(result.index, result.public, result.output) for result in report.results] == [
        (0, True, "2"), (1, False, "[]"), (2, False, "3.0"),
    ]  # fmt: skip
    assert all(0 < result.time_s < 5 and 1 < result.memory_mb < 500 for result in report.results)
    assert report.isolation == "namespaces"


@pytest.mark.parametrize(("tests", "indices"), [("public", [0]), ("private", [1, 2]), ("all", [0, 1, 2])])
def test_only_the_asked_for_tests_run(judge: Judge, tests: str, indices: list[int]) -> None:
    report = judge.judge(DOUBLE, "def f(x): return x * 2", tests=tests)  # type: ignore[arg-type]
    assert [result.index for result in report.results] == indices


@pytest.mark.parametrize(("asked", "there"), [("public", "private"), ("private", "public")])
def test_tests_that_a_problem_does_not_have_are_an_error_and_no_acceptance(judge: Judge, asked: str, there: str) -> None:
    problem = Problem("bare", "", "stdio", **{f"{there}_tests": (StdioTest("", "1"),)})  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match=f"'bare' has no {asked} tests.*{there}"):
        judge.judge(problem, "print(1)", tests=asked)  # type: ignore[arg-type]
    assert judge.judge(problem, "print(1)", tests=there).accepted  # type: ignore[arg-type]


def test_the_traceback_names_the_submission_and_shows_its_lines_only(judge: Judge) -> None:
    report = judge.judge(call(1, 0), "def g(x):\n    return 1 // x\n\ndef f(x):\n    return g(x)\n")
    assert report.results[0].error == (
        'Traceback (most recent call last):\n  File "solution.py", line 5, in f\n    return g(x)\n'
        '  File "solution.py", line 2, in g\n    return 1 // x\nZeroDivisionError: integer division or modulo by zero'
    )


def test_a_failed_assertion_of_test_code_shows_the_line_and_the_value(judge: Judge) -> None:
    problem = Problem("p", "", "call", "f", private_tests=(CodeTest("def check(candidate):\n    assert candidate(2) == 3\n"),))
    report = judge.judge(problem, "def f(x): return 7")
    assert report.verdict is Verdict.WRONG_ANSWER
    assert "assert candidate(2) == 3" in report.results[0].error
    assert "candidate(2) returned 7" in report.results[0].error


def test_reports_come_in_the_order_of_the_requests(judge: Judge) -> None:
    requests = [JudgeRequest(call(number, 0), f"def f(x): return {number}") for number in range(50)]
    reports = judge.judge_many(requests)
    assert [report.results[0].output for report in reports] == [str(number) for number in range(50)]
    assert all(report.accepted for report in reports)


def cached(inputs: int = 20) -> Judge:
    return Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=[(number,) for number in range(inputs)]))


def same(one: Report, other: Report) -> bool:
    return [(item.verdict, item.output) for item in one.results] == [(item.verdict, item.output) for item in other.results]


def test_a_known_program_is_not_run_again_and_gets_the_same_report() -> None:
    with cached() as judge:
        first = judge.judge(call(6, 3), "def f(x): return x * 2")
        again = judge.judge(call(6, 3), "def f(x): return x * 2")
        other = judge.judge(call(99, 4), "def f(x): return x * 2")
        beyond = judge.judge(call(2000, 1000), "def f(x): return x * 2")
        assert same(first, again)
        assert other.verdict is Verdict.WRONG_ANSWER
        assert beyond.accepted
        assert (judge.stats.requests, judge.stats.cache_hits, judge.stats.executions) == (4, 2, 2)


def test_an_input_that_never_ends_does_not_cost_the_others_their_result() -> None:
    source = "def f(x):\n    while x == 1: pass\n    return x"
    problem = Problem(
        "p", "", "call", "f", public_tests=tuple(CallTest((number,), {}, number) for number in range(4)), limits=QUICK
    )
    with cached() as judge:
        report = judge.judge(problem, source)
        assert [item.verdict.value for item in report.results] == ["accepted", "time_limit", "accepted", "accepted"]


def test_the_cache_tells_arguments_apart_by_type() -> None:
    with cached() as judge:
        source = "def f(x): return repr(x)"
        for value in (1, True, 1.0, -0.0, 0.0):
            assert judge.judge(call(repr(value), value), source).accepted
