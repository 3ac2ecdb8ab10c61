"""The same problem twice: solutions by the hash of their normalised syntax tree, statements by MinHash (package `datasketch`)."""

from __future__ import annotations

import ast
import builtins
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from codeenv.errors import MissingExtraError
from codeenv.problems.problem import Problem

__all__ = ["Overlap", "code_key", "find_overlaps", "shingles"]

_SHINGLE_WORDS = 5
_PERMUTATIONS = 128


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two problems that seem to be the same.

    Attributes:
        left, right: their ids; `right` is the one that came earlier, or the one of the evaluation set.
        kind: `statement` or `solution`.
        similarity: estimated Jaccard similarity of the statements; 1.0 for solutions.
    """

    left: str
    right: str
    kind: str
    similarity: float


def find_overlaps(problems: Iterable[Problem], against: Iterable[Problem] | None = None, threshold: float = 0.7) -> list[Overlap]:
    """Find problems of one collection that are also in another, or twice in the same.

    Statements are compared by MinHash over runs of five words, solutions by `code_key`. Only signatures are kept, not problems.

    Args:
        problems: the training problems.
        against: the evaluation problems; `None` looks for repetitions within `problems`.
        threshold: estimated Jaccard similarity from which statements count as the same.

    Raises:
        MissingExtraError: if `datasketch` is not installed.
    """
    try:
        import datasketch
    except ImportError:
        raise MissingExtraError("finding similar statements", "datasketch", "data") from None
    index = datasketch.MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS)
    signatures: dict[str, Any] = {}
    solutions: dict[str, str] = {}
    found: list[Overlap] = []

    def signature(problem: Problem) -> Any:
        made = datasketch.MinHash(num_perm=_PERMUTATIONS)
        made.update_batch([shingle.encode() for shingle in sorted(shingles(problem.statement))])
        return made

    def keep(problem: Problem, made: Any) -> None:
        if problem.id not in signatures:
            signatures[problem.id] = made
            index.insert(problem.id, made)
        for source in problem.correct_solutions:
            if key := code_key(source):
                solutions.setdefault(key, problem.id)

    for problem in against or ():
        keep(problem, signature(problem))
    for problem in problems:
        made = signature(problem)
        similar = ((made.jaccard(signatures[other]), other) for other in index.query(made))
        found.extend(
            Overlap(problem.id, other, "statement", round(float(value), 3))
            for value, other in sorted(similar, reverse=True)
            if value >= threshold
        )
        keys = (code_key(source) for source in problem.correct_solutions)
        others = dict.fromkeys(solutions[key] for key in keys if key in solutions)
        found.extend(Overlap(problem.id, other, "solution", 1.0) for other in others if other != problem.id)
        if against is None:
            keep(problem, made)
    return found


def shingles(statement: str) -> set[str]:
    """Return the runs of five words of a statement, letters and digits only; all of it if it is shorter."""
    words = re.findall(r"\w+", statement.lower())
    if len(words) <= _SHINGLE_WORDS:
        return {" ".join(words)}
    return {" ".join(words[start : start + _SHINGLE_WORDS]) for start in range(len(words) - _SHINGLE_WORDS + 1)}


def code_key(source: str) -> str:
    """Return a hash that ignores names, docstrings, comments and layout; empty if the source does not parse.

    >>> code_key("def f(a):\\n    return a+1  # up") == code_key("def g(x):\\n    'Add.'\\n    return (x + 1)")
    True
    >>> code_key("def f(a):\\n    return a + 1") == code_key("def f(a):\\n    return a - 1")
    False
    """
    try:
        tree = ast.parse(source)
        return hashlib.sha256(ast.dump(_Renamed().visit(tree)).encode()).hexdigest()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""


class _Renamed(ast.NodeTransformer):
    """Names in the order of their first use; names of builtins and attributes stay."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._name(node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg, node.annotation = self._name(node.arg), None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name, node.returns = self._name(node.name), None
        return self._without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self._name(node.name)
        return self._without_docstring(node)

    def visit_Module(self, node: ast.Module) -> ast.AST:
        return self._without_docstring(node)

    def _without_docstring(self, node: ast.FunctionDef | ast.ClassDef | ast.Module) -> ast.AST:
        if node.body and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
            node.body = node.body[1:]
        return self.generic_visit(node)

    def _name(self, name: str) -> str:
        return name if hasattr(builtins, name) else self._names.setdefault(name, f"v{len(self._names)}")
