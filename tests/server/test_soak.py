"""Thousands of requests leave nothing behind: files, processes, memory, waiting work."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]; runs in an environment of its own")
httpx = pytest.importorskip("httpx", reason="needs httpx; runs in an environment of its own")

from pathlib import Path

from running import running_service

PROGRAMS = ["print(input())", "print(1", "raise SystemExit(2)", "import os\nos.write(1, b'x' * 100000)", "while True: pass"]


def state(service):
    text = httpx.get(f"{service.url}/metrics").text
    value = {name: float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE).group(1)) for name in GAUGES}
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    return value | {"children": len(children)}


GAUGES = ("process_open_fds", "process_resident_memory_bytes", "codeenv_running", "codeenv_waiting")


def play(service, requests):
    def one(number):
        slow = number % 100 == 99
        code = PROGRAMS[-1] if slow else PROGRAMS[number % (len(PROGRAMS) - 1)]
        body = {"code": code, "language": "python", "stdin": f"{number}\n", "run_timeout": 0.05 if slow else 5}
        answer = client.post("/run_code", json=body)
        return answer.status_code == 200 and answer.json()["status"] != "SandboxError"

    with httpx.Client(base_url=service.url, timeout=60) as client, ThreadPoolExecutor(8) as threads:
        return sum(threads.map(one, range(requests)))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_memory_files_and_processes_stay_flat():
    with running_service("--workers", "2") as service:
        assert play(service, 500) == 500
        before = state(service)
        assert play(service, 2500) == 2500
        after = state(service)
    assert after["process_open_fds"] <= before["process_open_fds"] + 2
    assert after["children"] == before["children"]
    assert after["process_resident_memory_bytes"] - before["process_resident_memory_bytes"] < 8 << 20
    assert (after["codeenv_running"], after["codeenv_waiting"]) == (0, 0)
