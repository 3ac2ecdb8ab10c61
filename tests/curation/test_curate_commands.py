"""`codeenv problems generate` and `codeenv problems overlaps`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sample_problems import ADD_ONE, ECHO

from codeenv.cli import main
from codeenv.problems import load
from codeenv.problems.jsonl import write_jsonl

STATEMENT = "Write a function that takes a number and returns the number after it, for every number there is."


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [replace(ADD_ONE, statement=STATEMENT), replace(ECHO, correct_solutions=())])
    return path


def test_generate_writes_problems_with_more_tests_and_says_what_they_are_worth(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "more.jsonl"
    assert main(["problems", "generate", str(rows), "--out", str(out), "--count", "4", "--json"]) == 0
    said = capsys.readouterr()
    row = json.loads(said.out)
    assert row["id"] == ADD_ONE.id
    assert 1 <= row["tests"] <= 4
    assert row["killed_after"] >= row["killed_before"]
    assert "tests are generated for problems with a correct solution" in said.err
    more = load(out)
    assert len(more[0].private_tests) == len(ADD_ONE.private_tests) + row["tests"]
    assert more[1] == replace(ECHO, correct_solutions=())


def test_generate_refuses_a_problem_that_it_cannot_do(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["problems", "generate", str(rows), ECHO.id]) == 2
    assert "tests are generated for problems with a correct solution" in capsys.readouterr().err
    assert main(["problems", "generate", str(rows), "--count", "0"]) == 2


def test_overlaps_names_the_problems_of_two_collections_that_are_the_same(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.jsonl"
    write_jsonl(other, [replace(ADD_ONE, id="other/next", statement=STATEMENT + " Be quick.")])
    assert main(["problems", "overlaps", str(rows), str(other)]) == 1
    out = capsys.readouterr().out
    assert f"{ADD_ONE.id}  other/next  statement" in out
    assert f"{ADD_ONE.id}  other/next  solution 1.00" in out
    assert main(["problems", "overlaps", str(rows), "--json"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["problems", "overlaps", str(rows), "--threshold", "0"]) == 2
