"""`numbers_alike` compares returned numbers as Python's `==` does, tolerance included."""

import pytest

from codeenv.problems.plain import plain_equal


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        (1, True, True),
        (0.0, False, True),
        ([1, (2.0, None)], [1.0, (2, None)], True),
        ({1: 2.0}, {1.0: 2}, True),
        ({1, 2}, {1.0, 2.0}, True),
        (15, 15.000001, True),
        (1, 2, False),
        (1, 1.1, False),
        (10**20, 10**20 + 1, False),
        (10**400, 1.0, False),
        ([1], (1,), False),
        ("1", 1, False),
        ({1: 2}, {1: 2, 3: 4}, False),
        (1, float("nan"), False),
    ],
)
def test_numbers_alike(left: object, right: object, equal: bool) -> None:
    assert plain_equal(left, right, 1e-5, 0.0, numbers_alike=True) is equal
    assert plain_equal(right, left, 1e-5, 0.0, numbers_alike=True) is equal
