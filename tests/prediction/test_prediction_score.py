"""Answers are found, compared and scored as CodeRL+ (arXiv 2510.18471) and its released code say."""

import json

import pytest

from codeenv.errors import CodeenvError
from codeenv.prediction import PredictionItem, PredictionScorer, answer_text, prompt_of
from codeenv.prediction.answer import last_json_object, last_line_object
from codeenv.prediction.equality import official_equal, typed_equal
from codeenv.problems import CallTest, Problem, StdioTest

KEYS = ("final_output", "variables")
SUM = Problem(
    "test/sum",
    "Print the sum.",
    "stdio",
    public_tests=(StdioTest("1 2\n", "3\n"),),
    private_tests=(StdioTest("private 77\n", "5\n"),),
)
STATE = PredictionItem(
    "test/sum/0", "state", SUM, "a, b = map(int, input().split())\nprint(a - b)", SUM.public_tests[0], "-1", ("a", "b"),
    {"a": 1, "b": 2}
)  # fmt: skip


def answer(output, variables):
    return json.dumps({"final_output": output, "variables": variables})


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("I run it.\n" + answer("-1", {"a": 1, "b": 2}), 1.0),
        (answer("wrong", {"a": 1, "b": 2}), 0.7),
        (answer("", {}), 0.1),
        ("```json\n" + answer("-1", {"a": 1, "b": 2}) + "\n```", 0.0),
        ('{"final_output": 3\n4, "variables": {"a": 1}}', 0.0),  # an unquoted line break, as in the released prompt's own example
    ],
    ids=["perfect", "output wrong", "empty", "in a fence", "the released example"],
)
def test_the_five_measured_scores_of_the_released_code_come_out(response, expected):
    score = PredictionScorer(reward="official", strict=True).score([STATE], [response])[0]
    assert score.reward == pytest.approx(expected)


def test_the_papers_reward_is_the_share_of_right_variables():
    scorer = PredictionScorer(reward="paper")
    responses = [answer("-1", {"a": 1, "b": 3}), answer("9", {"a": 1, "b": 2}), answer("-1", {}), "no answer"]
    assert [score.reward for score in scorer.score([STATE] * 4, responses)] == [0.5, 1.0, 0.0, 0.0]


def test_a_fenced_answer_counts_when_the_answer_is_read_robustly():
    score = PredictionScorer(reward="official").score([STATE], ["```json\n" + answer("-1", {"a": 1, "b": 2}) + "\n```\nDone."])[0]
    assert score.reward == 1.0
    assert score.exact


def test_of_ten_objects_the_last_one_counts():
    many = "\n".join(answer(str(number), {"a": number, "b": 2}) for number in range(10))
    assert last_json_object(many, KEYS)["final_output"] == "9"
    assert last_line_object(many, KEYS)["final_output"] == "9"


@pytest.mark.parametrize(
    "response",
    [
        "",
        "{" * 200_000,
        '{"a":' * 50_000,
        "}" * 1000,
        '{"final_output": 1}',
        "[1, 2]",
        '{"final_output": 1, "variables"',
        "\x00{\ud800",
    ],
    ids=["empty", "braces", "deep", "closers", "a key missing", "a list", "cut", "odd characters"],
)
def test_a_response_without_an_answer_gets_nothing(response):
    assert last_json_object(response, KEYS) is None
    assert last_line_object(response, KEYS) is None


@pytest.mark.parametrize(
    ("predicted", "true", "typed", "official"),
    [
        (1, 1, True, True),
        (True, 1, False, True),
        ("true", True, False, True),
        (0, False, False, True),
        ("None", None, False, True),
        (None, None, True, True),
        ("1e9", 10**9, False, True),
        (10**9, 10**9, True, True),
        (1.0, 1, False, True),
        (0.1 + 0.2, 0.3, True, True),
        (1e300, float("inf"), False, False),
        (float("nan"), float("nan"), True, False),
        ("NaN", float("nan"), False, False),
        (float("inf"), float("inf"), True, True),
        (float("-inf"), float("inf"), False, False),
        ("inf", float("inf"), False, False),
        (10**400, 10**401, False, False),
        ([1, 2], "[1, 2]", False, True),
        ([1, 2], (1, 2), True, False),
        ([2, 1], {1, 2}, True, False),
        ([1, 1], {1, 2}, False, False),
        ({"1": 2}, {1: 2}, True, False),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, True, True),
        ({"a": 1}, {"a": 1, "b": 2}, False, False),
        ("x ", "x", False, True),
    ],
)
def test_values_are_compared_by_type_or_as_the_released_code_does(predicted, true, typed, official):
    assert typed_equal(predicted, true) is typed
    assert official_equal(predicted, true) is official


def test_the_known_answer_scores_full_marks_in_both_readings():
    for scorer in (PredictionScorer(reward="official", strict=True), PredictionScorer(reward="paper")):
        assert scorer.score([STATE], [answer_text(STATE)])[0].reward == 1.0


def test_an_exception_answer_is_half_right_with_the_right_type_alone():
    item = PredictionItem("test/sum/1", "exception", SUM, "1 / 0", SUM.public_tests[0], exception=("ZeroDivisionError", 1))
    responses = [
        '{"exception": "ZeroDivisionError", "line": 2}',
        '{"exception": "ZeroDivisionError", "line": true}',
        answer_text(item),
    ]
    assert [score.reward for score in PredictionScorer().score([item] * 3, responses)] == [0.5, 0.5, 1.0]


@pytest.mark.parametrize("style", ["plain", "official", "compact"])
def test_a_prompt_shows_program_and_input_and_neither_truth_nor_private_test(style):
    item = PredictionItem(
        "test/sum/2", "state", SUM, "x = 12345 + 1\nprint(x)", SUM.public_tests[0], "12346", ("x",), {"x": 12346}
    )
    text = prompt_of(item, style)
    assert "x = 12345 + 1" in text
    assert "1 2" in text
    assert "12346" not in text
    assert "77" not in text


def test_an_item_may_not_use_a_private_test():
    with pytest.raises(CodeenvError, match="public"):
        PredictionItem("test/sum/3", "output", SUM, "print(5)", SUM.private_tests[0], "5")


def test_items_survive_a_round_trip_without_the_private_tests():
    problem = Problem("p", "s", "call", "f", public_tests=(CallTest(((1,), {2}), {"k": float("inf")}, None),))
    item = PredictionItem(
        "p/0", "state", problem, "code", problem.public_tests[0], (1, {2: 3}), ("f.x",), {"f.x": {1, 2}}, passed=False
    )
    assert PredictionItem.from_dict(json.loads(json.dumps(item.to_dict()))) == item
    assert "private 77" not in json.dumps(STATE.to_dict())


def test_a_malformed_item_row_is_refused_with_a_sentence():
    with pytest.raises(CodeenvError, match="malformed"):
        PredictionItem.from_dict({"id": "x"})


def test_an_unknown_reward_is_refused():
    with pytest.raises(CodeenvError, match="paper"):
        PredictionScorer(reward="best")
