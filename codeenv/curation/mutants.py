"""Mutants: small mechanical changes of a program, each a bug that good tests should notice."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

__all__ = ["mutants"]

_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult, ast.Mod: ast.FloorDiv,
}  # fmt: skip


def mutants(source: str, limit: int = 50) -> list[str]:
    """Return programs that differ from a source in one place: a number by one, a comparison, an operator, a swapped branch or
    a negated condition. At most `limit`, spread over the program; an empty list if it does not parse.

    >>> mutants("def f(x):\\n    return x + 1\\n")
    ['def f(x):\\n    return x - 1', 'def f(x):\\n    return x + 2']
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    original = ast.unparse(tree)
    found: dict[str, None] = {}
    for position, node in enumerate(ast.walk(tree)):
        for change in range(len(list(_changes(node)))):
            other = copy.deepcopy(tree)
            target = next(item for index, item in enumerate(ast.walk(other)) if index == position)
            list(_changes(target))[change]()
            text = ast.unparse(ast.fix_missing_locations(other))
            if text != original:
                found.setdefault(text)
    texts = list(found) if limit > 0 else []
    step = max(1, -(-len(texts) // max(1, limit)))
    return texts[::step]


def _changes(node: ast.AST) -> Iterator[_Change]:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield _Change(node, "value", node.value + 1)
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield _Change(node, "value", not node.value)
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARE:
        yield _Change(node, "ops", [_COMPARE[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _BINARY:
        yield _Change(node, "op", _BINARY[type(node.op)]())
    elif isinstance(node, ast.BoolOp):
        yield _Change(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.If) and node.orelse:
        yield _Change(node, "body", node.orelse, ("orelse", node.body))
    elif isinstance(node, ast.If):
        yield _Change(node, "test", ast.UnaryOp(ast.Not(), node.test))


class _Change:
    """One attribute of a node to be set, or two."""

    def __init__(self, node: ast.AST, name: str, value: object, also: tuple[str, object] | None = None) -> None:
        self._node, self._name, self._value, self._also = node, name, value, also

    def __call__(self) -> None:
        setattr(self._node, self._name, self._value)
        if self._also is not None:
            setattr(self._node, *self._also)
