"""Whose failure it is when a checker, a validator or an interactor fails: its own, or that of what a submission gave it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from codeenv.judge import Judge, Verdict, blame
from codeenv.judge.blame import FAULT_OF_OUTPUT, FAULT_OF_TALK
from codeenv.problems import CallTest, Problem, StdioTest, load
from codeenv.problems.problem import Checker, Limits
from codeenv.sandbox import levels
from codeenv.sandbox.toolchains import missing
from tests.problems.test_packages import LEGACY, package

LIMITS = Limits(time_limit_s=1.0, memory_mb=256, output_kb=64)
TRUSTING = "import sys\nwanted = int(open(sys.argv[2]).read())\nsys.exit(42 if int(sys.stdin.read()) == wanted else 43)\n"
TRUSTING_CPP = """#include <cstdlib>
#include <fstream>
#include <iostream>
int main(int, char** words) { long wanted, got; std::ifstream(words[2]) >> wanted; if (!(std::cin >> got)) abort();
return got == wanted ? 42 : 43; }
"""
CHECK = "def check(input, output, expected):\n    return int(output) == int(expected)\n"
SPINS_ON_LETTERS = "def check(input, output, expected):\n    while output.strip().isalpha():\n        pass\n    return True\n"
SPINS = "import sys\nwhile True:\n    pass\n"
CHECKERS = {
    "a checker program": Checker(kind="program", program=CHECK),
    "a validator in Python": Checker(kind="validator", program=TRUSTING),
    "a validator in C++": Checker(kind="validator", program=TRUSTING_CPP, language="cpp"),
}
BROKEN = {
    "a checker program that raises": Checker(kind="program", program="def check(*words):\n    return 1 / 0\n"),
    "a checker program without a check": Checker(kind="program", program="pass"),
    "a validator that raises": Checker(kind="validator", program="raise ValueError\n"),
    "a validator that says nothing": Checker(kind="validator", program="pass\n"),
}
TALKS = """import sys
secret = int(open(sys.argv[1]).read())
for turn in range(40):
    guess = int(sys.stdin.readline())
    print("yes" if guess == secret else "more" if guess < secret else "less", flush=True)
    if guess == secret:
        {end}
sys.exit(43)
"""
PLAYER = (
    "low, high = 0, 1000\nwhile True:\n    middle = (low + high) // 2\n    print(middle, flush=True)\n    said = input()\n"
    "    if said == 'yes': break\n    if said == 'more': low = middle + 1\n    else: high = middle - 1\n"
)
READS = "import sys\nsys.stdin.read()\n"
LOOPS_AT_THE_END = """import sys
secret = open(sys.argv[1]).read().strip()
print("?", flush=True)
while True:
    if sys.stdin.readline().strip() == secret:
        sys.exit(42)
