"""`codeenv problems` lists, shows, validates, converts and counts; bad input is status 2 and one sentence."""

import json
from pathlib import Path

import pytest

from codeenv.cli import main
from codeenv.problems import load
from codeenv.problems.jsonl import write_jsonl


def row(number: int, **changes: object) -> dict:
    return {
        "id": f"p/{number}",
        "statement": "Print the double.",
        "mode": "stdio",
        "public_tests": [{"input": "1\n", "output": "2\n"}],
        "private_tests": [{"input": "4\n", "output": "8\n"}],
        "limits": {"time_limit_s": 2.0, "memory_mb": 512, "output_kb": 256},
        "correct_solutions": ["print(2 * int(input()))\n"],
        "incorrect_solutions": ["print(2)\n"],
        **changes,
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [
        row(0),
        row(1, private_tests=[{"input": "4\n", "output": "9\n"}]),
        row(2, private_tests=[{"input": "4\n", "output": "8\n"}, {"input": "5\n", "output": "11\n"}]),
    ]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    return tmp_path / "rows.jsonl"


def test_list_names_every_data_set_with_the_origin_of_its_tests(capsys) -> None:
    assert main(["problems", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {
        "humaneval",
        "humaneval+",
        "mbpp",
        "mbpp+",
        "codecontests",
        "apps",
        "taco",
        "livecodebench",
        "procedural",
        "package",
    } <= set(rows)
    assert all("public: " in row["tests"] or row["name"] == "jsonl" for row in rows.values())


def test_show_hides_private_tests_unless_asked(file: Path, capsys) -> None:
    assert main(["problems", "show", str(file), "p/2"]) == 0
    shown = capsys.readouterr().out
    assert "Print the double." in shown
    assert "11" not in shown
    assert main(["problems", "show", str(file), "p/2", "--private"]) == 0
    assert "11" in capsys.readouterr().out
    assert main(["problems", "show", str(file), "p/2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["private_tests"].startswith("2 tests")


def test_validate_reports_and_fix_writes_the_good_and_the_bad_apart(file: Path, tmp_path: Path, capsys) -> None:
    target = tmp_path / "good.jsonl"
    assert main(["problems", "validate", str(file), "--fix", str(target)]) == 1
    printed = capsys.readouterr().out
    assert "p/1: test 1 disagrees with every reference" in printed
    assert "1 of 3 problems have nothing serious" in printed
    assert load(target).ids() == ["p/0", "p/2"]
    assert len(load(target).by_id("p/2").private_tests) == 1
    (bad,) = map(json.loads, (tmp_path / "good.quarantine.jsonl").read_text().splitlines())
    assert bad["problem"]["id"] == "p/1"
    assert main(["problems", "validate", str(target), "--json"]) == 0
    assert [json.loads(line)["good"] for line in capsys.readouterr().out.splitlines()] == [True, True]
    assert main(["problems", "validate", str(target), "--fix", str(tmp_path / "again.jsonl")]) == 0
    assert (tmp_path / "again.jsonl").read_bytes() == target.read_bytes()


def test_convert_writes_rows_that_load_as_the_same_problems(tmp_path: Path, capsys) -> None:
    target = tmp_path / "out.jsonl"
    arguments = ["--split", "test", "--limit", "20", "--options", "seed=5", "levels=[1,2]"]
    assert main(["problems", "convert", "procedural", str(target), *arguments]) == 0
    assert list(load(target)) == list(load("procedural", split="test", seed=5, levels=[1, 2], limit=20))


def test_stats_counts(file: Path, capsys) -> None:
    assert main(["problems", "stats", str(file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["problems"], facts["tests StdioTest"], facts["with correct solutions"]) == (3, 7, 3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "nothing"], "there is no data set and no file 'nothing'"),
        (["show", "humaneval", "HumanEval/999"], "there is no problem 'HumanEval/999'"),
        (["stats", "procedural", "--split", "dev"], "has no split 'dev'"),
        (["stats", "procedural", "--options", "seed"], "the option 'seed' has no value"),
        (["stats", "procedural", "--options", "shade=1"], "has no option 'shade'"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments: list[str], sentence: str, capsys) -> None:
    assert main(["problems", *arguments]) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert "Traceback" not in captured.err


def test_skip_bad_writes_the_bad_rows_aside(file: Path, tmp_path: Path, capsys) -> None:
    with file.open("a") as lines:
        lines.write('{"id": "p/9"}\n')
    assert main(["problems", "stats", str(file)]) == 2
    assert f"{file}, row 4" in capsys.readouterr().err
    assert main(["problems", "stats", str(file), "--skip-bad", str(tmp_path / "bad.jsonl")]) == 0
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 1
