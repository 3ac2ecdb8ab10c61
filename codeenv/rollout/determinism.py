"""Whether two runs are equal: the same episodes, byte by byte, apart from measured times."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["first_difference"]


def first_difference(first: Mapping[int, Mapping[str, Any]], second: Mapping[int, Mapping[str, Any]]) -> str | None:
    """Return where two runs differ first, in words; `None` if they are equal.

    Args:
        first, second: the rows of the episodes by number; `times` is left out of the comparison.

    >>> first_difference({0: {"seed": 1, "times": 1}}, {0: {"seed": 2, "times": 3}})
    'episode 0: seed is 1 and 2'
    """
    for number in sorted(first.keys() | second.keys()):
        if number not in first or number not in second:
            return f"episode {number} is in one run only"
        found = _difference(_stable(first[number]), _stable(second[number]))
        if found:
            return f"episode {number}: {found}"
    return None


def _stable(row: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps({key: value for key, value in row.items() if key != "times"}))


def _difference(a: Any, b: Any, path: str = "") -> str | None:
    if type(a) is not type(b):
        return f"{path} is {_short(a)} and {_short(b)}"
    if isinstance(a, dict):
        for key in sorted(a.keys() | b.keys()):
            where = f"{path}.{key}" if path else key
            if key not in a or key not in b:
                return f"{where} is in one run only"
            if found := _difference(a[key], b[key], where):
                return found
        return None
    if isinstance(a, list):
        if len(a) != len(b):
            return f"{path} has {len(a)} and {len(b)} items"
        return next(
            (found for i, (x, y) in enumerate(zip(a, b, strict=True)) if (found := _difference(x, y, f"{path}[{i}]"))), None
        )
    return None if a == b else f"{path} is {_short(a)} and {_short(b)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
