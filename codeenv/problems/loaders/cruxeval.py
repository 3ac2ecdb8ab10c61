"""CRUXEval (arXiv 2401.03065): predict what a short function returns for an input.

The submission defines `answer()`, which returns the predicted value as a literal. There is no public test: nothing but the value
itself could be shown, so the first valid answer is judged on the private test and ends the episode. The
environment cannot tell a literal from a program that computes it; the statement asks for the literal.
"""

from __future__ import annotations

import ast
from typing import Any

from codeenv.problems.loaders.fields import Row, parsed, text
from codeenv.problems.loaders.tables import build
from codeenv.problems.plain import PlainDataError, to_json
from codeenv.problems.problem import CallTest, Checker, Problem, ProblemError
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Request

__all__ = ["answer_problem", "literal", "load_cruxeval"]


def load_cruxeval(request: Request, check: bool = True) -> ProblemSet:
    """Load the 800 output-prediction problems."""
    return build(request, "cruxeval", lambda row, _: _problem(row), check=check)


def answer_problem(name: str, row: Row, source: str) -> Problem:
    """Return the problem of predicting the value of `f(input)`; a call in full, such as `f(x = 1)`, is taken as it is."""
    code, given, output = text(row, "code"), text(row, "input"), text(row, "output")
    call = given if given.lstrip().startswith(tuple(f"{function}(" for function in _functions(code))) else f"f({given})"
    value = literal(output, "output")
    return Problem(
        id=name,
        statement=(
            f"Here is a Python program:\n\n```python\n{code.strip()}\n```\n\nWithout running it, find the value of `{call}`. "
            "Write a function `answer()` that returns this value as a literal."
        ),
        mode="call",
        entry_point="answer",
        private_tests=(CallTest((), {}, value),),
        checker=Checker(kind="exact"),
        tags=("output-prediction",),
        source=source,
        license="MIT",
        correct_solutions=(f"def answer():\n    return {value!r}\n",),
    )


def literal(source: Any, field: str) -> Any:
    """Return the plain value of a literal in a field.

    Raises:
        ProblemError: if it is none.
    """
    try:
        value = ast.literal_eval(source.strip())
        to_json(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError, AttributeError, PlainDataError):
        raise ProblemError(f"field {field!r} is {str(source)[:60]!r}, which is no literal") from None
    return value


def _problem(row: Row) -> Problem:
    return answer_problem(f"CRUXEval/{text(row, 'id')}", row, "cruxeval")


def _functions(code: str) -> list[str]:
    return [node.name for node in parsed(code, "code").body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
