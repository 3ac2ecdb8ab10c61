"""Judging on a Ray cluster of two nodes on this machine; one of them is killed in mid-run."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra [ray]; runs in an environment of its own")
os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_DEDUP_LOGS": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters"))

import ray
from adapter_problems import PROBLEMS, our_rewards
from ray.cluster_utils import Cluster

import codeenv
from codeenv.batch import EpisodeBatch
from codeenv.judge import Judge, JudgeRequest
from codeenv.rollout import rollout
from codeenv.sandbox.ray import open_ray_pool
from codeenv.sandbox.units import SandboxError

HEAD, FIRST, SECOND = "127.0.0.2", "127.0.0.3", "127.0.0.4"


@pytest.fixture(scope="module")
def cluster():
    """A head without cores for us, and two nodes of two cores each, every one in processes of its own."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, "node_ip_address": HEAD})
    made.nodes = [made.add_node(num_cpus=2, node_ip_address=address) for address in (FIRST, SECOND)]
    made.wait_for_nodes()
    ray.init(address=made.address, _node_ip_address=HEAD, namespace="codeenv", log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def ray_judge(cluster):
    with Judge(sandbox="ray", workers=4, address=None) as judge:
        yield judge


def requests():
    sources = [
        problem.correct_solutions[0] if number % 3 else problem.incorrect_solutions[1] for number, problem in enumerate(PROBLEMS)
    ]
    return [JudgeRequest(problem, source) for problem, source in zip(PROBLEMS, sources, strict=True)]


def comparable(report):
    row = report.to_dict()
    for result in row["results"]:
        del result["time_s"], result["memory_mb"]
    return row


def test_a_cluster_that_is_not_there_is_a_sentence():
    code = "from codeenv.sandbox.ray import open_ray_pool\nopen_ray_pool(1, address='127.0.0.1:1')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=110)
    assert "SandboxError: there is no Ray cluster at '127.0.0.1:1'" in done.stderr


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_something_else_that_listens_is_a_sentence(words):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=lambda: connections.append(listener.accept()[0]) or connections[0].sendall(words))
        connections = []
        thread.start()
        code = f"from codeenv.sandbox.ray import open_ray_pool\nopen_ray_pool(1, address='127.0.0.1:{port}')"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        thread.join()
        connections[0].close()
    assert f"there is no Ray cluster at '127.0.0.1:{port}' (what listens there does not answer" in done.stderr


def asked_of(address, flags=""):
    """Return what a process says that asks for a cluster at an address."""
    code = f"import codeenv.sandbox.ray as ours\n{flags}\nours.open_ray_pool(1, address={address!r})"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100).stderr


def test_a_server_of_http_2_that_is_no_cluster_is_a_sentence_though_it_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def settle():
            with contextlib.suppress(OSError):
                while True:
                    held.append(listener.accept()[0])
                    held[-1].sendall(bytes(3) + b"\x04" + bytes(5))

        threading.Thread(target=settle, daemon=True).start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        said = asked_of(address)
        for connection in held:
            connection.close()
    assert f"SandboxError: there is no Ray cluster at {address!r} (what listens there d" in said


def test_bytes_that_listen_and_drip_have_one_deadline_for_the_whole_greeting():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sent = []

        def drip():
            connection = listener.accept()[0]
            with connection, contextlib.suppress(OSError):
                for byte in bytes(3) + b"\x04" + bytes(5):  # HTTP/2, had it come in time
                    connection.sendall(bytes([byte]))
                    sent.append(byte)
                    time.sleep(0.5)

        thread = threading.Thread(target=drip)
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        said = asked_of(address, "ours._GREETING_S = 1.0")
        thread.join()
    assert f"SandboxError: there is no Ray cluster at {address!r} (what listens there does not answer" in said
    assert len(sent) < 9


def test_reports_of_the_cluster_are_those_of_this_machine(ray_judge, judge):
    assert ray_judge.isolation_level == judge.isolation_level
    theirs = [comparable(report) for report in ray_judge.judge_many(requests())]
    assert theirs == [comparable(report) for report in judge.judge_many(requests())]


def test_work_is_spread_over_the_nodes(ray_judge):
    ray_judge.judge_many(requests())
    assert {worker.hello["node"] for worker in ray_judge._pool._idle} == {FIRST, SECOND}


def test_episodes_on_the_cluster_are_rewarded_as_ours(ray_judge, judge):
    assert our_rewards(ray_judge) == our_rewards(judge)


def test_more_workers_than_cores_are_refused_with_a_sentence(ray_judge):
    with pytest.raises(SandboxError, match="workers is 64, but the cluster has 4 cores"):
        open_ray_pool(64, None)


def test_a_node_with_another_version_is_refused(ray_judge, monkeypatch):
    ray_judge.judge_many(requests()[:4])
    monkeypatch.setattr("codeenv.version.__version__", "9.9.9")
    ray_judge._pool._idle.pop().close()  # make room for another worker
    with pytest.raises(SandboxError, match=r"has codeenv .*, this process has 9\.9\.9; install the same"):
        open_ray_pool(1, None)


def test_a_node_that_has_another_release_stops_the_command_with_a_sentence(tmp_path, monkeypatch):
    shutil.copytree(Path(codeenv.__file__).parent, tmp_path / "codeenv", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "codeenv" / "version.py").write_text('__version__ = "0.0.1"\n')
    head = {"num_cpus": 0, "include_dashboard": False, "node_ip_address": "127.0.0.5"}
    skewed = Cluster(initialize_head=True, head_node_args=head)
    try:
        with monkeypatch.context() as older:
            older.setenv("PYTHONPATH", str(tmp_path))
            skewed.add_node(num_cpus=1, node_ip_address="127.0.0.6")
        command = [sys.executable, "-c", "from codeenv.cli import main; raise SystemExit(main())", "rollout", "--workers", "1"]
        options = ["--env", "codeenv/Procedural-v0", "--limit", "1", "--ray", skewed.address]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=100, cwd="/")
    finally:
        skewed.shutdown()
    assert done.returncode == 2
    assert f"node 127.0.0.6 has codeenv 0.0.1, this process has {codeenv.__version__}; install the same" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_node_that_is_killed_in_mid_run_loses_no_episode_and_changes_no_verdict(cluster, ray_judge, judge):
    expected = [comparable(report) for report in judge.judge_many(requests())]
    rounds = 6
    reports = []

    def work():
        for _ in range(rounds):
            reports.append([comparable(report) for report in ray_judge.judge_many(requests())])

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while not reports:
        thread.join(0.01)
    cluster.remove_node(cluster.nodes[1], allow_graceful=False)
    thread.join(110)
    assert not thread.is_alive()
    assert reports == [expected] * rounds
    result = rollout(PROBLEMS[:20], "oracle", judge=ray_judge)
    assert (result.episodes, result.solved, result.failures) == (20, 20, [])


def test_the_cluster_that_is_left_still_judges(ray_judge):
    batch = EpisodeBatch(PROBLEMS[:2], ray_judge)
    assert all(not step.truncated for step in batch.step({0: "nothing", 1: "nothing"}).values())
