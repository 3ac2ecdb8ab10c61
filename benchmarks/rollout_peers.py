"""The same episodes in other packages' environments and in ours: right programs on all tests, one after the other.

Each peer runs in an environment of its own under `.build/peers`, made by pip when it is missing. No peer isolates programs in
these settings, which are its defaults; ours is the default sandbox.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codeenv import Judge, Problem
from codeenv.env import CodeEnv
from codeenv.submission import fence

__all__ = ["PEERS", "Played", "in_ours", "in_peer"]

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """A package from the index: what pip installs, the script that plays rows in it, and how it runs programs."""

    requirements: tuple[str, ...]
    script: str
    runs: str


PEERS = {
    "skyrl-gym": Peer(("skyrl-gym>=0.4",), "lcb_env.py", "LiveCodeBench env: a fork, programs run inside it"),
    "gem-llm": Peer(("gem-llm", "datasets"), "gem_env.py", "code env: a bare subprocess a test, five at a time"),
    "verifiers": Peer(("verifiers>=0.4,<0.5",), "verifiers_task.py", "a task of ours in its subprocess runtime"),
}


@dataclass(frozen=True)
class Played:
    """What playing the rows took; CPU seconds are those of the process and of all that it started."""

    wall_s: float
    cpu_s: float
    solved: int
    programs: int

    def each(self) -> str:
        return f"{self.wall_s / self.programs * 1000:.1f} ms wall, {self.cpu_s / self.programs * 1000:.1f} ms CPU"


def python_of(name: str) -> Path:
    """Return the interpreter of a peer's environment, which is made if it is missing."""
    folder = HERE.parent / ".build" / "peers" / name
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS[name].requirements], check=True)
    return python


def rows_of(problems: Sequence[Problem], copies: int) -> list[tuple[Problem, str]]:
    """Return right answers to stdio problems, each a different text."""
    return [(problem, fence(f"# {copy}\n{problem.correct_solutions[0]}")) for copy in range(copies) for problem in problems]


def in_peer(name: str, problems: Sequence[Problem], copies: int, folder: Path) -> Played:
    """Play the rows in a peer."""
    work = folder / f"{name}.jsonl"
    with work.open("w") as file:
        for problem, response in rows_of(problems, copies):
            tests = [(test.input, test.output) for test in problem.tests("all")]  # type: ignore[union-attr]
            file.write(json.dumps({"statement": problem.statement, "response": response, "tests": tests}) + "\n")
    python = python_of(name)
    environment = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    command = [python, HERE / "peers" / PEERS[name].script, work]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{name} failed: {done.stderr.strip().splitlines()[-1]}")
    return Played(**json.loads(done.stdout.strip().splitlines()[-1]))


def in_ours(problems: Sequence[Problem], copies: int, isolation: str) -> Played:
    """Play the rows in `CodeEnv` with one judge worker."""
    with Judge(sandbox="local", workers=1, isolation=isolation) as judge:  # type: ignore[arg-type]
        env = CodeEnv(problems, judge=judge)
        rows = rows_of(problems, copies)
        solved = 0
        for number, (problem, response) in enumerate([rows[0], *rows]):
            if number == 1:  # the first row warms up
                wall, cpu, workers, solved = time.perf_counter(), time.process_time(), judge.stats.worker_cpu_s, 0
            env.reset(options={"problem": problem})
            solved += bool(env.step(response)[4]["solved"])
        cpu_s = time.process_time() - cpu + judge.stats.worker_cpu_s - workers
        return Played(time.perf_counter() - wall, cpu_s, solved, len(rows))
