"""What everyday programs rely on holds in the sandbox, whatever CPython runs them and whoever starts the judge."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeenv.judge import Judge, JudgeRequest, Verdict
from codeenv.problems.problem import Checker, CodeTest, Limits, Problem, StdioTest

LIMITS = Limits(time_limit_s=5.0, memory_mb=1024)


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(workers=2) as judge:
        yield judge


def stdio(given: str, expected: str, checker: Checker | None = None) -> Problem:
    return Problem("p", "", "stdio", public_tests=(StdioTest(given, expected),), checker=checker or Checker(), limits=LIMITS)


BIG = "7 " * 5_000_000
PROGRAMS = {
    "ten megabytes in": ("import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))", BIG, "35000000"),
    "ten megabytes out": ("print('7 ' * 5000000)", "", BIG),
    "lines with carriage returns": ("print(input() + input())", "a\r\nb\r\n", "ab"),
    "umlauts, emoji and their lengths": ("s = input()\nprint(s[::-1], len(s))", "ä🙂ß", "ß🙂ä 3"),
    "bytes that are no text": ("import sys\nsys.stdout.buffer.write(bytes([255, 254]))\nprint('ok')", "", "\udcff\udceeok"),
    "reading to the end, twice": ("import sys\nprint(len(sys.stdin.read()), len(sys.stdin.read()))", "abc", "3 0"),
    "input until EOFError": ("n = 0\ntry:\n    while True:\n        n += int(input())\nexcept EOFError:\n"
    "    print(n)", "1\n2\n3", "6"),
    "iteration over standard input": ("import sys\nprint(sum(int(line) for line in sys.stdin))", "1\n2\n", "3"),
    "readline bound to a name": ("import sys\ninput = sys.stdin.readline\nprint(int(input()) + int(input()))", "1\n2\n", "3"),
    "fast output by a buffer": (
        "import sys, io, os, atexit\nout = io.StringIO()\nsys.stdout = out\n"
        "atexit.register(lambda: os.write(1, out.getvalue().encode()))\n"
        "print(5)", "", "5",
    ),
    "unflushed output at the end": ("import sys\nsys.stdout.write('5')", "", "5"),
    "deep recursion": ("import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return n and 1 + f(n - 1)\n"
    "print(f(50000))", "", "50000"),
    "a thread pool": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as p: print(sum(p.map(abs, range(10))))", "", "45",
    ),
    "an event loop": ("import asyncio\nasync def f(): return 5\nprint(asyncio.run(f()))", "", "5"),
    "signals to itself": (
        "import os, signal\nsignal.signal(signal.SIGUSR1, lambda *a: print('got'))\n"
        "os.kill(os.getpid(), signal.SIGUSR1)", "", "got",
    ),
    "an alarm": ("import signal, time\nsignal.signal(signal.SIGALRM, lambda *a: print('got'))\n"
    "signal.setitimer(0, 0.01)\ntime.sleep(0.1)",
              "", "got"),
    "decimal and fractions": ("from decimal import *\nfrom fractions import *\n"
    "print(Decimal('0.1') + 1, Fraction(1, 3))", "", "1.1 1/3"),
    "a named tuple and a data class": (
        "from collections import namedtuple\nfrom dataclasses import dataclass\n@dataclass(order=True)\n"
        "class A:\n    x: int = 1\n"
        "P = namedtuple('P', 'x y')\nprint(P(1, 2).y, A() < A(2))", "", "2 True",
    ),
    "pickling its own class": ("import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))).__name__)", "", "A"),
    "hashes and random numbers that repeat": ("import random\n"
    "print(hash('a') == hash('a'), random.random() < 1)", "", "True True"),
    "sys.exit in a function": ("import sys\ndef main():\n    print(5)\n    sys.exit()\nmain()", "", "5"),
    "exit without sys": ("def main():\n    print(5)\n    exit()\nmain()", "", "5"),
    "quit with a status of success": ("print(5)\nquit(0)\nprint(6)", "", "5"),
    "the name of the main module": ("print(__name__, __file__)", "", "__main__ solution.py"),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "bytes that are no text"])
def test_everyday_programs(judge: Judge, name: str) -> None:
    source, given, expected = PROGRAMS[name]
    report = judge.judge(stdio(given, expected), source)
    assert report.accepted, (report.verdict, report.results[0].error, report.results[0].output[:200])


def test_output_that_is_no_text_is_a_wrong_answer_and_no_error_of_ours(judge: Judge) -> None:
    source, given, _ = PROGRAMS["bytes that are no text"]
    report = judge.judge(stdio(given, "ok"), source)
    assert report.verdict is Verdict.WRONG_ANSWER
    assert report.results[0].output.endswith("ok\n")


def test_numpy_can_be_imported_where_it_is_installed(judge: Judge) -> None:
    pytest.importorskip("numpy")
    assert judge.judge(stdio("", "[3 5 7]"), "import numpy as np\nprint(np.arange(3) * 2 + 3)").accepted


def test_other_packages_of_the_host_cannot_be_imported(judge: Judge) -> None:
    report = judge.judge(stdio("", "ok"), "import codeenv\nprint('ok')")
    assert report.verdict is Verdict.RUNTIME_ERROR
    assert "ModuleNotFoundError" in report.results[0].error


@pytest.mark.parametrize("use", ["m.Process(target=print, args=(1,)).start()", "m.Pool(2)", "m.Queue()", "m.Lock()"])
def test_multiprocessing_is_refused_with_a_clear_error(judge: Judge, use: str) -> None:
    report = judge.judge(stdio("", "1"), f"import multiprocessing as m\n{use}")
    assert report.verdict is Verdict.RUNTIME_ERROR
    assert "a submission may not start processes" in report.results[0].error


CHECKER = "def check(given, output, expected):\n    a, b = map(int, output.split())\n    return a + b == int(expected)\n"
CHECKERS = {
    "tokens ignore case, spacing and small differences": (Checker(), "YES  1.000001\n", "yes\n1.0", True),
    "tokens count": (Checker(), "1 2", "1 2 3", False),
    "large integers are compared digit by digit": (Checker(), "10000000000000000001", "10000000000000000002", False),
    "exact wants the same text": (Checker(kind="exact"), "a \n", "a\n", False),
    "float takes a relative tolerance": (Checker(kind="float", absolute=0.0, relative=1e-3), "1000.5", "1000", True),
    "float refuses not a number": (Checker(kind="float"), "nan", "1.0", False),
    "unordered lines": (Checker(kind="unordered_lines"), "b\na\n", "a\nb\n", True),
    "unordered lines count": (Checker(kind="unordered_lines"), "b\na\na\n", "a\nb\n", False),
    "a program that accepts": (Checker(kind="program", program=CHECKER), "3 4", "7", True),
    "a program that refuses": (Checker(kind="program", program=CHECKER), "3 5", "7", False),
}


@pytest.mark.parametrize("name", CHECKERS)
def test_checkers(judge: Judge, name: str) -> None:
    checker, output, expected, accepted = CHECKERS[name]
    report = judge.judge(stdio("", expected, checker), f"import sys\nsys.stdout.write({output!r})")
    assert report.verdict is (Verdict.ACCEPTED if accepted else Verdict.WRONG_ANSWER), report


def test_a_checker_program_that_fails_is_a_judge_error(judge: Judge) -> None:
    report = judge.judge(stdio("", "7", Checker(kind="program", program=CHECKER)), "print('x')")
    assert report.verdict is Verdict.JUDGE_ERROR
    assert "ValueError" in report.results[0].error


def test_the_same_submission_gets_the_same_verdict_every_time(judge: Judge) -> None:
    source = (
        "import random\nd = {hash(str(n)) % 97 for n in range(100)}\nprint(sorted(d)[:3], random.random(), list({'a', 'b', 'c'}))"
    )
    reports = judge.judge_many([JudgeRequest(stdio("", "?"), f"{source} # {number}") for number in range(300)])
    assert len({(report.verdict, report.results[0].output) for report in reports}) == 1


def interpreters() -> list[str]:
    found = [shutil.which(f"python3.{minor}") for minor in range(9, 15)]
    found += [
        str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.*/bin/python")) if int(path.parts[-3].split(".")[1]) >= 9
    ]
    real = {}
    for path in found:
        if path and ".pyenv/shims" not in path:
            real[str(Path(path).resolve())] = path
    return sorted(real.values())


@pytest.mark.parametrize("interpreter", interpreters())
@pytest.mark.parametrize("level", ["namespaces", "landlock"])
def test_any_cpython_of_the_machine_runs_submissions(interpreter: str, level: str) -> None:
    problem = Problem("p", "", "call", "f", public_tests=(CodeTest("assert f([1, 2]) == (3, {1})"),), limits=LIMITS)
    with Judge(sandbox=level, workers=1, interpreter=interpreter) as judge:
        report = judge.judge(stdio("", "3"), "import sys\nprint(sys.version_info[0])")
        assert report.accepted, report
        assert judge.judge(problem, "def f(a): return sum(a), {1}").accepted
        assert judge.judge(stdio("", "3"), "print(1 // 0)").verdict is Verdict.RUNTIME_ERROR


AS_USER = """
import sys
sys.path.insert(0, {root!r})
sys.path += {path!r}
from codeenv.judge import Judge
from codeenv.problems.problem import CallTest, Problem
with Judge(sandbox={level!r}, workers=1) as judge:
    print(judge.judge(Problem("p", "", "call", "f", public_tests=(CallTest((1,), {{}}, 2),)), "def f(x): return x + 1").verdict)
"""


@pytest.mark.parametrize("level", ["namespaces", "landlock"])
def test_an_ordinary_user_can_judge(level: str) -> None:
    root = str(Path(__file__).resolve().parent.parent)
    script = AS_USER.format(root=root, path=[path for path in sys.path if "site-packages" in path], level=level)
    user: dict[str, int] = {}
    python = sys.executable
    if os.geteuid() == 0:
        user = {"user": 65534, "group": 65534}
        python = "/usr/bin/python3"
        probe = [python, "-c", f"import sys; assert sys.version_info >= (3, 11); open({__file__!r})"]
        if subprocess.run(probe, capture_output=True, check=False, **user, extra_groups=[]).returncode:  # type: ignore[call-overload]
            pytest.skip("no interpreter that an ordinary user can start, or the sources are private to root")
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False, **user)  # type: ignore[call-overload]
    assert done.stdout == "accepted\n", done.stderr
