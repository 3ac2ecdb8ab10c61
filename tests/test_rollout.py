"""Agents of every kind are run, recorded and resumed."""

import asyncio
import json
import os
import pty
import subprocess
import sys

import pytest

from codeenv.cli import main
from codeenv.errors import CodeenvError
from codeenv.rollout import Response, RunError, load_agent, read_episodes, read_run, rollout
from codeenv.submission import fence

RIGHT = fence("def f(x):\n    return x + 1\n")
WRONG = fence("def f(x):\n    return x\n")


class FiveLines:
    def act(self, conversation):
        return RIGHT if len(conversation) > 1 else WRONG


class Async:
    async def act(self, conversation):
        await asyncio.sleep(0)
        return RIGHT


class Batch:
    def __init__(self):
        self.sizes = []

    def act_batch(self, conversations):
        self.sizes.append(len(conversations))
        return [RIGHT for _ in conversations]


def plain_function(conversation):
    return Response(RIGHT, {"tokens": [1, 2]})


@pytest.fixture
def add_one(problems):
    return problems[:1]


@pytest.mark.parametrize("agent", [FiveLines(), Async(), Batch(), plain_function], ids=["class", "async", "batch", "function"])
def test_every_kind_of_agent_runs(agent, add_one, judge):
    result = rollout(add_one, agent, episodes=5, judge=judge)
    assert (result.episodes, result.solved, result.failures) == (5, 5, [])
    assert sorted(result.rows) == [0, 1, 2, 3, 4]


def test_conversations_that_wait_are_answered_together(add_one, judge):
    agent = Batch()
    rollout(add_one, agent, episodes=8, judge=judge, concurrency=8)
    assert max(agent.sizes) == 8


@pytest.mark.parametrize(
    ("name", "solved", "turns"), [("oracle", 4, 1), ("repairs-on-feedback", 4, 2), ("never-right", 0, 3)]
)  # fmt: skip
def test_the_scripted_agents_land_where_they_must(name, solved, turns, problems, judge):
    result = rollout(problems, name, episodes=4, judge=judge)
    assert result.solved == solved
    assert {len(row["turns"]) for row in result.rows.values()} == {turns}


def test_a_run_is_recorded_with_messages_verdicts_and_rewards(add_one, judge, tmp_path):
    rollout(add_one, FiveLines(), episodes=2, judge=judge, out=tmp_path / "run")
    assert read_run(tmp_path / "run")["settings"]["turn_limit"] == 3
    row = next(read_episodes(tmp_path / "run"))
    assert [message["role"] for message in row["messages"]] == ["user", "assistant", "user", "assistant"]
    assert [turn["verdict"] for turn in row["turns"]] == ["wrong_answer", "accepted"]
    assert row["reward"] == 1.0
    assert row["turns"][1]["private"] == {"verdict": "accepted", "passed_fraction": 1.0, "verdicts": ["accepted", "accepted"]}
    assert "3133" not in json.dumps(row), "a private test's expected value was recorded"


def test_equal_runs_differ_in_nothing_but_times(problems, judge, tmp_path):
    texts = []
    for name in ("a", "b"):
        rollout(problems, "ignores-feedback", episodes=12, judge=judge, out=tmp_path / name, seed=3)
        rows = sorted(read_episodes(tmp_path / name), key=lambda row: row["episode"])
        texts.append(json.dumps([{key: value for key, value in row.items() if key != "times"} for row in rows]))
    assert texts[0] == texts[1]


def test_a_cut_run_is_resumed_without_loss_or_repetition(add_one, judge, tmp_path):
    rollout(add_one, FiveLines(), episodes=6, judge=judge, out=tmp_path / "run")
    rows = (tmp_path / "run" / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "run" / "episodes.jsonl").write_bytes(b"".join(rows[:3]) + rows[3][:40])
    result = rollout(add_one, FiveLines(), episodes=6, judge=judge, out=tmp_path / "run", resume=True)
    assert result.episodes == 6
    assert sorted(row["episode"] for row in read_episodes(tmp_path / "run")) == [0, 1, 2, 3, 4, 5]


def test_a_run_folder_is_not_overwritten_or_mixed(add_one, judge, tmp_path):
    rollout(add_one, FiveLines(), episodes=1, judge=judge, out=tmp_path / "run")
    with pytest.raises(RunError, match="already holds a run; use --resume"):
        rollout(add_one, FiveLines(), episodes=1, judge=judge, out=tmp_path / "run")
    with pytest.raises(RunError, match="has seed = 0, this one 1"):
        rollout(add_one, FiveLines(), episodes=1, judge=judge, out=tmp_path / "run", resume=True, seed=1)
    (tmp_path / "run" / "run.json").write_text('{"schema": 99}')
    with pytest.raises(RunError, match="has schema 99"):
        rollout(add_one, FiveLines(), episodes=1, judge=judge, out=tmp_path / "run", resume=True)


