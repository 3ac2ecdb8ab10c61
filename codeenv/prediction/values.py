"""Plain values out of texts and traces, and the values that an input holds."""

from __future__ import annotations

import ast
import math
from typing import Any

from codeenv.problems import CallTest, StdioTest
from codeenv.problems.plain import plain_equal
from codeenv.trace import Trace

__all__ = ["final_values", "input_fields", "plain_of", "same"]

_NUMBERS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_ASKED = (type(None), bool, int, float, str, list, tuple, dict, set)


def plain_of(text: str) -> Any:
    """Return the plain value whose `repr` the text is.

    Raises:
        ValueError: if the text is not the `repr` of a plain value, as when it was shortened.

    >>> plain_of("[1, (2, 'x')]"), plain_of("nan")
    ([1, (2, 'x')], nan)
    """
    if text in _NUMBERS:
        return _NUMBERS[text]
    if text == "set()":
        return set()
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise ValueError(f"{text[:40]!r} is not a plain value") from None


def same(left: Any, right: Any) -> bool:
    """Return whether two plain values are equal in type and value."""
    return plain_equal(left, right)


def final_values(trace: Trace, max_chars: int) -> dict[str, tuple[int, Any]]:
    """Return the final value of each variable of a trace, with the number of times it was bound or changed.

    Names are `x` for the module's variables and `f.x` for those of a function, in the order in which they were first seen. The
    value of a function's variable is the one at the end of its last activation; a mutable object's value is that of its last
    change. Left out: names with a leading underscore, values of other types than the usual plain ones, and values whose text
    is longer than `max_chars`.
    """
    functions = trace.functions()
    counts: dict[str, int] = {}
    for event in trace.events:
        outside = event.extra.get("g", ())
        for name in event.vars:
            key = f"{'<module>' if name in outside else functions.get(event.frame, '?')}:{name}"
            counts[key] = counts.get(key, 0) + (event.kind not in ("x", "r"))
    values: dict[str, tuple[int, Any]] = {}
    for key in counts:
        if key not in trace.footer.final:
            continue
        text = trace.footer.final[key][1]
        function, _, name = key.rpartition(":")
        if name.startswith("_") or len(text) > max_chars or function == "?":
            continue
        try:
            value = plain_of(text)
        except ValueError:
            continue
        if type(value) in _ASKED:
            values[name if function == "<module>" else f"{function}.{name}"] = (counts[key], value)
    return values


def input_fields(test: StdioTest | CallTest) -> list[Any]:
    """Return the values that stand in an input: each argument; or the text, its lines and its words, read as numbers too."""
    if isinstance(test, CallTest):
        return [*test.args, *test.kwargs.values()]
    words = test.input.split()
    fields: list[Any] = [test.input.strip(), *test.input.splitlines(), *words]
    for word in words[:1000]:
        try:
            fields.append(plain_of(word))
        except ValueError:
            continue
    return fields
