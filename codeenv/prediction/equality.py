"""Whether a predicted value is the true one: typed equality (ours) and the released CodeRL+ code's equality.

Predictions are JSON, truths are plain values (`codeenv.problems.plain`). JSON has one sequence and text keys only, so a list
answers a list or a tuple, a list answers a set (in any order), and a key answers the key with the same text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["official_equal", "typed_equal"]

_NONE = ("none", "null")
_TRUE, _FALSE = ("1", "true"), ("0", "false")
_MAX_DEPTH = 50


def typed_equal(predicted: Any, true: Any, relative: float = 1e-6, _depth: int = 0) -> bool:
    """Compare a JSON value with a plain value: `bool`, `int`, `float` and `str` are different types.

    Args:
        predicted: a value that `json.loads` returned.
        true: a plain value.
        relative: relative tolerance between floats (also the absolute one below 1); NaN equals NaN.

    >>> typed_equal(True, 1), typed_equal([1, 2], (1, 2)), typed_equal([2, 1], {1, 2}), typed_equal({"1": 2}, {1: 2})
    (False, True, True, True)
    """
    if _depth > _MAX_DEPTH:
        return False
    if isinstance(true, (list, tuple)):
        return (
            isinstance(predicted, list)
            and len(predicted) == len(true)
            and all(typed_equal(one, other, relative, _depth + 1) for one, other in zip(predicted, true, strict=True))
        )
    if isinstance(true, (set, frozenset)):
        return (
            isinstance(predicted, list) and len(predicted) == len(true) and _same_members(predicted, list(true), relative, _depth)
        )
    if isinstance(true, Mapping):
        if not isinstance(predicted, dict) or len(predicted) != len(true):
            return False
        by_text = {key if isinstance(key, str) else repr(key): value for key, value in true.items()}
        return len(by_text) == len(true) and all(
            key in by_text and typed_equal(value, by_text[key], relative, _depth + 1) for key, value in predicted.items()
        )
    if type(predicted) is not type(true):
        return False
    if isinstance(true, float):
        if math.isnan(true) or math.isnan(predicted):
            return math.isnan(true) and math.isnan(predicted)
        return bool(predicted == true) or math.isclose(predicted, true, rel_tol=relative, abs_tol=relative)
    return bool(predicted == true)


def _same_members(predicted: list[Any], true: list[Any], relative: float, depth: int) -> bool:
    left = list(true)
    for item in predicted:
        match = next((index for index, other in enumerate(left) if typed_equal(item, other, relative, depth + 1)), None)
        if match is None:
            return False
        left.pop(match)
    return True


def official_equal(predicted: Any, true: Any, _depth: int = 0) -> bool:
    """Compare as the released CodeRL+ code does (arXiv 2510.18471, code of January 2026).

    Equal values; any spelling of none; {1, true, "True"} and {0, false, "False"} are interchangeable; numbers, also as
    text, within 1e-9; lists and dictionaries element by element; else equal texts. So NaN equals nothing, not even NaN, and an
    infinity equals itself as a number alone.

    >>> official_equal(True, 1), official_equal("1e9", 10**9), official_equal([1, 2], "[1, 2]"), official_equal({"1": 2}, {1: 2})
    (True, True, True, False)
    """
    if _depth > _MAX_DEPTH:
        return False
    if isinstance(predicted, list) and isinstance(true, list):
        return len(predicted) == len(true) and all(
            official_equal(one, other, _depth + 1) for one, other in zip(predicted, true, strict=True)
        )
    if isinstance(predicted, dict) and isinstance(true, dict):
        return predicted.keys() == true.keys() and all(
            official_equal(value, true[key], _depth + 1) for key, value in predicted.items()
        )
    if predicted == true:
        return True
    one, other = _text(predicted), _text(true)
    if any(one.lower() in names and other.lower() in names for names in (_NONE, _TRUE, _FALSE)):
        return True
    left, right = _number(predicted, one), _number(true, other)
    if left is not None and right is not None:
        return abs(left - right) <= 1e-9
    return one == other


def _text(value: Any) -> str:
    return str(value).strip()


def _number(value: Any, text: str) -> float | None:
    if isinstance(value, (list, dict, bool)) or value is None:
        return None
    try:
        return float(text)
    except (ValueError, OverflowError):
        return None
