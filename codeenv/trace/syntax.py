"""Small pieces of syntax tree that the instrumentation adds: calls of the recorder, marks, counters.

What a piece refers to outside the program (`marks`, `seen`, the recorder's functions) is written as a constant that no
source can contain and replaced by the object itself in the compiled code, see `bind`.

This module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

import ast
import os
from types import CodeType, SimpleNamespace

__all__ = ["MARK_LINES", "Syntax", "bind"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeVar

    Node = TypeVar("Node", bound=ast.AST)

TABLES = ("seen", "marks", "counts", "functions")
"""What instrumented code refers to. Each is written as a tuple of one element: only that can be subscripted without the
compiler folding it, or warning; so no index is 0. The recorder's functions are attributes of the last.
"""

MARK_LINES = 1_000_000
"""The line of mark 0 where marks are lines: no source is that long."""

_KEY = int.from_bytes(os.urandom(6), "little") * 2.0**-1000  # not to be guessed by the program
_LOAD, _STORE = ast.Load(), ast.Store()


class Syntax:
    """Builds nodes at one source line."""

    __slots__ = ("_by_line", "_constants", "_functions", "_here", "_line", "_marks", "_numbers")

    def __init__(self, mark_by_line: bool = False, line: int = 1) -> None:
        self._line = line
        self._by_line = mark_by_line
        self._here: dict[int, Syntax] = {}
        self._constants: dict[str, ast.expr] = {}
        self._functions: dict[str, ast.expr] = {}
        self._numbers: dict[int, ast.expr] = {}
        self._marks: dict[int, ast.stmt] = {}

    def at(self, line: int) -> Syntax:
        """Return a builder whose nodes lie on `line`."""
        here = self._here.get(line)
        if here is None:
            here = self._here[line] = Syntax(line=line)
        return here

    def _placed(self, node: Node) -> Node:
        node.lineno = self._line  # type: ignore[attr-defined]
        node.col_offset = 0  # type: ignore[attr-defined]
        return node

    def number(self, value: int) -> ast.expr:
        node = self._numbers.get(value)
        if node is None:
            node = self._numbers[value] = ast.Constant(value)
            node.lineno, node.col_offset = self._line, 0
        return node

    def none(self) -> ast.expr:
        return self._placed(ast.Constant(None))

    def true(self) -> ast.expr:
        return self._placed(ast.Constant(True))

    def constant(self, name: str) -> ast.expr:
        """Return what stands for an outside object; the same node each time, as trees may share nodes."""
        node = self._constants.get(name)
        if node is None:
            value: Any = _placeholder(TABLES.index(name))
            node = self._constants[name] = self._placed(ast.Constant(value))
        return node

    def function(self, name: str) -> ast.expr:
        node = self._functions.get(name)
        if node is None:
            node = self._functions[name] = self._placed(ast.Attribute(self.constant("functions"), name, _LOAD))
        return node

    def name(self, name: str, store: bool = False) -> ast.expr:
        node = ast.Name(name, _STORE if store else _LOAD)
        node.lineno, node.col_offset = self._line, 0
        return node

    def item(self, of: ast.expr, index: int, store: bool = False) -> ast.expr:
        node = ast.Subscript(of, self.number(index), _STORE if store else _LOAD)
        node.lineno, node.col_offset = self._line, 0
        return node

    def stored(self, node: ast.expr) -> ast.expr:
        """Return a variable or item as the target of an assignment."""
        return self.changed(node, ctx=_STORE)

    def flag(self, slot: int) -> ast.expr:
        return self.item(self.constant("seen"), slot)

    def call(self, function: str, *arguments: ast.expr) -> ast.expr:
        node = ast.Call(self.function(function), list(arguments), [])
        node.lineno, node.col_offset = self._line, 0
        return node

    def negated(self, test: ast.expr) -> ast.expr:
        return self._placed(ast.UnaryOp(ast.Not(), test))

    def at_most(self, left: ast.expr, limit: int) -> ast.expr:
        return self._placed(ast.Compare(left, [ast.LtE()], [self.number(limit)]))

    def expression(self, value: ast.expr) -> ast.stmt:
        node = ast.Expr(value)
        node.lineno, node.col_offset = self._line, 0
        return node

    def assign(self, targets: list[ast.expr], value: ast.expr) -> ast.stmt:
        return self._placed(ast.Assign(targets, value))

    def increment(self, target: ast.expr) -> ast.stmt:
        return self._placed(ast.AugAssign(target, ast.Add(), self.number(1)))  # type: ignore[arg-type]

    def branch(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> ast.stmt:
        return self._placed(ast.If(test, body, orelse))

    def mark(self, slot: int, line: int) -> ast.stmt:
        """Return `if not seen[slot]: seen[slot] = marks[slot] = True`: the list test is what a later pass costs.

        With marks by line it is a `pass` on a line of its own behind the source, for `sys.monitoring` to see once.
        """
        if self._by_line:
            return self.at(MARK_LINES + slot)._placed(ast.Pass())
        mark = self._marks.get(slot)
        if mark is None:  # the clones of a block share it
            here = self.at(line)
            seen = here.constant("seen")
            targets = [here.item(seen, slot, store=True), here.item(here.constant("marks"), slot, store=True)]
            mark = here.branch(here.negated(here.item(seen, slot)), [here.assign(targets, here.true())], [])
            self._marks[slot] = mark
        return mark

    def guard(self, body: list[ast.stmt], error: str, otherwise: list[ast.stmt], orelse: Sequence[ast.stmt] = ()) -> ast.stmt:
        """Return `try: body` with one handler, for the error that the recorder itself may cause."""
        here = self.at(body[0].lineno)
        handler = here._placed(ast.ExceptHandler(here.function(error), None, otherwise or [here._placed(ast.Pass())]))
        return here._placed(ast.Try(body, [handler], list(orelse), []))

    def leave(self) -> ast.stmt:
        """Return the `return` of a function that has come to its end."""
        return self._placed(ast.Return(None))

    def finally_(self, body: list[ast.stmt], final: list[ast.stmt]) -> ast.stmt:
        return self._placed(ast.Try(body, [], [], final))

    @staticmethod
    def changed(node: Node, **fields: Any) -> Node:
        """Return a copy of a node with other fields; the rest, and its place in the source, is shared."""
        copy: Node = node.__class__.__new__(node.__class__)
        own = copy.__dict__
        own.update(node.__dict__)
        own.update(fields)
        return copy


def _placeholder(index: int) -> tuple[complex]:
    return (complex(_KEY, index),)


def bind(code: CodeType, tables: Mapping[str, Any], functions: Mapping[str, Any]) -> CodeType:
    """Return the code with the constants that stand for outside objects replaced by them, in nested code too."""
    outside = {**tables, "functions": SimpleNamespace(**functions)}
    return _bound(code, {_placeholder(index): outside[name] for index, name in enumerate(TABLES)})


def _bound(code: CodeType, table: Mapping[tuple[complex], Any]) -> CodeType:
    constants = tuple(
        _bound(item, table) if type(item) is CodeType else table.get(item, item) if type(item) is tuple else item
        for item in code.co_consts
    )
    return code.replace(co_consts=constants)
