"""Which lines of a reference its tests run, measured in the sandbox through the value that an instrumented copy returns."""

from __future__ import annotations

import ast
from dataclasses import replace

from codeenv.judge import Judge
from codeenv.problems.problem import CallTest, Problem

__all__ = ["instrumented", "line_coverage"]


def line_coverage(problem: Problem, source: str, judge: Judge) -> float | None:
    """Return the share of statement lines in functions that the problem's call tests run, or `None` if it cannot be measured."""
    changed = instrumented(source, problem.entry_point or "")
    tests = tuple(replace(test, expected=None) for test in problem.tests("all") if isinstance(test, CallTest))
    if changed is None or not tests:
        return None
    program, lines = changed
    report = judge.judge(replace(problem, public_tests=(), private_tests=tests), program)
    run: set[int] = set()
    for result in report.results:
        try:
            value = ast.literal_eval(result.output)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, list):
            run.update(number for number in value if isinstance(number, int))
    return len(run & lines) / len(lines) if lines else None


def instrumented(source: str, entry_point: str) -> tuple[str, set[int]] | None:
    """Return a program whose entry point returns the lines it ran (also if it raises), and the lines it could run.

    `None` if the source has no plain function of that name.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    if not any(isinstance(node, ast.FunctionDef) and node.name == entry_point for node in tree.body):
        return None
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for inner in ast.walk(node):
                for name in ("body", "orelse", "finalbody"):
                    block = getattr(inner, name, None)
                    if isinstance(block, list) and block and not getattr(inner, f"_seen_{name}", False):
                        setattr(inner, f"_seen_{name}", True)
                        setattr(inner, name, _marked(block, lines))
    ending = (
        f"\n\n_called = {entry_point}\n\n\ndef {entry_point}(*args, **kwargs):\n    _lines.clear()\n    try:\n"
        "        _called(*args, **kwargs)\n    except Exception:\n        pass\n    return sorted(_lines)\n"
    )
    return "_lines = set()\n" + ast.unparse(ast.fix_missing_locations(tree)) + ending, lines


def _marked(block: list[ast.stmt], lines: set[int]) -> list[ast.stmt]:
    marked: list[ast.stmt] = []
    for statement in block:
        docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not docstring and not isinstance(statement, (ast.Nonlocal, ast.Global)):
            lines.add(statement.lineno)
            marked.append(ast.parse(f"_lines.add({statement.lineno})").body[0])
        marked.append(statement)
    return marked
