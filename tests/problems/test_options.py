"""Options of data sets: a wrong value is one sentence with the value and what to use, before any row is read."""

import json
from pathlib import Path

import numpy as np
import pytest

from codeenv.cli import main
from codeenv.cli.choice import Choice
from codeenv.problems import ProblemError, load
from tests.problems.test_malformed_rows import ROWS

WHOLE = "use a whole number of at least 0"


@pytest.mark.parametrize(("name", "options", "sentence"), [
    ("mini", {"seed": "x"}, f"seed is 'x'; {WHOLE}, such as 0"),
    ("mini", {"seed": -1}, f"seed is -1; {WHOLE}"),
    ("mini", {"seed": 1.5}, f"seed is 1.5; {WHOLE}"),
    ("mini", {"seed": None}, f"seed is None; {WHOLE}"),
    ("mini", {"rungs": 5}, "rungs is 5; use a list of texts or a text"),
    ("mini", {"rungs": "shade"}, "rungs is ('shade',); use some of copy, error, offset, operator"),
    ("procedural", {"seed": "x"}, f"seed is 'x'; {WHOLE}"),
    ("procedural", {"seed": -1}, f"seed is -1; {WHOLE}"),
    ("procedural", {"vague": "a"}, "vague is 'a'; use a number, such as 0.15"),
    ("procedural", {"levels": [[1]]}, "levels is [[1]]; use a list of whole numbers"),
    ("package:.", {"language": 3}, "language is 3; use a text, such as 'python'"),
    ("livecodebench", {"release": 6}, "release is 6; use a text, such as 'release_latest'"),
    ("codecontests", {"solutions": "x"}, f"solutions is 'x'; {WHOLE}, such as 3"),
    ("codecontests", {"solutions": -1}, f"solutions is -1; {WHOLE}, such as 3"),
    ("apps", {"solutions": True}, f"solutions is True; {WHOLE}"),
    ("mini", {"filter": 5}, "filter is 5; use conditions such as 'difficulty<0.5 tag=dp', or a function"),
    ("mini", {"skip_bad": 5}, "skip_bad is 5; use the path of a file"),
    ("x" * 5000, {}, "use the name of a data set or the path of a file"),
])  # fmt: skip
def test_a_wrong_option_is_one_sentence_with_its_value(name: str, options: dict, sentence: str) -> None:
    with pytest.raises(ProblemError) as caught:
        load(name, **options)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("option", ["seed=x", "seed=-1", "rungs=5", "size=1.5"])
def test_a_wrong_option_on_the_command_line_ends_with_status_2(option: str, capsys) -> None:
    assert main(["problems", "stats", "mini", "--options", option]) == 2
    assert option.partition("=")[2] in capsys.readouterr().err


def test_the_command_line_reads_true_false_and_one_rung(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS["jsonl"]) + "\n{}\n")
    assert len(Choice(options=("check=False",)).load(str(path))) == 2
    with pytest.raises(ProblemError, match="row 2"):
        Choice(options=("check=True",)).load(str(path))
    problems = Choice(options=("rungs=copy", "size=5")).load("mini")
    assert [problem.tags[1] for problem in problems] == ["T"] * 5


def test_numbers_of_numpy_and_ranges_are_taken() -> None:
    assert (
        load("procedural", seed=np.int64(3), levels=range(1, 3), limit=3).ids()
        == load("procedural", seed=3, levels=[1, 2], limit=3).ids()
    )