"""


@pytest.fixture(scope="module")
def local() -> Iterator[Judge]:
    if reason := missing("cpp") or levels.check("namespaces"):
        pytest.skip(reason)
    with Judge(workers=1) as judge:
        yield judge


def problem(checker: Checker, given: str = "10\n", answer: str = "3\n", count: int = 1, **changes: object) -> Problem:
    tests = tuple(StdioTest(f"{given}{' ' * number}", answer) for number in range(count))
    return Problem("judged", "", "stdio", private_tests=tests, limits=LIMITS, checker=checker, **changes)


@pytest.mark.parametrize("name", CHECKERS)
@pytest.mark.parametrize(
    ("printed", "verdict", "error"), [("3", "accepted", ""), ("4", "wrong_answer", ""), ("x", "wrong_answer", FAULT_OF_OUTPUT)]
)
def test_an_output_that_a_working_checker_cannot_read_is_wrong(
    name: str, printed: str, verdict: str, error: str, local: Judge
) -> None:
    report = local.judge(problem(CHECKERS[name]), f"print({printed!r})")
    assert (report.verdict.value, report.results[0].error) == (verdict, error)


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("printed", ["3", "x"])
def test_a_checker_that_fails_on_the_problems_own_answer_is_our_failure(name: str, printed: str, local: Judge) -> None:
    assert local.judge(problem(BROKEN[name]), f"print({printed!r})").verdict is Verdict.JUDGE_ERROR


def test_a_returned_value_that_a_checker_program_cannot_read_is_wrong(local: Judge) -> None:
    subject = Problem(
        "p", "", "call", "f", private_tests=(CallTest((1,), {}, 3),), checker=Checker(kind="program", program=CHECK)
    )
    assert local.judge(subject, "def f(x): return {}").verdict is Verdict.WRONG_ANSWER
    assert local.judge(subject, "def f(x): return '3'").accepted


@pytest.mark.parametrize("kind", ["program", "validator"])
def test_a_checker_that_takes_too_long_on_the_problems_own_answer_is_not_asked_again(
    kind: str, local: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blame, "LEAST_S", 0.2)
    limits = Limits(time_limit_s=0.1, memory_mb=256, output_kb=64)
    program = "def check(*words):\n    while True: pass\n" if kind == "program" else SPINS
    checker = Checker(kind=kind, program=program, flags=("slow",))
    subject = Problem(
        "p", "", "stdio", private_tests=tuple(StdioTest(str(n), "1") for n in range(100)), limits=limits, checker=checker
    )
    report = local.judge(subject, "print(1)")
    assert report.verdict is Verdict.JUDGE_ERROR
    assert len(report.results) == 100
    again = local.judge(subject, "print(2)")
    assert all("it is not asked again" in result.error for result in again.results)


def test_a_submission_that_makes_a_checker_slow_is_wrong_and_its_other_outputs_are_not_looked_at(
    local: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blame, "LEAST_S", 0.2)
    subject = problem(Checker(kind="program", program=SPINS_ON_LETTERS), count=20)
    report = local.judge(subject, "print('x')")
    assert {(result.verdict, result.error) for result in report.results} == {(Verdict.WRONG_ANSWER, FAULT_OF_OUTPUT)}
    assert local.judge(subject, "print(3)").accepted


@pytest.mark.parametrize("known", [(), (PLAYER,)], ids=["without a correct solution", "with one"])
@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        (PLAYER, "accepted"),
        ("import sys\nprint('x', flush=True)\nsys.stdin.read()\n", "wrong_answer"),
        ("pass", "wrong_answer"),
        ("print(5, flush=True)\ninput()\nprint(flush=True)", "wrong_answer"),
    ],
    ids=["right", "garbage", "silence", "an empty line"],
)
def test_what_makes_a_trusting_interactor_crash_is_wrong(source: str, verdict: str, known: tuple[str, ...], local: Judge) -> None:
    checker = Checker(kind="interactor", program=TALKS.format(end="sys.exit(42)"))
    report = local.judge(problem(checker, "357\n", correct_solutions=known), source)
    assert report.verdict.value == verdict, report
    if verdict == "wrong_answer":
        assert report.results[0].error in (FAULT_OF_TALK, "the submission ended before the conversation did")


def test_an_interactor_that_loops_when_its_partner_is_gone_is_not_blamed(local: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blame, "LEAST_S", 0.5)
    limits = Limits(time_limit_s=1.0, memory_mb=256, output_kb=64)
    subject = replace(problem(Checker(kind="interactor", program=LOOPS_AT_THE_END), "357\n"), limits=limits)
    report = local.judge(subject, "print('x')")
    assert (report.verdict, report.results[0].error) == (Verdict.WRONG_ANSWER, FAULT_OF_TALK)


@pytest.mark.parametrize(
    ("program", "known", "source"),
    [
        ("raise ValueError\n", (), READS),
        ("raise ValueError\n", (PLAYER,), READS),
        (SPINS, (), "pass"),
        (TALKS.format(end="1 / 0"), (PLAYER,), PLAYER + "# the same in other words\n"),
    ],
    ids=["at the start", "at the start, with a correct solution", "spinning", "at the end of a right conversation"],
)
def test_an_interactor_that_fails_whoever_talks_is_our_failure(
    program: str, known: tuple[str, ...], source: str, local: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blame, "LEAST_S", 0.5)
    limits = Limits(time_limit_s=1.0, memory_mb=256, output_kb=64)
    subject = replace(problem(Checker(kind="interactor", program=program), "357\n", correct_solutions=known), limits=limits)
    assert local.judge(subject, source).verdict is Verdict.JUDGE_ERROR


def test_an_output_that_crashes_a_validator_of_several_passes_is_wrong(local: Judge) -> None:
    checker = Checker(kind="validator", program=TRUSTING, passes=2)
    assert local.judge(problem(checker), "print('x')").verdict is Verdict.WRONG_ANSWER
    assert local.judge(problem(checker), "print(3)").accepted


FILES = """import os, sys
from lib.rules import holds
from names import *
assert os.path.exists(sys.argv[1]) and os.path.getsize(sys.argv[2]) and os.path.isdir(sys.argv[3])
file = os.open(sys.argv[2], os.O_RDONLY)
wanted = os.read(file, 100).decode()
here = os.path.dirname(os.path.abspath(__file__))
assert open(os.path.join(here, "words.txt")).read().strip() == WORD
with open(os.path.join(sys.argv[3], "judgemessage.txt"), "w") as message:
    print("looked", file=message)
sys.exit(42 if holds(wanted, sys.stdin.read()) else 43)
"""


def test_a_validator_in_python_has_real_files_and_modules_in_folders(tmp_path: Path, local: Judge) -> None:
    parts = {
        "problem.yaml": "name: x\nvalidation: custom\n",
        "output_validators/v/validate.py": FILES,
        "output_validators/v/names.py": "WORD = 'word'\n",
        "output_validators/v/words.txt": "word\n",
        "output_validators/v/lib/__init__.py": "",
        "output_validators/v/lib/rules.py": "from .same import same\n\ndef holds(left, right):\n    return same(left, right)\n",
        "output_validators/v/lib/same.py": "def same(left, right):\n    return left.split() == right.split()\n",
    }
    (subject,) = load(package(tmp_path / "p", LEGACY, parts))
    assert subject.checker.kind == "validator"
    assert local.judge(subject, "print(2 * int(input()))").accepted
    assert local.judge(subject, "print(2 * int(input()) + 1)").verdict is Verdict.WRONG_ANSWER


def test_a_validator_in_python_runs_at_a_level_that_starts_no_programs(tmp_path: Path) -> None:
    parts = {
        "problem.yaml": "name: x\nvalidation: custom\n",
        "output_validators/v/validate.py": "import sys\nfrom lib.rules import holds\n"
        "sys.exit(42 if holds(open(sys.argv[2]).read(), sys.stdin.read()) else 43)\n",
        "output_validators/v/lib/rules.py": "def holds(left, right):\n    return left.split() == right.split()\n",
    }
    (subject,) = load(package(tmp_path / "p", LEGACY, parts))
    with Judge(sandbox="rlimits", workers=1, trusted=True) as judge:
        assert judge.judge(subject, "print(2 * int(input()))").accepted
        assert judge.judge(subject, "print('x')").verdict is Verdict.WRONG_ANSWER
