"""Runs `accelerated_learner.py` in one process or several, and compares what they learned."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "accelerated_learner.py"
SAME = ("policy_loss", "value_loss", "kl", "entropy", "reward", "solve_rate", "turns", "clipped", "policy_grad_norm",
        "critic_grad_norm", "explained_variance")  # fmt: skip
EXACT = ("tokens", "episodes", "invalid_turns")


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(count: int, arguments: list[str]) -> list[subprocess.Popen[str]]:
    """Start the script as so many processes that know of each other."""
    base = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    if arguments[1].endswith("zero"):
        base |= {"ACCELERATE_USE_DEEPSPEED": "true", "DS_ACCELERATOR": "cpu"}
        base |= {"ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE": "cpu" if arguments[1].startswith("offload") else "none"}
    if count > 1:
        base |= {
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free_port()),
        }
    command = [sys.executable, str(SCRIPT), *arguments]
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} if count > 1 else {} for rank in range(count)]
    return [subprocess.Popen(command, env={**base, **rank}, stderr=subprocess.PIPE, text=True) for rank in ranks]


def run(count: int, out: Path, kind: str, *other: str) -> dict[str, Any]:
    """Run the script in a new folder and return what it found."""
    out.mkdir()
    processes = start(count, [str(out), kind, *other])
    try:
        errors = [process.communicate(timeout=400)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * count, errors
    return json.loads((out / "result.json").read_text())


def same(one: dict[str, float], other: dict[str, float]) -> None:
    """Hold that two iterations had the same numbers, up to rounding."""
    assert {name: one[name] for name in EXACT} == {name: other[name] for name in EXACT}
    assert {name: one[name] for name in SAME} == pytest.approx({name: other[name] for name in SAME}, abs=2e-5, rel=1e-3)
