"""Adapters: what a run with them writes is the policy that it trained; frozen weights in 4 bits give the right gradients."""

from __future__ import annotations

import copy
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from codeenv.agents.lm.adapters import add_adapters, merged_state
from codeenv.agents.lm.load import load_policy
from codeenv.agents.lm.models import MiniShape, build_mini_policy
from codeenv.agents.lm.storage import save_pretrained
from codeenv.agents.rlef.checkpoint import latest_checkpoint
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.miniature import build_tokenizer
from codeenv.agents.rlef.run import TrainingRun, open_judge
from codeenv.agents.rlef.run_config import ModelConfig, TaskConfig, TrainConfig
from codeenv.cli import main
from codeenv.errors import CodeenvError

pytest.importorskip("peft", reason="peft is not installed")
torch.set_num_threads(1)
TOKENIZER = build_tokenizer()
IDS = torch.arange(4, 20)[None]
TIMED = ("generation_s", "judge_s", "judge_cpu_s", "iteration_s", "iteration_cpu_s")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose layers are large enough for blocks of 64 weights."""
    folder = tmp_path_factory.mktemp("base") / "model"
    shape = MiniShape(hidden=64, feed_forward=128, layers=2, heads=2, spread=0.1)
    save_pretrained(build_mini_policy(TOKENIZER, shape, 0), TOKENIZER, folder)
    return folder


@pytest.fixture(params=[0, 4])
def bits(request: pytest.FixtureRequest) -> int:
    if request.param:
        pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    return int(request.param)


def moved(policy: Any) -> Any:
    """Give the adapters an effect."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return policy


def logits(policy: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = policy.eval()(input_ids=IDS).logits
    return found


def settings(base: Path, bits: int, **change: Any) -> TrainConfig:
    rlef = dataclasses.replace(
        MINI, iterations=3, episodes=8, critic_only_iterations=0, warmup_updates=0, learning_rate=0.05, max_response_tokens=5
    )
    model = ModelConfig(str(base), lora_rank=4, lora_bits=bits)
    task = TaskConfig(feedback="compact", prompt="plain", require_fence=False)
    return TrainConfig(model=model, task=task, rlef=rlef, checkpoint_every=1, validate_every=0, workers=1, **change)


def numbers(run: TrainingRun) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name not in TIMED} for row in run.metrics]


def test_a_saved_policy_with_adapters_computes_the_same_without_them(base: Path, tmp_path: Path) -> None:
    policy = moved(add_adapters(load_policy(str(base)), rank=4))
    save_pretrained(policy, TOKENIZER, tmp_path / "merged", merged_state(policy, policy.state_dict()))
    assert (logits(policy) - logits(load_policy(str(base)))).abs().max() > 0.1
    assert torch.allclose(logits(load_policy(str(tmp_path / "merged"))), logits(policy), atol=1e-5)


def test_adapters_learn_in_float32_beside_bfloat16_weights(base: Path) -> None:
    policy = load_policy(str(base), "bfloat16", lora_rank=4)
    assert {parameter.dtype for parameter in policy.parameters() if parameter.requires_grad} == {torch.float32}
    assert {parameter.dtype for parameter in policy.parameters() if not parameter.requires_grad} == {torch.bfloat16}
    assert logits(policy).dtype == torch.bfloat16


def test_a_run_with_adapters_writes_the_policy_that_it_trained_and_resumes_with_the_same_numbers(
    base: Path, bits: int, tmp_path: Path
) -> None:
    config = settings(base, bits)

    def interrupt(metrics: dict[str, float]) -> None:
        if metrics["iteration"] == 1:
            raise KeyboardInterrupt

    with open_judge(config) as judge:
        whole = TrainingRun(config, tmp_path / "whole", judge)
        whole.train()
        part = TrainingRun(config, tmp_path / "part", judge)
        with pytest.raises(KeyboardInterrupt):
            part.train(interrupt)
        part.close()
        resumed = TrainingRun(config, tmp_path / "part", judge, resume=True)
        resumed.train()
    assert numbers(resumed) == numbers(whole)
    final = load_policy(str(tmp_path / "whole" / "final"))
    assert "quantization_config" not in json.loads((tmp_path / "whole" / "final" / "config.json").read_text())
    assert torch.allclose(logits(final), logits(whole.learner.policy), atol=1e-4)
    assert (logits(final) - logits(load_policy(str(base)))).abs().max() > 0.05
    newest = latest_checkpoint(tmp_path / "whole")
    assert newest is not None
    held = torch.load(newest / "state.pt", weights_only=True)["policy"]
    assert all("lora_" in name for name in held) is bool(bits)  # frozen weights in 4 bits are in no checkpoint


def test_gradients_pass_through_weights_in_4_bits_also_after_writing(base: Path) -> None:
    """bitsandbytes packs weights for inference on some processors, and no gradient passes through packed ones."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    policy = moved(load_policy(str(base), lora_rank=4, lora_bits=4))
    plain = build_mini_policy(TOKENIZER, MiniShape(hidden=64, feed_forward=128, layers=2, heads=2), 1)
    empty = {name: torch.zeros_like(value) if "lora_B" in name else value for name, value in policy.state_dict().items()}
    plain.load_state_dict(merged_state(policy, empty), strict=False)  # what the 4 bits stand for
    other = add_adapters(plain, rank=4)
    adapters = {name: value for name, value in policy.named_parameters() if value.requires_grad}
    assert other.load_state_dict(copy.deepcopy(adapters), strict=False).unexpected_keys == []
    assert torch.allclose(logits(policy), logits(other), atol=1e-4)
    for model in (policy, other):
        model.train()
        model(input_ids=IDS).logits.float().log_softmax(-1)[..., 3].sum().backward()
    theirs = dict(other.named_parameters())
    for name, parameter in adapters.items():
        assert torch.allclose(parameter.grad, theirs[name].grad, atol=1e-4, rtol=1e-3), name


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--model.lora-bits", "4"], "lora_bits is 4; use 4, with a lora_rank such as 16, or 0"),
        (["--model.lora-bits", "8", "--model.lora-rank", "4"], "lora_bits is 8; use 4"),
        (["--model.lora-bits", "4", "--model.lora-rank", "4"], "pip install 'codeenv-rl[qlora]'"),
    ],
)
def test_weights_in_4_bits_need_adapters_and_bitsandbytes(
    flags: list[str],
    words: str,
    base: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    lengths = ["--rlef.max-context-tokens", "128", "--rlef.max-response-tokens", "32"]
    assert main(["train", "--model.name", str(base), *lengths, *flags, "--out", str(tmp_path / "run")]) == 2
    assert words in capsys.readouterr().err


def test_weights_in_4_bits_are_off_by_default() -> None:
    assert ModelConfig().lora_bits == 0
    with pytest.raises(CodeenvError, match="lora_bits is 4"):
        ModelConfig(lora_bits=4)
