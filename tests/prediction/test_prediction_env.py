"""Prediction environments: one question, one answer, no truth in what is shown."""

import dataclasses
import json

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import codeenv
from codeenv.errors import CodeenvError
from codeenv.prediction import answer_text
from codeenv.prediction.env import PredictionEnv
from codeenv.prediction.item import PredictionItem
from codeenv.prediction.make import build_items, items_of, shows
from codeenv.prediction.repair import mask_lines, mutate
from codeenv.prediction.rows import read_items, write_items
from codeenv.problems import CallTest, Problem, StdioTest

DOUBLE = Problem(
    "test/double",
    "Write f(x) that doubles every number.",
    "call",
    "f",
    public_tests=(CallTest(([7, 8],), {}, [14, 16]),),
    private_tests=(CallTest(([4242],), {}, [8484]),),
    correct_solutions=(
        "def f(x):\n    'f([7, 8]) is [14, 16].'\n    out = []\n    for y in x:\n        out.append(2 * y)\n    return out\n",
    ),
    incorrect_solutions=("def f(x):\n    out = []\n    for y in x:\n        out.append(y + y + 1)\n    return out\n",),
)
ADD = Problem(
    "test/add",
    "Print the sum of two numbers.",
    "stdio",
    public_tests=(StdioTest("20 3\n", "23\n"),),
    correct_solutions=("a, b = map(int, input().split())\nprint(a + b)\n",),
    incorrect_solutions=("a, b = map(int, input().split())\nprint(a // (b - 3))\n", "a, b = input().split()\nprint(a + b)\n"),
)
PROBLEMS = [DOUBLE, ADD]


@pytest.mark.parametrize("kind", ["state", "output", "input", "repair", "test_output"])
def test_the_known_answer_is_right_and_the_question_holds_no_secret(judge, kind):
    env = PredictionEnv(kind, PROBLEMS, judge=judge, prompt="plain")
    assert {item.problem.id for item in env.items} <= {"test/double", "test/add"}
    for index, item in enumerate(env.items):
        observation, info = env.reset(options={"index": index})
        assert "4242" not in observation["problem"]
        if kind in ("output", "test_output", "state"):
            assert repr(item.output) not in observation["problem"]
        assert "output" not in info
        observation, reward, terminated, truncated, info = env.step("Let me see. " + answer_text(item))
        assert (reward, terminated, truncated, info["exact"]) == (1.0, True, False, True)


def test_a_crash_becomes_an_exception_item_or_none(judge):
    items = items_of([ADD], "exception", judge)
    assert all(item.exception == ("ZeroDivisionError", 2) for item in items)


def test_another_input_with_the_same_output_is_right(judge):
    env = PredictionEnv("input", [ADD], judge=judge)
    env.reset(seed=0)
    assert env.step('{"input": "11 12\\n"}')[1] == 1.0
    env.reset(seed=0)
    assert env.step('{"input": "11 13\\n"}')[1] < 0.5


@pytest.mark.parametrize("answer", ["", "{}", '{"args": 3}', '{"args": [NaN]}', '{"args": [1], "kwargs": []}', '{"lines": [1]}'])
def test_an_unreadable_input_gets_nothing_and_is_not_run(judge, answer):
    env = PredictionEnv("input", [DOUBLE], judge=judge)
    env.reset(seed=0)
    assert env.step(answer)[1] == 0.0


def test_a_repair_may_differ_from_the_masked_line(judge):
    env = PredictionEnv("repair", [ADD], judge=judge)
    env.reset(seed=0)
    item = env.items[0]
    line = {"print(a + b)": "print(b + a)"}.get(item.masked[0], "b, a = map(int, input().split())")
    assert env.step(json.dumps({"lines": [line]}))[1] == 1.0


def test_the_registered_environments_pass_gymnasiums_checker():
    for name in ("Alignment", "OutputPrediction", "InputPrediction"):
        env = gymnasium.make(f"codeenv/{name}-v0", problems=PROBLEMS)
        check_env(env.unwrapped, skip_render_check=True)
        env.close()


def test_misuse_is_answered_with_a_sentence(judge):
    env = PredictionEnv("output", PROBLEMS, judge=judge)
    with pytest.raises(CodeenvError, match="reset"):
        env.step("x")
    env.reset()
    with pytest.raises(CodeenvError, match="text"):
        env.step(3)
    with pytest.raises(CodeenvError, match="index"):
        env.reset(options={"index": 99})
    for index in (True, None, 1.0, "0"):
        with pytest.raises(CodeenvError, match="index"):
            env.reset(options={"index": index})
    assert env.reset(options={"index": np.int64(1)})[1] == env.reset(options={"index": 1})[1]
    for given in ({"items": 5}, {"items": [1, 2]}, {"items": [None]}, {"problems": 5}, {"problems": [1]}):
        with pytest.raises(CodeenvError, match=next(iter(given))):
            PredictionEnv("output", judge=judge, **given)
    with pytest.raises(CodeenvError, match="item_id"):
        env.reset(options={"id": 1})
    with pytest.raises(CodeenvError, match="no item"):
        PredictionEnv("output", [Problem("p", "s", "stdio", public_tests=(StdioTest("", "x"),))], judge=judge)
    with pytest.raises(CodeenvError, match="kind"):
        PredictionEnv("guess", PROBLEMS, judge=judge)


