"""A service whose sandbox cannot be had: it does not start, or says that it has not judged."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]; runs in an environment of its own")
httpx = pytest.importorskip("httpx", reason="needs httpx; runs in an environment of its own")

import anyio
from running import running_service

from codeenv.sandbox import levels
from codeenv.server.app import create_app
from codeenv.server.settings import ServerSettings

ECHO = {"id": "t/echo", "statement": "", "mode": "stdio", "public_tests": [{"input": "", "output": "1\n"}]}


def test_a_sandbox_that_cannot_be_had_stops_the_service_before_it_listens():
    command = [sys.executable, "-c", "from codeenv.cli import main; raise SystemExit(main())", "serve", "--port", "0"]
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    done = subprocess.run([*command, "--sandbox", "docker"], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 2
    assert done.stderr.startswith("codeenv serve: ")
    assert "listening" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sandbox_that_is_lost_later_is_a_503_and_never_a_verdict():
    async def ask():
        app = create_app(ServerSettings(workers=1))
        app.state.service.judge.close()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            judged = await client.post("/v1/judge", json={"problem": ECHO, "source": "print(1)"})
            batch = await client.post("/v1/judge_batch", json={"requests": [{"problem": ECHO, "source": "print(1)"}]})
            run = await client.post("/run_code", json={"code": "print(1)", "language": "python"})
        return judged, batch, run

    judged, batch, run = anyio.run(ask)
    assert (judged.status_code, batch.status_code) == (503, 503)
    assert "the submission was not judged" in judged.json()["error"]
    assert int(judged.headers["retry-after"]) >= 1
    assert (run.status_code, run.json()["status"]) == (200, "SandboxError")


def test_a_language_that_is_not_installed_is_the_clients_to_change(monkeypatch):
    if reason := levels.check("namespaces"):
        pytest.skip(reason)
    monkeypatch.setenv("PATH", "/nowhere")
    with running_service("--workers", "1") as service:
        answer = httpx.post(f"{service.url}/run_code", json={"code": "int main() {}", "language": "cpp"}, timeout=60)
    assert answer.status_code == 400
    assert "which is not installed; use apt-get install g++" in answer.json()["error"]
