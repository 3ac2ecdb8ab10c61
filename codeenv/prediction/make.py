"""Items from problems whose solutions are known, for environments and fixed exams."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.prediction.attempt import Attempt, Built
from codeenv.prediction.item import KINDS, PredictionItem
from codeenv.prediction.repair import mask_lines, mutate
from codeenv.prediction.scoped import ScopedBuilder, ScopedConfig
from codeenv.prediction.values import plain_of
from codeenv.problems import CallTest, Problem, StdioTest

__all__ = ["build_items", "items_of"]


def items_of(problems: Sequence[Problem], kind: str, judge: Judge, seed: int = 0) -> list[PredictionItem]:
    """Return the items of `build_items`."""
    return build_items(problems, kind, judge, seed).items


def build_items(problems: Sequence[Problem], kind: str, judge: Judge, seed: int = 0) -> Built:
    """Return at most one item of a kind for each problem, and why programs and problems gave none.

    `state` and `exception` are about known wrong programs, as in training, or mutated right ones where none is known; `output`,
    `input` and `repair` are about known right ones; `test_output` needs no program. Every input comes from a public test.
    Problems without such a program or test give none. For `test_output` examples in the form of doctests are taken out of the
    statement, and a problem whose statement still shows what its public tests give is left out (`answer_shown`).

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
        return _of_statements(problems)
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
    found = ScopedBuilder(judge, config).build(attempts)
    built = Built(dropped=found.dropped)
    seen: set[str] = set()
    for item in found.items:
        made = _as_kind(item, kind, seed)
        if made is None:
            built.dropped["other_kind"] += 1
        elif made.problem.id in seen:
            built.dropped["enough"] += 1
        else:
            seen.add(made.problem.id)
            built.items.append(made)
    order = {problem.id: number for number, problem in enumerate(problems)}
    built.items.sort(key=lambda item: order[item.problem.id])
    return built


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


def _of_statements(problems: Sequence[Problem]) -> Built:
    built = Built()
    for problem in problems:
        bare = replace(problem, statement=without_examples(problem.statement) or problem.statement)
        known = [
            test
            for test in bare.public_tests
            if isinstance(test, StdioTest) or (isinstance(test, CallTest) and _is_plain(test.expected))
        ]
        hidden = [test for test in known if not shows(bare, test)]
        if not known:
            built.dropped["no_input"] += 1
        elif not hidden:
            built.dropped["answer_shown"] += 1
        else:
            test = hidden[0]
            output = test.output.strip() if isinstance(test, StdioTest) else plain_of(repr(test.expected))
            built.items.append(PredictionItem(f"{problem.id}/test_output", "test_output", bare, "", test, output))
    return built


def _is_plain(value: object) -> bool:
    try:
        plain_of(repr(value))
    except ValueError:
        return False
    return True


def without_examples(statement: str) -> str:
    """Return a statement without its examples in the form of doctests.

    >>> without_examples("Double x.\\n>>> f(1)\\n2\\n\\nAlso for floats.")
    'Double x.\\n\\nAlso for floats.'
    """
    kept = []
    inside = False
    for line in statement.split("\n"):
        bare = line.strip()
        if bare.startswith(">>>"):
            inside = True
        elif not bare or bare.startswith(('"""', "'''")):
            inside = False
        if not inside:
            kept.append(line)
    return "\n".join(kept)


def shows(problem: Problem, test: StdioTest | CallTest) -> bool:
    """Return whether a statement shows what a test gives: its input, or its arguments in order, and soon behind
    them its output, in any spacing and case.

    >>> shows(Problem("p", "f(1, 2) => true", "call", "f", public_tests=(test := CallTest((1, 2), {}, True),)), test)
    True
    """
    statement = _squeezed(problem.statement)
    if isinstance(test, StdioTest):
        given, wanted = _squeezed(test.input), _squeezed(test.output)
    else:
        given = _squeezed(", ".join([*map(repr, test.args), *(f"{name}={value!r}" for name, value in test.kwargs.items())]))
        wanted = _squeezed(repr(test.expected))
    parts = [given] if isinstance(test, StdioTest) else [_squeezed(repr(value)) for value in (*test.args, *test.kwargs.values())]
    return _soon_behind(statement, [given], wanted) or _soon_behind(statement, parts, wanted)


def _soon_behind(text: str, parts: Sequence[str], wanted: str) -> bool:
    """Return whether a text holds some parts in order, each soon behind the last, and `wanted` soon behind them."""
    place = text.find(parts[0]) if parts and parts[0] else -1
    while place >= 0:
        end = place + len(parts[0])
        for part in [*parts[1:], wanted]:
            found = text.find(part, end, end + len(part) + _NEAR)
            if found < 0:
                break
            end = found + len(part)
        else:
            return True
        place = text.find(parts[0], place + 1)
    return False


_NEAR = 40
"""Characters between an example's input and its output in a statement."""


def _squeezed(text: str) -> str:
    return "".join(text.split()).replace('"', "'").lower()  # also `true` for True
