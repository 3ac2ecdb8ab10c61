"""Ctrl-C while training: what is kept, what is printed, and that the run goes on with the same numbers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from codeenv.agents.lm.load import load_policy
from codeenv.cli.interrupts import Interrupts

torch.set_num_threads(1)
MINI_YAML = Path(__file__).parents[2] / "examples" / "rlef" / "mini.yaml"
COMMAND = [
    sys.executable, "-c", "from codeenv.cli import main; import sys; sys.exit(main())", "train", "--config", str(MINI_YAML),
    "--sft-steps", "3", "--validate-every", "0", "--rlef.episodes", "12", "--rlef.final-learning-rate", "None",
]  # fmt: skip
TIMED = ("generation_s", "judge_s", "judge_cpu_s", "iteration_s", "iteration_cpu_s")


def rows(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name not in TIMED} for line in lines]


@pytest.mark.slow
def test_an_interrupted_run_keeps_policy_and_report_says_where_and_resumes_with_the_same_numbers(tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [*COMMAND, "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    metrics = out / "metrics.jsonl"
    deadline = time.monotonic() + 120
    try:
        while not (metrics.exists() and metrics.read_text().count("\n") > 1):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    done = len(rows(out))
    assert stderr.splitlines()[-1] == (
        f"codeenv train: interrupted; the state after iteration {done} is in {out}, --resume goes on from there"
    )
    assert stdout.split() == [str(out / name) for name in ("final", "metrics.jsonl", "report.html")]
    assert all(Path(path).exists() for path in stdout.split())
    assert load_policy(str(out / "final")).config.vocab_size
    total = ["--rlef.iterations", str(done + 1)]
    for folder, resume in ((out, ["--resume"]), (tmp_path / "whole", [])):
        again = subprocess.run([*COMMAND, *total, *resume, "--out", str(folder)], capture_output=True, text=True, timeout=100)
        assert again.returncode == 0, again.stderr
    assert rows(out) == rows(tmp_path / "whole")


def test_an_interrupt_waits_for_the_step_in_hand_and_a_second_one_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    busy = True
    with Interrupts(lambda: busy, "finishing the step") as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert capsys.readouterr().err == "finishing the step\n"
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    busy = False
    with Interrupts(lambda: busy, "finishing the step"), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert capsys.readouterr().err == ""


def test_a_process_that_was_started_deaf_to_ctrl_c_stays_so_and_hears_sigterm() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts(lambda: False, "") as interrupts:
            signal.raise_signal(signal.SIGINT)
            interrupts.check()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
