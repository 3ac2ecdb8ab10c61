"""Examples in a docstring, read as call tests: `>>>` sessions, `f(1) == 2`, `f(1) ➞ 2`, "returns", Input/Output pairs.

An example is kept only if it is unambiguous: a call of the entry point whose arguments are literals, followed by a mark and a
literal that ends its clause. Prose that merely resembles an example is left out.
"""

from __future__ import annotations

import ast
import doctest
import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

from codeenv.problems.problem import CallTest

__all__ = ["docstring_examples", "read_call", "signature_of"]

_MARK = re.compile(r"\s*(?:==?>|===?|=|➞|→|->|#\s*(?:returns|=>|==)|should return|returns|return)\s*")
_END = re.compile(r"[ \t]*(?:$|\n|#|\(|[.,;](?:\s|$))")
_WORDS = {"true": True, "false": False, "none": None}
_FOR = re.compile(r"\bFor\s+(?P<given>.+?),?\s+the\s+(?:output|result)\s+should\s+be\s+", re.S)
_INPUT_OUTPUT = re.compile(r"\bInput:[ \t]*(?P<given>.+?)\s*\n\s*Output:[ \t]*", re.S)
_ARITHMETIC = re.compile(r"[\d\s+*-]+=\s*(?=-?\d)")


def docstring_examples(prompt: str, entry_point: str) -> list[CallTest]:
    """Return the examples of `entry_point` in the docstring of a prompt, in order, without repetitions.

    >>> docstring_examples('def add(a, b):\\n    "Sum: add(1, 2) == 3, add(2, x) == 4."', "add")
    [CallTest(args=(1, 2), kwargs={}, expected=3)]
    """
    text, parameters = signature_of(prompt, entry_point)
    found = list(_doctest_examples(text, entry_point))
    if not found:
        found = list(_marked_calls(text, entry_point)) or list(_stated_pairs(text, parameters))
    if not found:  # some statements call the function by another name
        names = {name for name in re.findall(r"\b([A-Za-z_]\w*)\(", text) if name != entry_point and f"def {name}(" not in prompt}
        for name in sorted(names):
            found += [test for test in _marked_calls(text, name) if len(test.args) == len(parameters)]
    unique: dict[str, CallTest] = {}
    for test in found:
        unique.setdefault(repr((test.args, test.kwargs)), test)
    return list(unique.values())


def signature_of(prompt: str, entry_point: str) -> tuple[str, list[str]]:
    """Return the docstring and the parameter names of a function in a prompt that ends inside its body."""
    for body in ("", "\n    pass\n"):
        try:
            tree = ast.parse(prompt + body)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == entry_point:
                return _written_docstring(prompt, node), [argument.arg for argument in node.args.args]
    return prompt, []


def _written_docstring(source: str, node: ast.FunctionDef) -> str:
    """Return the docstring as it is written (a `\\n` inside an example stays one), without quotes and indentation."""
    first = node.body[0]
    if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant) or not isinstance(first.value.value, str):
        return ""
    written = (ast.get_source_segment(source, first.value) or "").strip("rRuUbB")
    quote = written[:3] if written[:3] in ('"""', "'''") else written[:1]
    return inspect.cleandoc(written[len(quote) : -len(quote)])


def read_call(source: str, entry_point: str) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Return the literal arguments of a call of the entry point, or `None` if the text is anything else."""
    try:
        node = ast.parse(source.strip(), mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != entry_point:
            return None
        args = tuple(ast.literal_eval(argument) for argument in node.args)
        return args, {str(word.arg): ast.literal_eval(word.value) for word in node.keywords if word.arg}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None


def _doctest_examples(text: str, entry_point: str) -> Iterator[CallTest]:
    try:
        examples = doctest.DocTestParser().get_examples(text)
    except ValueError:
        return
    for example in examples:
        call = read_call(example.source, entry_point)
        want = example.want.strip()
        value = _literal(want) if want else (None,)  # a session prints nothing for None
        if call is not None and value is not None:
            yield CallTest(call[0], call[1], value[0])


def _marked_calls(text: str, entry_point: str) -> Iterator[CallTest]:
    for match in re.finditer(rf"(?<![\w.]){re.escape(entry_point)}\(", text):
        end = _closing(text, match.end() - 1)
        call = read_call(text[match.start() : end], entry_point) if end else None
        mark = _MARK.match(text, end) if end else None
        if call is None or mark is None:
            continue
        value = _leading_literal(text[mark.end() :])
        if value is not None:
            yield CallTest(call[0], call[1], value[0])


def _stated_pairs(text: str, parameters: Sequence[str]) -> Iterator[CallTest]:
    for pattern in (_FOR, _INPUT_OUTPUT):
        for match in pattern.finditer(text):
            args = _given(match["given"], parameters)
            value = _leading_literal(text[match.end() :])
            if args is not None and value is not None:
                yield CallTest(args, {}, value[0])


def _given(text: str, parameters: Sequence[str]) -> tuple[Any, ...] | None:
    """Read `a = 1, b = 2`, `a : 1` or `1, 2` as the values of all parameters in order."""
    lines = [line.strip().rstrip(",") for line in text.splitlines() if line.strip()]
    for given in (" ".join(lines), ", ".join(lines), re.split(r",\s+the\s", " ".join(lines))[0]):
        call = read_call("f(" + re.sub(r"(^|,)(\s*)([A-Za-z_]\w*)\s*[:=]\s*", r"\1\2\3=", given) + ")", "f")
        if call is None:
            continue
        args, kwargs = call
        if not args and sorted(kwargs) == sorted(parameters):
            return tuple(kwargs[name] for name in parameters)
        values = args or tuple(kwargs.values())  # a statement may name its parameters otherwise; their order is the same
        return values if len(values) == len(parameters) and not (args and kwargs) else None
    return None


def _closing(text: str, start: int) -> int | None:
    """Return the position after the bracket that closes the one at `start`."""
    depth, quote, index = 0, "", start
    while index < len(text):
        character = text[index]
        if quote:
            if character == "\\":
                index += 1
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth == 0:
                return index + 1
        index += 1
    return None


def _literal(text: str) -> tuple[Any] | None:
    """Return the value of a literal in a tuple, or `None`; `true`, `false` and `none` count."""
    if text.strip().lower() in _WORDS:
        return (_WORDS[text.strip().lower()],)
    try:
        return (ast.literal_eval(text.strip()),)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None


def _leading_literal(text: str) -> tuple[Any] | None:
    """Return the longest literal at the start of a text whose clause ends right behind it."""
    if chain := _ARITHMETIC.match(text):
        text = text[chain.end() :]
    if text[:1] and text[0] in "([{":
        end = _closing(text, 0)
        candidates = [end] if end else []
    else:
        line = text.split("\n", 1)[0]
        candidates = list(range(len(line), 0, -1))
    for end in candidates:
        if text[end - 1] != "." and (end == len(text) or _END.match(text, end)):  # a full stop ends a sentence, not a number
            value = _literal(text[:end])
            if value is not None:
                return value
    return None
