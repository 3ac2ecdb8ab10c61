"""Plain data: the values that may cross a process boundary, and their JSON form.

A plain value is `None`, `bool`, `int`, `float`, `complex`, `str`, `bytes`, or a `list`, `tuple`, `dict`,
`set` or `frozenset` of plain values, each of exactly that type (no subclasses). JSON lacks most of these, so
`to_json` writes the missing ones as an object with a single tag key:

    tuple      {"$tuple": [...]}           set        {"$set": [...]}
    bytes      {"$bytes": "base64"}        frozenset  {"$frozenset": [...]}
    inf, nan   {"$float": "inf"}           complex    {"$complex": ["0x1.8p+1", "0x0.0p+0"]}
    dict       {...} when every key is a string that does not start with "$", else {"$dict": [[key, value], ...]}

Sets are written sorted by the JSON text of their items, so that equal values have equal text.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import sys
from typing import Any

from codeenv.errors import CodeenvError

__all__ = ["PlainDataError", "from_json", "plain_equal", "to_json", "too_many_digits"]

MAX_DEPTH = 100
"""Deepest nesting that is encoded or decoded; plain data below it is refused with `PlainDataError`."""

_NUMBERS = (bool, int, float)
_EXACT = 2**53
_TAGS = {"$tuple", "$set", "$frozenset", "$bytes", "$float", "$complex", "$dict"}


class PlainDataError(CodeenvError, ValueError):
    """A value is not plain data, or a JSON text is not the form of one."""


def to_json(value: Any, _depth: int = 0) -> Any:
    """Return the JSON-ready form of a plain value.

    Raises:
        PlainDataError: for a value of another type, or nested deeper than `MAX_DEPTH`.

    >>> to_json({"a": (1, {2})})
    {'a': {'$tuple': [1, {'$set': [2]}]}}
    """
    if _depth > MAX_DEPTH:
        raise PlainDataError(f"value is nested deeper than {MAX_DEPTH} levels")
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind is list:
        return [to_json(item, _depth + 1) for item in value]
    if kind is tuple:
        return {"$tuple": [to_json(item, _depth + 1) for item in value]}
    if kind is dict:
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: to_json(item, _depth + 1) for key, item in value.items()}
        return {"$dict": [[to_json(key, _depth + 1), to_json(item, _depth + 1)] for key, item in value.items()]}
    if kind in (set, frozenset):
        items = sorted((to_json(item, _depth + 1) for item in value), key=json.dumps)
        return {"$set" if kind is set else "$frozenset": items}
    if kind is bytes:
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if kind is complex:
        return {"$complex": [value.real.hex(), value.imag.hex()]}
    raise PlainDataError(f"a value of type {kind.__name__!r} is not plain data")


def from_json(data: Any, _depth: int = 0) -> Any:
    """Return the plain value that `to_json` wrote; the inverse of `to_json`.

    Raises:
        PlainDataError: for an unknown tag, a malformed tag or unhashable keys or set items.

    >>> from_json({"a": {"$tuple": [1, {"$set": [2]}]}})
    {'a': (1, {2})}
    """
    if _depth > MAX_DEPTH + 2:
        raise PlainDataError(f"value is nested deeper than {MAX_DEPTH} levels")
    if isinstance(data, list):
        return [from_json(item, _depth + 1) for item in data]
    if not isinstance(data, dict):
        return data
    if len(data) != 1 or not (tag := next(iter(data))).startswith("$"):
        return {key: from_json(item, _depth + 1) for key, item in data.items()}
    if tag not in _TAGS:
        raise PlainDataError(f"unknown tag {tag!r}; known tags are {', '.join(sorted(_TAGS))}")
    body = data[tag]
    try:
        if tag == "$bytes":
            return base64.b64decode(body, validate=True)
        if tag == "$float":
            return float(body)
        if tag == "$complex":
            return complex(float.fromhex(body[0]), float.fromhex(body[1]))
        if tag == "$dict":
            return {from_json(key, _depth + 1): from_json(item, _depth + 1) for key, item in body}
        if not isinstance(body, list):
            raise TypeError(f"expected a list, got {type(body).__name__}")
        items = [from_json(item, _depth + 1) for item in body]
        return {"$tuple": tuple, "$set": set, "$frozenset": frozenset}[tag](items)
    except (TypeError, ValueError, IndexError, binascii.Error) as error:
        raise PlainDataError(f"malformed {tag!r}: {error}") from None


_AS_THEY_ARE = frozenset((int, str, bool, bytes, type(None)))
"""Types whose values are compared by `==` if both sides have the type."""


def plain_equal(left: Any, right: Any, absolute: float = 0.0, relative: float = 0.0, numbers_alike: bool = False) -> bool:
    """Compare two plain values by type and value.

    `bool`, `int` and `float` are different types unless `numbers_alike`, which compares them as Python's `==` does. NaN
    equals NaN; `0.0` and `-0.0` are equal only when a tolerance is given. Floats may differ by `absolute` or by
    `relative * max(|left|, |right|)`; dictionary order does not matter.

    >>> plain_equal([1], [True]), plain_equal(1.0, 1.0 + 1e-9, absolute=1e-6)
    (False, True)
    """
    kind = type(left)
    if numbers_alike and kind in _NUMBERS and type(right) in _NUMBERS and not (kind is type(right) and kind is not float):
        return bool(left == right) or (
            abs(left) < _EXACT and abs(right) < _EXACT and _float_equal(left, right, absolute, relative)
        )
    if kind is not type(right):
        return False
    if kind is float:
        return _float_equal(left, right, absolute, relative)
    if kind is complex:
        return _float_equal(left.real, right.real, absolute, relative) and _float_equal(left.imag, right.imag, absolute, relative)
    if kind is list or kind is tuple:
        if len(left) != len(right):
            return False
        for one, other in zip(left, right, strict=True):
            if type(one) is type(other) and type(one) in _AS_THEY_ARE:
                if one != other:
                    return False
            elif not plain_equal(one, other, absolute, relative, numbers_alike):
                return False
        return True
    if kind is dict:
        if len(left) != len(right):
            return False
        if numbers_alike:
            return all(key in right and plain_equal(item, right[key], absolute, relative, True) for key, item in left.items())
        typed = {(type(key), key): item for key, item in right.items()}
        return all(
            (type(key), key) in typed and plain_equal(item, typed[type(key), key], absolute, relative)
            for key, item in left.items()
        )
    if kind in (set, frozenset) and not numbers_alike:
        return {(type(item), item) for item in left} == {(type(item), item) for item in right}
    return bool(left == right)


def _float_equal(left: float, right: float, absolute: float, relative: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    if math.isinf(left) or math.isinf(right):
        return left == right
    if absolute == 0.0 == relative:
        return left == right and math.copysign(1.0, left) == math.copysign(1.0, right)
    return abs(left - right) <= max(absolute, relative * max(abs(left), abs(right)))


def too_many_digits() -> str:
    """Return what is said of a number that Python does not read from text."""
    return f"a whole number of more than {sys.get_int_max_str_digits()} digits, which Python does not read; leave the row out"
