"""Masked lines and small mutations of programs (after CodeBoost, arXiv 2508.05242)."""

from __future__ import annotations

import ast
import random

from codeenv.text import program_lines

__all__ = ["mask_lines", "mutate"]


def mask_lines(source: str, count: int, seed: int) -> tuple[str, tuple[str, ...]] | None:
    """Return the program with `count` lines replaced by `MASKED_LINE_1`, ..., and those lines; `None` if it has too few.

    Only lines that hold one whole statement are masked, so that the answer is a line too; definitions and imports stay.

    >>> mask_lines("def f(x):\\n    return x\\n", 1, seed=0)
    ('def f(x):\\nMASKED_LINE_1\\n', ('    return x',))
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    simple = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr, ast.Raise, ast.Assert)
    lines = [row.rstrip("\r\n") for row in program_lines(source)]
    starts: dict[int, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            starts[node.lineno] = starts.get(node.lineno, 0) + 1
    whole = sorted(
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, simple)
        and node.lineno == node.end_lineno
        and starts[node.lineno] == 1
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        and not lines[node.lineno - 1].lstrip().startswith(("else", "try", "finally", "except", "elif", "case"))
    )
    if len(whole) < count:
        return None
    chosen = sorted(random.Random(seed).sample(whole, count))
    masked = tuple(lines[line - 1] for line in chosen)
    for number, line in enumerate(chosen, start=1):
        lines[line - 1] = f"MASKED_LINE_{number}"
    return "\n".join(lines), masked


def mutate(source: str, seed: int) -> str | None:
    """Return the program with one number or one comparison changed, which may make it fail or raise; `None` if it has neither.

    >>> mutate("x = 1\\n", seed=0) in {"x = 0\\n", "x = 2\\n", "x = -1\\n"}
    True
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    generator = random.Random(seed)
    numbers = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is int]
    comparisons = [
        node for node in ast.walk(tree) if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _FLIPS
    ]
    spots: list[ast.Constant | ast.Compare] = [*numbers, *comparisons]
    if not spots:
        return None
    spot = generator.choice(spots)
    if isinstance(spot, ast.Constant):
        value = int(spot.value)  # type: ignore[arg-type]
        spot.value = generator.choice([other for other in (value + 1, value - 1, -value) if other != value])
    else:
        spot.ops = [_FLIPS[type(spot.ops[0])]()]
    return ast.unparse(tree) + "\n"


_FLIPS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}
