"""`load` finds data sets by name and path, filters and limits them, and says what is wrong in one sentence."""

import json
from pathlib import Path

import pytest

from codeenv.problems import Problem, ProblemError, load
from codeenv.problems.jsonl import JsonlRows, write_jsonl


def row(number: int, **changes: object) -> dict:
    return {
        "id": f"p/{number}",
        "statement": "Double it.",
        "mode": "stdio",
        "public_tests": [{"input": "1\n", "output": "2\n"}],
        "private_tests": [{"input": f"{number}\n", "output": f"{2 * number}\n"}],
        "difficulty": number / 10,
        "tags": ["even" if number % 2 == 0 else "odd"],
        **changes,
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "rows.jsonl", [row(number) for number in range(10)])
    return tmp_path / "rows.jsonl"


def test_a_file_of_our_schema_loads_as_the_problems_that_were_written(file: Path) -> None:
    problems = load(file)
    assert len(problems) == 10
    assert list(problems) == [Problem.from_dict(row(number)) for number in range(10)]
    assert problems.by_id("p/7") == problems[7] == problems[-3]
    assert [problem.id for problem in problems[2:4]] == problems[2:4].ids() == ["p/2", "p/3"]


@pytest.mark.parametrize("name", ["one.json", "list.json", "rows.jsonl.gz"])
def test_json_and_gzip_files_load(name: str, tmp_path: Path) -> None:
    import gzip

    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress((json.dumps(row(1)) + "\n\n").encode()))
    else:
        path.write_text(json.dumps(row(1) if name == "one.json" else [row(1)]))
    assert load(path).ids() == ["p/1"]


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ("difficulty<0.3", ["p/0", "p/1", "p/2"]),
        ("difficulty>=0.8 tag=odd", ["p/9"]),
        ("id=p/[12]", ["p/1", "p/2"]),
        ("tag!=odd difficulty<=0.2 mode=stdio", ["p/0", "p/2"]),
        ("public_tests=1 difficulty>0.8", ["p/9"]),
    ],
)
def test_conditions_in_text_choose_problems(conditions: str, ids: list[str], file: Path) -> None:
    assert load(file, filter=conditions).ids() == ids


