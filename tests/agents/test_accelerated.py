"""Training on the processes of accelerate: one, two and two with sharded layers learn the same and share checkpoints."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from codeenv.agents.alignment.config import AlignmentConfig
from codeenv.agents.lm.load import load_policy
from codeenv.agents.rlef.build import build_learner
from codeenv.agents.rlef.config import RLEFConfig
from codeenv.agents.rlef.devices import Devices
from codeenv.agents.rlef.run_config import TrainConfig
from codeenv.agents.stepcoder.curriculum import CurriculumConfig
from codeenv.agents.trace_head.config import AuxiliaryConfig
from codeenv.errors import CodeenvError

torch.set_num_threads(1)
SCRIPT = Path(__file__).parent / "accelerated_learner.py"
EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "accelerate").glob("*.yaml"))
SAME = ("policy_loss", "value_loss", "kl", "entropy", "reward", "solve_rate", "turns", "clipped", "policy_grad_norm",
        "critic_grad_norm", "explained_variance")  # fmt: skip
TIMED = ("generation_s", "judge_s", "judge_cpu_s", "iteration_s", "iteration_cpu_s")
STALE = RLEFConfig(staleness=1)
EXACT = ("tokens", "episodes", "invalid_turns")


def start(count: int, arguments: list[str]) -> list[subprocess.Popen[str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    if count > 1:
        base |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, str(SCRIPT), *arguments]
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} if count > 1 else {} for rank in range(count)]
    return [subprocess.Popen(command, env={**base, **rank}, stderr=subprocess.PIPE, text=True) for rank in ranks]


def run(count: int, out: Path, kind: str, *other: str) -> dict[str, Any]:
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
    assert {name: one[name] for name in EXACT} == {name: other[name] for name in EXACT}
    assert {name: one[name] for name in SAME} == pytest.approx({name: other[name] for name in SAME}, abs=2e-5, rel=1e-3)


@pytest.mark.slow
def test_one_process_and_two_learn_the_same_and_read_each_others_checkpoints(tmp_path: Path) -> None:
    two = run(2, tmp_path / "two", "whole")
    checkpoint = str(tmp_path / "two" / "checkpoints" / "000001")
    one = run(1, tmp_path / "one", "whole", checkpoint)
    sharded = run(2, tmp_path / "sharded", "shard", checkpoint)
    assert (one["count"], two["count"], sharded["count"]) == (1, 2, 2)
    assert (one["sharded"], two["sharded"]) == (0, 0)
    assert sharded["sharded"] > 10
    for first, second, third in zip(one["rows"][:2], two["rows"], sharded["rows"][:2], strict=True):
        same(first, second)
        same(first, third)
    for name in ("one", "sharded"):  # each went on from the checkpoint that two processes wrote
        same({"one": one, "sharded": sharded}[name]["rows"][2], two["rows"][1])
    weights = [
        torch.cat([value.flatten() for value in load_policy(str(tmp_path / name / "final")).state_dict().values()])
        for name in ("one", "two", "sharded")
    ]
    assert torch.allclose(weights[0], weights[1], atol=1e-4)
    assert torch.allclose(weights[0], weights[2], atol=1e-4)


@pytest.mark.slow
def test_alignment_masks_curriculum_and_trace_head_are_the_same_in_one_process_and_two(tmp_path: Path) -> None:
    two = run(2, tmp_path / "two", "mixed")
    one = run(1, tmp_path / "one", "mixed", str(tmp_path / "two" / "checkpoints" / "000001"))
    assert two["rows"][0]["align_answers"] > 0
    assert two["rows"][0]["align_dropped_run_failed"] > 0
    assert two["rows"][0]["curriculum_given"] > 0
    assert two["rows"][0]["head_outcome_accuracy"] > 0
    for first, second in [*zip(one["rows"], two["rows"], strict=False), (one["rows"][2], two["rows"][1])]:
        assert first == pytest.approx(second | {name: first[name] for name in TIMED}, abs=2e-5, rel=2e-3, nan_ok=True)


@pytest.mark.parametrize(
    ("change", "sharded", "words"),
    [
        ({"alignment": AlignmentConfig(0.4), "rlef": STALE}, False, "alignment needs what became of each collection"),
        ({"curriculum": CurriculumConfig(), "rlef": STALE}, False, "the curriculum needs what became of each collection"),
        ({"trace_head": AuxiliaryConfig("on")}, True, "trace_head reads a whole policy, and FSDP keeps shards of it"),
    ],
)
def test_what_has_no_learner_is_refused_with_a_sentence(change: dict[str, Any], sharded: bool, words: str) -> None:
    devices = Devices()
    devices.casts = sharded
    nothing: Any = None
    with pytest.raises(CodeenvError, match=words):
        build_learner(TrainConfig(**change), nothing, nothing, nothing, nothing, devices)


def test_the_configurations_of_accelerate_name_kinds_that_the_learner_takes() -> None:
    kinds = {path.stem: yaml.safe_load(path.read_text())["distributed_type"] for path in EXAMPLES}
    assert kinds == {"fsdp": "FSDP", "gpus": "MULTI_GPU", "one_gpu": "NO", "two_cpus": "MULTI_CPU"}


def test_accelerate_is_off_by_default() -> None:
    assert TrainConfig().accelerate is False
