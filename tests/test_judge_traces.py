"""A trace is an extra about the first failing public test; it never changes what the judge says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codeenv.judge import Judge, Report, Verdict
from codeenv.problems.problem import CallTest, CodeTest, Limits, Problem, ProblemError, StdioTest
from codeenv.trace import render
from codeenv.trace.events import Trace

LIMITS = Limits(time_limit_s=0.5, memory_mb=512)
CALLS = Problem(
    "p", "", "call", "f", public_tests=(CallTest((1,), {}, 1), CallTest((3,), {}, 6), CallTest((4,), {}, 10)),
    private_tests=(CallTest((5,), {}, 15),), limits=LIMITS,
)  # fmt: skip
PROGRAM = Problem("p", "", "stdio", public_tests=(StdioTest("3\n", "4\n"),), limits=LIMITS)


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(workers=1) as judge:
        yield judge


def trace_of(report: Report) -> Trace:
    (recorded,) = [result.trace for result in report.results if result.trace is not None]
    return Trace.from_jsonl(recorded)


def test_the_first_failing_public_test_is_traced_and_no_other(judge: Judge) -> None:
    report = judge.judge(CALLS, "def f(n):\n    total = n if n > 1 else 1\n    return total", trace="bounded")
    assert [result.trace is not None for result in report.results] == [False, True, False, False]
    assert any(event.vars.get("total") == "3" for event in trace_of(report).events)


def test_an_accepted_submission_has_no_trace(judge: Judge) -> None:
    report = judge.judge(CALLS, "def f(n): return n * (n + 1) // 2", trace="bounded")
    assert report.accepted
    assert all(result.trace is None for result in report.results)


@pytest.mark.parametrize(
    ("source", "verdict", "end"),
    [
        ("n = int(input())\nprint(n)", Verdict.WRONG_ANSWER, "ok"),
        ("n = int(input())\nprint(n // 0)", Verdict.RUNTIME_ERROR, "exception"),
        ("n = int(input())\nwhile True:\n    n += 1", Verdict.TIME_LIMIT, "cut"),
        ("import os\nn = int(input())\nos._exit(0)", Verdict.WRONG_ANSWER, "cut"),
    ],
)
def test_programs_are_traced_however_they_end(judge: Judge, source: str, verdict: Verdict, end: str) -> None:
    report = judge.judge(PROGRAM, source, trace="bounded")
    assert (report.verdict, trace_of(report).footer.end) == (verdict, end)


GARBAGE = """
import gc, mmap
for thing in gc.get_objects():
    if type(thing) is mmap.mmap:
        thing[:] = b"\\xff" * len(thing)
def f(n): return n
"""
HOSTILE = {
    "garbage over the buffer": GARBAGE,
    "a recorder torn down": "import sys\nfor name in list(sys.modules): sys.modules.pop(name, None)\ndef f(n): return n",
    "a signal while it is recorded": "import os\ndef f(n): os.kill(os.getpid(), 9)",
    "an exit while it is recorded": "import os\ndef f(n): os._exit(0)",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_cannot_change_its_verdict_by_its_trace(judge: Judge, name: str) -> None:
    plain = judge.judge(CALLS, HOSTILE[name])
    traced = judge.judge(CALLS, HOSTILE[name], trace="bounded")
    assert [result.verdict for result in traced.results] == [result.verdict for result in plain.results]
    assert not traced.accepted


CHECK = """
def check(candidate):
    assert candidate([1, 2]) == 3
    assert candidate([4, 4]) == 8
    assert candidate([1] * 6) == 6
    assert candidate([2, 5, 1]) == 8
    assert candidate([7]) == 7
"""
LINES = "assert total([1, 2]) == 3\nassert total([2, 5, 1]) == 8"
SUITE = """
import unittest
class Sums(unittest.TestCase):
    def test_a(self):
        with self.assertRaises(TypeError):
            candidate(None)
        self.assertEqual(candidate([1, 2]), 3)
    def test_b(self):
        self.assertEqual(candidate([2, 5, 1]), 8)
    def test_c(self):
        self.assertEqual(candidate([1]), 1)
