"""What the HTTP service costs over judging in the same process.

    python benchmarks/serve.py                     # 2,000 requests, 16 clients
    python benchmarks/serve.py --requests 200      # a smoke run
    python benchmarks/serve.py --soak 40           # 40 minutes of mixed clients; does anything grow?
    python benchmarks/serve.py --soak 90 --rate 1.5     # a request and a half a second
    python benchmarks/serve.py --peer http://127.0.0.1:8080 --peer-pid PID      # the same load on a server of SandboxFusion, too

The same programs, once through `Judge.judge`, once through `POST /run_code` and `POST /v1/judge` of a `codeenv serve` on
loopback, with as many workers; CPU seconds of the service's process and of its workers, wall latency at the client.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import serve_soak
import tyro

from codeenv import Judge, Problem
from codeenv.problems.problem import StdioTest


def main(
    requests: int = 2000,
    clients: int = 16,
    workers: int = 2,
    soak: float = 0.0,
    rate: float = 0.0,
    samples: str = "",
    seed: int = 0,
    peer: str = "",
    peer_pid: int = 0,
) -> int:
    """Print the table.

    Args:
        soak: minutes of mixed clients instead, see `serve_soak`.
        rate: requests a second of the soak; 0 for as many as are answered.
        samples: file to which the soak appends each of its samples as a JSON row.
        seed: of the soak's requests.
        peer: URL of a server with SandboxFusion's `/run_code`, which gets the same programs.
        peer_pid: its process, whose CPU seconds are counted with those of the processes it has waited for.
    """
    if soak:
        return serve_soak.soak(soak, clients, workers, seed, rate, samples)
    programs = [f"print(int(input()) + {number})\n" for number in range(requests)]
    problem = Problem("bench/add", "", "stdio", public_tests=(StdioTest("1\n", "1\n"),))
    with Judge(workers=workers) as judge, ThreadPoolExecutor(workers) as threads:
        judge.judge(problem, "print(1)")
        before, own = judge.stats.worker_cpu_s, time.process_time()
        list(threads.map(lambda source: judge.judge(problem, source), programs))
        direct = (judge.stats.worker_cpu_s - before + time.process_time() - own) / requests
    command = [sys.executable, "-c", "import sys; from codeenv.cli import main; sys.exit(main())", "serve", "--port", "0"]
    options = ["--workers", str(workers), "--queue", str(max(256, clients))]
    service = subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert service.stderr is not None
    url = json.loads(service.stderr.readline())["url"]
    logs = ThreadPoolExecutor(1).submit(service.stderr.read)
    rows = [("in this process", direct, 0.0, 0.0)]
    try:
        with httpx.Client(base_url=url, timeout=120, limits=httpx.Limits(max_connections=clients)) as client:
            client.post("/run_code", json={"code": "print(1)", "language": "python"})
            bodies = [{"code": source, "language": "python", "stdin": "1\n", "run_timeout": 60} for source in programs]
            rows.append(("POST /run_code", *ask(client, "/run_code", bodies, clients, lambda: cpu_s(client))))
            bodies = [{"problem": problem.to_dict(), "source": source} for source in programs]
            rows.append(("POST /v1/judge", *ask(client, "/v1/judge", bodies, clients, lambda: cpu_s(client))))
        if peer:
            with httpx.Client(base_url=peer, timeout=120, limits=httpx.Limits(max_connections=clients)) as client:
                bodies = [{"code": source, "language": "python", "stdin": "1\n", "run_timeout": 60} for source in programs]
                client.post("/run_code", json=bodies[0])
                rows.append(("peer /run_code", *ask(client, "/run_code", bodies, clients, lambda: serve_soak.cpu_s(peer_pid))))
    finally:
        service.terminate()
        service.wait()
        logs.result()
    print(f"{'':<18}{'CPU ms a request':>18}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}")
    for name, cpu, median, late in rows:
        print(f"{name:<18}{cpu * 1e3:>18.2f}{cpu / direct:>8.2f}{median * 1e3:>9.1f}{late * 1e3:>9.1f}")
    return 0


def ask(
    client: httpx.Client, path: str, bodies: list[dict[str, object]], clients: int, cpu: Callable[[], float]
) -> tuple[float, float, float]:
    """Return CPU seconds a request (service and workers) and the latency's median and 99th percentile."""

    def one(body: dict[str, object]) -> float:
        start = time.perf_counter()
        answer = client.post(path, json=body).raise_for_status().json()
        assert path != "/run_code" or answer["run_result"]["return_code"] == 0, answer
        return time.perf_counter() - start

    before = cpu()
    with ThreadPoolExecutor(clients) as threads:
        latencies = list(threads.map(one, bodies))
    return (cpu() - before) / len(bodies), float(np.quantile(latencies, 0.5)), float(np.quantile(latencies, 0.99))


def cpu_s(client: httpx.Client) -> float:
    text = client.get("/metrics").text
    return sum(
        float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE).group(1))  # type: ignore[union-attr]
        for name in ("process_cpu_seconds_total", "codeenv_worker_cpu_seconds")
    )


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
