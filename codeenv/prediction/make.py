"""Items from problems whose solutions are known, for environments and fixed exams."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.prediction.attempt import Attempt
from codeenv.prediction.item import KINDS, PredictionItem
from codeenv.prediction.repair import mask_lines, mutate
from codeenv.prediction.scoped import ScopedBuilder, ScopedConfig
from codeenv.prediction.values import plain_of
from codeenv.problems import CallTest, Problem, StdioTest

__all__ = ["items_of"]


def items_of(problems: Sequence[Problem], kind: str, judge: Judge, seed: int = 0) -> list[PredictionItem]:
    """Return at most one item of a kind for each problem.

    `state` and `exception` are about known wrong programs, as in training, or mutated right ones where none is known; `output`,
    `input` and `repair` are about known right ones; `test_output` needs no program. Every input comes from a public test.
    Problems without such a program or test give none.

    Args:
        problems: the problems.
        kind: one of `codeenv.prediction.KINDS`.
        judge: runs the programs.
        seed: of the choices among variables and lines.

    Raises:
        CodeenvError: for an unknown kind.
    """
    if kind not in KINDS:
        raise CodeenvError(f"item kind is {kind!r}; use one of {', '.join(KINDS)}")
    if kind == "test_output":
        return [item for problem in problems if (item := _of_statement(problem)) is not None]
    wrong = kind in ("state", "exception")
    attempts = [
        Attempt(problem, without_docstrings(source), passed=not wrong, test=_first_with_input(problem))
        for problem in problems
        for source in (_wrong_programs(problem, seed) if wrong else problem.correct_solutions[:1])
    ]
    config = ScopedConfig(
        names=3 if kind == "state" else 0,
        source="all",
        per_problem=4,
        runs=2 if wrong else 1,
        drop_trivial=kind == "state",
        seed=seed,
    )
    items: list[PredictionItem] = []
    seen: set[str] = set()
    for item in ScopedBuilder(judge, config).build(attempts).items:
        made = _as_kind(item, kind, seed)
        if made is not None and made.problem.id not in seen:
            seen.add(made.problem.id)
            items.append(made)
    order = {problem.id: number for number, problem in enumerate(problems)}
    return sorted(items, key=lambda item: order[item.problem.id])


def without_docstrings(source: str) -> str:
    """Return the program without its docstrings, which may hold examples with their answers; comments go with them.

    >>> without_docstrings("def f(x):\\n    'f(1) is 2.'\\n    return x + 1")
    'def f(x):\\n    return x + 1\\n'
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree) + "\n"


def _wrong_programs(problem: Problem, seed: int) -> Sequence[str]:
    if problem.incorrect_solutions:
        return problem.incorrect_solutions[:4]
    mutants = [mutate(source, seed) for source in problem.correct_solutions[:1]]
    return [mutant for mutant in mutants if mutant is not None]


def _as_kind(item: PredictionItem, kind: str, seed: int) -> PredictionItem | None:
    if kind in ("state", "exception"):
        return item if (item.kind == "exception") == (kind == "exception") else None
    if item.kind != "output":
        return None
    if kind == "repair":
        masked = mask_lines(item.code, 1, seed)
        return None if masked is None else replace(item, kind="repair", code=masked[0], masked=masked[1])
    return item if kind == "output" else replace(item, kind="input")


def _first_with_input(problem: Problem) -> int:
    return next((index for index, test in enumerate(problem.public_tests) if isinstance(test, (StdioTest, CallTest))), 0)


def _of_statement(problem: Problem) -> PredictionItem | None:
    index = _first_with_input(problem)
    test = problem.public_tests[index] if problem.public_tests else None
    if isinstance(test, StdioTest):
        return PredictionItem(f"{problem.id}/test_output", "test_output", problem, "", test, test.output.strip())
    if isinstance(test, CallTest):
        try:
            output = plain_of(repr(test.expected))
        except ValueError:
            return None
        return PredictionItem(f"{problem.id}/test_output", "test_output", problem, "", test, output)
    return None
