"""Which problems to keep: a predicate, or conditions in text for the command line."""

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Callable
from typing import Any

from codeenv.problems.problem import Problem, ProblemError

__all__ = ["Filter", "compile_filter"]

Filter = Callable[[Problem], bool]

_CONDITION = re.compile(r"(?P<field>\w+)\s*(?P<sign><=|>=|!=|=|<|>)\s*(?P<value>\S+)$")
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
_NUMBERS: dict[str, Callable[[Problem], float | None]] = {
    "difficulty": lambda problem: problem.difficulty,
    "public_tests": lambda problem: len(problem.public_tests),
    "private_tests": lambda problem: len(problem.private_tests),
    "statement_chars": lambda problem: len(problem.statement),
    "solutions": lambda problem: len(problem.correct_solutions),
}
_TEXTS: dict[str, Callable[[Problem], tuple[str, ...]]] = {
    "id": lambda problem: (problem.id,),
    "mode": lambda problem: (problem.mode,),
    "tag": lambda problem: problem.tags,
    "source": lambda problem: (problem.source,),
    "license": lambda problem: (problem.license,),
    "checker": lambda problem: (problem.checker.kind,),
}


def compile_filter(conditions: str) -> Filter:
    """Return the predicate of conditions separated by spaces; all must hold.

    A number field (`difficulty`, `public_tests`, `private_tests`, `statement_chars`, `solutions`) takes `< <= = != >= >`; an
    unknown difficulty satisfies none. A text field (`id`, `mode`, `tag`, `source`, `license`, `checker`) takes `=` and `!=`
    with `*` and `?` as wildcards.

    Raises:
        ProblemError: for a condition of another form.

    >>> from codeenv.problems import CallTest
    >>> problem = Problem("a/1", "", "call", "f", public_tests=(CallTest((), {}, 1),), difficulty=0.2, tags=("dp",))
    >>> compile_filter("difficulty<0.5 tag=d? id!=b/*")(problem)
    True
    """
    checks = [_compile(condition) for condition in conditions.split()]
    return lambda problem: all(check(problem) for check in checks)


def _compile(condition: str) -> Filter:
    match = _CONDITION.match(condition)
    if match is None or match["field"] not in _NUMBERS.keys() | _TEXTS.keys():
        known = ", ".join([*_NUMBERS, *_TEXTS])
        raise ProblemError(f"the filter condition {condition!r} is not understood; write FIELD=VALUE with one of {known}")
    field, sign, value = match["field"], match["sign"], match["value"]
    if field in _TEXTS:
        if sign not in ("=", "!="):
            raise ProblemError(f"the filter condition {condition!r} orders a text; use = or !=")
        read_texts = _TEXTS[field]
        return lambda problem: any(fnmatch.fnmatchcase(text, value) for text in read_texts(problem)) == (sign == "=")
    try:
        number = float(value)
    except ValueError:
        raise ProblemError(f"the filter condition {condition!r} compares with {value!r}; use a number") from None
    compare = {"=": operator.eq, "!=": operator.ne, **_SIGNS}[sign]
    read_number = _NUMBERS[field]

    def check(problem: Problem) -> bool:
        found = read_number(problem)
        return found is not None and bool(compare(found, number))

    return check
