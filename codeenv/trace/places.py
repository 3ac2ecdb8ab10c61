"""Where a statement is woven: the clone, the activation and the loops around it, and what its place allows.

This module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

import ast

from .scopes import Scope

__all__ = [
    "Loop",
    "Place",
    "captured",
    "has_code",
    "leaves",
    "looks_at_locals",
    "parameters_of",
    "prologue",
    "qualified",
    "resumes",
]


class Place:
    """Where a statement is woven: its scope, its clone, and the loops and surely bound names around it."""

    __slots__ = ("bound", "depth", "live", "loops", "nesting", "record", "scope")

    def __init__(self, scope: Scope, record: bool, live: bool, nesting: int) -> None:
        self.scope = scope
        self.record = record  # the recorded clone
        self.live = live  # inside a recorded activation: returns and loop ends are reported even from a plain clone
        self.nesting = nesting
        self.depth = 0
        self.loops: tuple[Loop, ...] = ()
        self.bound: set[str] = set()

    def inner(self, record: bool | None = None) -> Place:
        place = Place(self.scope, self.record if record is None else record, self.live, self.nesting)
        place.depth, place.loops, place.bound = self.depth, self.loops, set(self.bound)
        return place


class Loop:
    """A loop with a counter, and the variables that it carries."""

    __slots__ = ("at", "bound", "counter", "line", "names")

    def __init__(self, line: int, counter: str | int, names: list[str], at: dict[str, list[int]], bound: set[str]) -> None:
        self.line = line
        self.counter = counter
        self.names = names
        self.at = at
        self.bound = bound


def prologue(body: list[ast.stmt]) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """Split off what must stay first: the docstring and the imports from `__future__`."""
    count = 0
    if (
        body
        and isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    ):
        count = 1
    while count < len(body) and isinstance(item := body[count], ast.ImportFrom) and item.module == "__future__":
        count += 1
    return body[:count], body[count:]


def parameters_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the names of a function's parameters, in order."""
    parts = node.args
    names = [item.arg for item in [*parts.posonlyargs, *parts.args]]
    return names + [item.arg for item in (parts.vararg, *parts.kwonlyargs, parts.kwarg) if item is not None]


def has_code(statement: ast.stmt, in_function: bool) -> bool:
    """Say whether the statement is more than a declaration, so that a line tracer would see it."""
    if isinstance(statement, (ast.Global, ast.Nonlocal)):
        return False
    if isinstance(statement, ast.AnnAssign):
        return statement.value is not None or not in_function
    return not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))


def qualified(outer: Scope, name: str) -> str:
    return name if outer.kind == "module" else f"{outer.name}.{name}"


def captured(node: ast.AST) -> str | None:
    name = getattr(node, "name", None) or getattr(node, "rest", None)
    return name if isinstance(name, str) else None


def looks_at_locals(node: ast.AST) -> bool:
    """Say whether a function asks for its own local variables: `locals`, or `vars` and `dir` without an argument."""
    with_argument = {
        id(call.func) for call in ast.walk(node) if isinstance(call, ast.Call) and call.args and isinstance(call.func, ast.Name)
    }
    return any(
        isinstance(item, ast.Name)
        and item.id in ("locals", "vars", "dir")
        and (item.id == "locals" or id(item) not in with_argument)
        for item in ast.walk(node)
    )


def leaves(statement: ast.If) -> bool:
    """Say whether what follows an `if` is run only if its test is false: it has no `else`, and its body always leaves."""
    return not statement.orelse and isinstance(statement.body[-1], (ast.Return, ast.Raise, ast.Continue, ast.Break))


def resumes(node: ast.FunctionDef | ast.AsyncFunctionDef, yields: bool) -> bool:
    """Say whether a function's frame may go on at another depth of the stack than it started at."""
    return isinstance(node, ast.AsyncFunctionDef) or (
        yields and any(isinstance(item, (ast.Yield, ast.YieldFrom)) for item in ast.walk(node))
    )
