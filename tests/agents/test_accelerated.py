"""Training on the processes of accelerate: one, two and two with sharded layers learn the same and share checkpoints."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from several_processes import run, same

from codeenv.agents.alignment.config import AlignmentConfig
from codeenv.agents.lm.load import load_policy
from codeenv.agents.rlef.build import build_learner
from codeenv.agents.rlef.config import RLEFConfig
from codeenv.agents.rlef.devices import Devices
from codeenv.agents.rlef.run_config import TrainConfig
from codeenv.agents.rlef.zero import ZeroDevices
from codeenv.agents.stepcoder.curriculum import CurriculumConfig
from codeenv.agents.trace_head.config import AuxiliaryConfig
from codeenv.errors import CodeenvError

torch.set_num_threads(1)
EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "accelerate").glob("*.yaml"))
TIMED = ("generation_s", "judge_s", "judge_cpu_s", "iteration_s", "iteration_cpu_s")
STALE = RLEFConfig(staleness=1)


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


@pytest.mark.slow
def test_alignment_masks_and_curriculum_are_the_same_with_sharded_layers(tmp_path: Path) -> None:
    whole = run(1, tmp_path / "whole", "mixed-whole")
    sharded = run(2, tmp_path / "sharded", "mixed-shard", str(tmp_path / "whole" / "checkpoints" / "000001"))
    assert sharded["sharded"] > 10
    assert whole["rows"][0]["align_answers"] > 0
    assert whole["rows"][0]["curriculum_given"] > 0
    assert 0 < whole["rows"][1]["mask_kept"] < 1
    for one, other in [*zip(whole["rows"], sharded["rows"], strict=False), (whole["rows"][1], sharded["rows"][2])]:
        assert one == pytest.approx(other | {name: one[name] for name in TIMED}, abs=2e-5, rel=2e-3, nan_ok=True)


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
    assert kinds == {
        "deepspeed": "DEEPSPEED",
        "fsdp": "FSDP",
        "gpus": "MULTI_GPU",
        "one_gpu": "NO",
        "two_cpus": "MULTI_CPU",
    }


@pytest.mark.skipif(find_spec("deepspeed") is not None, reason="DeepSpeed is installed here")
def test_a_configuration_of_deepspeed_without_deepspeed_is_a_sentence() -> None:
    with pytest.raises(CodeenvError, match=r"install it with: pip install .codeenv-rl\[deepspeed\]"):
        ZeroDevices()


def test_accelerate_is_off_by_default() -> None:
    assert TrainConfig().accelerate is False
