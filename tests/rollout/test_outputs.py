"""Where `view` and `export` write: nothing is destroyed that was not asked for."""

import json
import os
import stat
import subprocess
import sys
import threading

import pytest
from sample_problems import ADD_ONE

from codeenv.cli import main
from codeenv.rollout import rollout
from codeenv.submission import fence

VERBS = ("view", "export")


@pytest.fixture
def run(judge, tmp_path):
    rollout([ADD_ONE], lambda conversation: fence("def f(x):\n    return x + 1\n"), 2, out=tmp_path / "run", judge=judge)
    return tmp_path / "run"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("verb", VERBS)
def test_a_fifo_is_written_into_and_stays_a_fifo(verb, run, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_text()), daemon=True)
    reader.start()
    assert main([verb, str(run), "--out", str(fifo)]) == 0
    reader.join(60)
    assert len(read[0]) > 100
    assert stat.S_ISFIFO(fifo.stat().st_mode)


@pytest.mark.parametrize("verb", VERBS)
def test_a_link_stays_a_link_and_its_file_is_replaced(verb, run, tmp_path):
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "file", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    assert main([verb, str(run), "--out", str(link)]) == 0
    assert link.is_symlink()
    assert len(target.read_text()) > 100
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["run.json", "episodes.jsonl", "problems.jsonl"])
def test_the_files_of_a_run_are_not_overwritten(verb, name, run, tmp_path, capsys):
    before = contents(run)
    (tmp_path / "link").symlink_to(run / name)
    for out in (run / name, tmp_path / "link"):
        assert main([verb, str(run), "--out", str(out)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert contents(run) == before


def test_an_export_into_a_run_is_refused(run, capsys):
    assert main(["export", str(run), "--out", str(run / "rows.jsonl")]) == 2
    assert "is inside the run" in capsys.readouterr().err
    assert not (run / "rows.jsonl").exists()


def test_an_export_that_fails_leaves_the_old_output(run, tmp_path, capsys):
    out = tmp_path / "out" / "rows.jsonl"
    out.parent.mkdir()
    out.write_text("old")
    with (run / "episodes.jsonl").open("a") as rows:
        rows.write("no JSON\n")
    assert main(["export", str(run), "--out", str(out)]) == 2
    assert "line 3 is not JSON" in capsys.readouterr().err
    assert contents(out.parent) == {"rows.jsonl": b"old"}


@pytest.mark.parametrize("to_file", [True, False])
def test_an_export_of_a_run_without_solved_episodes_names_the_flag_that_takes_all(to_file, judge, tmp_path, capsys):
    rollout([ADD_ONE], lambda conversation: "no idea", 1, out=tmp_path / "none", judge=judge)
    out = ["--out", str(tmp_path / "rows")] if to_file else []
    assert main(["export", str(tmp_path / "none"), *out]) == 0
    said = capsys.readouterr().err
    assert said.startswith("0 rows written")
    assert "--all-episodes" in said
    assert main(["export", str(tmp_path / "none"), "--all-episodes"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert json.loads(shown.out)["solved"] is False


BENCH = ["bench", "feedback", "--rollouts", "1", "--arms", "true,none", "--no-known-points"]


@pytest.mark.parametrize("verb", [["rollout"], BENCH], ids=["rollout", "bench"])
def test_what_an_agent_prints_is_not_among_the_json(verb, tmp_path):
    (tmp_path / "problems.jsonl").write_text(json.dumps(ADD_ONE.to_dict()) + "\n")
    (tmp_path / "loud.py").write_text(
        "print('at import')\nclass Loud:\n    def act(self, conversation):\n        print('in act')\n        return ''\n"
        "    def end_run(self):\n        print('at the end')\n"
    )
    options = ["--env", "problems.jsonl", "--agent", "loud:Loud", "--out", "run", "--json"]
    command = [sys.executable, "-m", "codeenv", *verb, *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)
    assert [word in done.stderr for word in ("at import", "in act", "at the end")] == [True] * 3
