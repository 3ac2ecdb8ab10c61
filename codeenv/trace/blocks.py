"""The basic blocks and branches of a program, and the mark that stands for each in the shared buffer.

This module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

import ast

from .places import has_code
from .scopes import may_raise

__all__ = ["MARK_BASE", "Blocks"]

MARK_BASE = 32
"""Index of the first coverage mark: marks lie in the shared buffer behind a header of this many bytes."""

_COMPOUND = frozenset([ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.Match])


class Blocks:
    """Hands out marks; all clones of a block share its marks.

    Attributes:
        slots: index behind the last mark.
        rows: per block (head mark, tail mark or 0, lines): the lines that are run if the tail (or the only) mark is set.
        branches: (line, mark if taken, mark if not taken) of each condition and loop.
    """

    def __init__(self) -> None:
        self.slots = MARK_BASE
        self.rows: list[tuple[int, int, list[int]]] = []
        self.branches: list[tuple[int, int, int]] = []
        self._marks: dict[int, tuple[int, int]] = {}
        self._arms: dict[tuple[int, str], int] = {}
        self._shared: dict[int, int] = {}

    def slot(self) -> int:
        """Return a new mark, or flag."""
        self.slots += 1
        return self.slots - 1

    def block(self, segment: list[ast.stmt], in_function: bool) -> tuple[int, int]:
        """Return the head mark and the tail mark of a block; 0 for a tail that cannot be missed."""
        key = id(segment[0])
        if key not in self._marks:
            head = self.slot()
            tail = self.slot() if len(segment) > 1 and any(map(may_raise, segment[:-1])) else 0
            self._marks[key] = (head, tail)
            self.rows.append((head, tail, [item.lineno for item in segment if has_code(item, in_function)]))
        return self._marks[key]

    @staticmethod
    def segment(statements: list[ast.stmt], start: int) -> list[ast.stmt]:
        """Return the basic block that starts there: simple statements and the compound one that ends it."""
        end = start
        while end < len(statements) - 1 and type(statements[end]) not in _COMPOUND:
            end += 1
        return statements[start : end + 1]

    def head(self, statements: list[ast.stmt]) -> int:
        """Return the head mark of a list of statements that has been woven."""
        return self._marks[id(statements[0])][0]

    def arm(self, statement: ast.stmt, arm: str) -> int:
        """Return the mark of an arm of a statement that has no statements of its own."""
        key = (id(statement), arm)
        if key not in self._arms:
            self._arms[key] = self.slot()
        return self._arms[key]

    def follow(self, statement: ast.If, after: list[ast.stmt], in_function: bool) -> None:
        """Let what follows an `if` stand for its missing `else`: nothing else leads there."""
        self._shared[id(statement)] = self.block(after, in_function)[0]

    def following(self, statement: ast.If) -> int:
        """Return the mark that `follow` gave, or 0."""
        return self._shared.get(id(statement), 0)

    def branch(self, line: int, taken: int, not_taken: int) -> None:
        """Note the marks of a condition's two outcomes."""
        if (branch := (line, taken, not_taken)) not in self.branches[-64:]:
            self.branches.append(branch)
