"""Which lines of a reference its tests run, measured in the sandbox by an instrumented copy.

The copy of a function returns the numbers of the lines that ran; the copy of a program prints them in place of its output.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from codeenv.judge import Judge
from codeenv.problems.problem import CallTest, Checker, Problem, StdioTest, Test

__all__ = ["instrumented", "instrumented_program", "line_coverage"]

_PRELUDE = """import atexit as _atexit, io as _io, sys as _sys
_lines = set()
_shown, _sys.stdout = _sys.stdout, _io.TextIOWrapper(_io.BytesIO())
_atexit.register(lambda: (_shown.write(repr(sorted(_lines))), _shown.flush()))
"""


def line_coverage(problem: Problem, source: str, judge: Judge) -> float | None:
    """Return the share of statement lines (those in functions, for a call problem) that the problem's tests run.

    `None` if it cannot be measured: another language than Python, test code, or an entry point that is no function or method.
    """
    tests: list[Test] = []
    for test in problem.tests("all"):
        if isinstance(test, CallTest):
            tests.append(replace(test, expected=None))
        elif isinstance(test, StdioTest):
            tests.append(replace(test, output=""))
    call = problem.mode == "call"
    changed = instrumented(source, problem.entry_point or "") if call else instrumented_program(source)
    if changed is None or not tests or problem.language != "python":
        return None
    program, lines = changed
    asked = replace(problem, public_tests=(), private_tests=tuple(tests), groups=(), checker=Checker())
    run: set[int] = set()
    for result in judge.judge(asked, program).results:
        try:
            value = ast.literal_eval(result.output)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, list):
            run.update(number for number in value if isinstance(number, int))
    return len(run & lines) / len(lines) if lines else None


def instrumented(source: str, entry_point: str) -> tuple[str, set[int]] | None:
    """Return a program whose entry point returns the lines it ran (also if it raises), and the lines it could run.

    `None` if the source has no plain function, or `Class().method`, of that name.
    """
    tree = _tree(source)
    owner, _, name = entry_point.rpartition("().")
    inside = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner] if tree and owner else []
    body = inside[0].body if inside else tree.body if tree and not owner else []
    if tree is None or not any(isinstance(node, ast.FunctionDef) and node.name == name for node in body):
        return None
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for inner in ast.walk(node):
                _mark_blocks(inner, lines)
    called = f"{owner}.{name}" if owner else name
    ending = (
        f"\n\n_called = {called}\n\n\ndef _recorded(*args, **kwargs):\n    _lines.clear()\n    try:\n"
        "        _called(*args, **kwargs)\n    except Exception:\n        pass\n    return sorted(_lines)\n"
        f"\n\n{called} = _recorded\n"
    )
    return _unparsed(tree, "_lines = set()\n") + ending, lines


def instrumented_program(source: str) -> tuple[str, set[int]] | None:
    """Return a program that prints the lines it ran in place of its output, and the lines it could run.

    `None` if it is no Python.
    """
    tree = _tree(source)
    if tree is None:
        return None
    lines: set[int] = set()
    for node in list(ast.walk(tree)):
        _mark_blocks(node, lines)
    return _unparsed(tree, _PRELUDE), lines


def _tree(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _unparsed(tree: ast.Module, prelude: str) -> str:
    """Return a program with lines before it, behind its imports from the future."""
    future = [node for node in tree.body if _from_future(node)]
    tree.body = [*future, *ast.parse(prelude).body, *[node for node in tree.body if node not in future]]
    return ast.unparse(ast.fix_missing_locations(tree))


def _from_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _mark_blocks(node: ast.AST, lines: set[int]) -> None:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block and not getattr(node, f"_seen_{name}", False):
            setattr(node, f"_seen_{name}", True)
            setattr(node, name, _marked(block, lines))


def _marked(block: list[ast.stmt], lines: set[int]) -> list[ast.stmt]:
    marked: list[ast.stmt] = []
    for statement in block:
        docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not docstring and not isinstance(statement, (ast.Nonlocal, ast.Global)) and not _from_future(statement):
            lines.add(statement.lineno)
            marked.append(ast.parse(f"_lines.add({statement.lineno})").body[0])
        marked.append(statement)
    return marked
