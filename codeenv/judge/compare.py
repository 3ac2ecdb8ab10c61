"""The comparison rules: what a submission printed or returned against what was expected. Pure functions, run in the judge
only.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

from codeenv.problems.plain import plain_equal
from codeenv.problems.problem import Checker

__all__ = ["same_text", "same_value"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


def same_text(output: str, expected: str, checker: Checker) -> bool:
    """Compare printed text with the expected text; for kind `program`, only the checker program can say.

    >>> same_text("YES 0.3333333", "yes\\n0.333333", Checker())
    True
    """
    if checker.kind == "exact":
        return output == expected
    if checker.kind == "unordered_lines":
        return Counter(_lines(output, checker)) == Counter(_lines(expected, checker))
    left, right = output.split(), expected.split()
    if left == right:
        return True
    relative = checker.relative if checker.kind == "float" else 0.0
    return len(left) == len(right) and all(
        _same_token(one, other, checker.absolute, relative, checker.case_sensitive)
        for one, other in zip(left, right, strict=True)
    )


def same_value(value: Any, expected: Any, checker: Checker) -> bool:
    """Compare a returned plain value with the expected one, by type and value; floats within the checker's tolerance.

    >>> same_value(1, True, Checker()), same_value(0.1 + 0.2, 0.3, Checker())
    (False, True)
    """
    kind = type(value)
    if checker.numbers_alike:
        relative = checker.relative if checker.kind == "float" else 0.0
        try:
            return plain_equal(value, expected, checker.absolute if checker.kind != "exact" else 0.0, relative, True)
        except RecursionError:
            return False
    if kind is not type(expected):
        return False
    if kind is int or kind is str or kind is bool:
        return bool(value == expected)
    if checker.kind == "exact":
        return plain_equal(value, expected)
    if checker.kind == "unordered_lines" and kind is list:
        return Counter(map(repr, value)) == Counter(map(repr, expected))
    try:
        return plain_equal(value, expected, checker.absolute, checker.relative if checker.kind == "float" else 0.0)
    except RecursionError:
        return False


def _same_token(one: str, other: str, absolute: float, relative: float, case_sensitive: bool) -> bool:
    if one == other or (not case_sensitive and one.lower() == other.lower()):
        return True
    if len(one) > 400 or len(other) > 400 or not _NUMBER.fullmatch(one) or not _NUMBER.fullmatch(other):
        return False
    left, right = float(one), float(other)
    if math.isinf(left) or math.isinf(right):
        return left == right
    difference = abs(left - right)
    if difference == 0.0 and "." not in one + other and "e" not in (one + other).lower():
        return int(one) == int(other)  # large integers that round to the same float
    return difference < absolute or difference <= relative * max(abs(left), abs(right))


def _lines(text: str, checker: Checker) -> list[str]:
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line if checker.case_sensitive else line.lower() for line in lines if line]
