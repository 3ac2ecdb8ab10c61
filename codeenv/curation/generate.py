"""Tests from a trusted reference: type-directed inputs, run twice in the sandbox, deterministic results kept.

The idea is that of automatic unit-test data for training (arXiv 2310.13669): an oracle that is trusted turns inputs into tests.
What they are worth is measured: lines of the reference that run, and mutants of the reference that fail.
"""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from codeenv.curation.coverage import line_coverage
from codeenv.curation.findings import test_key
from codeenv.curation.mutants import mutants
from codeenv.curation.second_run import reseeded
from codeenv.errors import CodeenvError
from codeenv.judge import Judge, JudgeRequest, Report, Verdict
from codeenv.problems.plain import PlainDataError, to_json
from codeenv.problems.problem import CallTest, Problem

__all__ = ["GeneratedTests", "generate_tests", "vary"]


@dataclass(frozen=True, slots=True)
class GeneratedTests:
    """Generated tests and what they are worth.

    Attributes:
        problem: the problem with the new private tests, tagged `generated-tests`.
        tests: the new tests.
        tried: inputs that were tried; the rest raised, repeated, were not deterministic or not plain data.
        mutants: mutants of the reference that differ from it by one change and run.
        killed_before, killed_after: how many of them the old tests, and all tests, reject.
        coverage_before, coverage_after: share of the reference's lines that the old call tests, and all, run; `None` if the
            entry point is no plain function.
    """

    problem: Problem
    tests: tuple[CallTest, ...]
    tried: int
    mutants: int
    killed_before: int
    killed_after: int
    coverage_before: float | None
    coverage_after: float | None


def generate_tests(problem: Problem, judge: Judge, count: int = 20, seed: int = 0, mutant_limit: int = 20) -> GeneratedTests:
    """Generate private tests for a call problem from its first correct solution.

    Args:
        problem: a problem in mode `call` with a correct solution and at least one call test, whose arguments show the types.
        judge: runs the reference and the mutants.
        count: most new tests.
        seed: of the inputs.
        mutant_limit: most mutants that measure the tests.

    Raises:
        CodeenvError: if the problem has no reference or no call test.
    """
    known = [test for test in problem.tests("all") if isinstance(test, CallTest)]
    if problem.mode != "call" or not known or not problem.correct_solutions:
        raise CodeenvError(
            f"problem {problem.id!r}: tests are generated for call problems with a correct solution and at least one call test"
        )
    random = Random(f"{seed} {problem.id}")
    reference = problem.correct_solutions[0]
    seen = {test_key(test) for test in known}
    candidates: list[CallTest] = []
    for _ in range(count * 6):
        example = random.choice(known)
        test = CallTest(tuple(vary(copy.deepcopy(argument), random) for argument in example.args), dict(example.kwargs))
        try:
            key = test_key(test)
            to_json(list(test.args))
        except (PlainDataError, TypeError):
            continue
        if key not in seen and len(key) < 4000:
            seen.add(key)
            candidates.append(test)
    tests = _answered(problem, candidates, reference, judge)[:count]
    more = replace(
        problem,
        private_tests=(*problem.private_tests, *tests),
        tags=tuple(dict.fromkeys((*problem.tags, "generated-tests"))) if tests else problem.tags,
    )
    changed = mutants(reference, mutant_limit)
    return GeneratedTests(
        more,
        tuple(tests),
        tried=len(candidates),
        mutants=len(changed),
        killed_before=_killed(problem, changed, judge),
        killed_after=_killed(more, changed, judge),
        coverage_before=line_coverage(problem, reference, judge),
        coverage_after=line_coverage(more, reference, judge),
    )


def vary(value: Any, random: Random) -> Any:
    """Return a value of the same type and structure: an edge value of its type, or a small change."""
    kind = type(value)
    if kind is bool:
        return random.random() < 0.5
    if kind is int:
        return random.choice((0, 1, -1, 2, value + 1, value - 1, -value, value * 2, random.randint(-20, 100), 10**6))
    if kind is float:
        return random.choice((0.0, 1.0, -1.0, value + 0.5, -value, value * 2, round(random.uniform(-100, 100), 2)))
    if kind is str:
        return _vary_text(value, random)
    if kind in (list, tuple):
        return kind(_vary_items(list(value), random))
    if kind in (set, frozenset):
        return kind(_vary_items(sorted(value, key=repr), random))
    if kind is dict:
        return {key: vary(item, random) for key, item in value.items() if random.random() < 0.9}
    return value


def _vary_text(value: str, random: Random) -> str:
    letters = value or "ab c"
    number = random.randrange(6)
    if number == 0:
        return random.choice(("", letters[0], " ", letters * 2))
    if number == 1:
        return letters[::-1]
    if number == 2:
        return letters.swapcase()
    characters = list(letters)
    for _ in range(random.randint(1, 3)):
        characters.insert(random.randrange(len(characters) + 1), random.choice(letters))
    if number == 3:
        random.shuffle(characters)
    return "".join(characters)


def _vary_items(items: list[Any], random: Random) -> list[Any]:
    number = random.randrange(7)
    if number == 0:
        return items[: random.choice((0, 0, 1))]
    if number == 1:
        return items[::-1]
    if number == 2 and items:
        return [*items, random.choice(items)]
    if number == 3:
        random.shuffle(items)
        return items
    varied = [vary(item, random) for item in items]
    return varied + [vary(random.choice(items), random) for _ in range(random.randint(0, 3))] if items else varied


def _answered(problem: Problem, candidates: Sequence[CallTest], reference: str, judge: Judge) -> list[CallTest]:
    """Return the candidates with the reference's results: those that do not raise and are the same in two runs."""
    if not candidates:
        return []
    asked = replace(problem, public_tests=(), private_tests=tuple(candidates))
    first, second = judge.judge_many([JudgeRequest(asked, reference), JudgeRequest(asked, reseeded(reference))])
    answered = []
    for one, two in zip(first.results, second.results, strict=False):
        if one.verdict in (Verdict.ACCEPTED, Verdict.WRONG_ANSWER) and one.output == two.output:
            try:
                value = ast.literal_eval(one.output)
                json.dumps(to_json(value))
            except (ValueError, SyntaxError, RecursionError, MemoryError, PlainDataError):
                continue
            answered.append(replace(candidates[one.index], expected=value))
    return answered


def _killed(problem: Problem, programs: Sequence[str], judge: Judge) -> int:
    reports: list[Report] = judge.judge_many([JudgeRequest(problem, program) for program in programs])
    return sum(not report.accepted and report.verdict is not Verdict.JUDGE_ERROR for report in reports)
