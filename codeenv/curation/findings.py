"""What can be wrong with a problem, as far as its row shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from codeenv.problems.problem import CallTest, CodeTest, Problem, StdioTest, Test

__all__ = ["MAX_ROW_BYTES", "Finding", "Kind", "static_findings", "test_key"]

MAX_ROW_BYTES = 4 * 1024 * 1024
"""A longer row is reported: it slows every reader of the file."""

Kind = Literal[
    "reference_fails",
    "wrong_solution_passes",
    "test_disagrees",
    "flaky_reference",
    "judge_error",
    "duplicate_test",
    "contradicting_tests",
    "public_leaks_private",
    "long_row",
    "no_public_test",
    "no_reference",
]

_NOTES = frozenset({"no_public_test", "no_reference", "duplicate_test", "public_leaks_private", "long_row"})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something noticed about a problem.

    Attributes:
        problem_id: the problem.
        kind: what it is.
        detail: a sentence.
        test: the index of the test concerned, in `problem.tests("all")`.
        solution: the index of the solution concerned.
    """

    problem_id: str
    kind: Kind
    detail: str
    test: int | None = None
    solution: int | None = None

    @property
    def serious(self) -> bool:
        """Whether training on the problem would be wrong, not only wasteful."""
        return self.kind not in _NOTES


def static_findings(problem: Problem) -> list[Finding]:
    """Return what is wrong with a problem without running anything."""
    found: list[Finding] = []
    seen: dict[str, tuple[int, str]] = {}
    public = {_full_key(test) for test in problem.public_tests}
    for index, test in enumerate(problem.tests("all")):
        key, answer = test_key(test), _full_key(test)
        if key not in seen:
            seen[key] = (index, answer)
        elif seen[key][1] != answer:
            found.append(
                _finding(problem, "contradicting_tests", f"tests {seen[key][0]} and {index} want different results", index)
            )
        elif index >= len(problem.public_tests) and answer in public:
            continue  # a private test that repeats a public one is counted below, if all do
        else:
            found.append(_finding(problem, "duplicate_test", f"test {index} repeats test {seen[key][0]}", index))
    private = {_full_key(test) for test in problem.private_tests}
    if private and private <= public:
        found.append(_finding(problem, "public_leaks_private", "every private test is also public"))
    if not problem.public_tests:
        found.append(_finding(problem, "no_public_test", "it has no public test, so there is no feedback"))
    if not problem.correct_solutions:
        found.append(_finding(problem, "no_reference", "it has no correct solution to check the tests with"))
    size = len(json.dumps(problem.to_dict()))
    if size > MAX_ROW_BYTES:
        found.append(_finding(problem, "long_row", f"its row is {size / 1048576:.1f} MB long"))
    return found


def test_key(test: Test) -> str:
    """Return what a test asks, without the result that it wants."""
    row = test.to_dict()
    if isinstance(test, (StdioTest, CallTest)):
        row.pop("output" if isinstance(test, StdioTest) else "expected")
    return json.dumps(row, sort_keys=True)


test_key.__test__ = False  # type: ignore[attr-defined]


def _full_key(test: Test) -> str:
    return test.code if isinstance(test, CodeTest) else json.dumps(test.to_dict(), sort_keys=True)


def _finding(problem: Problem, kind: Kind, detail: str, test: int | None = None) -> Finding:
    return Finding(problem.id, kind, detail, test)
