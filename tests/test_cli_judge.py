"""`codeenv judge` and `codeenv doctor`: exit status, words for people, JSON for machines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from codeenv.cli import main
from codeenv.sandbox.toolchains import missing

PROBLEM = {
    "id": "demo/inc", "statement": "s", "mode": "call", "entry_point": "f",
    "public_tests": [{"args": [1], "expected": 2}], "private_tests": [{"args": [3], "expected": 4}],
}  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "problem.json").write_text(json.dumps(PROBLEM))
    (tmp_path / "code.py").write_text("def f(x):\n    return x + 1\n")
    return str(tmp_path / "problem.json"), str(tmp_path / "code.py")


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        ("def f(x): return x + 1", 0, "accepted"),
        ("def f(x): return x", 1, "wrong_answer"),
        ("def f(x) return x", 1, "SyntaxError"),
        ("def f(x): return x / 0", 1, "ZeroDivisionError"),
        ("", 1, "no_code"),
    ],
)
def test_the_report_and_its_exit_status(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str], source: str, status: int, words: str
) -> None:
    Path(files[1]).write_text(source)
    assert main(["judge", *files]) == status
    assert words in capsys.readouterr().out


def test_json_holds_the_whole_report(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", *files, "--json", "--tests", "public"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["verdict"], row["isolation"], len(row["results"])) == ("accepted", "namespaces", 1)


def test_a_checker_program_that_fails_is_exit_status_3(files: tuple[str, str]) -> None:
    row = {
        "id": "p", "statement": "", "mode": "stdio", "public_tests": [{"input": "", "output": "1"}],
        "checker": {"kind": "program", "program": "def check(given, output, expected): return 1 / 0"},
    }  # fmt: skip
    Path(files[0]).write_text(json.dumps(row))
    Path(files[1]).write_text("print(1)")
    assert main(["judge", *files]) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda problem, code: Path(problem).write_text("{"), "not one JSON object"),
        (lambda problem, code: Path(problem).write_text('{"id": "x"}'), "'statement' is missing"),
        (lambda problem, code: Path(problem).unlink(), "cannot be read"),
        (lambda problem, code: Path(code).unlink(), "cannot be read"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_status_2(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str], change: object, words: str
) -> None:
    change(*files)  # type: ignore[operator]
    assert main(["judge", *files]) == 2
    assert words in capsys.readouterr().err


def test_the_level_rlimits_wants_to_be_told_that_the_program_is_trusted(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["judge", *files, "--sandbox", "rlimits"]) == 2
    assert "--trusted" in capsys.readouterr().err
    assert main(["judge", *files, "--sandbox", "rlimits", "--trusted"]) == 0


def test_doctor_names_the_levels_and_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["isolation"]["namespaces"] == {"available": True, "reason": ""}
    assert set(row["isolation"]) == {"namespaces", "landlock", "docker", "rlimits"}
    assert "numpy" not in row["packages"]
    assert main(["doctor"]) == 0
    assert "isolation     namespaces: holds" in capsys.readouterr().out


def test_doctor_attacks_the_judge(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--attack"]) == 0
    shown = capsys.readouterr().out
    assert "attack        namespaces: no cheat passed" in shown
    assert missing("cpp") or "attack        C++ in namespaces: none of " in shown


def test_doctor_needs_no_optional_package() -> None:
    code = "import sys; sys.modules['docker'] = None; from codeenv.cli import main; sys.exit(main(['doctor']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    assert "isolation     docker: not available: sandbox 'docker' needs the package 'docker'" in done.stdout
