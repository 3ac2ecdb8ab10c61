"""Control groups around workers: what they limit, and that nothing of them is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from codeenv.judge import Judge
from codeenv.problems.problem import Limits, Problem, StdioTest
from codeenv.sandbox import cgroups
from codeenv.sandbox.units import EXITED, Unit, WorkerLost
from codeenv.sandbox.worker import Worker, WorkerConfig

needs_groups = pytest.mark.skipif(not cgroups.places().version, reason=cgroups.state())
PROBLEM = Problem(
    "p", "", "stdio", public_tests=(StdioTest("", "1\n"),), limits=Limits(time_limit_s=20.0, memory_mb=256, output_kb=1024)
)


def groups() -> list[Path]:
    """The groups of this process that exist."""
    mark = f"-{os.getpid()}-"
    return [found for _, folder in cgroups.places().folders for found in folder.glob("codeenv-*") if mark in found.name]


def value(group: cgroups.Group, controller: str, *names: str) -> int:
    """The number in the first of the files that exists."""
    folder = group.folders[controller]
    return int(next(folder / name for name in names if (folder / name).exists()).read_text("ascii"))


@needs_groups
def test_a_worker_is_in_a_group_of_its_own_that_is_gone_when_it_is_closed():
    before = groups()
    worker = Worker(WorkerConfig())
    try:
        assert worker._group is not None
        for folder in worker._group.folders.values():
            assert str(worker._process.pid) in (folder / "cgroup.procs").read_text("ascii").split()
            assert folder.name not in [other.name for other in before]
        worker.run([Unit("stdio", b"print(1)", "", (b"",), memory=256 << 20, output=1 << 20)])
        assert value(worker._group, "pids", "pids.max") == cgroups.PIDS
        assert 256 << 20 < value(worker._group, "memory", "memory.max", "memory.limit_in_bytes") < 2 << 30
    finally:
        worker.close()
    assert groups() == before


@needs_groups
def test_the_limit_on_memory_follows_what_units_may_need():
    worker = Worker(WorkerConfig())
    try:
        assert worker._group is not None
        found = []
        for memory in (64 << 20, 2 << 30, 3 << 30, 64 << 20, 0):
            worker.run([Unit("stdio", b"print(1)", "", (b"",), memory=memory, output=1 << 20)])
            found.append(value(worker._group, "memory", "memory.max", "memory.limit_in_bytes") if memory else -1)
        assert found[0] < 2 << 30 < found[1]
        assert found[2] > 3 << 30
        assert found[3] == found[0]
    finally:
        worker.close()


@needs_groups
def test_processes_that_together_take_more_than_the_limit_lose_one_and_the_next_submission_is_judged():
    """At this level a program may start processes; each of them keeps its own limit."""
    source = (
        "import os, signal, time\nstarted = []\nfor _ in range(8):\n    started.append(os.fork())\n    if not started[-1]:\n"
        "        block = bytearray(200 << 20)\n        for k in range(0, len(block), 4096): block[k] = 1\n"
        "        time.sleep(60)\n"
        "gone, status = os.wait()\nfor pid in started:\n    if pid != gone: os.kill(pid, 15)\n"
        "print(1 if status == 9 else status)\n"
    )
    with Judge(sandbox="rlimits", trusted=True, workers=1) as judge:
        assert judge.judge(PROBLEM, source).accepted
        assert judge.judge(PROBLEM, "print(1)").accepted


@needs_groups
def test_a_program_that_starts_processes_without_end_is_stopped_by_the_limit_on_them():
    source = (
        "import os, time\ncount = 0\ntry:\n    while True:\n        if os.fork() == 0:\n            time.sleep(60)\n"
        "        count += 1\nexcept BlockingIOError:\n    print(1 if 8 < count < 200 else count)\n"
    )
    with Judge(sandbox="rlimits", trusted=True, workers=1) as judge:
        assert judge.judge(PROBLEM, source).accepted
        assert judge.judge(PROBLEM, "print(1)").accepted


@needs_groups
def test_what_a_killed_judge_left_is_removed_by_the_next_one():
    script = (
        "import time\nfrom codeenv.sandbox.worker import Worker, WorkerConfig\n"
        "worker = Worker(WorkerConfig())\nprint(next(iter(worker._group.folders.values())), flush=True)\ntime.sleep(60)\n"
    )
    judge = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert judge.stdout is not None
    left = Path(judge.stdout.readline().strip())
    assert left.is_dir()
    judge.send_signal(signal.SIGKILL)
    judge.wait()
    for _, folder in cgroups.places().folders:
        cgroups.sweep(folder)
        assert not (folder / left.name).exists()


MOUNTS = """\
30 24 0:26 / {root}/memory rw,relatime shared:1 - cgroup cgroup rw,memory
31 24 0:27 / {root}/pids rw,relatime shared:1 - cgroup cgroup rw,pids
32 24 0:28 {inside} {root}/unified rw,relatime shared:1 - cgroup2 cgroup2 rw
"""


@pytest.mark.parametrize(
    ("files", "own", "version"),
    [
        ({}, "0::/", 0),
        ({"unified": ("memory pids cpu", "memory pids")}, "0::/", 2),
        ({"unified": ("cpu", "")}, "0::/", 0),
        ({"unified": ("memory pids", "memory pids"), "unified/user/me": ("", "")}, "0::/user/me", 2),
        ({"memory": ("", ""), "pids": ("", "")}, "1:memory:/\n2:pids:/\n0::/", 1),
        ({"memory/a": ("", ""), "pids": ("", "")}, "1:memory:/a\n2:pids:/outside\n0::/", 1),
        ({"memory": ("", "")}, "1:memory:/\n0::/", 0),
    ],
    ids=["nothing", "v2", "v2 without controllers", "v2 from a group below", "v1", "v1 below and outside", "v1 without pids"],
)
def test_the_place_for_groups_is_found_in_what_is_mounted(tmp_path, monkeypatch, files, own, version):
    for name, (offered, enabled) in files.items():
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.controllers").write_text(offered)
        (folder / "cgroup.subtree_control").write_text(enabled)
    mounts, cgroup = tmp_path / "mountinfo", tmp_path / "cgroup"
    mounts.write_text(MOUNTS.format(root=tmp_path, inside="/"))
    cgroup.write_text(own)
    monkeypatch.setattr(cgroups, "_can_make", Path.is_dir)
    found = cgroups.find_places(str(mounts), str(cgroup))
    assert found.version == version
    assert bool(found.reason) is (version == 0)


def test_an_unlimited_or_foreign_unit_asks_for_what_it_needs():
    assert cgroups._needed(Unit("stdio", b"", "", (b"",), memory=0)) >= 1 << 60
    small, large = (cgroups._needed(Unit(kind, b"", "", (b"",))) for kind in ("call", "code"))
    assert large > small + (1 << 30)


@needs_groups
@pytest.mark.parametrize("kind", ["stdio", "code"])
def test_a_worker_waits_for_a_host_that_is_out_of_processes_for_a_moment(kind: str):
    worker = Worker(WorkerConfig())
    try:
        assert worker._group is not None
        limit = worker._group.folders["pids"] / "pids.max"
        limit.write_text("1", "ascii")
        later = threading.Timer(0.2, limit.write_text, [str(cgroups.PIDS), "ascii"])
        later.start()
        unit = Unit("stdio", b"print(input())", "", (b"1\n",), time_s=5.0, memory=1 << 28, output=1 << 20)
        if kind == "code":
            test = b"def check(f): assert f(1) == 1"
            unit = Unit("code", b"def f(x): return x", "f", (test,), time_s=5.0, memory=1 << 28, output=1 << 20)
        run = worker.run([unit])[0][0]
        later.join()
        assert (run.reason, run.code) == (EXITED, 0)
    finally:
        worker.close()


@needs_groups
def test_a_worker_that_cannot_go_on_says_why():
    worker = Worker(WorkerConfig())
    try:
        assert worker._group is not None
        (worker._group.folders["pids"] / "pids.max").write_text("1", "ascii")
        with pytest.raises(WorkerLost, match="no new process: Resource temporarily unavailable"):
            worker.run([Unit("stdio", b"print(1)", "", (b"",), time_s=5.0, memory=1 << 28, output=1 << 20)])
    finally:
        worker.close()
