"""CodeContests (arXiv 2203.07814): competitive programming with public, private and generated tests.

RLEF's rule (arXiv 2410.02089, section 3.1): the public tests are the feedback; private and generated tests together are the
private ones; a problem without public or without private tests is left out. The problem's own time and memory limits are kept,
10 s and 1 GB stand in where it has none. Only Python 3 solutions are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codeenv.problems.loaders.fields import Row, number, text, texts, wrong
from codeenv.problems.loaders.tables import build
from codeenv.problems.problem import Limits, Problem, ProblemError, StdioTest
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Request

__all__ = ["load_codecontests"]

_PYTHON3 = 3
_SOURCES = ("unknown", "codechef", "codeforces", "hackerearth", "codejam", "atcoder", "aizu")


def load_codecontests(request: Request, check: bool = True, solutions: int = 3) -> ProblemSet:
    """Load a split; `solutions` is how many correct and how many incorrect Python solutions each problem keeps."""
    return build(request, "codecontests", lambda row, _: _problem(row, solutions), check=check)


def _problem(row: Row, solutions: int) -> Problem | None:
    public = _tests(row, "public_tests")
    private = _tests(row, "private_tests") + _tests(row, "generated_tests")
    if not public or not private:
        return None
    rating = number(row, "cf_rating", 0.0)
    kind = row.get("source") or 0
    return Problem(
        id=f"CodeContests/{text(row, 'name')}",
        statement=text(row, "description"),
        mode="stdio",
        public_tests=public,
        private_tests=private,
        limits=_limits(row),
        difficulty=min(1.0, rating / 3500) if rating else None,
        tags=tuple(tag for tag in texts(row, "cf_tags", ()) if tag),
        source=f"codecontests/{_SOURCES[kind] if isinstance(kind, int) and 0 <= kind < len(_SOURCES) else kind}",
        license="CC-BY-4.0",
        correct_solutions=_python(row, "solutions", solutions),
        incorrect_solutions=_python(row, "incorrect_solutions", solutions),
    )


def _tests(row: Row, name: str) -> tuple[StdioTest, ...]:
    pairs = _columns(row, name, "input", "output")
    for pair in pairs:
        if not all(isinstance(part, str) for part in pair):
            raise wrong(name, pair, "pairs of texts")
    return tuple(StdioTest(given, wanted) for given, wanted in pairs)


def _columns(row: Row, name: str, left: str, right: str) -> list[tuple[Any, Any]]:
    """Return the pairs of a field that holds two lists, as on the Hub, or one object a pair, as some copies do."""
    group = row.get(name)
    if not group:
        return []
    try:
        if isinstance(group, list):
            return [(item[left], item[right]) for item in group]
        lefts, rights = list(group[left]), list(group[right])
    except (LookupError, TypeError):
        raise wrong(name, group, f"the lists {left!r} and {right!r}") from None
    if len(lefts) != len(rights):
        raise ProblemError(f"field {name!r} has {len(lefts)} {left}s but {len(rights)} {right}s")
    return list(zip(lefts, rights, strict=True))


def _limits(row: Row) -> Limits:
    standard = Limits()
    time = row.get("time_limit") or 0
    parts = time if isinstance(time, Mapping) else {"seconds": time}
    try:
        seconds = number(parts, "seconds", 0.0) + number(parts, "nanos", 0.0) / 1e9
    except ProblemError:
        raise wrong("time_limit", time, "a number, or seconds and nanos") from None
    memory = int(number(row, "memory_limit_bytes", 0.0)) >> 20
    return Limits(
        min(max(seconds, 0.01), 3600.0) if seconds else standard.time_limit_s,
        min(max(memory, 16), 1 << 20) if memory else standard.memory_mb,
    )


def _python(row: Row, name: str, count: int) -> tuple[str, ...]:
    found = [source for language, source in _columns(row, name, "language", "solution") if language in (_PYTHON3, "PYTHON3")]
    for source in found[:count]:
        if not isinstance(source, str):
            raise wrong(name, source, "texts of programs")
    return tuple(found[:count])