def test_an_unwritable_folder_is_refused_in_a_sentence(add_one, judge, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write the run folder"):
        rollout(add_one, FiveLines(), episodes=1, judge=judge, out=tmp_path / "file" / "run")


class RaisesSometimes:
    def reset(self, problem, seed):
        if seed % 2:
            raise OSError("connection lost")

    def act(self, conversation):
        return RIGHT


def test_an_agent_that_raises_costs_its_episode_only_and_resume_tries_again(add_one, judge, tmp_path):
    result = rollout(add_one, RaisesSometimes(), episodes=4, judge=judge, out=tmp_path / "run")
    assert result.episodes == 2
    assert "OSError: connection lost" in result.failures[0]
    assert len((tmp_path / "run" / "failures.jsonl").read_text().splitlines()) == 2
    again = rollout(add_one, RaisesSometimes(), episodes=4, judge=judge, out=tmp_path / "run", resume=True)
    assert (again.episodes, len(again.failures)) == (2, 2)


def test_an_agent_that_always_fails_stops_the_run(add_one, judge):
    with pytest.raises(CodeenvError, match="answered with bytes; an agent must return"):
        rollout(add_one, lambda conversation: b"code", episodes=100, judge=judge)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wizard", "there is no agent 'wizard'; use one of oracle"),
        ("no_such_module:Agent", "there is no module 'no_such_module'"),
        ("json:Agent", "module 'json' has no 'Agent'"),
        ("json:dumps", None),
        ("sys:path", "is no agent"),
    ],
)
def test_an_agent_is_found_by_name_or_module(name, message):
    if message is None:
        assert callable(load_agent(name))
    else:
        with pytest.raises(CodeenvError, match=message):
            load_agent(name)


def test_the_command_line_runs_a_users_own_agent(tmp_path, monkeypatch, capsys):
    (tmp_path / "mymodule.py").write_text(
        "class MyAgent:\n    def act(self, conversation):\n        return '```python\\ndef f(x):\\n    return x + 1\\n```'\n"
    )
    row = {
        "id": "p", "statement": "Add one.", "mode": "call", "entry_point": "f",
        "public_tests": [{"args": [1], "expected": 2}], "private_tests": [{"args": [2], "expected": 3}],
    }  # fmt: skip
    (tmp_path / "problems.jsonl").write_text(json.dumps(row) + "\n")
    monkeypatch.chdir(tmp_path)
    assert (
        main(["rollout", "--env", "problems.jsonl", "--agent", "mymodule:MyAgent", "--episodes", "3", "--out", "run", "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["solved"] == 3
    assert main(["rollout", "--env", "problems.jsonl", "--agent", "mymodule:MyAgent", "--out", "run"]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert main(["rollout", "--env", "codeenv/Nope-v0"]) == 2
    assert "there is no environment 'codeenv/Nope-v0'; use one of" in capsys.readouterr().err
    assert main(["rollout", "--agent", "wizard"]) == 2
    capsys.readouterr()
    assert main(["rollout", "--agent", "chat"]) == 2
    assert "the chat agent needs the name of a model; give it as --agent-options model=NAME" in capsys.readouterr().err


def test_a_missing_option_and_a_single_failure_are_named(tmp_path, monkeypatch, capsys):
    source = (
        "class Needs:\n    def __init__(self, size: int):\n        pass\n    def act(self, conversation):\n        return b''\n"
    )
    (tmp_path / "needy.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    command = ["rollout", "--env", "codeenv/Procedural-v0", "--agent", "needy:Needs", "--limit", "1"]
    assert main(command) == 2
    assert "needs the option 'size'; give it as --agent-options size=VALUE" in capsys.readouterr().err
    assert main([*command, "--agent-options", "size=3"]) == 3
    assert "1 episode failed: episode 0 " in capsys.readouterr().err


def test_progress_is_drawn_on_a_terminal_with_the_number_of_episodes_and_nowhere_else():
    command = [sys.executable, "-m", "codeenv", "rollout", "--agent", "oracle", "--env", "codeenv/Procedural-v0", "--limit", "3"]
    main_end, terminal = pty.openpty()
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    drawn = b""
    while True:
        try:
            drawn += os.read(main_end, 1 << 16)
        except OSError:  # the other end is closed
            break
    os.close(main_end)
    assert run.communicate()[0] == b"3 of 3 episodes solved (100.0%)\n"
    assert b"3/3" in drawn
    assert subprocess.run(command, capture_output=True, check=True).stderr == b""


def test_importing_codeenv_brings_no_heavy_package():
    heavy = ("torch", "transformers", "docker", "rich", "scipy")
    code = f"import codeenv, sys; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
