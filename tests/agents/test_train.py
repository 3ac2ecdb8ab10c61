"""`codeenv train`: settings, runs in folders, kills and resumes, guards."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from codeenv.agents.lm.load import add_adapters, load_policy
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.run import TrainingRun, check_guards, open_judge
from codeenv.agents.rlef.run_config import GuardConfig, TaskConfig, TrainConfig, read_config
from codeenv.agents.rlef.trainer import TrainingStopped
from codeenv.cli import main
from codeenv.errors import CodeenvError

MINI_YAML = Path(__file__).parents[2] / "examples" / "rlef" / "mini.yaml"
SMALL = dataclasses.replace(
    read_config(MINI_YAML), sft_steps=3, validate_every=3, validation_episodes=8, checkpoint_every=2,
    rlef=dataclasses.replace(read_config(MINI_YAML).rlef, iterations=6, episodes=12, warmup_updates=1, critic_only_iterations=1),
)  # fmt: skip
FLAGS = [
    "--config", str(MINI_YAML), "--sft-steps", "3", "--validate-every", "3", "--validation-episodes", "8",
    "--checkpoint-every", "2", "--rlef.episodes", "12", "--rlef.warmup-updates", "1", "--rlef.critic-only-iterations", "1",
]  # fmt: skip
COMMAND = [sys.executable, "-c", "import sys; from codeenv.cli import main; sys.exit(main(sys.argv[1:]))", "train"]
TIMED = ("generation_s", "judge_s", "judge_cpu_s", "iteration_s", "iteration_cpu_s")


@pytest.fixture(scope="module")
def judge():
    with open_judge(SMALL) as judge:
        yield judge


def rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name not in TIMED} for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, judge: Any) -> Path:
    folder = tmp_path_factory.mktemp("train") / "whole"
    run = TrainingRun(SMALL, folder, judge)
    run.train()
    run.close()
    return folder


def test_the_mini_config_holds_the_settings_of_the_demo() -> None:
    config = read_config(MINI_YAML)
    assert config.rlef == MINI
    assert config.sft_steps == 400
    assert config.task.env().require_fence is False


def test_a_run_leaves_metrics_checkpoints_and_a_policy_that_can_be_loaded(whole: Path) -> None:
    assert [row["iteration"] for row in rows(whole)] == list(range(6))
    assert [row["iteration"] for row in rows(whole) if "validation_solve_rate" in row] == [2, 5]
    assert sorted(path.name for path in (whole / "checkpoints").iterdir()) == ["000004", "000006"]
    for name in ("reference", "best", "final"):
        policy, tokenizer = load_policy(str(whole / name)), AutoTokenizer.from_pretrained(whole / name)
        assert policy.config.vocab_size == len(tokenizer)
    assert not list(whole.rglob("*.part"))


def test_a_resumed_run_goes_on_with_the_same_numbers_and_the_same_weights(whole: Path, tmp_path: Path, judge: Any) -> None:
    first = TrainingRun(SMALL, tmp_path / "run", judge)

    def stop(metrics: dict[str, float]) -> None:
        if metrics["iteration"] == 4:  # past the checkpoint after iteration 4: one iteration has to be done again
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.train(stop)
    first.close()
    again = TrainingRun(SMALL, tmp_path / "run", judge, resume=True)
    assert again.learner.iteration == 4
    again.train()
    again.close()
    assert rows(tmp_path / "run") == rows(whole)
    for name in ("final/model.safetensors", "best/model.safetensors", "reference/model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_moment_resumes_with_the_same_numbers(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "run"
    metrics = out / "metrics.jsonl"
    arguments = [*COMMAND, *FLAGS, "--rlef.iterations", "6", "--out", str(out)]
    for lines in (1, 4):
        process = subprocess.Popen(
            [*arguments, *(["--resume"] if out.exists() else [])], stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        deadline = time.monotonic() + 60
        while not (metrics.exists() and metrics.read_text().count("\n") >= lines):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    done = subprocess.run([*arguments, "--resume"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "resuming after iteration" in done.stderr
    assert rows(out) == rows(whole)
    assert (out / "final" / "model.safetensors").read_bytes() == (whole / "final" / "model.safetensors").read_bytes()


def test_a_run_is_not_started_over_nor_resumed_with_other_settings(whole: Path, judge: Any) -> None:
    with pytest.raises(CodeenvError, match="already holds a training run; use --resume"):
        TrainingRun(SMALL, whole, judge)
    other = dataclasses.replace(SMALL, rlef=dataclasses.replace(SMALL.rlef, clip=0.1))
    with pytest.raises(CodeenvError, match=r"rlef.clip = 0.2, not 0.1"):
        TrainingRun(other, whole, judge, resume=True)


def test_a_checkpoint_of_another_model_or_a_broken_one_is_refused_with_a_sentence(
    whole: Path, judge: Any, tmp_path: Path
) -> None:
    from codeenv.agents.rlef.checkpoint import load_checkpoint

    run = TrainingRun(SMALL, tmp_path / "run", judge)
    run.close()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "state.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(CodeenvError, match="cannot read the checkpoint"):
        load_checkpoint(run.learner, broken)


METRICS = {"iteration": 3, "kl": 0.1, "entropy": 0.5, "judge_errors": 0, "episodes": 10, "policy_loss": 0.0}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"policy_loss": math.nan}, "policy_loss is nan in iteration 3"),
        ({"kl": 12.0}, "12.00 nats a token from its start"),
        ({"entropy": 0.001}, "entropy is 0.0010"),
        ({"judge_errors": 5}, "failed on 33%"),
    ],
)
def test_numbers_of_a_broken_run_stop_it_with_a_sentence(change: dict[str, float], words: str) -> None:
    guards = GuardConfig(min_entropy=0.01)
    check_guards(METRICS, guards)
    with pytest.raises(TrainingStopped, match=words):
        check_guards({**METRICS, **change}, guards)


def test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights(judge: Any, tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, rlef=dataclasses.replace(SMALL.rlef, critic_only_iterations=0))
    run = TrainingRun(config, tmp_path / "run", judge)
    with torch.no_grad():
        run.learner.critic.head.bias.fill_(math.inf)
    before = [value.clone() for value in run.learner.policy.state_dict().values()]
    with pytest.raises(TrainingStopped, match="gradient of the critic"):
        run.train()
    run.close()
    assert all(torch.equal(old, new) for old, new in zip(before, run.learner.policy.state_dict().values(), strict=True))


def test_an_empty_collection_stops_with_a_sentence(judge: Any, tmp_path: Path) -> None:
    from codeenv.agents.rlef.collect import Collection

    run = TrainingRun(SMALL, tmp_path / "run", judge)
    run.close()
    with pytest.raises(TrainingStopped, match="failed on all 12 episodes"):
        run.learner.learn(Collection(judge_errors=12))


def test_the_word_off_is_what_yaml_reads_as_false_and_grpo_has_a_group_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("trace_head: {mode: off}\nmask: {mode: off}\nrlef: {algorithm: grpo, episodes: 16}\n")
    config = read_config(tmp_path / "c.yaml")
    assert (config.trace_head.mode, config.mask.mode, config.rlef.group_size) == ("off", "off", 8)
    assert TrainConfig().rlef.group_size == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rlef: {lr: 1}", "there is no setting 'rlef.lr'"),
        ("optimizer: adam", "there is no setting 'optimizer'"),
        ("rlef: {episodes: many}", "rlef.episodes is 'many'; it must be int"),
        ("rlef: {learning_rate: 10}", "learning_rate is 10.0"),
        ("rlef: {algorithm: ppo2}", "rlef.algorithm is 'ppo2'; use one of rlef"),
        ("task: {feedback: loud}", "there is no feedback named 'loud'"),
        ("rlef: {algorithm: grpo, group: 1}", "algorithm 'grpo' compares episodes on one problem; set group to 2 or more"),
        ("rlef: {algorithm: grpo, episodes: 12}", "group is 8; it must divide the 12 episodes"),
        ("task: 3", "task is 3; it must be a mapping"),
        ("a: [", "is not YAML"),
        ("seed: 1\nseed: 2", "sets 'seed' a second time in line 2"),
        ("rlef: {episodes: 4, episodes: 8}", "sets 'episodes' a second time in line 1"),
        (b"problems: m\xe4rz", "is not UTF-8"),
        ("model: {name: gpt2}\nsft_steps: 5", "the supervised warm start is the miniature's"),
    ],
)
def test_a_config_that_cannot_work_is_refused_with_a_sentence(
    text: str | bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    assert main(["train", "--config", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--config", "/nowhere.yaml"], "cannot read the config"),
        (["--model.name", "/tmp"], "holds no model"),
        (["--rlef.learning-rate", "10"], "learning_rate is 10.0"),
        (["--problems", "no-such-set"], "no-such-set"),
    ],
)
def test_bad_flags_are_refused_with_a_sentence(
    flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *flags, "--out", str(tmp_path / "run")]) == 2
    assert words in capsys.readouterr().err


def test_a_flag_wins_over_the_file_and_switches_the_algorithm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    switches = ["--rlef.iterations", "2", "--rlef.algorithm", "grpo", "--rlef.group", "4", "--validate-every", "0"]
    assert main(["train", *FLAGS, *switches, "--out", str(tmp_path / "run")]) == 0
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (settings["rlef"]["algorithm"], settings["rlef"]["group"], settings["rlef"]["episodes"]) == ("grpo", 4, 12)
    assert settings["rlef"]["learning_rate"] == 1e-3
    assert (tmp_path / "run" / "report.html").exists()
    assert str(tmp_path / "run" / "final") in capsys.readouterr().out


def test_the_papers_comparisons_are_switches_of_the_task() -> None:
    single, blind = TaskConfig(turn_limit=1).env(), TaskConfig(feedback="none", early_stop=False).env()
    assert single.turn_limit == 1
    assert (blind.feedback, blind.early_stop, blind.turn_limit) == ("none", False, 3)


def test_tensorboard_gets_the_metrics_if_asked(tmp_path: Path, judge: Any) -> None:
    config = dataclasses.replace(SMALL, tensorboard=True, validate_every=0, rlef=dataclasses.replace(SMALL.rlef, iterations=1))
    run = TrainingRun(config, tmp_path / "run", judge)
    run.train()
    run.close()
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))


def test_adapters_start_as_the_identity_and_are_all_that_is_trained(whole: Path) -> None:
    pytest.importorskip("peft", reason="peft is not installed")
    ids = torch.arange(4, 20)[None]
    plain, adapted = load_policy(str(whole / "final")), add_adapters(load_policy(str(whole / "final")), rank=4)
    with torch.no_grad():
        assert torch.allclose(plain(input_ids=ids).logits, adapted(input_ids=ids).logits, atol=1e-6)
    trained = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)


def test_a_policy_with_adapters_can_be_trained(whole: Path, tmp_path: Path, judge: Any) -> None:
    pytest.importorskip("peft", reason="peft is not installed")
    model = dataclasses.replace(SMALL.model, name=str(whole / "final"), lora_rank=2)
    rlef = dataclasses.replace(SMALL.rlef, iterations=2)
    run = TrainingRun(dataclasses.replace(SMALL, model=model, sft_steps=0, rlef=rlef), tmp_path / "run", judge)
    run.train()
    run.close()
    assert len(rows(tmp_path / "run")) == 2


def test_weights_and_biases_gets_the_metrics_offline_and_a_resumed_run_stays_the_same_run(
    tmp_path: Path, judge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    rlef = dataclasses.replace(SMALL.rlef, iterations=1)
    config = dataclasses.replace(SMALL, wandb=True, validate_every=0, checkpoint_every=1, rlef=rlef)
    identities = []
    for iterations in (1, 2):
        longer = dataclasses.replace(config, rlef=dataclasses.replace(rlef, iterations=iterations))
        run = TrainingRun(longer, tmp_path / "run", judge, resume=iterations == 2)
        run.train()
        run.close()
        identities.append((tmp_path / "run" / "wandb_run").read_text())
    assert identities[0] == identities[1]
    (first, *_) = sorted((tmp_path / "run" / "wandb").glob("offline-run-*"))
    assert list(first.glob("*.wandb"))


def test_a_tracker_that_is_not_installed_is_a_sentence(tmp_path: Path, judge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from codeenv.agents.rlef.tracking import open_boards

    for name, flags in (("wandb", (False, True)), ("tensorboard", (True, False))):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "wandb", None)
            patch.setitem(sys.modules, "torch.utils.tensorboard", None)
            with pytest.raises(CodeenvError, match=f"{name} is not installed; install it with: pip install {name}"):
                open_boards(tmp_path, {}, *flags, "codeenv", 0)
    assert not list(tmp_path.iterdir())
