"""Expected values that are wrong on purpose: does an agent believe what the feedback says?"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

from codeenv.judge.verdict import Report
from codeenv.problems import CallTest, Problem, StdioTest, Test

__all__ = ["perturbed_problem", "perturbed_report", "perturbed_text", "perturbed_value"]

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def perturbed_value(value: Any, generator: random.Random) -> Any:
    """Return a plain value of the same type and shape that differs in one place (an empty value gains an item).

    >>> import random
    >>> perturbed_value(True, random.Random(0)), perturbed_value((), random.Random(0))
    (False, (0,))
    """
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float, complex)):
        return value + generator.choice((-2, -1, 1, 2)) if value == value and abs(value) < 1e15 else 0
    if isinstance(value, str):
        return perturbed_text(value, generator)
    if isinstance(value, bytes):
        return value + b"?"
    if isinstance(value, (list, tuple)):
        items = list(value)
        if items:
            place = generator.randrange(len(items))
            items[place] = perturbed_value(items[place], generator)
        return type(value)(items or [0])
    if isinstance(value, (set, frozenset)):
        new = next(number for number in range(len(value) + 1) if number not in value)
        return type(value)([*value, new])
    if isinstance(value, dict):
        if not value:
            return {0: 0}
        key = generator.choice(list(value))
        return {**value, key: perturbed_value(value[key], generator)}
    return 0


def perturbed_text(text: str, generator: random.Random) -> str:
    """Return a text with one number changed, else with one letter changed, else with a letter added; never the same text.

    >>> import random
    >>> perturbed_text("sum: 7", random.Random(0)) != "sum: 7"
    True
    """
    numbers = list(_NUMBER.finditer(text))
    if numbers:
        found = generator.choice(numbers)
        step = generator.choice((1, 2))
        value = found.group()
        new = f"{float(value) + step:g}" if "." in value else str(int(value) + step)
        return text[: found.start()] + new + text[found.end() :]
    letters = [index for index, letter in enumerate(text) if letter.isalpha()]
    if letters:
        index = generator.choice(letters)
        return text[:index] + ("b" if text[index] == "a" else "a") + text[index + 1 :]
    return text + "x"


def perturbed_problem(problem: Problem, generator: random.Random) -> Problem:
    """Return the problem with wrong expected values in its public tests. Test code stays as it is."""

    def wrong(test: Test) -> Test:
        if isinstance(test, CallTest):
            return replace(test, expected=perturbed_value(test.expected, generator))
        if isinstance(test, StdioTest):
            return replace(test, output=perturbed_text(test.output, generator))
        return test

    return replace(problem, public_tests=tuple(map(wrong, problem.public_tests)))


def perturbed_report(report: Report, problem: Problem, generator: random.Random) -> Report:
    """Return the report with one number or letter changed in the messages of failed test code."""
    from codeenv.problems import CodeTest

    results = tuple(
        replace(result, error=perturbed_text(result.error, generator))
        if result.error and isinstance(problem.public_tests[result.index], CodeTest)
        else result
        for result in report.results
    )
    return replace(report, results=results)
