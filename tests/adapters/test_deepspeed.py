"""Two processes with DeepSpeed's ZeRO learn what one process without it learns, and share its checkpoints."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("deepspeed", reason="needs the extra [deepspeed]; runs in an environment of its own")

import torch
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "agents"))

from several_processes import free_port, run, same

from codeenv.agents.lm.load import load_policy

torch.set_num_threads(1)
EXAMPLES = ROOT / "examples"
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--config_file"]
TRAIN = ["codeenv", "train", "--config", str(EXAMPLES / "rlef" / "mini.yaml"), "--accelerate", "--sft-steps", "20"]
SMALL = ["--rlef.iterations", "4", "--rlef.episodes", "13", "--checkpoint-every", "1", "--validate-every", "0", "--workers", "1"]
PLAIN = {**os.environ, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu", "PYTHONPATH": str(ROOT)}


def rows(folder):
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_two_processes_learn_what_one_does_and_read_each_others_checkpoints(tmp_path):
    two = run(2, tmp_path / "two", "zero")
    one = run(1, tmp_path / "one", "whole", str(tmp_path / "two" / "checkpoints" / "000001"))
    again = run(2, tmp_path / "again", "offload-zero", str(tmp_path / "one" / "checkpoints" / "000001"))
    assert (one["count"], two["count"]) == (1, 2)
    for first, second in [*zip(one["rows"][:2], two["rows"], strict=True), (one["rows"][2], two["rows"][1])]:
        same(first, second)
    same(again["rows"][2], one["rows"][1])
    assert two["rows"][0]["critic_grad_norm"] > 0.5  # more than the limit, so it was clipped
    weights = [
        torch.cat([value.flatten() for value in load_policy(str(tmp_path / name / "final")).state_dict().values()])
        for name in ("one", "two")
    ]
    assert torch.allclose(*weights, atol=1e-4)


def test_alignment_masks_curriculum_and_trace_head_learn_as_in_one_process(tmp_path):
    two = run(2, tmp_path / "two", "mixed-zero")
    one = run(1, tmp_path / "one", "mixed")
    assert two["rows"][0]["align_answers"] > 0
    for first, second in zip(one["rows"], two["rows"], strict=True):
        timed = {name: first[name] for name in first if name.endswith("_s")}
        assert first == pytest.approx(second | timed, abs=2e-5, rel=2e-3, nan_ok=True)


def test_a_killed_run_is_resumed_by_accelerate_launch_with_the_numbers_of_one_process(tmp_path):
    port, killed = free_port(), tmp_path / "two"
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    zero = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "2"}
    command = [sys.executable, "-m", *TRAIN, *SMALL, "--out", str(killed)]
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    processes = [subprocess.Popen(command, env={**PLAIN, **shared, **zero, **rank}) for rank in ranks]
    while not rows(killed)[1:] and all(process.poll() is None for process in processes):
        time.sleep(0.05)
    for process in processes:
        process.kill()
    assert [process.wait() for process in processes] == [-9, -9]
    resumed = [*LAUNCH, str(EXAMPLES / "accelerate" / "deepspeed.yaml"), "-m", *TRAIN, *SMALL, "--resume", "--out", str(killed)]
    done = subprocess.run(resumed, env=PLAIN, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    one = subprocess.run([*command[:-1], str(tmp_path / "one")], env=PLAIN, capture_output=True, text=True, timeout=400)
    assert one.returncode == 0, one.stderr
    assert len(rows(killed)) == 4
    for first, second in zip(rows(tmp_path / "one"), rows(killed), strict=True):
        same({"policy_grad_norm": 0.0} | first, {"policy_grad_norm": 0.0} | second)


@pytest.mark.parametrize(
    ("change", "flags", "words"),
    [
        ({"zero_stage": 3}, [], "zero_stage is 3; use 2, or shard the weights too with examples/accelerate/fsdp.yaml"),
        ({}, ["--model.dtype", "bfloat16"], "with DeepSpeed the trained weights must be float32; set model.dtype to float32"),
    ],
)
def test_what_is_not_supported_is_a_sentence(tmp_path, change, flags, words):
    settings = yaml.safe_load((EXAMPLES / "accelerate" / "deepspeed.yaml").read_text())
    settings["deepspeed_config"] |= change
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings | {"num_processes": 1}))
    command = [*LAUNCH[:3], "--config_file", str(tmp_path / "config.yaml"), "-m", *TRAIN, *SMALL, *flags]
    done = subprocess.run([*command, "--out", str(tmp_path / "x")], env=PLAIN, capture_output=True, text=True, timeout=400)
    assert done.returncode != 0
    assert words in done.stderr
