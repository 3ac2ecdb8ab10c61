"""The second run of a reference: the same program with another state of chance.

The sandbox seeds `random` and string hashes the same way each time, so that verdicts repeat; a reference that depends on chance
shows only if the seed changes.
"""

from __future__ import annotations

import ast

__all__ = ["reseeded"]


def reseeded(source: str) -> str:
    """Return a program that seeds `random` differently and is otherwise the same.

    >>> reseeded("print(1)\\n").splitlines()[1]
    'print(1)'
    >>> reseeded("from __future__ import annotations\\nprint(1)\\n").splitlines()[::2]
    ['from __future__ import annotations', 'print(1)']
    """
    lines = source.split("\n")
    lines.insert(_after_future_imports(source), "import random; random.seed(987654321); del random")
    return "\n".join(lines)


def _after_future_imports(source: str) -> int:
    """Return how many lines stand before and with the imports from `__future__`, which must come first."""
    if "__future__" not in source:
        return 0
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0  # it does not run either way
    ends = [node.end_lineno or 0 for node in body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    return max(ends, default=0)
