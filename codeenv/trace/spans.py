"""Where the statements of a source lie: from the line on which one starts to its lines, and to its characters."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass

from codeenv.text import program_lines

__all__ = ["Statement", "line_owners", "statements_of"]

_HEAD_PARTS = ("test", "iter", "target", "subject", "items", "args", "returns", "bases", "keywords", "type", "pattern", "guard")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, or the head of a compound one (`if ...:`, `def ...:`, `except ...:`).

    Attributes:
        line: the line that a trace names: where the statement starts; of a decorated definition, that of `def` or `class`.
        first: first line of the span; that of the first decorator, if there is one.
        last: last line of the span.
        owned: further lines that have no code of their own and run when this statement does: `else:`, `try:`, `finally:`,
            a docstring.
        quiet: it is never recorded by itself: a statement of a class body, or a head that only leads into its block (`try:`).
        body: of `except` and `case` heads the line of the first statement inside, which is run when they are; else 0.
    """

    line: int
    first: int
    last: int
    owned: tuple[int, ...] = ()
    body: int = 0
    quiet: bool = False


def statements_of(source: str) -> dict[int, Statement]:
    """Return the statements by the line on which each starts; of several on one line the outermost. Empty if the source has
    a syntax error.

    >>> statements_of("x = [1,\\n  2]")[1].last
    2
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    lines = [row.rstrip("\r\n") for row in program_lines(source)]
    found: dict[int, Statement] = {}
    in_class: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) or (node in in_class and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            in_class.update(inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring has no code
        if isinstance(node, (ast.stmt, ast.ExceptHandler)):
            quiet = node in in_class or isinstance(node, (ast.Try, ast.TryStar, ast.Match, ast.ClassDef, ast.Raise))
            found.setdefault(node.lineno, _statement(node, lines, quiet))
        elif isinstance(node, ast.match_case):
            line = node.pattern.lineno
            found.setdefault(line, Statement(line, line, _head_end(node, node.pattern), body=node.body[0].lineno))
    return found


def _statement(node: ast.stmt | ast.ExceptHandler, lines: list[str], quiet: bool) -> Statement:
    first = min([node.lineno, *(item.lineno for item in getattr(node, "decorator_list", ()))])
    if not getattr(node, "body", None) and not isinstance(node, ast.Match):
        return Statement(node.lineno, first, node.end_lineno or node.lineno, quiet=quiet)
    owned: list[int] = []
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        docstring = node.body[0]
        if (
            isinstance(docstring, ast.Expr)
            and isinstance(docstring.value, ast.Constant)
            and isinstance(docstring.value.value, str)
        ):
            owned.extend(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    for field, word in (("orelse", "else"), ("finalbody", "finally")):
        if part := getattr(node, field, None):
            owned += _keyword_line(part[0], word, lines)
    body = node.body[0].lineno if isinstance(node, ast.ExceptHandler) else 0
    return Statement(node.lineno, first, _head_end(node, node), tuple(owned), body, quiet)


def _keyword_line(after: ast.stmt, word: str, lines: list[str]) -> list[int]:
    """Return the line of `else:` or `finally:` before a body; none if it is on the body's own line or an `elif`."""
    for number in range(after.lineno - 1, max(0, after.lineno - 50), -1):
        text = lines[number - 1].strip()
        if text.startswith(word):
            return [number]
        if text and not text.startswith(("#", "@")):
            break
    return []


def _head_end(node: ast.AST, at: ast.AST) -> int:
    """Return the last line of a compound statement's head."""
    last = at.lineno  # type: ignore[attr-defined]
    for field in _HEAD_PARTS:
        part = getattr(node, field, None)
        for item in part if isinstance(part, list) else [part]:
            if isinstance(item, ast.AST):
                ends = [getattr(inner, "end_lineno", None) or 0 for inner in ast.walk(item)]
                last = max(last, *ends)
    return int(last)


def line_owners(source: str) -> dict[int, int]:
    """Return for each line the line on which the statement it belongs to starts.

    A statement owns all its lines, its decorators and the heads without code after it (`else:`, `finally:`) and its
    docstring; a blank line or a comment belongs to the statement that follows with the same indentation, else to the one before.
    """
    statements = statements_of(source)
    owners: dict[int, int] = {}
    for statement in sorted(statements.values(), key=lambda item: item.line):
        for line in (*range(statement.first, statement.last + 1), *statement.owned):
            owners[line] = statement.body or statement.line
    for line, statement in statements.items():
        owners[line] = statement.body or line
    lines = [row.rstrip("\r\n") for row in program_lines(source)]
    depths = [len(text) - len(text.lstrip()) if text.strip() else None for text in lines]
    for number in range(1, len(lines) + 1):
        if number in owners:
            continue
        after = next((line for line in range(number + 1, len(lines) + 1) if line in statements), 0)
        own = depths[number - 1]
        if after and own is not None and depths[after - 1] == own:
            owners[number] = after
        elif before := max((line for line in statements if line < number), default=after):
            owners[number] = before
    return dict(sorted(owners.items()))
