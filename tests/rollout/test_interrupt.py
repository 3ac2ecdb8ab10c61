"""Ctrl-C and SIGTERM end a rollout at once, also while slow programs run, and keep what was finished."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROW = {
    "id": "p", "statement": "", "mode": "call", "entry_point": "f", "public_tests": [{"args": [1], "expected": 2}],
    "limits": {"time_limit_s": 100},
}  # fmt: skip
AGENT = "def slow(conversation):\n    open('asked', 'w')\n    return '```python\\ndef f(x):\\n    while True: pass\\n```'\n"
COMMAND = [sys.executable, "-c", "from codeenv.cli import run; run()"]


@pytest.mark.parametrize(
    ("sent", "deaf"),
    [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True)],
    ids=["Ctrl-C", "SIGTERM", "SIGTERM to a background job, which is deaf to Ctrl-C"],
)
def test_an_interrupt_while_programs_run_is_one_sentence_and_leaves_no_process(
    sent: signal.Signals, deaf: bool, tmp_path: Path
) -> None:
    (tmp_path / "problems.jsonl").write_text(json.dumps(ROW) + "\n")
    (tmp_path / "agents_here.py").write_text(AGENT)
    arguments = ["rollout", "--env", "problems.jsonl", "--agent", "agents_here:slow", "--episodes", "4", "--out", "run"]
    started = ["sh", "-c", 'trap "" INT; exec "$0" "$@"', *COMMAND] if deaf else COMMAND
    process = subprocess.Popen(
        [*started, *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        while not (tmp_path / "asked").exists():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.1)
        time.sleep(2)  # now the programs run
        process.send_signal(sent)
        _, errors = process.communicate(timeout=60)  # the programs' own limit is 100 s
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert errors.splitlines() == ["codeenv rollout: interrupted; the finished episodes are in run, --resume goes on"]


def test_an_interrupt_while_an_async_agent_blocks_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "problems.jsonl").write_text(json.dumps(ROW) + "\n")
    source = "import time\nasync def stuck(conversation):\n    open('asked', 'w')\n    time.sleep(1000)\n"
    (tmp_path / "agents_here.py").write_text(source)
    arguments = ["rollout", "--env", "problems.jsonl", "--agent", "agents_here:stuck", "--out", "run"]
    process = subprocess.Popen([*COMMAND, *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "asked").exists():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)  # the agent's own limit is 600 s
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors.splitlines() == ["codeenv rollout: interrupted; the finished episodes are in run, --resume goes on"]