def test_the_limit_counts_after_the_filter(file: Path) -> None:
    assert load(file, filter=lambda problem: "odd" in problem.tags, limit=2).ids() == ["p/1", "p/3"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name_or_path": "humanevil"}, "there is no data set and no file 'humanevil'"),
        ({"name_or_path": "missing.jsonl"}, "there is no file 'missing.jsonl'"),
        ({"split": "dev"}, "has no split 'dev'; use one of all"),
        ({"limit": 0}, "limit is 0"),
        ({"filter": "colour=red"}, "the filter condition 'colour=red' is not understood"),
        ({"filter": "difficulty<easy"}, "compares with 'easy'"),
        ({"filter": "tag<x"}, "orders a text"),
        ({"filter": "tag=none"}, "holds no problem that passes the filter"),
        ({"seed": 1}, "'jsonl' has no option 'seed'; its options are check"),
    ],
)
def test_a_wrong_request_is_answered_with_a_sentence(arguments: dict, sentence: str, file: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        load(**{"name_or_path": str(file), **arguments})
    assert sentence in str(caught.value)


BAD_ROWS = {
    "not JSON": (b'{"id": ', "it is not JSON"),
    "not UTF-8": (b'{"id": "\xff"}', "byte 8 is not UTF-8 text"),
    "not an object": (b"[1]", "a problem row must be a JSON object"),
    "no tests": (json.dumps(row(3, public_tests=[], private_tests=[])).encode(), "it has no tests"),
    "unknown field": (json.dumps(row(3, tests=[])).encode(), "unknown field 'tests'"),
    "too long an answer": (json.dumps(row(3, private_tests=[{"input": "", "output": "1" * (50 << 20)}])).encode(), "is 50.0 MB"),
    "a repeated id": (json.dumps(row(0)).encode(), "id 'p/0' is taken by"),
    "deep nesting": (b'{"id": ' + b"[" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_named_with_its_file_and_number(case: str, tmp_path: Path) -> None:
    line, reason = BAD_ROWS[case]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json.dumps(row(0)).encode() + b"\n" + line + b"\n" + json.dumps(row(1)).encode())
    with pytest.raises(ProblemError) as caught:
        load(path)
    assert f"{path}, row 2: " in str(caught.value)
    assert reason in str(caught.value)

    aside = tmp_path / "bad.jsonl"
    assert load(path, skip_bad=aside).ids() == ["p/0", "p/1"]
    (written,) = map(json.loads, aside.read_text().splitlines())
    assert written["where"] == f"{path}, row 2"
    assert reason in written["reason"]


@pytest.mark.parametrize("place", ["rows.jsonl", "link.jsonl", "folder/../rows.jsonl"])
def test_bad_rows_are_not_written_over_what_is_read(place: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row(0)) + "\n{}\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.jsonl").hardlink_to(path)
    with pytest.raises(ProblemError, match=r"is the same as .* which is read; name a file elsewhere"):
        load(path, skip_bad=tmp_path / place)
    assert path.read_text() == json.dumps(row(0)) + "\n{}\n"


def test_bad_rows_are_not_written_into_the_folder_that_is_read(tmp_path: Path) -> None:
    kept = tmp_path / "test.jsonl"
    kept.write_text("{}\n")
    with pytest.raises(ProblemError, match=r"is inside .* which is read"):
        load(f"codecontests:{tmp_path}", split="test", skip_bad=kept)
    assert kept.read_text() == "{}\n"
    with pytest.raises(ProblemError, match="is a folder; name a file"):
        load("mini", skip_bad=tmp_path)


def test_an_older_file_of_bad_rows_is_replaced_when_there_is_a_bad_row(tmp_path: Path) -> None:
    path, aside = tmp_path / "rows.jsonl", tmp_path / "bad.jsonl"
    aside.write_text("older\n")
    path.write_text(json.dumps(row(0)) + "\n")
    load(path, skip_bad=aside)
    assert aside.read_text() == "older\n"
    path.write_text(json.dumps(row(0)) + "\n{}\n{}\n")
    load(path, skip_bad=aside)
    assert [json.loads(line)["where"][-5:] for line in aside.read_text().splitlines()] == ["row 2", "row 3"]


def test_without_the_first_check_a_bad_row_is_found_when_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row(0)) + "\n{}\n")
    problems = load(path, check=False)
    assert problems[0].id == "p/0"
    with pytest.raises(ProblemError, match=r"row 2: .*field 'id' is missing"):
        problems[1]


def test_a_truncated_gzip_file_is_named(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": 1}\n' * 1000)[:40])
    with pytest.raises(ProblemError, match="the gzip file is truncated"):
        load(path)


def test_a_damaged_gzip_file_is_named(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "rows.jsonl.gz"
    data = bytearray(gzip.compress(b'{"id": 1}\n' * 1000))
    data[10:30] = b"\xff" * 20
    path.write_bytes(data)
    with pytest.raises(ProblemError, match="the gzip file is damaged"):
        load(path)


@pytest.mark.parametrize("prefix", ["", "codecontests:"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'[{"a": 1},]', "is not JSON"),
        (b"", "is not JSON"),
        (b'["\xff"]', "byte 2 is not UTF-8 text"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_json_file_that_cannot_be_read_is_named(content: bytes, reason: str, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(content)
    with pytest.raises(ProblemError) as caught:
        load(f"{prefix}{path}")
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


def test_rows_survive_pickling_and_blank_lines(tmp_path: Path) -> None:
    import pickle

    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\n{"a": 1}\r\n\r\n{"b": 2}')
    rows = JsonlRows(path)
    assert [json.loads(line) for line in rows] == [{"a": 1}, {"b": 2}]
    assert list(pickle.loads(pickle.dumps(rows))) == list(rows)


def test_the_writer_leaves_no_half_file(tmp_path: Path) -> None:
    def failing():
        yield row(0)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_jsonl(tmp_path / "rows.jsonl", failing())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("lines", "rows"), [("{}\n7", [b"{}", b"7"]), ("7\n\r\n \n{}", [b"7", b"{}"]), ("\n", [])])
def test_a_line_of_one_character_is_a_row_unless_it_is_white_space(lines: str, rows: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(lines.encode())
    assert list(JsonlRows(tmp_path / "rows.jsonl")) == rows
