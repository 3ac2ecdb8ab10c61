"""What the rollout engine costs over judging alone, and how it does with many episodes.

    python benchmarks/rollout.py                      # both tables
    python benchmarks/rollout.py --quick              # a smoke run
    python benchmarks/rollout.py --peer /path/to/python-with-skyrl-gym

Overhead: the same programs, once through the engine (agent, conversations, feedback, trajectories on disk), once through
`Judge.judge_many` alone; CPU seconds of this process and of the judge's workers. Many episodes: episodes a second, and the
memory of this process after a tenth, a half and all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from codeenv import Judge, Problem, rollout
from codeenv.agents.scripted import IgnoresFeedback
from codeenv.judge import JudgeRequest
from codeenv.problems import load
from codeenv.rollout import read_episodes
from codeenv.submission import extract_code, fence


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float
    programs: int


def problems_of(count: int) -> list[Problem]:
    """Standard input problems of the procedural family: peers can run them too."""
    chosen = [problem for problem in load("procedural", limit=8 * count) if problem.mode == "stdio" and problem.correct_solutions]
    return chosen[:count]


class Distinct:
    """The scripted agent that ignores feedback, with a comment that makes every program a different one (equal ones run once)."""

    def reset(self, problem: Problem, seed: int):  # type: ignore[no-untyped-def]
        act = IgnoresFeedback().reset(problem, seed)

        def respond(conversation):  # type: ignore[no-untyped-def]
            source = extract_code(act(conversation)) or ""
            return fence(f"# {seed} {len(conversation)}\n{source}")

        return respond


def through_engine(problems: list[Problem], episodes: int, out: Path, workers: int, isolation: str) -> Cost:
    with Judge(sandbox="local", workers=workers, isolation=isolation) as judge:  # type: ignore[arg-type]
        rollout(problems, "oracle", 2 * workers, judge=judge)  # the workers are warm
        before, cpu, wall = judge.stats.worker_cpu_s, time.process_time(), time.perf_counter()
        rollout(problems, Distinct(), episodes, out=out, judge=judge)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return Cost(wall, cpu + judge.stats.worker_cpu_s - before, sum(len(row["turns"]) for row in read_episodes(out)))


def judging_alone(problems: list[Problem], run: Path, workers: int, isolation: str) -> Cost:
    by_id = {problem.id: problem for problem in problems}
    blocks: dict[str, list[JudgeRequest]] = {"public": [], "private": []}
    for row in read_episodes(run):
        for turn in row["turns"]:
            for tests, requests in blocks.items():
                if turn[tests] is not None:
                    requests.append(JudgeRequest(by_id[row["problem_id"]], turn["source"], tests=tests))  # type: ignore[arg-type]
    with Judge(sandbox="local", workers=workers, isolation=isolation) as judge:  # type: ignore[arg-type]
        judge.judge_many([JudgeRequest(problem, "print()") for problem in problems[: 2 * workers]])
        before, cpu, wall = judge.stats.worker_cpu_s, time.process_time(), time.perf_counter()
        for requests in blocks.values():  # as in an episode, private tests run after the public ones have passed
            for start in range(0, len(requests), 256):
                judge.judge_many(requests[start : start + 256])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return Cost(wall, cpu + judge.stats.worker_cpu_s - before, sum(map(len, blocks.values())))


def memory_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def many_episodes(problems: list[Problem], episodes: int, out: Path, workers: int) -> tuple[float, list[float]]:
    """Return episodes a second, and MiB after a tenth, a half and all of the episodes."""
    marks = {max(1, episodes // 10): 0.0, max(1, episodes // 2): 0.0, episodes: 0.0}

    def look(result) -> None:  # type: ignore[no-untyped-def]
        if result.episodes in marks:
            marks[result.episodes] = memory_mb()

    with Judge(sandbox="local", workers=workers, isolation="batch") as judge:
        start = time.perf_counter()
        rollout(problems, Distinct(), episodes, out=out, judge=judge, concurrency=256, on_progress=look)
        return episodes / (time.perf_counter() - start), list(marks.values())


PEER = """
import json, sys, time
from skyrl_gym.envs.lcb.env import LCBEnv
from omegaconf import OmegaConf
rows = [json.loads(line) for line in open(sys.argv[1])]
start = time.perf_counter()
solved = 0
for row in rows:
    env = LCBEnv(OmegaConf.create({}), {"reward_spec": {"ground_truth": json.dumps(row["tests"])}})
    env.init([{"role": "user", "content": row["statement"]}])
    solved += env.step("```python\\n" + row["source"] + "\\n```")["reward"] > 0
