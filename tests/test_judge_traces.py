"""A trace is an extra about the first failing public test; it never changes what the judge says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codeenv.judge import Judge, Report, Verdict
from codeenv.problems.problem import CallTest, CodeTest, Limits, Problem, ProblemError, StdioTest
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


def test_code_tests_have_no_trace(judge: Judge) -> None:
    problem = Problem("p", "", "call", "f", public_tests=(CodeTest("assert f(1) == 2"),), limits=LIMITS)
    assert judge.judge(problem, "def f(x): return x", trace="bounded").results[0].trace is None


def test_an_unknown_trace_mode_is_named(judge: Judge) -> None:
    with pytest.raises(ProblemError, match="everything"):
        judge.judge(CALLS, "def f(n): return n", trace="everything")
