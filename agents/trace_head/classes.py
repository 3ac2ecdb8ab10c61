"""The closed classes that the head predicts, and how a run maps to them."""

from __future__ import annotations

import math
import re
from typing import Any

from codeenv.judge.verdict import Verdict
from codeenv.prediction.values import plain_of

__all__ = ["BUCKETS", "EXCEPTIONS", "HEADS", "OUTCOMES", "TYPES", "exception_class", "outcome_class", "value_classes"]

OUTCOMES = ("pass", "wrong_answer", "exception", "timeout", "syntax_error", "no_code")
EXCEPTIONS = ("Index", "Type", "Value", "Key", "Name", "ZeroDivision", "Attribute", "Recursion", "EOF", "other")
LINES = ("not_run", "run")
TYPES = ("none", "bool", "int", "float", "str", "sequence", "mapping_or_set", "not_reached")
BUCKETS = (
    "none", "true", "false",
    "zero", "0..10", "above_10", "-10..0", "below_-10",
    "nan_or_inf",
    "empty_str", "short_str", "long_str",
    "empty_container", "size_1..10", "larger",
    "not_reached",
)  # fmt: skip

HEADS: dict[str, tuple[str, ...]] = {
    "outcome": OUTCOMES,
    "exception": EXCEPTIONS,
    "line": LINES,
    "type": TYPES,
    "bucket": BUCKETS,
}
"""Each head with its classes, in the order of its logits."""

NOT_REACHED = (TYPES.index("not_reached"), BUCKETS.index("not_reached"))

_OUTCOME = {
    Verdict.ACCEPTED: "pass",
    Verdict.WRONG_ANSWER: "wrong_answer",
    Verdict.RUNTIME_ERROR: "exception",
    Verdict.SECURITY_VIOLATION: "exception",
    Verdict.TIME_LIMIT: "timeout",
    Verdict.MEMORY_LIMIT: "timeout",
    Verdict.OUTPUT_LIMIT: "timeout",
    Verdict.COMPILE_ERROR: "syntax_error",
    Verdict.NO_CODE: "no_code",
}
_LEFT_OUT = re.compile(r"<(\d+) (?:items|more)>")


def outcome_class(verdict: Verdict) -> int | None:
    """Return the outcome's class; every exceeded limit is a timeout; `None` for a judge error, which says nothing."""
    name = _OUTCOME.get(verdict)
    return None if name is None else OUTCOMES.index(name)


def exception_class(name: str) -> int:
    """Return the class of an exception type's name.

    >>> EXCEPTIONS[exception_class("UnboundLocalError")], EXCEPTIONS[exception_class("OSError")]
    ('Name', 'other')
    """
    base = {"UnboundLocalError": "NameError", "UnicodeDecodeError": "ValueError", "JSONDecodeError": "ValueError"}.get(name, name)
    short = base.removesuffix("Error")
    return EXCEPTIONS.index(short) if short in EXCEPTIONS else EXCEPTIONS.index("other")


def value_classes(text: str) -> tuple[int, int] | None:
    """Return the type's and the bucket's class of a value's text in a trace; `None` for values of other types.

    >>> [TYPES[value_classes("3")[0]], BUCKETS[value_classes("3")[1]]]
    ['int', '0..10']
    """
    if text[:1] in ("[", "(", "{") and _LEFT_OUT.search(text):
        return _pair("mapping_or_set" if text[0] == "{" else "sequence", "larger" if _size(text) > 10 else "size_1..10")
    if text[:1] in ("'", '"') and len(text) > 40:
        return _pair("str", "long_str")  # a shortened text may not be a literal any more
    try:
        return _classes(plain_of(text))
    except ValueError:
        return None


def _size(text: str) -> int:
    """Return the number of items of a container whose text leaves some out, as in `[1, 2, <9 more>, 5]`."""
    depth, size = 0, 1
    for char in text:
        depth += (char in "[({") - (char in "])}")
        size += char == "," and depth == 1
    left = next((found for found in _LEFT_OUT.finditer(text) if text[: found.start()].count("[") <= 1), None)
    return size if left is None else size - 1 + int(left.group(1))


def _classes(value: Any) -> tuple[int, int] | None:
    if value is None:
        return _pair("none", "none")
    if isinstance(value, bool):
        return _pair("bool", "true" if value else "false")
    if isinstance(value, (int, float)):
        return _pair("int" if isinstance(value, int) else "float", _number_bucket(value))
    if isinstance(value, str):
        return _pair("str", "empty_str" if not value else "short_str" if len(value) <= 10 else "long_str")
    if isinstance(value, (list, tuple, dict, set, frozenset)):
        kind = "sequence" if isinstance(value, (list, tuple)) else "mapping_or_set"
        return _pair(kind, "empty_container" if not value else "size_1..10" if len(value) <= 10 else "larger")
    return None


def _number_bucket(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan_or_inf"
    if value == 0:
        return "zero"
    if value > 0:
        return "0..10" if value <= 10 else "above_10"
    return "-10..0" if value >= -10 else "below_-10"


def _pair(kind: str, bucket: str) -> tuple[int, int]:
    return TYPES.index(kind), BUCKETS.index(bucket)
