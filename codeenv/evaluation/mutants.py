"""Wrong programs for problems that come without any: small changes of a right one."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator

from codeenv.problems import Problem

__all__ = ["NOT_IMPLEMENTED", "mutants", "wrong_programs"]

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult, ast.Mod: ast.FloorDiv,
}  # fmt: skip


def mutants(source: str, seed: int = 0) -> list[str]:
    """Return programs that differ from `source` in one place, in an order that the seed decides; none if it does not parse.

    A comparison or an arithmetic operator is exchanged, a whole number grows by one, or a condition is negated.

    >>> sorted(mutants("def f(a):\\n    return a + 1\\n"))
    ['def f(a):\\n    return a + 2\\n', 'def f(a):\\n    return a - 1\\n']
    """
    try:
        count = len(list(_changes(ast.parse(source))))
        found = []
        for place in range(count):
            tree = ast.parse(source)
            list(_changes(tree))[place]()
            found.append(ast.unparse(ast.fix_missing_locations(tree)) + "\n")
    except (SyntaxError, ValueError, RecursionError):
        return []
    random.Random(seed).shuffle(found)
    return found


def _changes(tree: ast.AST) -> Iterator[Callable[[], None]]:
    """Yield, for each place that can be changed, a function that changes it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
            yield lambda node=node: node.ops.__setitem__(0, _COMPARISONS[type(node.ops[0])]())  # type: ignore[misc]
        elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _OPERATORS:
            yield lambda node=node: setattr(node, "op", _OPERATORS[type(node.op)]())  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            yield lambda node=node: setattr(node, "value", node.value + 1)  # type: ignore[misc]
        elif isinstance(node, (ast.If, ast.While)):
            yield lambda node=node: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))  # type: ignore[misc]


NOT_IMPLEMENTED = "raise NotImplementedError\n"
"""A program that always fails, the last resort of RLEF's random feedback (arXiv 2410.02089, appendix)."""


def wrong_programs(problem: Problem, seed: int = 0, most: int = 4) -> list[str]:
    """Return up to `most` programs that are probably wrong: known ones, else mutants of a right one, then `NOT_IMPLEMENTED`."""
    known = list(problem.incorrect_solutions)
    random.Random(seed).shuffle(known)
    made = [] if known or not problem.correct_solutions else mutants(problem.correct_solutions[0], seed)
    return [*(known or made)[: most - 1], NOT_IMPLEMENTED]
