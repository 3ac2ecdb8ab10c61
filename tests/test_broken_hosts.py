"""A host without /dev/shm, with full disks, or whose engine dies in mid-run: the judge judges, or says in a sentence why not."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeenv.errors import CodeenvError
from codeenv.judge import Judge, Verdict
from codeenv.problems.problem import CallTest, Problem
from codeenv.sandbox import levels
from codeenv.sandbox.docker import engine
from codeenv.sandbox.units import SandboxError

ADD = Problem("add", "", "call", "f", public_tests=(CallTest((1,), {}, 2),))
RIGHT = "def f(x): return x + 1"
SCRIPT = textwrap.dedent(f"""
    from codeenv.judge import Judge
    from codeenv.problems.problem import CallTest, Problem, StdioTest
    with Judge(workers=1) as judge:
        print(judge.judge(Problem("add", "", "call", "f", public_tests=(CallTest((1,), {{}}, 2),)), {RIGHT!r}).verdict)
        long = Problem("long", "", "stdio", public_tests=(StdioTest("1" * 5_000_000, "1" * 5_000_000),))
        print(judge.judge(long, "print(input())").verdict)
""")
MINORS = {"null": 3, "zero": 5, "random": 8, "urandom": 9}
DEVICES = " && ".join(f"mknod -m 666 /dev/{name} c 1 {minor}" for name, minor in MINORS.items())
HOSTS = {
    "without /dev/shm": f"mount -t tmpfs -o mode=755 none /dev && {DEVICES}",
    "with a full /dev/shm": "mount -t tmpfs -o size=4k none /dev/shm && (cat /dev/zero > /dev/shm/full || true)",
    "with a full /tmp": "mount -t tmpfs -o size=4k none /tmp && (cat /dev/zero > /tmp/full || true)",
    "with a /tmp that cannot be written": "mount -t tmpfs -o ro none /tmp",
}


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_judges(name: str, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("mounts of its own need root and the program 'unshare'")
    if reason := levels.check("namespaces"):
        pytest.skip(reason)
    if "/tmp" in HOSTS[name] and Path(sys.executable).is_relative_to("/tmp"):
        pytest.skip("the interpreter lies in /tmp, which such a host hides")
    command = f'{HOSTS[name]} && exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command, sys.executable, SCRIPT],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path.cwd(),
    )
    assert done.stdout == "accepted\naccepted\n", done.stderr


class Gate:
    """A door to the engine's socket that can be shut, as if the engine had died."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "engine.sock"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect("/var/run/docker.sock")
                self._open += [client, server]
                threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while True:
                for ready in select.select([one, other], [], [])[0]:
                    data = ready.recv(1 << 16)
                    if not data:
                        return
                    (other if ready is one else one).sendall(data)

    def shut(self) -> None:
        """Let nobody in or through any more."""
        with contextlib.suppress(OSError):  # it is shut already
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.path.unlink(missing_ok=True)
        for item in self._open:
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    try:
        engine().close()
    except CodeenvError as error:
        pytest.skip(str(error))
    if reason := levels.check("docker"):
        pytest.skip(reason)
    if not Path("/var/run/docker.sock").exists():
        pytest.skip("the engine's socket is not where it mostly is")
    gate = Gate(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{gate.path}")
    yield gate
    gate.shut()


def test_an_engine_that_dies_between_two_submissions_is_a_sentence(gate: Gate) -> None:
    with Judge(sandbox="docker", workers=1) as judge:
        assert judge.judge(ADD, RIGHT).accepted
        gate.shut()
        with pytest.raises(SandboxError, match="engine"):
            judge.judge(ADD, RIGHT)


def test_an_engine_that_dies_while_a_submission_runs_gives_no_verdict(gate: Gate) -> None:
    with Judge(sandbox="docker", workers=1) as judge:
        assert judge.judge(ADD, RIGHT).accepted
        timer = threading.Timer(1.0, gate.shut)
        timer.start()
        verdict: Verdict | None = None
        with contextlib.suppress(SandboxError):  # a sentence about the engine
            verdict = judge.judge(ADD, "while True: pass").verdict
        timer.join()
        assert verdict in (None, Verdict.JUDGE_ERROR)
