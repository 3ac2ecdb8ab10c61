"""What the rollout engine costs over judging alone, and how it does with many episodes.

    python benchmarks/rollout.py                      # both tables
    python benchmarks/rollout.py --quick              # a smoke run
    python benchmarks/rollout.py --peers skyrl-gym gem-llm verifiers   # and the same episodes in other packages' environments
    python benchmarks/rollout.py --page-only          # how long the page of these episodes takes to open

Overhead: the same programs, once through the engine (agent, conversations, feedback, trajectories on disk), once through
`Judge.judge_many` alone, public tests first; CPU seconds of this process and of the judge's workers. Many episodes: episodes a
second, and the memory of this process after a tenth, a half and all of them. Page: its size, and the time from the start of
loading until its table can be used, in a headless Chromium with an empty profile, which keeps nothing between openings.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from rollout_peers import PEERS, Played, in_ours, in_peer

from codeenv import Judge, Problem, rollout
from codeenv.agents.scripted import IgnoresFeedback
from codeenv.evaluation.report import write_report
from codeenv.judge import JudgeRequest
from codeenv.problems import load
from codeenv.rollout import read_episodes
from codeenv.submission import extract_code, fence

sys.path.append(str(Path(__file__).parent.parent / "tests" / "evaluation"))
from browser import CHROMIUM, Browser


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
                if turn[tests] is not None and by_id[row["problem_id"]].tests(tests):  # type: ignore[arg-type]
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


def page_of(run: Path, out: Path, times: int = 3) -> str:
    """Write the page of a run, open it several times, and return its size and when it was ready, in words."""
    if CHROMIUM is None:
        return "not opened, for there is no chromium here"
    start = time.process_time()
    page = write_report([run], out)
    spent, ready = time.process_time() - start, []
    for _ in range(times):
        with Browser() as browser:
            browser.open(page.resolve().as_uri())
            ready.append(float(browser.evaluate("document.body.dataset.ready")) / 1000)
    shown = ", ".join(f"{seconds:.2f}" for seconds in ready)
    return f"{page.stat().st_size / 1e6:.1f} MB, written in {spent:.0f} s of CPU; ready {shown} s after loading began"


def main(
    episodes: int = 10_000,
    compared: int = 400,
    workers: int = 2,
    quick: bool = False,
    peers: tuple[str, ...] = (),
    peers_only: bool = False,
    page_only: bool = False,
) -> None:
    """Print the tables.

    Args:
        episodes: episodes of the second table.
        compared: episodes of the first table.
        workers: judge workers.
        quick: a smoke run with few episodes.
        peers: packages in whose environments the same episodes are played, some of skyrl-gym, gem-llm, verifiers.
        peers_only: leave the other tables out.
        page_only: leave out everything but the page.
    """
    if unknown := [name for name in peers if name not in PEERS]:
        raise SystemExit(f"there is no peer {unknown[0]!r}; use some of {', '.join(PEERS)}")
    if quick:
        episodes, compared = 200, 60
    problems = problems_of(20)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if page_only:
            many_episodes(problems, episodes, folder / "many", workers)
            print(f"page of {episodes:,} episodes: {page_of(folder / 'many', folder / 'page.html')}")
            return
        if not peers_only:
            own_tables(problems, episodes, compared, workers, folder)
        compare_peers(problems, peers, 1 if quick else 3, folder)


def compare_peers(problems: list[Problem], peers: tuple[str, ...], copies: int, folder: Path) -> None:
    """Print what an episode with a right program costs in each peer and, right before and after it, in ours."""
    for name in peers:
        before = {isolation: in_ours(problems, copies, isolation) for isolation in ("test", "batch")}
        theirs = in_peer(name, problems, copies, folder)
        print(f"\n{name} ({PEERS[name].runs}): {theirs.each()}; solved {theirs.solved} of {theirs.programs}")
        for isolation, first in before.items():
            again = in_ours(problems, copies, isolation)
            ours = Played(first.wall_s + again.wall_s, first.cpu_s + again.cpu_s, first.solved + again.solved, 2 * first.programs)
            wall = theirs.wall_s / theirs.programs / (ours.wall_s / ours.programs)
            cpu = theirs.cpu_s / theirs.programs / (ours.cpu_s / ours.programs)
            print(f"  ours, isolation {isolation}: {ours.each()}; {wall:.1f} times as fast in wall time, {cpu:.1f} in CPU time; "
                  f"solved {ours.solved} of {ours.programs}")  # fmt: skip


def own_tables(problems: list[Problem], episodes: int, compared: int, workers: int, folder: Path) -> None:
    """Print the engine's overhead, and how it does with many episodes."""
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
    print(f"page of {episodes:,} episodes: {page_of(folder / 'many', folder / 'page.html')}")


if __name__ == "__main__":
    tyro.cli(main)