"""
SUM = "def total(xs):\n    s = 0\n    for x in xs:\n        {}\n    return s"
SUMS = {
    "a value": (SUM.format("s += x if x < 5 else 0"), Verdict.WRONG_ANSWER, "ok"),
    "an exception": (SUM.format("s += x if x < 5 else y"), Verdict.RUNTIME_ERROR, "exception"),
    "a loop": (SUM.format("s += x\n        while x == 5:\n            s += 0"), Verdict.TIME_LIMIT, "cut"),
}


@pytest.mark.parametrize("tests", [CHECK, LINES, SUITE], ids=["check", "asserts", "unittest"])
@pytest.mark.parametrize("name", SUMS)
def test_of_test_code_the_call_that_failed_is_traced(judge: Judge, tests: str, name: str) -> None:
    source, verdict, end = SUMS[name]
    problem = Problem("p", "", "call", "total", public_tests=(CodeTest(tests),), limits=LIMITS)
    report = judge.judge(problem, source, trace="bounded")
    trace = trace_of(report)
    (call,) = [event for event in trace.events if event.kind == "c"]
    assert (trace.footer.end, call.vars["xs"]) == (end, "[2, 5, 1]")
    assert report.verdict is (Verdict.WRONG_ANSWER if tests is SUITE and end == "exception" else verdict)


def test_test_code_that_builds_an_object_has_the_last_call_of_its_methods_traced(judge: Judge) -> None:
    tests = "def check(candidate):\n    box = candidate(3)\n    box.add(1)\n    box.add(2)\n    assert box.sum() == 6"
    problem = Problem("p", "", "call", "Box", public_tests=(CodeTest(tests),), limits=LIMITS)
    source = (
        "class Box:\n    def __init__(self, n): self.n = n\n    def add(self, k): self.n += k\n"
        "    def sum(self):\n        n = self.n + 1\n        return n"
    )
    trace = trace_of(judge.judge(problem, source, trace="bounded"))
    assert [event.extra["fn"] for event in trace.events if event.kind == "c"] == ["Box.sum"]
    assert any(event.vars.get("n") == "7" for event in trace.events)


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (4, "def f(n):\n    if n == 3:\n        for k in range(n):\n            while n:\n                n += 1\n    return 1"),
        (2, "def f(n):\n    return 1 if n < 3 else sum(range(10**11))"),
        (4, "import time\ndef f(n):\n    if n == 3:\n        time.sleep(99)\n    return 1"),
        (3, "def f(n):\n    if n == 3:\n        return 7 ** 10 ** 9\n    return 1"),
    ],
    ids=["a loop", "a long operation", "a sleep", "a huge number"],
)
def test_a_trace_of_a_stopped_run_says_where_it_stood(judge: Judge, line: int, source: str) -> None:
    trace = trace_of(judge.judge(CALLS, source, trace="bounded"))
    shown = [text for text in render(trace, source).split("\n") if "stopped" in text.partition("#")[2]]
    assert trace.footer.end == "cut"
    assert source.split("\n")[line - 1] in shown[0]


def test_test_code_gets_the_same_verdict_traced_as_untraced(judge: Judge) -> None:
    problem = Problem("p", "", "call", "f", public_tests=(CodeTest("assert f(1) == 1\nassert f(2) == 3"),), limits=LIMITS)
    for source in HOSTILE.values():
        plain, traced = judge.judge(problem, source), judge.judge(problem, source, trace="bounded")
        assert (traced.verdict, traced.accepted) == (plain.verdict, False)


def test_an_unknown_trace_mode_is_named(judge: Judge) -> None:
    with pytest.raises(ProblemError, match="everything"):
        judge.judge(CALLS, "def f(n): return n", trace="everything")
