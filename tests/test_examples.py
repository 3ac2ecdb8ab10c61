"""The examples run as they are described."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
EXAMPLES = TESTS.parent / "examples"
SERVER = TESTS / "rollout" / "chat_server.py"


def run(arguments, folder, **extra):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENAI_API_KEY": "none", **extra}
    done = subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_own_problems_are_judged_and_rolled_out(tmp_path):
    out = run([EXAMPLES / "own_problems.py"], tmp_path)
    assert "['accepted', 'wrong_answer', 'wrong_answer']" in out
    assert out.endswith("solved: True reward: 1.0\n")


def test_a_run_is_read(tmp_path):
    out = run([EXAMPLES / "read_a_run.py"], tmp_path)
    assert "solved by turn 3: " in out


def test_the_run_that_an_argument_names_is_read(tmp_path):
    command = ["-m", "codeenv", "rollout", "--env", "codeenv/Procedural-v0", "--agent", "never-right", "--limit", "2", "--json"]
    run([*command, "--turns", "2", "--out", tmp_path / "mine"], tmp_path)
    out = run([EXAMPLES / "read_a_run.py", "mine"], tmp_path)
    assert "solved by turn 2: 0.00" in out
    assert "solved by turn 3" not in out


def test_five_lines_are_benchmarked_and_the_private_tests_see_through_them(tmp_path):
    bench = ["-m", "codeenv", "bench", "feedback", "--env", "codeenv/HumanEval-v0", "--limit", "12", "--rollouts", "1"]
    options = ["--arms", "true,random", "--agent", "five_lines:Parrot", "--out", tmp_path / "out", "--json"]
    result = json.loads(run([*bench, *options], EXAMPLES))
    true = result["arms"]["true"]
    assert true["public_rate"]["value"] > 0.6
    assert true["solve_rate"]["value"] < 0.2
    assert result["arms"]["random"]["public_rate"]["value"] < 0.2
    assert all(point["lands"] for point in result["known_points"])
    assert (tmp_path / "out" / "report.html").stat().st_size > 50_000


def test_a_chat_model_is_rolled_out(tmp_path):
    pytest.importorskip("openai", reason="needs the extra openai")
    server = subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        out = run([EXAMPLES / "chat_model.py", "steady", url, tmp_path / "run"], tmp_path)
    finally:
        server.kill()
        server.wait()
    assert "of 8 solved; 0 could not be finished" in out
    assert (tmp_path / "run" / "report.html").exists()


def test_training_runs_from_python(tmp_path):
    pytest.importorskip("torch", reason="needs the extra agents")
    out = run([EXAMPLES / "train.py"], tmp_path)
    assert "after   true         solved" in out


@pytest.mark.parametrize(
    ("absent", "example", "arguments", "extra"),
    [
        ("openai", "chat_model.py", ["model", "http://127.0.0.1:9/v1"], "openai"),
        ("scipy", "read_a_run.py", [], "bench"),
        ("sacrebleu", "read_a_run.py", [], "bench"),
        ("torch", "train.py", [], "agents,bench"),
        ("trl", "trl_grpo.py", [], "agents,trl"),
        ("skyrl_gym", "skyrl_episode.py", [], "skyrl"),
        ("openenv", "openenv_episode.py", [], "openenv"),
        ("inspect_ai", "inspect_task.py", [], "inspect"),
        ("verifiers", "codeenv_verifiers.py", [], "verifiers"),
    ],
)
def test_a_missing_package_is_one_sentence_with_the_command_that_installs_it(absent, example, arguments, extra, tmp_path):
    command = [sys.executable, TESTS / "without_packages.py", absent, EXAMPLES / example, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert absent in done.stderr
    assert done.stderr.endswith(f"install it with: pip install 'codeenv-rl[{extra}]'\n")
    assert len(done.stderr.splitlines()) == 1


def test_the_chat_example_without_its_arguments_says_how_it_is_called(tmp_path):
    done = subprocess.run([sys.executable, EXAMPLES / "chat_model.py"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "usage: python chat_model.py MODEL BASE_URL [RUN_FOLDER]\n")


@pytest.mark.parametrize(("absent", "agent", "extra"), [("openai", "chat", "openai"), ("torch", "hf", "agents")])
def test_an_agent_whose_package_is_missing_is_refused_before_the_first_episode(absent, agent, extra, tmp_path):
    (tmp_path / "run.py").write_text("from codeenv.cli import main\nraise SystemExit(main())\n")
    command = [sys.executable, TESTS / "without_packages.py", absent, tmp_path / "run.py", "rollout", "--agent", agent]
    done = subprocess.run([*command, "--agent-options", "model=m"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"needs the package '{absent}'; install it with: pip install 'codeenv-rl[{extra}]'" in done.stderr
