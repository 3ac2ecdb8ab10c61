"""From a response to the JSON object in it: the last one that parses (ours) or the last line alone (the released code)."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

__all__ = ["last_json_object", "last_line_object"]

_TAIL_CHARS = 16_384
_ATTEMPTS = 2_000


def last_json_object(response: str, keys: Collection[str]) -> dict[str, Any] | None:
    """Return the last JSON object in the response that has all `keys`, wherever it stands, or `None`.

    Objects inside a matching object do not count. Only the last 16,384 characters are read, so a response of any length costs
    the same.

    >>> last_json_object('I think {"a": 1}, no: ```json\\n{"a": 2}\\n``` as said', ["a"])
    {'a': 2}
    """
    text = response[-_TAIL_CHARS:]
    decoder = json.JSONDecoder()
    found: dict[str, Any] | None = None
    position = 0
    for _ in range(_ATTEMPTS):
        position = text.find("{", position)
        if position < 0:
            break
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            position += 1
            continue
        if all(key in value for key in keys):
            found = value
            position = end
        else:
            position += 1
    return found


def last_line_object(response: str, keys: Collection[str]) -> dict[str, Any] | None:
    """Return the object that is the last line of the response and has all `keys`, else `None` (the released CodeRL+ rule)."""
    lines = response.strip().splitlines()
    if not lines:
        return None
    try:
        value = json.loads(lines[-1])
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and all(key in value for key in keys) else None
