"""Whether a program could call a function from within itself: a conservative answer from its syntax tree.

Coverage through `sys.monitoring` needs one frame more than the program has, the first time a block runs; near the recursion
limit that could raise where the program would not. So a program that could recurse is covered by marks instead.

This module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

import ast

__all__ = ["could_recurse"]


def could_recurse(tree: ast.Module) -> bool:
    """Say whether some function may be reached from itself; when in doubt, yes.

    >>> could_recurse(ast.parse("def f(): g()\\ndef g(): pass")), could_recurse(ast.parse("def f(): g()\\ndef g(): f()"))
    (False, True)
    """
    functions: dict[str, list[ast.AST]] = {}
    implicit: set[str] = set()  # may run without being named: operators, properties, decorated functions
    variables: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            functions.setdefault(node.name, []).append(node)
            if node.decorator_list or (node.name[:2] == "__" and node.name != "__init__"):
                implicit.add(node.name)
        elif isinstance(node, ast.ClassDef):
            functions.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Lambda):
            functions.setdefault("<lambda>", []).append(node)
        elif isinstance(node, ast.arg):
            variables.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            variables.add(node.id)
    everything = set(functions)
    unknown = variables - everything
    reached: dict[str, set[str]] = {}
    for name, nodes in functions.items():
        names, calls_unknown = _references(nodes, unknown)
        reached[name] = everything if calls_unknown else (names & everything) | implicit
    return any(_reaches_itself(name, reached) for name in reached)


def _references(nodes: list[ast.AST], unknown: set[str]) -> tuple[set[str], bool]:
    """Return the names that the functions mention, and whether they call what no name tells."""
    names: set[str] = set()
    calls_unknown = False
    for outer in nodes:
        for node in ast.walk(outer):
            if isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and isinstance(outer, ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Call):
                called = node.func
                if isinstance(called, ast.Name):
                    calls_unknown |= called.id in unknown or called.id in ("eval", "exec", "getattr")
                else:
                    calls_unknown |= not isinstance(called, ast.Attribute)
    return names, calls_unknown


def _reaches_itself(name: str, reached: dict[str, set[str]]) -> bool:
    found: set[str] = set()
    stack = list(reached[name])
    while stack:
        other = stack.pop()
        if other == name:
            return True
        if other not in found:
            found.add(other)
            stack.extend(reached[other])
    return False
