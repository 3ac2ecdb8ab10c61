"""Examples in docstrings become call tests only when they are unambiguous."""

import pytest

from codeenv.problems.examples import docstring_examples


def prompt(docstring: str, signature: str = "def f(a, b):") -> str:
    return f'{signature}\n    """{docstring}\n    """\n'


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        (">>> f(1, 2)\n    3", [((1, 2), 3)]),
        (">>> f([], 2)", [(([], 2), None)]),
        ("f(1, 2) == 3", [((1, 2), 3)]),
        ("f('a', \"(\") ==> ['x']", [(("a", "("), ["x"])]),
        ("f(1, 2) ➞ (3, None)", [((1, 2), (3, None))]),
        ("f(1, 2) returns 'it'", [((1, 2), "it")]),
        ("f(1, 2) should return True.", [((1, 2), True)]),
        ("f(1, 2) => true", [((1, 2), True)]),
        ("f(1, 2)  # returns -1.5", [((1, 2), -1.5)]),
        ("f(1, 2) -> 10 - 8 = 2", [((1, 2), 2)]),
        ("f([\n      1],\n    2) == {'a': 1}", [(([1], 2), {"a": 1})]),
        ("For a = 1, b = 2 the output should be 3.", [((1, 2), 3)]),
        ("Input: a = 1, b = 2\n    Output: 3", [((1, 2), 3)]),
        ("f(1, 2) == 3\n    f(1, 2) == 3", [((1, 2), 3)]),
        ("g(1, 2) == 3", [((1, 2), 3)]),  # a statement that misnames its function
    ],
)
def test_an_unambiguous_example_becomes_a_test(docstring: str, expected: list) -> None:
    assert [(test.args, test.expected) for test in docstring_examples(prompt(docstring), "f")] == expected


@pytest.mark.parametrize(
    "docstring",
    [
        "f(x, 2) == 3",
        "f(1, 2) is 3",
        "f(1, 2) == x",
        "f(1, 2) == 3 apples",
        "round(f(1, 2), 1) == 3",
        "self.f(1, 2) == 3",
        "f(n) == f(n - 1) + 1",
        ">>> round(f(1, 2), 1)\n    3",
        ">>> f(1, 2)\n    Traceback (most recent call last):\n    ValueError",
        "Input: 1\n    Output: 3",
        "f(1, 2",
        "",
    ],
)
def test_prose_that_resembles_an_example_is_left_out(docstring: str) -> None:
    assert docstring_examples(prompt(docstring), "f") == []


def test_an_escape_inside_an_example_keeps_its_meaning() -> None:
    (test,) = docstring_examples(prompt(">>> f('a\\nb', 1)\n    'a\\n'"), "f")
    assert (test.args, test.expected) == (("a\nb", 1), "a\n")
