"""Reading one field of a raw row: its value in the form that a loader needs, or a sentence that names the field."""

from __future__ import annotations

import ast
import json
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from codeenv.problems.plain import too_many_digits
from codeenv.problems.problem import ProblemError

__all__ = ["Row", "decoded", "number", "parsed", "text", "texts", "wrong"]

Row = Mapping[str, Any]


def wrong(name: str, value: Any, wanted: str) -> ProblemError:
    """Return the error of a field with a value of another form."""
    return ProblemError(f"field {name!r} is {reprlib.repr(value)}; it must be {wanted}")


def text(row: Row, name: str, otherwise: str | None = None) -> str:
    """Return a text; `otherwise`, if it is given, where the field is missing or null.

    >>> text({"prompt": "Add."}, "prompt"), text({}, "starter_code", "")
    ('Add.', '')
    """
    value = row.get(name)
    if value is None and otherwise is not None:
        return otherwise
    if name not in row:
        raise ProblemError(f"field {name!r} is missing")
    if not isinstance(value, str):
        raise wrong(name, value, "a text")
    return value


def decoded(row: Row, name: str, kind: type | tuple[type, ...], wanted: str, otherwise: Any = None) -> Any:
    """Return a value of a kind, or one from JSON text; `otherwise`, if given, where the field is missing, null or empty text."""
    value = row.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        if otherwise is not None:
            return otherwise
        if name not in row:
            raise ProblemError(f"field {name!r} is missing")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ProblemError(f"field {name!r} is not JSON ({error.msg} at character {error.pos})") from None
        except RecursionError:
            raise ProblemError(f"field {name!r} is nested too deeply") from None
        except ValueError:  # Python's limit on the digits of a number in text
            raise ProblemError(f"field {name!r} holds {too_many_digits()}") from None
    if not isinstance(value, kind):
        raise wrong(name, value, wanted)
    return value


def texts(row: Row, name: str, otherwise: Sequence[str] | None = None) -> list[str]:
    """Return a list of texts, from a list or its JSON text; `otherwise`, if given, where the field is missing or empty text."""
    value = decoded(row, name, list, "a list of texts", otherwise if otherwise is None else list(otherwise))
    for item in value:
        if not isinstance(item, str):
            raise wrong(name, item, "a list of texts")
    return list(value)


def number(row: Row, name: str, otherwise: float) -> float:
    """Return a number of at least 0; `otherwise` where the field is missing or null."""
    value = row.get(name)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e18:
        raise wrong(name, value, "a number of at least 0")
    return float(value)


def parsed(source: str, name: str) -> ast.Module:
    """Return the syntax tree of code in a field."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if "integer string conversion" in str(error):
            raise ProblemError(f"field {name!r} holds {too_many_digits()}") from None
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise ProblemError(f"field {name!r} is not Python ({getattr(error, 'msg', None) or error or 'too deep'}{line})") from None