def test_of_given_items_the_kind_is_asked_and_the_rest_counted(judge):
    mixed = [*items_of(PROBLEMS, "output", judge), *items_of(PROBLEMS, "repair", judge)]
    env = PredictionEnv("repair", items=mixed, judge=judge)
    assert {item.kind for item in env.items} == {"repair"}
    assert env.dropped == {"other_kind": 2}
    assert len(PredictionEnv(items=mixed, judge=judge).items) == 4
    with pytest.raises(CodeenvError, match="no item of kind 'input' among the items, whose kinds are: output, repair"):
        PredictionEnv("input", items=mixed, judge=judge)
    with pytest.raises(CodeenvError, match="kinds are: none"):
        PredictionEnv(items=[], judge=judge)


def test_a_repair_without_a_masked_line_is_refused():
    for code, masked in (("def f(x): return x", ()), ("def f(x): return x", ("x",)), ("MASKED_LINE_1\nMASKED_LINE_1", ("x",))):
        with pytest.raises(CodeenvError, match="masked lines"):
            PredictionItem("a", "repair", DOUBLE, code, DOUBLE.public_tests[0], masked=masked)


def test_a_repair_of_several_lines_in_one_is_no_answer(judge):
    code, masked = mask_lines("def f(x):\n    y = [2 * one for one in x]\n    return y\n", 1, seed=0)
    item = PredictionItem("a", "repair", DOUBLE, code, DOUBLE.public_tests[0], [14, 16], masked=masked)
    env = PredictionEnv(items=[item], judge=judge)
    env.reset()
    assert env.step(json.dumps({"lines": ["    x = x\n" + masked[0]]}))[1] == 0.0


@pytest.mark.parametrize(
    ("statement", "asked"),
    [
        ("Write f(x) that doubles every number.", True),
        ("Doubles every number.\n>>> f([7, 8])\n[14, 16]\n", True),  # doctests are taken out
        ("Doubles every number, so f([7,8]) should be [14,16].", False),
        ("Doubles: [7, 8] -> [14, 16]", False),
        ("f([7, 8]) is for you to find; [14, 15] is not it", True),
    ],
)
def test_a_statement_that_shows_the_answer_is_not_asked(judge, statement, asked):
    problem = dataclasses.replace(DOUBLE, statement=statement)
    built = build_items([problem, ADD], "test_output", judge)
    assert [item.problem.id for item in built.items] == ["test/double", "test/add"][not asked :]
    assert built.dropped == ({} if asked else {"answer_shown": 1})
    assert all("[14, 16]" not in item.problem.statement for item in built.items)


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("For example: s = 'abcde', c = 'ae', the result should be ('bcd',False)", True),
        ("Delete from s = 'abcde' the characters of c = 'ae'.", False),
        ("c = 'ae', s = 'abcde'", False),
    ],
)
def test_arguments_that_are_named_in_prose_show_the_answer_too(statement, shown):
    test = CallTest(("abcde", "ae"), {}, ("bcd", False))
    assert shows(Problem("p", statement, "call", "f", public_tests=(test,)), test) is shown


def test_items_are_written_and_read_back(judge, tmp_path):
    items = items_of(PROBLEMS, "output", judge)
    write_items(tmp_path / "items.jsonl", items)
    assert [item.to_dict() for item in read_items(tmp_path / "items.jsonl")] == [item.to_dict() for item in items]
    assert PredictionEnv(items=tmp_path / "items.jsonl", judge=judge).reset(seed=1)[0]["turn"] == 0
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(CodeenvError, match="line 1"):
        read_items(tmp_path / "bad.jsonl")


@pytest.mark.parametrize(
    "change", [{"code": 5}, {"code": None}, {"values": []}, {"test": -1}, {"test": 9}, {"id": [1]}, {"passed": "maybe"}]
)
def test_a_damaged_item_is_a_sentence_with_its_line(tmp_path, change):
    item = PredictionItem(
        "a", "state", DOUBLE, "def f(x): return 'a\u2028b'", DOUBLE.public_tests[0], "a\u2028b", ("f.x",), {"f.x": 1}
    )
    write_items(tmp_path / "items.jsonl", [item])
    assert read_items(tmp_path / "items.jsonl")[0].output == "a\u2028b"
    (tmp_path / "items.jsonl").write_text("\n" + json.dumps({**item.to_dict(), **change}) + "\n")
    with pytest.raises(CodeenvError, match="line 2"):
        read_items(tmp_path / "items.jsonl")


def test_masks_and_mutations_keep_the_rest_of_the_program():
    source = DOUBLE.correct_solutions[0]
    masked, lines = mask_lines(source, 2, seed=4)
    for number, line in enumerate(lines, start=1):
        masked = masked.replace(f"MASKED_LINE_{number}", line, 1)
    assert masked == source
    for end in ("\r", "\r\n"):
        assert mask_lines(source.replace("\n", end), 2, seed=4) == mask_lines(source, 2, seed=4)
    assert mask_lines("def f(): pass", 1, 0) is None
    assert mask_lines("def f(", 1, 0) is None
    assert mutate(source, 0) != source
    assert mutate("pass", 0) is None


def test_the_environments_are_listed():
    assert codeenv.__version__
    assert {"codeenv/Alignment-v0", "codeenv/OutputPrediction-v0", "codeenv/InputPrediction-v0"} <= set(gymnasium.registry)
