"""Hostile programs end in the right verdict, and leave the host, their neighbours and the judge as they were."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codeenv.judge import Judge, JudgeRequest, Report
from codeenv.problems.problem import Limits, Problem, StdioTest
from codeenv.sandbox import levels

LIMITS = Limits(time_limit_s=0.4, memory_mb=256, output_kb=256)
PROBLEM = Problem("hostile", "", "stdio", private_tests=(StdioTest("1\n", "right\n"),), limits=LIMITS)
CALL = (
    "import ctypes\n_libc = ctypes.CDLL(None, use_errno=True)\n"
    "def call(*a):\n    if _libc.syscall(*map(ctypes.c_long, a)) >= 0: print('allowed', a)\n"
)
BITS = {
    "#: call\n": CALL,
    "#: parentheses": "(" * 5000 + ")" * 5000,
    "#: minuses": "-" * 200_000,
    "#: decorators\n": "@str\n" * 50_000,
}


def programs() -> dict[str, tuple[list[str], str]]:
    found = {}
    for section in Path(__file__).with_name("hostile.txt").read_text().split("==== ")[1:]:
        name, verdicts, source = section.split("\n", 2)
        for bit, text in BITS.items():
            source = source.replace(bit, text)
        found[name] = (verdicts.split(), source)
    return found


PROGRAMS = programs()


def state_of_host() -> dict[str, object]:
    """What a program might change on the host, apart from this process's own files."""
    return {
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "shared memory": sorted(path.name for path in Path("/dev/shm").iterdir()),
        "clock": round(time.time() - time.monotonic(), 0),
        "cgroups": Path("/proc/self/cgroup").read_text(),
        "folder": sorted(path.name for path in Path().iterdir()),
    }


@pytest.fixture(scope="module", params=["namespaces", "landlock", "docker"])
def judged(request: pytest.FixtureRequest) -> dict[str, tuple[Report, float, Report]]:
    """Report and seconds of each hostile program, and the report of an honest program that ran right after it."""
    if reason := levels.check(request.param):
        pytest.skip(reason)
    os.environ["CODEENV_TEST_SECRET"] = "secret"
    before = state_of_host()
    found = {}
    with Judge(sandbox=request.param, workers=1) as judge:
        for name, (_, source) in PROGRAMS.items():
            started = time.monotonic()
            report = judge.judge(PROBLEM, source)
            seconds = time.monotonic() - started
            found[name] = (report, seconds, judge.judge(PROBLEM, f"print('right') # {name}"))
        assert judge.stats.retries == 0
    del os.environ["CODEENV_TEST_SECRET"]
    assert state_of_host() == before
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_hostile_program_gets_the_right_verdict_in_time(name: str, judged: dict[str, tuple[Report, float, Report]]) -> None:
    report, seconds, honest = judged[name]
    assert report.verdict.value in PROGRAMS[name][0], report
    assert not any(result.output.strip() for result in report.results if result.verdict.value == "wrong_answer"), report
    assert report.verdict.value == "time_limit" or seconds < 20
    assert honest.accepted, honest


@pytest.mark.parametrize("name", ["naps between work", "threads that nap in turn", "ten thousand short naps"])
def test_sleep_between_work_counts_as_the_programs_own_time(name: str, judged: dict[str, tuple[Report, float, Report]]) -> None:
    (result,) = judged[name][0].results
    assert result.time_s < LIMITS.time_limit_s  # it was not its CPU time that ended it


def test_work_beside_a_busy_machine_is_not_taken_for_sleep() -> None:
    burn = [sys.executable, "-c", "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"]
    others = [subprocess.Popen(burn) for _ in range(5 * (os.cpu_count() or 1))]
    source = "import time\nwhile time.process_time() < 0.38: pass\nprint('right')"
    problem = dataclasses.replace(PROBLEM, limits=dataclasses.replace(LIMITS, time_limit_s=0.5))
    try:
        with Judge(workers=1) as judge:
            assert judge.judge(problem, source).accepted
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_a_neighbour_is_not_disturbed() -> None:
    """An honest program on the other worker gets its verdict while bombs go off."""
    bombs = ["a fork bomb that swallows its errors", "a memory bomb that swallows its errors", "busy threads", "a thread bomb"]
    honest = "print('right' if sum(range(300000)) else '')"
    with Judge(workers=2) as judge:
        requests = [JudgeRequest(PROBLEM, text) for name in bombs for text in (PROGRAMS[name][1], f"{honest} # {name}")]
        reports = judge.judge_many(requests)
        assert all(report.accepted for report in reports[1::2])
        assert not any(report.accepted for report in reports[0::2])
