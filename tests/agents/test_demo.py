"""`codeenv demo` as a user runs it, small."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codeenv.cli import main
from codeenv.rollout import read_episodes

SMALL = ["--iterations", "2", "--sft-steps", "4", "--evaluation-episodes", "12", "--threads", "1"]
COMMAND = [sys.executable, "-c", "import sys; from codeenv.cli import main; sys.exit(main(sys.argv[1:]))", "demo"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("demo") / "run"
    done = subprocess.run([*COMMAND, *SMALL, "--out", str(out)], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out, done.stdout


def test_it_begins_with_an_episode_that_is_repaired_after_feedback(demo: tuple[Path, str]) -> None:
    text = demo[1]
    order = [
        "HumanEval/0",
        "turn 1",
        "1 of 2 passed",
        "Expected:",
        "turn 2",
        "2 of 2 passed",
        "private tests: accepted; reward +1",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert places[-1] < text.index("warm start")


def test_it_ends_with_the_table_and_the_paths_of_what_it_wrote(demo: tuple[Path, str]) -> None:
    out, text = demo
    for arm in (
        "three independent attempts",
        "true feedback",
        "random feedback",
        "no feedback",
        "best possible without feedback",
    ):
        assert arm in text
    paths = [Path(line) for line in text.splitlines() if line.startswith(str(out))]
    assert out / "summary.json" in paths
    assert paths[-1] == out / "report.html"
    assert all(path.exists() for path in paths)
    assert len(paths) == 12


def test_the_summary_holds_every_arm_before_and_after(demo: tuple[Path, str]) -> None:
    summary = json.loads((demo[0] / "summary.json").read_text())
    (seed,) = summary["seeds"]
    assert seed["complete"]
    for when in ("before", "after"):
        assert list(seed["arms"][when]) == ["independent", "true", "random", "none"]
        for arm in seed["arms"][when].values():
            assert arm["episodes"] == 12
            assert 12 <= arm["samples"] <= 36
            assert 0.0 <= arm["interval"][0] <= arm["solve_rate"] <= arm["interval"][1] <= 1.0
    assert set(seed["wall_s"]) == {"warm start", "before RL", "RL", "after RL", "total"}
    assert 0.0 < seed["judge"]["cpu_share"] < 1.0
    assert 0.0 < seed["references"]["blind_ceiling"] < seed["references"]["bayes"] <= 1.0


def test_the_trajectories_can_be_read_and_hold_the_sampled_tokens(demo: tuple[Path, str]) -> None:
    rows = list(read_episodes(demo[0] / "seed0" / "after-true"))
    assert len(rows) == 12
    assert all(turn["extras"]["tokens"] for row in rows for turn in row["turns"])
    assert len((demo[0] / "seed0" / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_second_demo_moves_the_first_one_aside(demo: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    from codeenv.cli.demo import _prepare

    out = demo[0].with_name("twice")
    _prepare(out)
    (out / "mark").write_text("first")
    _prepare(out)
    moved = [path for path in out.parent.iterdir() if path.name.startswith("twice-")]
    assert [(path / "mark").read_text() for path in moved] == ["first"]
    assert not (out / "mark").exists()


def test_ctrl_c_while_learning_says_one_sentence_keeps_what_is_done_and_leaves_no_process(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = [*COMMAND, *SMALL[2:], "--iterations", "100000", "--out", str(out)]
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ}
    )
    metrics = out / "seed0" / "metrics.jsonl"
    deadline = time.monotonic() + 200
    try:
        while not (metrics.exists() and metrics.read_text().count("\n") > 1):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
        stdout, stderr = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert stderr.splitlines() == ["codeenv demo: interrupted; writing what is there ..."]
    assert stdout.splitlines()[-1] == str(out / "report.html")
    assert (out / "seed0" / "policy" / "model.safetensors").exists()
    (seed,) = json.loads((out / "summary.json").read_text())["seeds"]
    assert not seed["complete"]
    assert seed["arms"]["before"]["true"]["episodes"] == 12
    assert (out / "report.html").exists()
    assert "true feedback" in stdout
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seeds", "0"], "--seeds is 0"),
        (["--iterations", "-1"], "--iterations is -1"),
        (["--out", "/proc/none/x"], "cannot write the folder '/proc/none/x'"),
    ],
)
def test_bad_input_gets_one_sentence_and_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = arguments if "--out" in arguments else [*arguments, "--out", str(tmp_path / "x")]
    assert main(["demo", *given]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert "holds something else than a demo" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "x"
