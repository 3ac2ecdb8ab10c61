"""Plain data survives JSON, and is compared by type and value."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeenv.problems.plain import PlainDataError, from_json, plain_equal, to_json

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
HASHABLE = st.recursive(SCALARS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=6)
PLAIN = st.recursive(
    SCALARS | HASHABLE,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner) | st.dictionaries(HASHABLE, inner, max_size=3),
    max_leaves=12,
)


@given(PLAIN)
def test_every_plain_value_comes_back_from_json_as_it_was(value):
    back = from_json(json.loads(json.dumps(to_json(value), allow_nan=False)))
    assert json.dumps(to_json(back)) == json.dumps(to_json(value))
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, True, False),
        (1, 1.0, False),
        (0.0, -0.0, False),
        (math.nan, math.nan, True),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        ([1], (1,), False),
        ((1, [2]), (1, [2]), True),
        ({1: 2}, {True: 2}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({1}, {1.0}, False),
        (frozenset({1}), {1}, False),
        ("a", b"a", False),
        (None, 0, False),
    ],
)
def test_values_are_equal_only_with_equal_types(left, right, equal):
    assert plain_equal(left, right) is equal


def test_a_tolerance_applies_to_floats_alone():
    assert plain_equal([1.0], [1.0 + 1e-6], absolute=1e-5)
    assert plain_equal(1e9, 1e9 + 1, relative=1e-8)
    assert plain_equal(0.0, -0.0, absolute=1e-9)
    assert not plain_equal(10, 11, absolute=5)


@pytest.mark.parametrize("value", [object(), type("Int", (int,), {})(3), [range(3)], {"a": print}])
def test_a_value_of_another_type_is_refused(value):
    with pytest.raises(PlainDataError, match="is not plain data"):
        to_json(value)


def test_a_value_that_contains_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(PlainDataError, match="nested deeper"):
        to_json(loop)


@pytest.mark.parametrize(
    "data",
    [{"$pickle": "x"}, {"$set": [[1]]}, {"$bytes": "%"}, {"$tuple": 3}, {"$dict": [[1]]}, {"$complex": ["1"]}, {"$float": "one"}],
)
def test_a_malformed_tag_is_refused(data):
    with pytest.raises(PlainDataError):
        from_json(data)
