"""What a newcomer's model and settings can have wrong: a sentence before weights are read, and no folder is left behind."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_chat_tokenizer import make_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from codeenv.agents.lm.models import MiniShape, build_mini_policy
from codeenv.agents.lm.storage import save_pretrained
from codeenv.agents.rlef.miniature import build_tokenizer
from codeenv.cli import main

torch.set_num_threads(1)
TIMED = ("generation_s", "judge_s", "judge_cpu_s", "iteration_s", "iteration_cpu_s")
SHORT = [
    "--problems", "mini", "--task.prompt", "plain", "--task.feedback", "compact", "--task.no-require-fence",
    "--rlef.iterations", "1", "--rlef.episodes", "4", "--rlef.updates", "2", "--rlef.micro-batch", "2",
    "--rlef.max-response-tokens", "8", "--rlef.max-context-tokens", "256", "--rlef.learning-rate", "0.01",
    "--rlef.warmup-updates", "1", "--validate-every", "0", "--workers", "1",
]  # fmt: skip


def save_model(folder: Path, vocabulary: int | None = None, positions: int = 256, **tokens: Any) -> Path:
    """Write a small chat model; `tokens` are attributes that its tokenizer gets."""
    tokenizer = make_tokenizer()
    for name, value in tokens.items():
        setattr(tokenizer, name, value)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary or len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=positions, eos_token_id=tokenizer.eos_token_id, pad_token_id=None, bos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.config.pad_token_id = tokenizer.pad_token_id
    save_pretrained(model, tokenizer, folder)
    return folder


def save_mini(folder: Path) -> Path:
    tokenizer = build_tokenizer()
    save_pretrained(build_mini_policy(tokenizer, MiniShape(hidden=16, feed_forward=32, layers=2, heads=2), 0), tokenizer, folder)
    return folder


@pytest.mark.parametrize(
    ("model", "flags", "words"),
    [
        ({"chat_template": None}, [], "the tokenizer has no chat template"),
        ({"eos_token": None}, [], "the tokenizer has no end token"),
        ({"vocabulary": 20}, [], "knows 20 tokens and the tokenizer has"),
        ({"positions": 100}, [], "max_context_tokens is 256, and the policy"),
        ({}, ["--model.critic", "MINI"], "has another vocabulary"),
        ({}, ["--model.critic", "SMALL"], "knows 20 tokens and the tokenizer has"),
        ({}, ["--model.critic", "/nowhere"], "cannot load a model from '/nowhere'"),
        ({}, ["--problems", "EMPTY"], "holds no problem"),
        ({}, ["--rlef.learning-rate", "10"], "learning_rate is 10.0"),
        ({}, ["--threads", "100000"], "threads is 100000; use a whole number from 1 to"),
        ({}, ["--seed", "-1"], "seed is -1; use a whole number from 0 to 4294967295"),
        ({}, ["--seed", str(2**32)], "seed is 4294967296"),
        ({}, ["--rlef.beta1", "2"], "beta1 is 2.0; use a number from 0 to below 1"),
        ({}, ["--rlef.beta2", "nan"], "beta2 is nan"),
        ({}, ["--rlef.kl-coefficient", "nan"], "kl_coefficient is nan"),
        ({}, ["--rlef.weight-decay", "inf"], "weight_decay is inf"),
        ({}, ["--rlef.max-grad-norm", "0"], "max_grad_norm is 0.0"),
        ({}, ["--rlef.clip", "nan"], "clip is nan"),
        ({}, ["--rlef.value-clip", "-1"], "value_clip is -1.0"),
        ({}, ["--rlef.temperature", "0"], "temperature is 0.0; use a number above 0"),
        ({}, ["--rlef.top-p", "2"], "top_p is 2.0"),
        ({}, ["--guards.max-kl", "nan"], "guards.max_kl is nan"),
        ({}, ["--guards.max-judge-errors", "2"], "guards.max_judge_errors is 2.0"),
        ({}, ["--workers", "0"], "workers is 0"),
        ({}, ["--split", "nosuch"], "split is 'nosuch', and the generated problems 'mini' have none"),
        ({}, ["--trace-head.mode", "on", "--trace-head.layer", "9"], "layer is 9, and the policy has 2"),
        ({}, ["--server.url", "http://127.0.0.1:1", "--rlef.no-recompute-logprobs"], "recompute_logprobs is false"),
        ({}, ["--server.url", "http://127.0.0.1:1", "--server.timeout-s", "nan"], "timeout_s nan"),
        ({}, ["--alignment.fraction", "0.5", "--rlef.staleness", "1"], "set rlef.staleness to 0"),
    ],
)
def test_what_cannot_be_trained_is_a_sentence_and_leaves_no_folder(
    model: dict[str, Any], flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"MINI": str(save_mini(tmp_path / "mini")), "SMALL": str(save_model(tmp_path / "small", vocabulary=20))}
    places["EMPTY"] = str(tmp_path / "empty.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    name = save_model(tmp_path / "model", **model)
    (name / "model.safetensors").write_bytes(b"")  # whoever reads the weights fails otherwise
    arguments = [places.get(flag, flag) for flag in flags]
    capsys.readouterr()  # what saving the models printed
    assert main(["train", *SHORT, "--model.name", str(name), *arguments, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err.strip()
    assert words in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("flag", "package"), [("--wandb", "wandb"), ("--tensorboard", "tensorboard")])
def test_a_tracker_that_is_missing_is_said_before_the_run_begins(
    flag: str, package: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["train", *SHORT, flag, "--out", str(tmp_path / "run")]) == 2
    assert f"{package} is not installed; install it with: pip install {package}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_any_seed_that_is_accepted_trains(seed: int, tmp_path: Path) -> None:
    flags = ["--seed", str(seed), "--sft-steps", "1", "--accelerate"]
    assert main(["train", *SHORT, *flags, "--out", str(tmp_path / "run")]) == 0


def test_a_miniature_has_as_many_positions_as_are_asked_for(tmp_path: Path) -> None:
    assert main(["train", *SHORT, "--rlef.max-context-tokens", "100000", "--out", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run" / "final" / "config.json").read_text())["max_position_embeddings"] == 100_000


def test_padding_that_is_the_end_token_changes_no_number(tmp_path: Path) -> None:
    rows = []
    for pad in ("<|im_end|>", "<|im_start|>"):
        name, out = save_model(tmp_path / f"model{len(rows)}", pad_token=pad), tmp_path / f"run{len(rows)}"
        assert main(["train", *SHORT, "--rlef.iterations", "2", "--model.name", str(name), "--out", str(out)]) == 0
        found = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        rows.append([{key: value for key, value in row.items() if key not in TIMED} for row in found])
    assert rows[0][0]["turns"] > 1
    assert rows[0] == rows[1]
