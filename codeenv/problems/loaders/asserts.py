"""Assert statements split into single tests: call tests where the values are literals, test code where they are not."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from codeenv.problems.loaders.fields import parsed, wrong
from codeenv.problems.plain import PlainDataError, to_json
from codeenv.problems.problem import CallTest, CodeTest, ProblemError, Test

__all__ = ["assert_to_test", "called_function", "import_lines", "listed_tests"]


def assert_to_test(source: str, entry_point: str, setup: str = "", field: str = "test_list") -> Test:
    """Return the test of one assert: `assert f(1) == 2` is a call test, anything else test code.

    Raises:
        ProblemError: if it is not Python, with the field.

    >>> assert_to_test("assert f([1], 2) == 3", "f")
    CallTest(args=([1], 2), kwargs={}, expected=3)
    """
    code = (setup.strip() + "\n" if setup.strip() else "") + source.strip() + "\n"
    tree = parsed(source.strip(), field)
    if not tree.body:
        raise wrong(field, source, "a list of asserts, and this one is empty")
    try:
        (statement,) = tree.body
        if isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Compare) and len(statement.test.ops) == 1:
            left, (right,) = statement.test.left, statement.test.comparators
            if isinstance(statement.test.ops[0], (ast.Eq, ast.Is)) and _calls(left, entry_point):
                assert isinstance(left, ast.Call)
                args = tuple(ast.literal_eval(argument) for argument in left.args)
                kwargs = {str(word.arg): ast.literal_eval(word.value) for word in left.keywords}
                expected = ast.literal_eval(right)
                to_json([list(args), kwargs, expected])
                return CallTest(args, kwargs, expected)
    except (SyntaxError, ValueError, TypeError, PlainDataError):
        pass
    return CodeTest(code)


def called_function(asserts: Sequence[str], solution: str) -> str:
    """Return the function of the solution that the asserts call.

    Raises:
        ProblemError: if there is none.
    """
    defined = [node.name for node in parsed(solution, "code").body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    for source in asserts:
        for node in ast.walk(parsed(source.strip(), "test_list")):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in defined:
                return node.func.id
    raise ProblemError(f"field 'test_list' calls none of the functions {', '.join(defined) or '(none)'} of field 'code'")


def import_lines(code: str) -> list[str]:
    """Return the import statements at the top level of a program."""
    return [ast.unparse(node) for node in parsed(code, "code").body if isinstance(node, (ast.Import, ast.ImportFrom))]


def listed_tests(code: str) -> list[tuple[tuple[Any, ...], Any]] | None:
    """Return the pairs of arguments and result in test code of the form `inputs = [...]; results = [...]` (EvalPlus).

    `None` if the code has no such lists of literals.
    """
    lists: dict[str, Any] = {}
    for node in ast.walk(parsed(code, "test")):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("inputs", "results") and name not in lists:
                try:
                    lists[name] = ast.literal_eval(node.value)
                    to_json(lists[name])
                except (ValueError, TypeError, PlainDataError, RecursionError):
                    return None
    if not isinstance(lists.get("inputs"), list) or not isinstance(lists.get("results"), list):
        return None
    if len(lists["inputs"]) != len(lists["results"]):
        raise ProblemError(f"field 'test' has {len(lists['inputs'])} inputs but {len(lists['results'])} results")
    for args in lists["inputs"]:
        if not isinstance(args, (list, tuple)):
            raise wrong("test", args, "code whose inputs are lists of arguments")
    return [(tuple(args), result) for args, result in zip(lists["inputs"], lists["results"], strict=True)]


def _calls(node: ast.expr, entry_point: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == entry_point
        and all(word.arg for word in node.keywords)
    )
