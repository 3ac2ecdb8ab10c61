"""The second run of a program: the same program with other chances, so that what depends on them shows.

The sandbox seeds `random` and the hashes of texts the same way each time. In a second run `random` has another seed, and wherever
a set of texts or objects is gone through in order, the order is turned round: another seed of the hashes might have given it.
"""

from __future__ import annotations

import ast
import sys

from codeenv.text import program_lines

__all__ = ["after_future_imports", "disturbed"]

_PREFIX = """exec(compile({helpers!r}, "<second run>", "exec")); import random; random.seed(987654321); del random"""
_HELPERS = """
def _turned(value):
    def counts(one):  # its hash is the same in every process
        kind = type(one)
        return kind in (bool, int, float, complex) or (kind in (tuple, frozenset) and all(map(counts, one)))
    if type(value) in (set, frozenset) and len(value) > 1 and not all(map(counts, value)):
        return list(value)[::-1]
    return value
class _Popped:
    def __init__(self, value):
        self.value = value
    def pop(self):
        one = _turned(self.value)[0]
        self.value.remove(one)
        return one
def _popped(value):
    return value if _turned(value) is value else _Popped(value)
"""
_ORDERED = frozenset({"list", "tuple", "iter", "enumerate", "print", "str", "repr", "zip", "map", "filter", "max", "min"})
_METHODS = frozenset({"join", "extend", "fromkeys", "writelines"})


def disturbed(source: str) -> tuple[str, int]:
    """Return the program with other chances, and the number of its line behind which one line was put in.

    Every other line stays a line. A program that does not parse is returned as it is, with its number of lines.

    >>> disturbed("for x in {'a', 'b'}:\\n    print(x)")[0].splitlines()[1]
    "for x in  _turned({'a', 'b'}):"
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source, len(program_lines(source))
    rows = program_lines(source)
    if _has_sets(tree):
        lines = [row.encode("utf-8", "surrogatepass") for row in rows]
        for line, column, _, text in sorted(_edits(tree), reverse=True):
            row = lines[line - 1]
            lines[line - 1] = row[:column] + text.encode() + row[column:]
        rows = [row.decode("utf-8", "surrogatepass") for row in lines]
    after = after_future_imports(source)
    if after and not rows[after - 1].endswith(("\n", "\r")):
        rows[after - 1] += "\n"
    rows.insert(after, _PREFIX.format(helpers=_HELPERS) + "\n")
    return "".join(rows), after


def after_future_imports(source: str) -> int:
    """Return how many lines stand before and with the imports from `__future__`, which must come first."""
    if "__future__" not in source:
        return 0
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0  # it does not run either way
    ends = [node.end_lineno or 0 for node in body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    return max(ends, default=0)


def _has_sets(tree: ast.Module) -> bool:
    return any(
        isinstance(node, (ast.Set, ast.SetComp)) or (isinstance(node, ast.Name) and node.id in ("set", "frozenset"))
        for node in ast.walk(tree)
    )


def _edits(tree: ast.Module) -> list[tuple[int, int, int, str]]:
    """Return what to put in where: line, column in bytes, rank among edits at one place, text."""
    wrapped: list[tuple[ast.expr, str]] = []
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and sys.version_info < (3, 12):  # its parts have no exact place there
            skipped.update(map(id, ast.walk(node)))
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "pop" and not node.args:
            wrapped.append((node.func.value, "_popped"))
        else:
            wrapped += [(value, "_turned") for value in _gone_through(node)]
    edits: list[tuple[int, int, int, str]] = []
    for rank, (value, name) in enumerate(wrapped):
        if isinstance(value, (ast.GeneratorExp, ast.Tuple, ast.Starred)):
            continue  # they may have no parentheses of their own, and are no sets
        edits.append((value.lineno, value.col_offset, rank, f" {name}("))  # `in[1]` would become one word
        edits.append((value.end_lineno or value.lineno, value.end_col_offset or 0, -rank, ")"))
    return edits


def _gone_through(node: ast.AST) -> list[ast.expr]:
    """Return the parts of a node whose members it takes in order, if they are sets."""
    if isinstance(node, (ast.For, ast.comprehension)):
        return [node.iter]
    if isinstance(node, ast.YieldFrom):
        return [node.value]
    if isinstance(node, ast.FormattedValue) or (isinstance(node, ast.Starred) and isinstance(node.ctx, ast.Load)):
        return [node.value]
    if isinstance(node, ast.Assign):
        return [node.value] if any(isinstance(target, (ast.Tuple, ast.List)) for target in node.targets) else []
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        return list(node.args) if name in _ORDERED or method in _METHODS else []
    return []
