"""What is true about a submission: the verdict of each test and of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Report", "TestResult", "Verdict"]


class Verdict(StrEnum):
    """The outcome of judging. `JUDGE_ERROR` is ours, never the submission's: it must not become a reward."""

    ACCEPTED = "accepted"
    WRONG_ANSWER = "wrong_answer"
    RUNTIME_ERROR = "runtime_error"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    COMPILE_ERROR = "compile_error"
    NO_CODE = "no_code"
    SECURITY_VIOLATION = "security_violation"
    JUDGE_ERROR = "judge_error"


@dataclass(frozen=True, slots=True)
class TestResult:
    """The result of one test.

    Attributes:
        index: position in `problem.tests("all")`: public tests first, then private ones.
        public: whether the agent may see this result.
        verdict: what happened.
        time_s: CPU seconds of the test's process.
        memory_mb: peak resident memory in MiB.
        output: what the submission printed (stdio) or the `repr` of the plain value it returned (call); bounded.
        error: the submission's traceback, the failed assertion of test code, or the reason of a judge error; bounded.
        trace: the recorded trace as text, or `None` if tracing is off.
    """

    __test__ = False  # not a pytest class

    index: int
    public: bool
    verdict: Verdict
    time_s: float = 0.0
    memory_mb: float = 0.0
    output: str = ""
    error: str = ""
    trace: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready row of this result (the trace only if there is one)."""
        row: dict[str, Any] = {
            "index": self.index,
            "public": self.public,
            "verdict": self.verdict.value,
            "time_s": round(self.time_s, 6),
            "memory_mb": round(self.memory_mb, 3),
            "output": self.output,
            "error": self.error,
        }
        if self.trace is not None:
            row["trace"] = self.trace
        return row


@dataclass(frozen=True, slots=True)
class Report:
    """The results of all tests that were run for one submission.

    Attributes:
        problem_id: the problem.
        verdict: `ACCEPTED` if every test passed, else the first verdict that is not.
        results: one per test that was run, in test order.
        error: for a compile error, a missing program or a judge error that concerns the whole submission: what happened.
        isolation: the sandbox level the submission ran at, such as `namespaces`.
    """

    problem_id: str
    verdict: Verdict
    results: tuple[TestResult, ...] = field(default=())
    error: str = ""
    isolation: str = ""

    @property
    def accepted(self) -> bool:
        """Whether every test that was asked for passed."""
        return self.verdict is Verdict.ACCEPTED

    @property
    def failed(self) -> tuple[TestResult, ...]:
        """The results that are not accepted, in test order."""
        return tuple(result for result in self.results if result.verdict is not Verdict.ACCEPTED)

    @property
    def passed_fraction(self) -> float:
        """The share of the tests that passed, 0.0 to 1.0; 0.0 if none was run."""
        if not self.results:
            return 0.0
        return (len(self.results) - len(self.failed)) / len(self.results)

    def public_part(self) -> Report:
        """Return the report with only what an agent may see: the public results."""
        results = tuple(result for result in self.results if result.public)
        whole = self.verdict in (Verdict.COMPILE_ERROR, Verdict.NO_CODE, Verdict.JUDGE_ERROR, Verdict.SECURITY_VIOLATION)
        verdict = self.verdict if whole and not results else combined_verdict(results)
        return Report(self.problem_id, verdict, results, self.error, self.isolation)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form of the report."""
        return {
            "problem_id": self.problem_id,
            "verdict": self.verdict.value,
            "passed_fraction": self.passed_fraction,
            "results": [result.to_dict() for result in self.results],
            "error": self.error,
            "isolation": self.isolation,
        }


def combined_verdict(results: Sequence[TestResult]) -> Verdict:
    """Return the verdict in sum: a judge error if there is one, else the first that is not accepted, else accepted."""
    verdicts = [result.verdict for result in results]
    if Verdict.JUDGE_ERROR in verdicts:
        return Verdict.JUDGE_ERROR
    return next((verdict for verdict in verdicts if verdict is not Verdict.ACCEPTED), Verdict.ACCEPTED)
