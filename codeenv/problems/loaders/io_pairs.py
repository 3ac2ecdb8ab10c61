"""Inputs and outputs in the form that APPS, TACO and DeepCoder share: programs on text, or calls of `fn_name`."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from keyword import iskeyword
from typing import Any

from codeenv.problems.loaders.fields import wrong
from codeenv.problems.problem import CallTest, ProblemError, StdioTest, Test

__all__ = ["entry_of", "pairs_to_tests", "python_source", "shown_first"]

_LABEL = r"(?:(?!\S*input)\S{1,40} ){0,5}\S{0,40}output\S{0,40} (?:\S{1,40} ){0,5}"
"""What stands between an example's input and its output: no other input."""
_FENCE = re.compile(r"```(?:python\d?|py)?[ \t]*\n(.*?)```", re.S)


def pairs_to_tests(data: Mapping[str, Any], field: str) -> tuple[list[Test], str | None]:
    """Return the tests of `{"inputs": [...], "outputs": [...], "fn_name": ...}`, and the function's name for call tests.

    A call's input is the list of its arguments (or their JSON texts, one a line); its output is the result, often in a list of
    one, which is unwrapped if every output is.

    Raises:
        ProblemError: with the field that holds the data.
    """
    lists = []
    for part in ("inputs", "outputs"):
        if not isinstance(data.get(part), list):
            raise wrong(f"{field}.{part}", data.get(part), "a list")
        lists.append(data[part])
    inputs, outputs = lists
    if len(inputs) != len(outputs):
        raise ProblemError(f"field {field!r}: 'inputs' has {len(inputs)} tests but 'outputs' has {len(outputs)}")
    name = data.get("fn_name")
    if not name:
        return [StdioTest(_text(given), _text(wanted)) for given, wanted in zip(inputs, outputs, strict=True)], None
    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):
        raise wrong(f"{field}.fn_name", name, "a function's name")
    results = [_value(wanted) for wanted in outputs]
    if results and all(isinstance(result, list) and len(result) == 1 for result in results):
        results = [result[0] for result in results]
    return [CallTest(_arguments(given), {}, result) for given, result in zip(inputs, results, strict=True)], name


def shown_first(tests: Sequence[Test], statement: str, fallback: int = 1) -> tuple[tuple[Test, ...], tuple[Test, ...]]:
    """Split tests into those whose input and output the statement shows, and all others.

    If the statement shows none, the first `fallback` are public. If nothing is left over, they are the private ones too.
    """
    text = " ".join(statement.split())
    shown = [test for test in tests if _is_shown(test, text)] or list(tests[:fallback])
    hidden = [test for test in tests if test not in shown]
    return tuple(shown), tuple(hidden) or tuple(shown)


def entry_of(name: str, starter_code: str) -> str:
    """Return the entry point of a function or, if the starter code has `class Solution`, of its method."""
    return f"Solution().{name}" if re.search(r"^\s*class\s+Solution\b", starter_code, re.M) else name


def python_source(text: str) -> str:
    """Return the code in the last Python fence of a text, or the text itself."""
    blocks = _FENCE.findall(text)
    return blocks[-1] if blocks else text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(_text(line) for line in value)
    return json.dumps(value)


def _arguments(given: Any) -> tuple[Any, ...]:
    if isinstance(given, str):
        return tuple(_value(line) for line in given.splitlines() if line.strip())
    return tuple(given) if isinstance(given, (list, tuple)) else (given,)


def _value(text: Any) -> Any:
    """Return the value of a JSON or Python literal; other texts stand for themselves."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or a number with more digits than Python reads
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def _is_shown(test: Test, text: str) -> bool:
    """Return whether a statement has the test's input and, behind a few words with "output" among them, its output.

    Both must be there whole, since the numbers of a small test may stand anywhere in a statement.
    """
    if not isinstance(test, StdioTest):
        return False
    given, wanted = (f" {' '.join(part.split())} " for part in (test.input, test.output))
    text = f" {text} "
    if not given.strip() or not wanted.strip() or wanted not in text:
        return False
    example = re.compile(re.escape(given) + _LABEL + re.escape(wanted[1:]), re.I)
    return example.search(text) is not None
