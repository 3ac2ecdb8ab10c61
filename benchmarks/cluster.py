"""What judging on a Ray cluster costs over judging in this process, and how it grows with workers.

    python tests/adapters/run.py ray && .build/adapters/ray/bin/python benchmarks/cluster.py

The cluster has two nodes on this machine, each in processes of its own. CPU time is that of this process and of everything it
started: for Ray its daemons and actors too. Throughput is measured with programs that sleep, so that the number of workers
decides and not the number of cores of this machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tyro

from codeenv.judge import Judge, JudgeRequest
from codeenv.problems import Problem, StdioTest

os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "OMP_NUM_THREADS": "1"}
NAP_S = 0.1
PROBLEM = Problem("bench/add", "", "stdio", private_tests=tuple(StdioTest(f"{n}\n", f"{n + 1}\n") for n in range(10)))
NAP = Problem("bench/nap", "", "stdio", private_tests=(StdioTest("1\n", "1\n"),))


def main(submissions: int = 400, workers: tuple[int, ...] = (1, 2, 4, 8), rounds: int = 3) -> None:
    """Print both tables.

    Args:
        submissions: of ten tests each, for the CPU time; a tenth of it for each worker in the second table.
        workers: numbers of workers to compare, at most as many as the cluster's cores.
        rounds: measurements of each row; the table has the median.
    """
    adds = [JudgeRequest(PROBLEM, f"print(int(input()) + 1)  # {n}") for n in range(submissions)]
    print(f"{'':<24}{'CPU ms a submission':>21}{'ratio':>8}")
    with two_nodes(max(workers)) as address:
        found: dict[str, list[float]] = {"in this process": [], "two Ray nodes": []}
        with Judge(workers=2) as here, Judge(sandbox="ray", workers=2, address=address) as there:
            for _ in range(rounds):  # in turns, so that other load on the machine meets both
                found["in this process"].append(cpu_ms(here, adds))
                found["two Ray nodes"].append(cpu_ms(there, adds))
        first = median(found["in this process"])
        for name, values in found.items():
            print(f"{name:<24}{median(values):>21.2f}{median(values) / first:>8.2f}")
        print(f"\n{'workers':<10}{'in this process, 1/s':>22}{'Ray, 1/s':>12}{'of the ideal':>14}{'Ray, of the ideal':>19}")
        for count in workers:
            naps = [
                JudgeRequest(NAP, f"import time; time.sleep({NAP_S}); print(1)  # {n}") for n in range(count * submissions // 40)
            ]
            with Judge(workers=count) as here, Judge(sandbox="ray", workers=count, address=address) as there:
                rates = [median([rate(judge, naps) for _ in range(rounds)]) for judge in (here, there)]
            ideal = count / NAP_S
            print(f"{count:<10}{rates[0]:>22.1f}{rates[1]:>12.1f}{rates[0] / ideal:>14.0%}{rates[1] / ideal:>19.0%}")


def cpu_ms(judge: Judge, requests: Sequence[JudgeRequest]) -> float:
    """Return the CPU milliseconds of a submission, of all processes below this one."""
    judge.judge_many(requests[:4])
    before = tree_cpu_s()
    assert all(report.accepted for report in judge.judge_many(requests))
    return (tree_cpu_s() - before) * 1e3 / len(requests)


def rate(judge: Judge, requests: Sequence[JudgeRequest]) -> float:
    """Return submissions per second of wall time."""
    judge.judge_many(requests[:4])
    start = time.perf_counter()
    assert all(report.accepted for report in judge.judge_many(requests))
    return len(requests) / (time.perf_counter() - start)


def tree_cpu_s() -> float:
    """Return the CPU seconds of this process, of all below it, and of those that they have waited for."""
    rows: dict[int, tuple[int, float]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            rows[int(path.name)] = (int(fields[1]), sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK"))
    below, front = {os.getpid()}, {os.getpid()}
    while front:
        front = {pid for pid, (parent, _) in rows.items() if parent in front}
        below |= front
    return sum(rows[pid][1] for pid in below if pid in rows)


@contextmanager
def two_nodes(cores: int) -> Iterator[None]:
    """Start a head without cores and two nodes that share `cores`; this process is connected until the block ends."""
    import ray
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "node_ip_address": "127.0.0.2"}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for address in ("127.0.0.3", "127.0.0.4"):
        cluster.add_node(num_cpus=(cores + 1) // 2, node_ip_address=address)
    cluster.wait_for_nodes()
    ray.init(
        address=cluster.address, _node_ip_address="127.0.0.2", namespace="codeenv", log_to_driver=False, logging_level="ERROR"
    )
    try:
        yield None
    finally:
        ray.shutdown()
        cluster.shutdown()


def median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    tyro.cli(main)
