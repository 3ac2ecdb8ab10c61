"""A batch leaves its outcomes in memory that its own program can reach: what a program does to it costs that program only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codeenv.judge import ExecutionCache, Judge, JudgeRequest, Verdict
from codeenv.problems.problem import CallTest, Limits, Problem, StdioTest

A, W, R, T = Verdict.ACCEPTED, Verdict.WRONG_ANSWER, Verdict.RUNTIME_ERROR, Verdict.TIME_LIMIT
COUNT = 6
ADD = Problem(
    "add", "", "call", "f", private_tests=tuple(CallTest((n,), {}, n + 1) for n in range(COUNT)), limits=Limits(time_limit_s=0.5)
)
RIGHT = "def f(x): return x + 1"

PROGRAMS = {
    "a right program": (RIGHT, [A] * COUNT),
    "every answer is wrong": ("def f(x): return x", [W] * COUNT),
    "the same exception with another message is told apart": ("def f(x): raise ValueError(x)", [R] * COUNT),
    "one test ends the process": ("import os\ndef f(x):\n    if x == 2: os._exit(72)\n    return x + 1", [A, A, R, R, R, R]),
    "one test is killed": (
        "import os\ndef f(x):\n    if x == 2: os.kill(os.getpid(), 9)\n    return x + 1",
        [A, A, R, A, A, A],
    ),
    "one test loops": ("def f(x):\n    while x == 2: pass\n    return x + 1", [A, A, T, A, A, A]),
    "the file is cut": ("import os\ndef f(x):\n    if x == 2: os.ftruncate(3, 0)\n    return x + 1", [R, R, R, A, A, A]),
    "the file is cut while the program is defined": (
        "import os\nos.ftruncate(3, 0)\ndef f(x): return x + 1",
        [R] * COUNT,
    ),
    "the head claims more than there is": (
        "import os\ndef f(x):\n    os.pwrite(3, b'\\xff' * 16, 0)\n    return x + 1",
        [A] * COUNT,
    ),
    "the head claims more than there is, and the process ends": (
        "import os\ndef f(x):\n    if x == 2: os.pwrite(3, b'\\xff' * 16, 0); os._exit(0)\n    return x + 1",
        [A, A, R, R, R, R],
    ),
    "everything is overwritten": ("import os\ndef f(x): os.pwrite(3, b'\\xff' * 100000, 0); os._exit(0)", [R] * COUNT),
    "a place is written for a test that was killed": (
        "import os, struct\nbody = b'1'\n"
        "def f(x):\n    if x == 0:\n        while True: pass\n"
        "    os.pwrite(3, struct.pack('<fIII', 0.0, 100000, 1, ord('V')), 16)\n    os.pwrite(3, body, 100000)\n    return x + 1",
        [T, A, A, A, A, A],
    ),
    "the definition fails": ("def f(x): return x + 1\n1 / 0", [R] * COUNT),
}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(workers=1, isolation="batch") as judge:
        yield judge


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_a_program_does_to_its_board_costs_it_alone(judge: Judge, name: str) -> None:
    source, verdicts = PROGRAMS[name]
    report = judge.judge(ADD, source)
    assert [result.verdict for result in report.results] == verdicts
    assert judge.judge(ADD, RIGHT).accepted
    assert judge.stats.retries == 0


def test_outcomes_that_do_not_fit_on_the_mapped_part_are_there_too(judge: Judge) -> None:
    long = "x" * 100_000
    tests = tuple(CallTest((n,), {}, f"{n}{long}") for n in range(20))
    assert judge.judge(Problem("long", "", "call", "f", private_tests=tests), f"def f(x): return f'{{x}}{long}'").accepted
    printed = tuple(StdioTest(f"{n}\n", f"{n}{long}") for n in range(20))
    assert judge.judge(Problem("long", "", "stdio", private_tests=printed), f"print(input() + {long!r})").accepted
    assert judge.judge(ADD, RIGHT).accepted


def test_thousands_of_tests_have_an_outcome_each(judge: Judge) -> None:
    tests = tuple(CallTest((n,), {}, n + (n != 11_999)) for n in range(12_000))
    report = judge.judge(Problem("many", "", "call", "f", private_tests=tests), RIGHT)
    assert [result.index for result in report.failed] == [11_999]


def test_the_words_of_an_exception_are_those_of_its_own_place_and_message(judge: Judge) -> None:
    source = "def f(x):\n    if x % 2: raise KeyError(x)\n    return {}[\n        x % 4]"
    report = judge.judge(ADD, source)
    shown = [result.error.splitlines()[-1] for result in report.results]
    assert shown == ["KeyError: 0", "KeyError: 1", "KeyError: 2", "KeyError: 3", "KeyError: 0", "KeyError: 5"]
    assert "line 2, in f" in report.results[1].error
    assert "line 3, in f" in report.results[0].error


def test_the_asked_for_tests_run_before_the_other_inputs_of_a_cache() -> None:
    loops = "def f(x):\n    while x < 40: pass\n    return x + 1"
    problem = Problem("late", "", "call", "f", private_tests=(CallTest((41,), {}, 42),), limits=Limits(time_limit_s=0.3))
    with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=[(n,) for n in range(50)])) as judge:
        assert judge.judge(problem, loops).accepted
        assert judge.stats.worker_cpu_s < 2
        again = Problem("late", "", "call", "f", private_tests=(CallTest((45,), {}, 46),), limits=problem.limits)
        assert [report.accepted for report in judge.judge_many([JudgeRequest(again, loops), JudgeRequest(problem, loops)])] == [
            True,
            True,
        ]