print(json.dumps({"wall_s": time.perf_counter() - start, "solved": int(solved), "programs": len(rows)}))
"""


def peer(python: str, problems: list[Problem], folder: Path, isolation: str) -> tuple[dict[str, float], dict[str, float]]:
    """Judge right programs on all tests, one after the other: in skyrl-gym's LiveCodeBench env, and here with one worker."""
    rows = [(problem, f"# {copy}\n{problem.correct_solutions[0]}") for copy in range(3) for problem in problems]
    work = folder / "peer.jsonl"
    with work.open("w") as file:
        for problem, source in rows:
            tests = [{"input": test.input, "output": test.output, "testtype": "stdin"} for test in problem.tests("all")]  # type: ignore[union-attr]
            file.write(json.dumps({"statement": problem.statement, "source": source, "tests": tests}) + "\n")
    done = subprocess.run([python, "-c", PEER, str(work)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the peer failed: {done.stderr.strip().splitlines()[-1]}")
    theirs = json.loads(done.stdout.strip().splitlines()[-1])
    with Judge(sandbox="local", workers=1, isolation=isolation) as judge:  # type: ignore[arg-type]
        judge.judge(problems[0], "print()")
        start = time.perf_counter()
        accepted = sum(judge.judge(problem, source).accepted for problem, source in rows)
        ours = {"wall_s": time.perf_counter() - start, "solved": accepted, "programs": len(rows)}
    return theirs, ours


def main(
    episodes: int = 10_000, compared: int = 400, workers: int = 2, quick: bool = False, peer_python: str | None = None
) -> None:
    """Print the tables.

    Args:
        episodes: episodes of the second table.
        compared: episodes of the first table.
        workers: judge workers.
        quick: a smoke run with few episodes.
        peer_python: an interpreter that has skyrl-gym, to run the same programs there.
    """
    if quick:
        episodes, compared = 200, 60
    problems = problems_of(20)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("engine against judging alone, the same programs (CPU s of the process and its workers)")
        header = ("isolation", "programs", "engine CPU", "judge CPU", "overhead", "engine wall", "judge wall")
        print("  ".join(f"{name:>11}" for name in header))
        for isolation in ("test", "batch"):
            run = folder / f"run-{isolation}"
            engine = through_engine(problems, compared, run, workers, isolation)
            alone = judging_alone(problems, run, workers, isolation)
            seconds = [f"{value:.2f}" for value in (engine.cpu_s, alone.cpu_s, engine.wall_s, alone.wall_s)]
            row = (isolation, engine.programs, *seconds[:2], f"{engine.cpu_s / alone.cpu_s - 1:.1%}", *seconds[2:])
            print("  ".join(f"{value:>11}" for value in row))
        rate, memory = many_episodes(problems, episodes, folder / "many", workers)
        print(f"\n{episodes:,} episodes, isolation batch: {rate:.0f} a second; MiB after a tenth, a half, all: "
              + ", ".join(f"{value:.0f}" for value in memory))  # fmt: skip
        if peer_python:
            print("\nright programs on all tests, one after the other, wall time")
            for isolation in ("test", "batch"):
                theirs, ours = peer(peer_python, problems, folder, isolation)
                each = [f"{cost['wall_s'] / cost['programs'] * 1000:.1f} ms a program" for cost in (theirs, ours)]
                found = f"solved {theirs['solved']} and {ours['solved']} of {ours['programs']}"
                print(f"skyrl-gym lcb: {each[0]}; codeenv, isolation {isolation}: {each[1]}; {found}")


if __name__ == "__main__":
    tyro.cli(main)
