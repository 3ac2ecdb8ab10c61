"""Minutes of mixed clients against one `codeenv serve`: does it answer rightly, and does anything grow?

Run by `python benchmarks/serve.py --soak MINUTES`. Clients send good, wrong, hostile, oversized and
malformed requests, requests with a wrong token, some hang up while they send or wait, some never finish what they send. Memory,
files and processes of the service and of its workers are read from /proc at even steps, at least once a minute; the slopes are
least-squares lines through the samples behind the first tenth.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

__all__ = ["soak"]

TOKEN = "soak-token-of-the-benchmark"
BODY_MB = 2
PATIENCE_S = 5
DOUBLE = {
    "id": "soak/double",
    "statement": "Double the number.",
    "mode": "stdio",
    "public_tests": [{"input": "2\n", "output": "4\n"}],
    "private_tests": [{"input": "5\n", "output": "10\n"}, {"input": "7\n", "output": "14\n"}],
    "limits": {"time_limit_s": 0.5, "memory_mb": 128, "output_kb": 64},
}
HOSTILE = {
    "import os\nwhile True:\n    os.fork()": "runtime_error",
    "x = []\nwhile True: x.append(bytearray(1 << 20))": "memory_limit",
    "while True: pass": "time_limit",
    "print('x' * (1 << 20))": "output_limit",
    "import os\nos._exit(0)": "wrong_answer",
    "import os, signal\nos.kill(-1, signal.SIGKILL)": "runtime_error",
    "import socket\nsocket.create_connection(('127.0.0.1', 22))": "runtime_error",
    "import os\nfor n in range(10**5): os.open('/', 0)": "runtime_error",
    "import threading\nfor n in range(50): threading.Thread(target=print, args=(n,)).start()": "wrong_answer",
    "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()": "time_limit",
}


@dataclass
class Tally:
    """What was asked and what came back.

    Attributes:
        asked: requests by kind.
        unexpected: answers that the kind does not allow, by kind and answer.
    """

    asked: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, answer: str, expected: set[str]) -> None:
        with self.lock:
            self.asked[kind] += 1
            if answer not in expected:
                self.unexpected[f"{kind}: {answer}"] += 1


class Clients:
    """Requests of every kind to one service."""

    def __init__(self, url: str) -> None:
        self.tally = Tally()
        self._address = re.fullmatch(r"http://(.*):(\d+)", url).groups()  # type: ignore[union-attr]
        self._client = httpx.Client(base_url=url, timeout=120, headers={"Authorization": f"Bearer {TOKEN}"})
        self._kinds: list[tuple[int, Callable[[random.Random], None]]] = [
            (50, self.good),
            (12, self.wrong),
            (12, self.hostile),
            (6, self.oversized),
            (6, self.malformed),
            (4, self.stranger),
            (10, self.hanging_up),
            (2, self.never_finished),
        ]

    def one(self, number: int) -> None:
        draw = random.Random(number)
        weights, kinds = zip(*self._kinds, strict=True)
        draw.choices(kinds, weights)[0](draw)

    def good(self, draw: random.Random) -> None:
        extra = draw.randrange(10**6)  # no two programs are equal
        source = f"print(int(input()) * 2 + 0 * {extra})\n"
        if draw.random() < 0.5:
            self._judge("good", source, {"accepted"})
        else:
            answer = self._post("/run_code", {"code": source, "language": "python", "stdin": "4\n"})
            output = answer.json()["run_result"]["stdout"] if answer.status_code == 200 else f"HTTP {answer.status_code}"
            self.tally.add("good", output, {"8\n"})

    def wrong(self, draw: random.Random) -> None:
        source, verdict = draw.choice(
            [
                ("print(1)", "wrong_answer"),
                ("print(1", "compile_error"),
                ("raise KeyError('lost')", "runtime_error"),
            ]
        )
        self._judge("wrong", f"{source}\n# {draw.random()}", {verdict})

    def hostile(self, draw: random.Random) -> None:
        source = draw.choice(sorted(HOSTILE))
        self._judge("hostile", source, {HOSTILE[source]})

    def oversized(self, draw: random.Random) -> None:
        row: dict[str, Any]
        row, status = draw.choice(
            [
                ({"problem": DOUBLE, "source": "#" * (BODY_MB << 20)}, "413"),
                ({"problem": DOUBLE | {"private_tests": [{"input": "1", "output": "2"}] * 2000}, "source": "1"}, "400"),
                ({"problem": DOUBLE | {"limits": {"time_limit_s": 10**6}}, "source": "1"}, "400"),
                ({"problem": DOUBLE | {"limits": {"memory_mb": 10**6}}, "source": "1"}, "400"),
            ]
        )
        self.tally.add("oversized", str(self._post("/v1/judge", row).status_code), {status})

    def malformed(self, draw: random.Random) -> None:
        content, statuses = draw.choice(
            [
                (b"{", {"422"}),
                (b"\xff\xfe", {"422", "400"}),
                (b'{"problem": {"id": 1}, "source": "1"}', {"400"}),
                (b'{"problem_id": "no/such", "source": "1"}', {"404"}),
                (b"[" * 100_000, {"422", "400"}),
            ]
        )
        answer = self._client.post("/v1/judge", content=content, headers={"Content-Type": "application/json"})
        self.tally.add("malformed", str(answer.status_code), statuses)

    def stranger(self, draw: random.Random) -> None:
        headers = {"Authorization": f"Bearer {draw.random()}"}
        answer = self._client.post("/run_code", json={"code": "print(1)", "language": "python"}, headers=headers)
        self.tally.add("wrong token", str(answer.status_code), {"401"})

    def hanging_up(self, draw: random.Random) -> None:
        body = json.dumps({"problem": DOUBLE, "source": f"print(int(input()) * 2)\n# {draw.random()}"}).encode()
        head = f"POST /v1/judge HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n"
        message = head.encode() + b"Content-Type: application/json\r\n\r\n" + body
        sent = len(message) if draw.random() < 0.6 else draw.randrange(len(message))
        host, port = self._address
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(message[:sent])
            time.sleep(draw.random() * 0.02)
        self.tally.add("hanging up", "", {""})

    def never_finished(self, draw: random.Random) -> None:
        """Send a part of a request and wait for the service to end the connection, with a sentence if there was a part."""
        head = f"POST /v1/judge HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 1000\r\n"
        message, answer = draw.choice([(b"", b""), (head.encode(), b"HTTP/1.1 408"), (f"{head}\r\n{{".encode(), b"HTTP/1.1 408")])
        host, port = self._address
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(message)
            told = connection.recv(12)
        self.tally.add("never finished", told.decode("latin-1"), {answer.decode()})

    def _judge(self, kind: str, source: str, expected: set[str]) -> None:
        answer = self._post("/v1/judge", {"problem": DOUBLE, "source": source})
        found = answer.json()["verdict"] if answer.status_code == 200 else f"HTTP {answer.status_code}"
        self.tally.add(kind, found if found in expected else f"{found} for {source!r}", expected)

    def _post(self, path: str, row: dict[str, Any]) -> httpx.Response:
        return self._client.post(path, json=row)


def soak(minutes: float, clients: int, workers: int, seed: int, rate: float = 0.0, samples_file: str = "") -> int:
    """Run the soak and print its tables; return 1 if an answer was not the expected one.

    Args:
        rate: requests a second of all clients together; 0 for as many as are answered.
        samples_file: where each sample is appended as a JSON row.
    """
    command = [sys.executable, "-c", "import sys; from codeenv.cli import main; sys.exit(main())", "serve", "--port", "0"]
    options = ["--workers", str(workers), "--queue", "1024", "--max-body-mb", str(BODY_MB), "--client-timeout-s", str(PATIENCE_S)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CODEENV_TOKEN": TOKEN}
    service = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True, env=environment)
    assert service.stderr is not None
    url = json.loads(service.stderr.readline())["url"]
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.extend(line for line in service.stderr or () if '"level": "error"' in line))
    reader.start()
    playing = Clients(url)
    samples: list[dict[str, float]] = []
    numbers = iter(range(sys.maxsize))
    begin = time.monotonic()
    end, step = begin + minutes * 60, min(60.0, max(1.0, minutes * 60 / 120))

    def work() -> None:
        while time.monotonic() < end:
            number = next(numbers)
            if rate:
                time.sleep(max(0.0, min(begin + number / rate, end) - time.monotonic()))
            playing.one(seed + number)

    try:
        with ThreadPoolExecutor(clients) as threads:
            tasks = [threads.submit(work) for _ in range(clients)]
            while time.monotonic() < end:
                time.sleep(step)
                passed = {"minutes": (time.monotonic() - begin) / 60, "requests": float(playing.tally.asked.total())}
                samples.append(passed | used(service.pid))
                if samples_file:
                    with Path(samples_file).open("a") as rows:
                        rows.write(json.dumps(samples[-1] | {"unexpected": playing.tally.unexpected.total()}) + "\n")
                if sys.stderr.isatty():
                    print(f"\r{playing.tally.asked.total()} requests", end="", file=sys.stderr)
            for task in tasks:
                task.result()
        time.sleep(2)
        gauges = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
        left = [re.search(rf"^codeenv_{name} (\S+)$", gauges, re.MULTILINE).group(1) for name in ("running", "waiting")]  # type: ignore[union-attr]
    finally:
        service.terminate()
        status = service.wait()
        reader.join()
    report(playing.tally, samples, minutes)
    print(f"\nat the end: {left[0]} running, {left[1]} waiting; exit status {status}; {len(errors)} errors in the log")
    print(*errors[:5], sep="")
    return int(bool(playing.tally.unexpected) or status != 0)


def report(tally: Tally, samples: list[dict[str, float]], minutes: float) -> None:
    print(f"{tally.asked.total()} requests in {minutes:g} minutes\n")
    print(f"{'kind':<14}{'requests':>10}{'not as expected':>18}")
    for kind, count in tally.asked.most_common():
        print(f"{kind:<14}{count:>10}{sum(n for key, n in tally.unexpected.items() if key.startswith(kind)):>18}")
    for key, count in tally.unexpected.most_common():
        print(f"  {key} ({count} times)")
    steady = samples[len(samples) // 10 :]
    print(f"\n{'':<26}{'first':>9}{'median':>9}{'last':>9}{'most':>9}{'per 1,000 requests':>20}{'per hour':>12}")
    asked = np.array([sample["requests"] for sample in steady]) / 1000
    hours = np.array([sample["minutes"] for sample in steady]) / 60
    for name in samples[0]:
        if name not in ("requests", "minutes"):
            values = np.array([sample[name] for sample in steady])
            slopes = [float(np.polyfit(x, values, 1)[0]) if np.ptp(x) else 0.0 for x in (asked, hours)]
            columns = "".join(f"{float(value):>9.1f}" for value in (values[0], np.median(values), values[-1], values.max()))
            print(f"{name:<26}{columns}{slopes[0]:>+20.3f}{slopes[1]:>+12.3f}")


def used(pid: int) -> dict[str, float]:
    """Return memory, files, threads and processes of the service and of everything it started."""
    workers = descendants(pid)
    return {
        "service memory MiB": memory_mib(pid),
        "service open files": float(len(list(Path(f"/proc/{pid}/fd").iterdir()))),
        "service threads": float(len(list(Path(f"/proc/{pid}/task").iterdir()))),
        "processes below it": float(len(workers)),
        "their memory MiB": sum(map(memory_mib, workers)),
        "their open files": float(sum(map(open_files, workers))),
        "CPU seconds of all": sum(map(cpu_s, [pid, *workers])),
    }


def descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it has ended
                continue
            parents.setdefault(parent, []).append(int(path.name))
    found, front = [], [pid]
    while front:
        front = [child for parent in front for child in parents.get(parent, ())]
        found += front
    return found


def memory_mib(pid: int) -> float:
    try:
        return int(re.search(r"^Pss: +(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE).group(1)) / 1024  # type: ignore[union-attr]
    except (OSError, AttributeError):
        return 0.0


def open_files(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and of the children it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
