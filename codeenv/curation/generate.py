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
from codeenv.curation.inputs import Shapes
from codeenv.curation.mutants import mutants
from codeenv.curation.second_run import reseeded
from codeenv.errors import CodeenvError
from codeenv.judge import Judge, JudgeRequest, Report, Verdict
from codeenv.judge.outcomes import OUTPUT_CHARACTERS
from codeenv.problems.plain import PlainDataError, to_json
from codeenv.problems.problem import CallTest, Checker, Problem, StdioTest

__all__ = ["GeneratedTests", "generate_tests", "vary"]

_LONGEST = 4000
_SOLUTIONS = 3


@dataclass(frozen=True, slots=True)
class GeneratedTests:
    """Generated tests and what they are worth.

    Attributes:
        problem: the problem with the new private tests, tagged `generated-tests`.
        tests: the new tests.
        tried: inputs that were tried; the rest raised, repeated, were not deterministic, not plain data, or had solutions differ.
        mutants: mutants of the reference that differ from it by one change and run.
        killed_before, killed_after: how many of them the old tests, and all tests, reject.
        coverage_before, coverage_after: share of the reference's lines that the old tests, and all, run; `None` if it cannot be
            measured, see `line_coverage`.
    """

    problem: Problem
    tests: tuple[CallTest | StdioTest, ...]
    tried: int
    mutants: int
    killed_before: int
    killed_after: int
    coverage_before: float | None
    coverage_after: float | None


def generate_tests(problem: Problem, judge: Judge, count: int = 20, seed: int = 0, mutant_limit: int = 20) -> GeneratedTests:
    """Generate private tests from the first correct solution that passes the known tests.

    Args:
        problem: a problem with a correct solution and at least one test with an input: a call test, whose arguments show the
            types, or a test of a program, whose input shows the layout. Further correct solutions must agree on a new test.
        judge: runs the solutions and the mutants.
        count: most new tests.
        seed: of the inputs.
        mutant_limit: most mutants that measure the tests.

    Raises:
        CodeenvError: if the problem has no reference that passes its tests, or no such test, or is a conversation.
    """
    known = [test for test in problem.tests("all") if isinstance(test, (CallTest, StdioTest))]
    if not known or not problem.correct_solutions:
        raise CodeenvError(
            f"problem {problem.id!r}: tests are generated for problems with a correct solution and at least one test "
            "that has an input; test code alone shows none"
        )
    if problem.checker.kind == "interactor" or problem.checker.passes > 1:
        raise CodeenvError(f"problem {problem.id!r}: tests are not generated for conversations and several passes")
    random = Random(f"{seed} {problem.id}")
    given, (problem, reference) = problem, _trusted(problem, judge)
    candidates = _candidates(known, random, count * 6)
    tests = _agreed(problem, _answered(problem, candidates, reference, judge), judge)[:count]
    more = replace(
        given,
        private_tests=(*problem.private_tests, *tests),
        tags=tuple(dict.fromkeys((*problem.tags, "generated-tests"))) if tests else problem.tags,
    )
    changed = mutants(reference, mutant_limit) if problem.language == "python" else []
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


def _trusted(problem: Problem, judge: Judge) -> tuple[Problem, str]:
    """Return the problem with those of its first correct solutions that pass its tests, and the first of them."""
    sources = problem.correct_solutions[:_SOLUTIONS]
    reports = judge.judge_many([JudgeRequest(problem, source) for source in sources])
    good = tuple(source for source, report in zip(sources, reports, strict=True) if report.accepted)
    if not good:
        reason = reports[0].verdict.value
        raise CodeenvError(
            f"problem {problem.id!r}: tests are not generated, since none of its first {len(sources)} correct solutions passes "
            f"the known tests ({reason})"
        )
    return replace(problem, correct_solutions=good), good[0]


def _candidates(known: Sequence[CallTest | StdioTest], random: Random, count: int) -> list[CallTest | StdioTest]:
    """Return different inputs that are like the known ones, without results."""
    shapes = Shapes([test.input for test in known if isinstance(test, StdioTest)])
    seen = {test_key(test) for test in known}
    candidates: list[CallTest | StdioTest] = []
    for _ in range(count):
        example = random.choice(known)
        test: CallTest | StdioTest
        if isinstance(example, StdioTest):
            test = StdioTest(shapes.vary(random), "")
        else:
            test = CallTest(tuple(vary(copy.deepcopy(argument), random) for argument in example.args), dict(example.kwargs))
        try:
            key = test_key(test)
        except (PlainDataError, TypeError):
            continue
        if key not in seen and len(key) < _LONGEST:
            seen.add(key)
            candidates.append(test)
    return candidates


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


def _answered(
    problem: Problem, candidates: Sequence[CallTest | StdioTest], reference: str, judge: Judge
) -> list[CallTest | StdioTest]:
    """Return the candidates with the reference's results: those that do not raise and are the same in two runs."""
    if not candidates:
        return []
    asked = replace(problem, public_tests=(), private_tests=tuple(candidates), groups=(), checker=Checker())
    other = reseeded(reference) if problem.language == "python" else reference
    first, second = judge.judge_many([JudgeRequest(asked, reference), JudgeRequest(asked, other)])
    answered: list[CallTest | StdioTest] = []
    for one, two in zip(first.results, second.results, strict=False):
        if one.verdict not in (Verdict.ACCEPTED, Verdict.WRONG_ANSWER) or one.output != two.output:
            continue
        test = candidates[one.index]
        if isinstance(test, StdioTest):
            if one.output.strip() and len(one.output) < OUTPUT_CHARACTERS:
                answered.append(replace(test, output=one.output))
            continue
        try:
            value = ast.literal_eval(one.output)
            json.dumps(to_json(value))
        except (ValueError, SyntaxError, RecursionError, MemoryError, PlainDataError):
            continue
        answered.append(replace(test, expected=value))
    return answered


def _agreed(problem: Problem, tests: Sequence[CallTest | StdioTest], judge: Judge) -> list[CallTest | StdioTest]:
    """Return the tests that all correct solutions pass by the problem's own comparison.

    An input that the statement does not allow divides them, where there are several.
    """
    first = 0 if problem.checker.kind in ("program", "validator") else 1  # the results are the first one's own
    others = problem.correct_solutions[first:_SOLUTIONS]
    if not tests or not others:
        return list(tests)
    asked = replace(problem, public_tests=(), private_tests=tuple(tests), groups=())
    reports = judge.judge_many([JudgeRequest(asked, source) for source in others])
    bad = {result.index for report in reports for result in report.results if result.verdict is not Verdict.ACCEPTED}
    return [test for index, test in enumerate(tests) if index not in bad]


def _killed(problem: Problem, programs: Sequence[str], judge: Judge) -> int:
    reports: list[Report] = judge.judge_many([JudgeRequest(problem, program) for program in programs])
    return sum(not report.accepted and report.verdict is not Verdict.JUDGE_ERROR for report in reports)
