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
def alone() -> Iterator[Judge]:
    with Judge(workers=1) as judge:
        yield judge


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


STREAMS = {
    "print": "print(input())",
    "closes standard output": "import sys\nprint(input())\nsys.stdout.close()",
    "closes standard input": "import sys\nprint(input())\nsys.stdin.close()",
    "puts another stream in its place": "import sys, io\nprint(input())\nsys.stdout = io.StringIO()\nprint('no')",
    "puts nothing in its place, with text unwritten": "import sys\nsys.stdout.write(input())\nsys.stdout = None",
    "puts standard error in its place, with text unwritten": "import sys\nsys.stdout.write(input())\nsys.stdout = sys.stderr",
    "detaches it": "import sys\nb = sys.stdout.detach()\nb.write(input().encode())\nb.flush()",
    "reconfigures it": "import sys\nsys.stdout.reconfigure(line_buffering=True)\nprint(input())",
    "replaces its write": "import sys\nw = sys.stdout.write\nsys.stdout.write = lambda s: w(s + s)\nprint(input(), end=' ')",
    "writes bytes": "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())",
    "writes to the descriptor": "import os\nos.write(1, os.read(0, 100))",
    "opens the descriptor": "f = open(1, 'w', closefd=False)\nf.write(open(0, closefd=False).read())\nf.flush()",
    "reads in part": "import sys\nprint(sys.stdin.read(1))",
    "reads beyond the end": "import sys\nprint(input())\nprint(sys.stdin.read(), sys.stdin.readline())",
    "floods in one test": "n = input()\nif n == '1':\n    for _ in range(99999): print('abc')\nprint(n)",
    "floods in one test, at once": "n = input()\nprint('x' * 999999 if n == '1' else n)",
    "ends without writing its text": "import os, sys\nsys.stdout.write(input())\nif 0: os._exit(0)",
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_program_of_a_batch_finds_its_streams_as_in_a_process_of_its_own(judge: Judge, alone: Judge, name: str) -> None:
    tests = tuple(StdioTest(f"{n}\n", f"{n}\n") for n in (0, 1, 23, 4))
    problem = Problem("echo", "", "stdio", private_tests=tests, limits=Limits(time_limit_s=2.0, output_kb=64))
    verdicts = []
    for one in (alone, judge):
        results = one.judge(problem, STREAMS[name]).results
        verdicts.append([(result.verdict, result.output[:100]) for result in results])
    assert verdicts[0] == verdicts[1]
