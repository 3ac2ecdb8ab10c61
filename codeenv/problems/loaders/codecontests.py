"""CodeContests (arXiv 2203.07814): competitive programming with public, private and generated tests.

RLEF's rule (arXiv 2410.02089, section 3.1): the public tests are the feedback; private and generated tests together are the
private ones; a problem without public or without private tests is left out. The problem's own time and memory limits are kept,
10 s and 1 GB stand in where it has none. Only Python 3 solutions are kept.
"""

from __future__ import annotations

from typing import Any

from codeenv.problems.loaders.tables import Row, build
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
    rating = row.get("cf_rating") or 0
    kind = row.get("source") or 0
    return Problem(
        id=f"CodeContests/{row['name']}",
        statement=row["description"],
        mode="stdio",
        public_tests=public,
        private_tests=private,
        limits=_limits(row),
        difficulty=min(1.0, rating / 3500) if rating else None,
        tags=tuple(tag for tag in row.get("cf_tags") or () if tag),
        source=f"codecontests/{_SOURCES[kind] if isinstance(kind, int) and kind < len(_SOURCES) else kind}",
        license="CC-BY-4.0",
        correct_solutions=_python(row.get("solutions"), solutions),
        incorrect_solutions=_python(row.get("incorrect_solutions"), solutions),
    )


def _tests(row: Row, name: str) -> tuple[StdioTest, ...]:
    group = row.get(name) or {"input": [], "output": []}
    if isinstance(group, list):  # some copies hold one object a test
        return tuple(StdioTest(test["input"], test["output"]) for test in group)
    inputs, outputs = group["input"], group["output"]
    if len(inputs) != len(outputs):
        raise ProblemError(f"field {name!r} has {len(inputs)} inputs but {len(outputs)} outputs")
    return tuple(StdioTest(given, wanted) for given, wanted in zip(inputs, outputs, strict=True))


def _limits(row: Row) -> Limits:
    standard = Limits()
    time = row.get("time_limit") or {}
    seconds = float(time) if isinstance(time, (int, float)) else float(time.get("seconds") or 0) + (time.get("nanos") or 0) / 1e9
    memory = (row.get("memory_limit_bytes") or 0) // (1 << 20)
    return Limits(min(seconds, 3600.0) or standard.time_limit_s, max(memory, 16) if memory else standard.memory_mb)


def _python(group: Any, count: int) -> tuple[str, ...]:
    if not group:
        return ()
    found = (
        text for language, text in zip(group["language"], group["solution"], strict=True) if language in (_PYTHON3, "PYTHON3")
    )
    return tuple(text for text, _ in zip(found, range(count), strict=False))
