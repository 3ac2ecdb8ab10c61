"""Validation: known solutions are judged, so that wrong tests and wrong solutions are found before training finds them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from codeenv.curation.findings import Finding, static_findings
from codeenv.curation.second_run import reseeded
from codeenv.judge import Judge, JudgeRequest, Report, Verdict
from codeenv.problems.groups import kept
from codeenv.problems.problem import Problem

__all__ = ["Validation", "mend", "repair", "validate"]

_CHUNK = 16


@dataclass(frozen=True, slots=True)
class Validation:
    """The result for one problem.

    Attributes:
        problem: the problem.
        findings: what was noticed, in the order of the checks.
        correct: verdicts of its correct solutions (of the first run).
        incorrect: verdicts of its incorrect solutions.
    """

    problem: Problem
    findings: tuple[Finding, ...]
    correct: tuple[Verdict, ...]
    incorrect: tuple[Verdict, ...]

    @property
    def good(self) -> bool:
        """Whether nothing serious was found."""
        return not any(finding.serious for finding in self.findings)


def validate(problems: Iterable[Problem], judge: Judge, solutions: int = 3) -> Iterator[Validation]:
    """Validate problems, a few at a time.

    Each correct solution is judged twice, with another random seed: it must pass, and print and return the same both times. Each
    incorrect solution must fail.

    Args:
        problems: any number of problems; they are not kept.
        judge: the judge to ask.
        solutions: how many correct and how many incorrect solutions of each problem are judged.
    """
    iterator = iter(problems)
    while chunk := list(itertools.islice(iterator, _CHUNK)):
        requests, owners = [], []
        for position, problem in enumerate(chunk):
            for kind, sources, runs in (
                ("correct", problem.correct_solutions[:solutions], 2),
                ("incorrect", problem.incorrect_solutions[:solutions], 1),
            ):
                for index, source in enumerate(sources):
                    for run in range(runs):
                        requests.append(
                            JudgeRequest(problem, reseeded(source) if run and problem.language == "python" else source)
                        )
                        owners.append((position, kind, index, run))
        reports = dict(zip(owners, judge.judge_many(requests), strict=True))
        for position, problem in enumerate(chunk):
            mine = {key[1:]: report for key, report in reports.items() if key[0] == position}
            yield _validation(problem, mine)


def repair(validation: Validation) -> Problem | None:
    """Return the problem without its bad tests and solutions, or `None` if no trustworthy problem is left.

    Repeated tests, tests that every reference contradicts, references that fail and wrong solutions that pass are dropped. A
    problem that had references must keep one, and every problem must keep a private test.
    """
    problem = validation.problem
    kinds = {finding.kind for finding in validation.findings}
    if kinds & {"contradicting_tests", "judge_error"}:
        return None
    dropped = {f.test for f in validation.findings if f.kind in ("duplicate_test", "test_disagrees")}
    count = len(problem.public_tests)
    bad = {f.solution for f in validation.findings if f.kind in ("reference_fails", "flaky_reference")}
    if "test_disagrees" in kinds:  # the references failed because of the tests
        disagreeing = {f.test for f in validation.findings if f.kind == "test_disagrees"}
        bad -= {f.solution for f in validation.findings if f.kind == "reference_fails" and f.test in disagreeing}
    passing = {f.solution for f in validation.findings if f.kind == "wrong_solution_passes"}
    public = tuple(test for index, test in enumerate(problem.public_tests) if index not in dropped)
    staying = [index for index in range(len(problem.private_tests)) if index + count not in dropped]
    private = tuple(problem.private_tests[index] for index in staying)
    correct = tuple(text for index, text in enumerate(problem.correct_solutions) if index not in bad)
    if not private or (problem.correct_solutions and not correct):
        return None
    return replace(
        problem,
        public_tests=public,
        private_tests=private,
        groups=kept(problem.groups, staying),
        correct_solutions=correct,
        incorrect_solutions=tuple(text for index, text in enumerate(problem.incorrect_solutions) if index not in passing),
    )


def mend(validation: Validation, judge: Judge, solutions: int = 3) -> Problem | None:
    """Return the problem repaired until validation finds nothing more to drop, or `None` if no trustworthy problem is left.

    What was dropped may bring to light what it hid: the fourth solution is judged once the first is gone, and a wrong solution
    that only a wrong test rejected passes without it.
    """
    while True:
        repaired = repair(validation)
        if repaired is None or repaired == validation.problem:
            return repaired if validation.good else None
        (validation,) = validate([repaired], judge, solutions)


def _validation(problem: Problem, reports: dict[tuple[str, int, int], Report]) -> Validation:
    findings = static_findings(problem)
    correct = [report for (kind, _, run), report in reports.items() if kind == "correct" and run == 0]
    again = [report for (kind, _, run), report in reports.items() if kind == "correct" and run == 1]
    incorrect = [report for (kind, _, _), report in reports.items() if kind == "incorrect"]
    for report in [*correct, *again, *incorrect]:
        if report.verdict is Verdict.JUDGE_ERROR:
            findings.append(Finding(problem.id, "judge_error", f"it could not be judged: {_reason(report)}"))
            break
    steady = [first for first, second in zip(correct, again, strict=True) if _trace(first) == _trace(second)]
    disagreeing = _rejected_by_all(steady)
    for index in disagreeing:
        detail = f"test {index} disagrees with every reference, which agree with each other"
        findings.append(Finding(problem.id, "test_disagrees", detail, test=index))
    for index, (first, second) in enumerate(zip(correct, again, strict=True)):
        if _trace(first) != _trace(second):
            findings.append(
                Finding(problem.id, "flaky_reference", f"correct solution {index} differs from run to run", solution=index)
            )
        elif not first.accepted and first.verdict is not Verdict.JUDGE_ERROR:
            failed = first.failed[0].index if first.failed else None
            only = failed if failed is not None and {result.index for result in first.failed} <= set(disagreeing) else None
            detail = f"correct solution {index} is not accepted: {first.verdict.value}" + (
                f" on test {failed}" if failed is not None else ""
            )
            findings.append(Finding(problem.id, "reference_fails", detail, test=only, solution=index))
    for index, report in enumerate(incorrect):
        if report.accepted:
            findings.append(
                Finding(problem.id, "wrong_solution_passes", f"incorrect solution {index} passes every test", solution=index)
            )
    return Validation(
        problem, tuple(findings), tuple(report.verdict for report in correct), tuple(report.verdict for report in incorrect)
    )


def _rejected_by_all(reports: Sequence[Report]) -> list[int]:
    """Return the tests on which every reference runs, none is right, and all give the same answer."""
    if not reports:
        return []
    outputs: dict[int, set[str]] = {}
    wrong: dict[int, int] = {}
    for report in reports:
        for result in report.results:
            if result.verdict is Verdict.WRONG_ANSWER:
                wrong[result.index] = wrong.get(result.index, 0) + 1
                outputs.setdefault(result.index, set()).add(" ".join(result.output.split()))
    return [index for index, count in sorted(wrong.items()) if count == len(reports) and len(outputs[index]) == 1]


def _trace(report: Report) -> list[tuple[int, str, str]]:
    return [(result.index, result.verdict.value, result.output) for result in report.results]


def _reason(report: Report) -> str:
    return report.error or next((result.error for result in report.results if result.error), "no reason was given")
