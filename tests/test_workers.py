"""Workers come and go without a trace: lost ones are replaced, and nothing outlives the judge's process, however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from codeenv.judge import Judge, JudgeRequest, Verdict
from codeenv.problems.problem import CallTest, Problem
from codeenv.sandbox.units import SandboxError

ADD = Problem("add", "", "call", "f", public_tests=(CallTest((1,), {}, 2),))
RIGHT = "def f(x): return x + 1"


def workers_of(pid: int) -> set[int]:
    """The guards and workers that a process started, found by the process number on their command line."""
    found = set()
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if b"inside.main" in b" ".join(words) and str(pid).encode() in words:
            found.add(int(folder.name))
    return found


def eventually(condition: Callable[[], bool]) -> bool:
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_workers_start_when_first_needed_and_end_with_the_judge() -> None:
    before = workers_of(os.getpid())
    with Judge(workers=2) as judge:
        assert workers_of(os.getpid()) == before
        judge.judge(ADD, RIGHT)
        assert workers_of(os.getpid()) > before
    assert workers_of(os.getpid()) == before


def test_a_closed_judge_says_so() -> None:
    judge = Judge()
    judge.close()
    with pytest.raises(SandboxError, match="closed"):
        judge.judge(ADD, RIGHT)


@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), 9)", "os._exit(1)", "sys.exit()", "raise RuntimeError"])
def test_nothing_is_left_when_the_process_of_the_judge_ends(ending: str) -> None:
    script = textwrap.dedent(f"""
        import os, sys
        from codeenv.judge import Judge
        from codeenv.problems.problem import CallTest, Problem
        judge = Judge(workers=2)
        judge.judge(Problem("add", "", "call", "f", public_tests=(CallTest((1,), {{}}, 2),)), {RIGHT!r})
        print(os.getpid(), flush=True)
        sys.stdin.readline()
        {ending}
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert workers_of(pid)
    process.communicate("\n")
    assert eventually(lambda: not workers_of(pid))


def test_a_running_submission_ends_with_the_killed_judge() -> None:
    script = textwrap.dedent("""
        import os
        from codeenv.judge import Judge
        from codeenv.problems.problem import CallTest, Problem
        judge = Judge(workers=1)
        print(os.getpid(), flush=True)
        judge.judge(Problem("add", "", "call", "f", public_tests=(CallTest((1,), {}, 2),)), "while True: pass")
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert eventually(lambda: len(workers_of(pid)) >= 3)  # the guard, the worker, the submission
    process.kill()
    process.communicate()
    assert eventually(lambda: not workers_of(pid))


@pytest.mark.parametrize("first", range(94, 108))
def test_a_worker_starts_whatever_descriptors_it_is_given(first: int) -> None:
    held = [os.open(os.devnull, os.O_RDONLY)]
    while held[-1] < first:
        held.append(os.open(os.devnull, os.O_RDONLY))
    try:
        with Judge(workers=1) as judge:
            assert judge.judge(ADD, RIGHT).accepted
            assert judge.stats.retries == 0
    finally:
        for number in held:
            os.close(number)


def test_a_worker_that_is_killed_is_replaced_and_the_submission_judged() -> None:
    with Judge(workers=1) as judge:
        assert judge.judge(ADD, RIGHT).accepted
        for pid in workers_of(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        assert judge.judge(ADD, RIGHT).accepted
        assert judge.stats.retries == 1


def test_a_worker_that_is_killed_again_and_again_gives_a_judge_error_and_no_verdict() -> None:
    with Judge(workers=1) as judge:
        judge.judge(ADD, RIGHT)
        ended = threading.Event()

        def kill() -> None:
            while not ended.is_set():
                for pid in workers_of(os.getpid()):
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.2)

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            report = judge.judge(ADD, "while True: pass")
        finally:
            ended.set()
            thread.join()
        assert report.verdict is Verdict.JUDGE_ERROR
        assert "worker" in report.error
        assert judge.judge(ADD, RIGHT).accepted


def test_a_judge_may_be_used_from_many_threads() -> None:
    with Judge(workers=2) as judge:
        reports: list[object] = []

        def work(number: int) -> None:
            problem = Problem(f"p{number}", "", "call", "f", public_tests=(CallTest((number,), {}, number + 1),))
            reports.extend(judge.judge_many([JudgeRequest(problem, RIGHT)] * 3))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(reports) == 48
        assert all(report.accepted for report in reports)  # type: ignore[attr-defined]


def test_a_forked_process_gets_workers_of_its_own() -> None:
    with Judge(workers=1) as judge:
        judge.judge(ADD, RIGHT)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if judge.judge(ADD, RIGHT).accepted else 1
                judge.close()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert judge.judge(ADD, RIGHT).accepted


def test_a_missing_interpreter_is_a_sentence() -> None:
    with Judge(interpreter="/nowhere/python") as judge, pytest.raises(SandboxError, match="/nowhere/python"):
        judge.judge(ADD, RIGHT)


def test_a_program_that_is_no_python_is_named_and_not_blamed_on_the_kernel() -> None:
    with Judge(interpreter="/bin/ls") as judge, pytest.raises(SandboxError, match="'/bin/ls' did not start a worker") as caught:
        judge.judge(ADD, RIGHT)
    assert "namespaces" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"sandbox": "cloud"},
        {"workers": 0},
        {"workers": "2"},
        {"workers": True},
        {"packages": ["../x"]},
        {"packages": [""]},
        {"packages": "numpy"},
    ],
)
def test_settings_that_make_no_sense_are_refused_with_their_value(options: dict[str, object]) -> None:
    (value,) = options.values()
    with pytest.raises(SandboxError, match=re.escape(repr(value[0] if isinstance(value, list) else value))):
        Judge(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limit", "values", "said"),
    [
        ("NOFILE", "(32, 64)", "at most 64 files may be open here (ulimit -n); the sandbox needs 256"),
        ("NOFILE", "(32, 1024)", "accepted"),  # may be raised
        ("AS", "(1 << 32, 1 << 32)", "at most 4096 MiB may be mapped here (ulimit -v); the sandbox needs 8192"),
        ("FSIZE", "(1 << 20, 1 << 20)", "files may grow to 1048576 bytes only here (ulimit -f)"),
    ],
)
def test_limits_of_the_users_shell_that_are_too_low_are_named(limit: str, values: str, said: str) -> None:
    code = (
        "import resource; from codeenv.judge import Judge; from codeenv.problems import CallTest, Problem\n"
        f"resource.setrlimit(resource.RLIMIT_{limit}, {values})\n"
        "problem = Problem('add', '', 'call', 'f', public_tests=(CallTest((1,), {}, 2),))\n"
        "try:\n    print(Judge(workers=1).judge(problem, 'def f(x): return x + 1').verdict)\n"
        "except Exception as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(said)
