"""What RLEF's own run needs in judge cores, storage and money: measured costs in a discrete-event simulation.

    python benchmarks/scale_model.py                  # the tables of docs/scale.md
    python benchmarks/scale_model.py --episodes 2000  # a smoke run

Measured here: CPU of one isolated test and of the judge's own process per submission, bytes of a recorded episode. From the
paper (arXiv 2410.02089, section 3.1 and appendix A): 12,000 updates of 256 rollouts, 3 turns, 10 s a test, 288 GPUs of which 160
generate. The rest are assumptions, each a flag; simulated with simpy.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import simpy
import tyro

from codeenv import Judge, Problem, rollout
from codeenv.judge import JudgeRequest
from codeenv.problems import load
from codeenv.problems.problem import StdioTest

ROLLOUTS = 12_000 * 256
GPUS, GENERATING = 288, 160


@dataclass(frozen=True)
class Load:
    """What the judge is asked for. Times are in seconds.

    Attributes:
        hours: wall time of the run (the paper's 5,800 GPU-hours over 288 GPUs are about 20).
        public_tests, private_tests: tests of a problem.
        pass_public: chance that a turn's program passes the public tests.
        hang: chance that a program that fails them hangs until the limit.
        slow: chance that a program that passes them is too slow for a third of the private tests.
        median_s, spread: of the CPU time of an ordinary test, lognormal.
        generation_s: mean time of writing a response.
        limit_s: time limit of a test.
    """

    hours: float = 20.0
    public_tests: int = 2
    private_tests: int = 100
    pass_public: float = 0.35
    hang: float = 0.03
    slow: float = 0.02
    median_s: float = 0.02
    spread: float = 1.2
    generation_s: float = 20.0
    limit_s: float = 10.0


@dataclass(frozen=True)
class Costs:
    """What was measured: CPU seconds of an isolated test, of the judge's process per submission, bytes of a recorded episode."""

    test_s: float
    judge_s: float
    episode_bytes: float


def measure(submissions: int = 150) -> Costs:
    """Measure the costs on this machine, in CPU time."""
    problem = Problem("scale/echo", "", "stdio", public_tests=tuple(StdioTest(f"{i}\n", f"{i}\n") for i in range(10)))
    work = [JudgeRequest(problem, f"print(input())  # {number}\n") for number in range(submissions)]
    with Judge(workers=1) as judge:
        judge.judge_many(work[:10])
        before, own = judge.stats, time.process_time()
        for request in work:  # as rollouts ask: one submission at a time
            judge.judge(request.problem, request.source)
        after = judge.stats
        own = time.process_time() - own
        problems = load("procedural", limit=30)
        with tempfile.TemporaryDirectory() as folder:
            rollout(problems, "repairs-on-feedback", out=f"{folder}/run", judge=judge)
            recorded = sum(path.stat().st_size for path in Path(folder, "run").glob("episodes*"))
    return Costs((after.worker_cpu_s - before.worker_cpu_s) / (10 * submissions), own / submissions, recorded / len(problems))


@dataclass
class Result:
    """What a simulation saw: seconds of waiting and of judging, per submission."""

    waits: list[float]
    services: list[float]


def submission_s(load_: Load, costs: Costs, private: bool, stop_early: bool, random: np.random.Generator, passed: bool) -> float:
    """Draw the CPU time of one submission on the public or the private tests."""
    count = load_.private_tests if private else load_.public_tests
    times = np.minimum(random.lognormal(math.log(load_.median_s), load_.spread, count), load_.limit_s)
    if private and random.random() < load_.slow:
        late = random.random(count) < 1 / 3
        times[late] = load_.limit_s
        if stop_early and late.any():
            times = times[: int(np.argmax(late)) + 1]
    if not private and not passed and random.random() < load_.hang:
        times[:] = load_.limit_s
        if stop_early:
            times = times[:1]
    return float(times.sum() + costs.test_s * len(times))


def simulate(load_: Load, costs: Costs, cores: int, rate: float, episodes: int, stop_early: bool, seed: int = 0) -> Result:
    """Run episodes that begin at `rate` per second on `cores` judge cores."""
    random = np.random.default_rng(seed)
    world = simpy.Environment()
    pool = simpy.Resource(world, capacity=cores)
    result = Result([], [])
    warm = episodes // 10

    def judged(seconds: float, counted: bool) -> Iterator[simpy.Event]:
        asked = world.now
        with pool.request() as turn:
            yield turn
            if counted:
                result.waits.append(world.now - asked)
                result.services.append(seconds)
            yield world.timeout(seconds)

    def episode(number: int) -> Iterator[simpy.Event]:
        for _ in range(3):
            yield world.timeout(random.exponential(load_.generation_s))
            passed = random.random() < load_.pass_public
            yield from judged(submission_s(load_, costs, False, stop_early, random, passed), number > warm)
            if passed:
                yield from judged(submission_s(load_, costs, True, stop_early, random, True), number > warm)
                return

    def arrivals() -> Iterator[simpy.Event]:
        for number in range(episodes):
            yield world.timeout(random.exponential(1 / rate))
            world.process(episode(number))

    world.process(arrivals())
    world.run()
    return result


def mean_work_s(load_: Load, costs: Costs, stop_early: bool, draws: int = 4000) -> float:
    """Return the mean judge CPU seconds of an episode."""
    random = np.random.default_rng(1)
    total = 0.0
    for _ in range(draws):
        for _ in range(3):
            passed = random.random() < load_.pass_public
            total += submission_s(load_, costs, False, stop_early, random, passed)
            if passed:
                total += submission_s(load_, costs, True, stop_early, random, True)
                break
    return total / draws


def percentile(values: list[float], share: float) -> float:
    return float(np.quantile(values, share)) if values else 0.0


def row(*cells: object) -> str:
    return "".join(f"{cell!s:>11}" for cell in cells)


def main(
    episodes: int = 20_000, hours: float = 20.0, private_tests: int = 100, gpu_hour_usd: float = 2.5, core_hour_usd: float = 0.04
) -> None:
    """Print the tables.

    Args:
        episodes: simulated episodes per row.
        hours: wall time of the whole run.
        private_tests: private tests of a problem.
        gpu_hour_usd: assumed price of a GPU hour.
        core_hour_usd: assumed price of a core hour.
    """
    costs = measure()
    base = replace(Load(), hours=hours, private_tests=private_tests)
    rate = ROLLOUTS / (hours * 3600)
    print(
        f"measured: {costs.test_s * 1e3:.2f} CPU ms a test, {costs.judge_s * 1e3:.2f} CPU ms of the judge's process a submission"
    )
    print(f"measured: {costs.episode_bytes / 1e3:.1f} kB a recorded episode (text; no tokens)")
    print(f"the paper's run: {ROLLOUTS / 1e6:.2f} M rollouts in {hours:g} h = {rate:.1f} episodes a second\n")
    for stop_early in (False, True):
        work = mean_work_s(base, costs, stop_early)
        print(f"{'stop at the first failing test' if stop_early else 'all tests always'}: {work:.2f} core-seconds an episode")
        print(row("busy", "cores", "cores/GPU", "wait p50", "wait p99", "judge p99", "judge max", "USD"))
        for share in (0.95, 0.9, 0.8, 0.6):
            cores = math.ceil(rate * work / share)
            seen = simulate(base, costs, cores, rate, episodes, stop_early)
            waits, services = seen.waits, seen.services
            times = [percentile(waits, 0.5), percentile(waits, 0.99), percentile(services, 0.99), max(services)]
            money = f"{cores * hours * core_hour_usd:,.0f}"
            print(row(f"{share:.0%}", cores, f"{cores / GENERATING:.2f}", *(f"{value:.1f}s" for value in times), money))
        print()
    work = mean_work_s(base, costs, True)
    print("growth (stop at the first failing test, cores 80 % busy)")
    print(row("scale", "episodes/s", "cores", "wait p99", "processes", "storage", "judge USD", "GPU USD"))
    for factor in (1, 10, 100):
        cores = math.ceil(factor * rate * work / 0.8)
        seen = simulate(base, costs, cores, factor * rate, episodes, True)
        processes = math.ceil(factor * rate * 2 * costs.judge_s / 0.5)  # two submissions an episode, half a core for each process
        storage = f"{factor * ROLLOUTS * costs.episode_bytes / 1e12:.2f}TB"
        money = [f"{cores * hours * core_hour_usd:,.0f}", f"{factor * GPUS * hours * gpu_hour_usd:,.0f}"]
        print(
            row(f"{factor}x", f"{factor * rate:.0f}", cores, f"{percentile(seen.waits, 0.99):.1f}s", processes, storage, *money)
        )


if __name__ == "__main__":
    tyro.cli(main)
