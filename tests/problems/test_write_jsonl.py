"""Where rows are written: whole files, links, pipes, packed files; and never over what another part of the command writes."""

from __future__ import annotations

import gzip
import os
import threading

import pytest

from codeenv.cli import main
from codeenv.problems import ProblemError, load
from codeenv.problems.jsonl import write_jsonl
from codeenv.problems.loaders.io_pairs import shown_first
from codeenv.problems.problem import StdioTest

ROW = {"id": "p/1", "statement": "one", "mode": "stdio", "private_tests": [{"input": "1\n", "output": "1\n"}]}


def test_a_link_leads_to_the_file_that_is_written(tmp_path):
    (tmp_path / "real.jsonl").write_text("old", "utf-8")
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    assert write_jsonl(tmp_path / "link.jsonl", [ROW]) == 1
    assert (tmp_path / "link.jsonl").is_symlink()
    assert load(str(tmp_path / "real.jsonl")).ids() == ["p/1"]


def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_jsonl(pipe, [ROW])
    reader.join(timeout=30)
    assert pipe.is_fifo()
    assert found[0].startswith(b'{"id": "p/1"')


def test_a_name_that_ends_in_gz_is_a_packed_file(tmp_path):
    write_jsonl(tmp_path / "rows.jsonl.gz", [ROW])
    assert load(str(tmp_path / "rows.jsonl.gz")).ids() == ["p/1"]
    assert gzip.decompress((tmp_path / "rows.jsonl.gz").read_bytes()).count(b"\n") == 1


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    (tmp_path / "rows.jsonl").write_text("old", "utf-8")

    def rows():
        yield ROW
        raise ProblemError("the second row is bad")

    with pytest.raises(ProblemError, match="second row"):
        write_jsonl(tmp_path / "rows.jsonl", rows())
    assert [path.read_text("utf-8") for path in tmp_path.iterdir()] == ["old"]


def test_two_writers_of_one_file_each_write_a_whole_one(tmp_path):
    started, go_on = threading.Event(), threading.Event()

    def slow():
        yield ROW
        started.set()
        go_on.wait(30)
        yield ROW

    writer = threading.Thread(target=write_jsonl, args=(tmp_path / "rows.jsonl", slow()))
    writer.start()
    started.wait(30)
    assert write_jsonl(tmp_path / "rows.jsonl", [ROW]) == 1
    assert len((tmp_path / "rows.jsonl").read_text("utf-8").splitlines()) == 1
    go_on.set()
    writer.join(timeout=30)
    assert len((tmp_path / "rows.jsonl").read_text("utf-8").splitlines()) == 2


@pytest.mark.parametrize(
    ("target", "sentence"),
    [("", "name a file"), (".", "name a file"), ("nowhere/rows.jsonl", "there is no folder"), ("bad.jsonl", "written twice")],
)
@pytest.mark.parametrize(
    "verb", [["convert", "rows.jsonl"], ["validate", "rows.jsonl", "--fix"], ["generate", "rows.jsonl", "--out"]]
)
def test_a_target_is_checked_before_the_work(tmp_path, monkeypatch, capsys, verb, target, sentence):
    monkeypatch.chdir(tmp_path)
    write_jsonl("rows.jsonl", [ROW])
    assert main(["problems", *verb, target, "--skip-bad", "bad.jsonl"]) == 2
    assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_a_byte_order_mark_before_the_first_row_is_no_part_of_it(tmp_path, name):
    write_jsonl(tmp_path / "plain.jsonl", [ROW])
    data = b"\xef\xbb\xbf" + (tmp_path / "plain.jsonl").read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert load(str(tmp_path / name)).ids() == ["p/1"]


@pytest.mark.parametrize(
    ("statement", "public"),
    [
        ("Given n (1 <= n <= 100), print n mod 2. Print 0 or 1. Input 7 Output 1", ["7"]),
        ("Examples\n\nInput\n\n7\n\nOutput\n\n1\n\nInput\n\n10\n\nOutput\n\n0\n", ["7", "10"]),
        ("-----Sample Input 1-----\n10\n\n-----Sample Output 1-----\n0\n", ["10"]),
        ("Input\n```\n10\n```\nOutput for the input above:\n```\n0\n```", ["10"]),
        ("No example. 7 gives 1.", ["7"]),
    ],
)
def test_the_examples_of_a_statement_are_public_and_numbers_in_its_text_are_not(statement, public):
    tests = [StdioTest(f"{n}\n", f"{n % 2}\n") for n in (7, 1, 10, 100, 2)]
    shown, hidden = shown_first(tests, statement)
    assert [test.input.strip() for test in shown] == public
    assert len(hidden) == len(tests) - len(public)
