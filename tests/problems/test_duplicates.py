"""Repeated problems are found by their statements and by their solutions."""

import pytest

from codeenv.problems import CallTest, Problem
from codeenv.problems.duplicates import code_key, find_overlaps

LONG = (
    "You are given a list of integers and a number k. Remove all numbers that are smaller than k, sort the remaining numbers in "
    "ascending order and return the sum of the first three of them, or of all if there are fewer than three numbers left."
)


def problem(name: str, statement: str, *solutions: str) -> Problem:
    return Problem(name, statement, "call", "f", public_tests=(CallTest((), {}, 1),), correct_solutions=solutions)


def test_nearly_equal_statements_across_collections_are_found() -> None:
    pytest.importorskip("datasketch", reason="the extra [data] is not installed")
    train = [
        problem("t/1", LONG.replace("You are given", "Given is")),
        problem("t/2", "Return the number of vowels in a text of any length."),
    ]
    evaluation = [problem("e/1", LONG), problem("e/2", "Something else entirely that shares no run of five words with it.")]
    (overlap,) = find_overlaps(train, evaluation)
    assert (overlap.left, overlap.right, overlap.kind) == ("t/1", "e/1", "statement")
    assert 0.7 <= overlap.similarity <= 1.0
    assert find_overlaps(train, evaluation[1:]) == []


def test_equal_solutions_are_found_under_other_names() -> None:
    pytest.importorskip("datasketch", reason="the extra [data] is not installed")
    train = [problem("t/1", "Add one to it.", "def f(a):\n    return a + 1\n")]
    evaluation = [problem("e/1", "What follows a number?", "def g(value):\n    '''Next.'''\n    return value+1\n")]
    assert [(item.left, item.right, item.kind) for item in find_overlaps(train, evaluation)] == [("t/1", "e/1", "solution")]


def test_repetitions_within_one_collection_are_found_once() -> None:
    pytest.importorskip("datasketch", reason="the extra [data] is not installed")
    found = find_overlaps(
        [problem("a", LONG), problem("b", LONG), problem("c", "Another one with quite a different text in it.")]
    )
    assert [(item.left, item.right, item.similarity) for item in found] == [("b", "a", 1.0)]


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("def f(a, b):\n    return a - b", "def g(x, y):\n    return x - y", True),
        ("def f(a, b):\n    return a - b", "def g(x, y):\n    return y - x", False),
        ("x = 1\nprint(x)", "total = 1  # one\nprint(total)", True),
        ("print(len([1]))", "print(sum([1]))", False),
        ("def f(a: int) -> int:\n    return a", "def f(a):\n    return a", True),
        ("class A:\n    'Doc.'\n    x = 1", "class B:\n    x = 1", True),
    ],
)
def test_the_key_of_code_ignores_names_docstrings_annotations_and_layout(left: str, right: str, same: bool) -> None:
    assert (code_key(left) == code_key(right)) is same


def test_code_that_does_not_parse_has_no_key() -> None:
    assert code_key("def f(:") == ""
