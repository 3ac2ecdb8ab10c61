"""Containers: they come and go with the judge, and what an engine lacks is a sentence."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from codeenv.errors import CodeenvError
from codeenv.judge import Judge, Verdict
from codeenv.problems.problem import CallTest, Limits, Problem
from codeenv.sandbox.docker import engine
from codeenv.sandbox.image import LABEL
from codeenv.sandbox.units import SandboxError

ADD = Problem("add", "", "call", "f", public_tests=(CallTest((1,), {}, 2),))
RIGHT = "def f(x): return x + 1"


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    try:
        client = engine()
    except CodeenvError as error:
        pytest.skip(str(error))
    yield client
    client.close()


def eventually(condition: Callable[[], bool]) -> bool:
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def others(client: Any) -> set[str]:
    """Containers of other judges on this machine."""
    return {container.id for container in client.containers.list(all=True, filters={"label": LABEL})}


def ours(client: Any, others: set[str]) -> list[Any]:
    return [item for item in client.containers.list(all=True, filters={"label": LABEL}) if item.id not in others]


def test_a_container_serves_many_submissions_and_is_gone_with_the_judge(client: Any, others: set[str]) -> None:
    with Judge(sandbox="docker", workers=1) as judge:
        assert judge.isolation_level == "docker"
        assert all(judge.judge(ADD, f"{RIGHT} # {number}").accepted for number in range(20))
        assert len(ours(client, others)) == 1
    assert eventually(lambda: not ours(client, others))


def test_a_container_that_is_killed_is_replaced(client: Any, others: set[str]) -> None:
    with Judge(sandbox="docker", workers=1) as judge:
        assert judge.judge(ADD, RIGHT).accepted
        ours(client, others)[0].kill()
        assert judge.judge(ADD, RIGHT).accepted
        assert judge.stats.retries == 1


def test_no_container_is_left_when_the_process_of_the_judge_is_killed(client: Any, others: set[str]) -> None:
    script = textwrap.dedent(f"""
        from codeenv.judge import Judge
        from codeenv.problems.problem import CallTest, Problem
        judge = Judge(sandbox="docker", workers=1)
        problem = Problem("add", "", "call", "f", public_tests=(CallTest((1,), {{}}, 2),))
        print(judge.judge(problem, {RIGHT!r}).verdict, flush=True)
        input()
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "accepted\n"
    assert ours(client, others)
    process.kill()
    process.communicate()
    assert eventually(lambda: not ours(client, others))


def test_a_missing_image_or_runtime_is_a_sentence(client: Any) -> None:
    missing = (({"image": "codeenv-nothing:1"}, "codeenv docker build"), ({"runtime": "no-such-runtime"}, "no-such-runtime"))
    for settings, words in missing:
        with Judge(sandbox="docker", **settings) as judge, pytest.raises(SandboxError, match=words):  # type: ignore[arg-type]
            judge.judge(ADD, RIGHT)


@pytest.mark.parametrize(
    "settings", [{"cpus": 0}, {"cpus": "1"}, {"memory_mb": -1}, {"memory_mb": 1.5}, {"pids": 1}, {"runtime": None}], ids=str
)
def test_a_limit_of_a_container_that_makes_no_sense_is_a_sentence(settings: dict[str, Any]) -> None:
    with pytest.raises(SandboxError, match=f"{next(iter(settings))} of a container is"):
        Judge(sandbox="docker", **settings)


GVISOR = {
    "right": (RIGHT, Verdict.ACCEPTED),
    "wrong": ("def f(x): return x", Verdict.WRONG_ANSWER),
    "a loop": ("def f(x):\n    while True: pass", Verdict.TIME_LIMIT),
    "a child": ("import os\ndef f(x): return os.fork() and x + 1", Verdict.RUNTIME_ERROR),
    "the memory of its worker": (
        "import os\ndef f(x): return open(f'/proc/{os.getppid()}/mem', 'rb') and x + 1", Verdict.RUNTIME_ERROR
    ),
    "a file": ("def f(x): return open('/tmp/x', 'w') and x + 1", Verdict.RUNTIME_ERROR),
    "a socket": ("import socket\ndef f(x): return socket.socket() and x + 1", Verdict.RUNTIME_ERROR),
    "right again": (RIGHT, Verdict.ACCEPTED),
}  # fmt: skip


def test_gvisor_holds_where_the_engine_has_it(client: Any) -> None:
    if "runsc" not in client.info()["Runtimes"]:
        pytest.skip("the engine has no runtime runsc")
    problem = Problem("add", "", "call", "f", public_tests=(CallTest((1,), {}, 2),), limits=Limits(time_limit_s=1.0))
    with Judge(sandbox="docker", workers=1, runtime="runsc") as judge:
        found = {name: judge.judge(problem, source).verdict for name, (source, _) in GVISOR.items()}
    assert found == {name: verdict for name, (_, verdict) in GVISOR.items()}


def test_no_engine_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with Judge(sandbox="docker") as judge, pytest.raises(SandboxError, match="engine"):
        judge.judge(ADD, RIGHT)
