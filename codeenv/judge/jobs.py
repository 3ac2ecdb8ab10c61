"""From requests to units of work and back: one job for each submission that has to be run.

A batch job answers all requests about one program from the outcomes of one process; a single job runs each test in a process
of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from codeenv.judge.cache import Domain, ExecutionCache, Program
from codeenv.judge.compare import same_text, same_value
from codeenv.judge.outcomes import BatchOutcomes, Outcome, call_outcome, code_outcome, program_outcome
from codeenv.judge.prepared import Prepared, PreparedTest, Which
from codeenv.judge.verdict import Report, TestResult, Verdict, combined_verdict
from codeenv.problems.problem import Checker, Problem
from codeenv.sandbox.units import Kind, Run, Unit, WorkerLost

__all__ = ["BatchJob", "Job", "SingleJob", "report_from"]


class Request(Protocol):
    """What a job needs of a request."""

    @property
    def problem(self) -> Problem: ...
    @property
    def source(self) -> str: ...
    @property
    def tests(self) -> Which: ...


class Owner(Protocol):
    """What a job needs of the judge."""

    cache: ExecutionCache | None
    isolation: Literal["test", "batch"]
    isolation_level: str

    def check_by_program(self, prepared: Prepared, pairs: list[tuple[PreparedTest, Outcome]]) -> list[tuple[Verdict, str]]: ...


def report_from(program: Program, prepared: Prepared, level: str) -> Report | None:
    """Return the report of a program from its known outcomes, or `None` if one is missing."""
    if not prepared.simple:
        return None
    whole = program.whole
    if whole is not None and whole.verdict is Verdict.COMPILE_ERROR:
        return Report(prepared.problem.id, Verdict.COMPILE_ERROR, (), whole.error, level)
    checker = prepared.checker
    worst = Verdict.ACCEPTED
    results = []
    for test in prepared.tests:
        found = program.outcome(test.data)
        if found is None:
            return None
        outcome, seconds = found
        verdict = outcome.verdict or compared(outcome, test, checker)
        if worst is Verdict.ACCEPTED:
            worst = verdict
        results.append(TestResult(test.index, test.public, verdict, seconds, outcome.memory_mb, outcome.output, outcome.error))
    return Report(prepared.problem.id, worst, tuple(results), "", level)


class Job:
    """Units of work for one submission and the reports that come of them."""

    units: list[Unit]

    def finish(self, runs: list[list[Run]]) -> None:
        raise TypeError("a job says what its runs mean")

    def fail(self, reason: str) -> None:
        self.failure = f"{reason}, twice"

    def reports(self) -> list[tuple[int, Report]]:
        raise TypeError("a job says what its reports are")

    failure = ""


class BatchJob(Job):
    """One program, one process; all requests for it that came together share the outcomes."""

    def __init__(self, judge: Owner, key: tuple[Any, ...], items: Sequence[tuple[int, Request, Prepared]]) -> None:
        self._judge = judge
        self._key = key
        self._items = items
        cache = judge.cache
        prepared = items[0][2]
        self._program = (cache.find(key) if cache is not None else None) or Program()
        known = self._program.outcome
        wanted = dict.fromkeys(test.data for _, _, prepared in items for test in prepared.tests)
        needed = [data for data in wanted if known(data) is None]
        domain = cache.domain(prepared.problem) if cache is not None else Domain(())
        fresh = not any(domain is other for other, _ in self._program.batches)
        if not (fresh and all(data in domain.places for data in needed)):  # else the domain as it is, which many units share
            also = [data for data in domain.tests if data not in wanted and known(data) is None]
            domain = Domain((*needed, *also))
        self._domain = domain
        places = tuple(domain.places[data] for data in needed)
        kind: Kind = "call-batch" if prepared.problem.mode == "call" else "stdio-batch"
        self.units = [prepared.unit(kind, key[0].encode("utf-8"), domain.tests, places)]

    def finish(self, runs: list[list[Run]]) -> None:
        outcomes = BatchOutcomes(runs[0], self.units[0])
        if self._judge.cache is not None:
            self._program = self._judge.cache.add(self._key, self._domain, outcomes)
        else:
            self._program.add(self._domain, outcomes)

    def reports(self) -> list[tuple[int, Report]]:
        found = []
        for position, request, prepared in self._items:
            report = None if self.failure else report_from(self._program, prepared, self._judge.isolation_level)
            if report is None:
                reason = self.failure or "the sandbox gave no result for a test"
                report = Report(request.problem.id, Verdict.JUDGE_ERROR, (), reason, self._judge.isolation_level)
            found.append((position, report))
        return found


class SingleJob(Job):
    """One submission on one set of tests, each test in a process of its own."""

    def __init__(self, judge: Owner, items: Sequence[tuple[int, Request, Prepared]]) -> None:
        self._judge = judge
        self._items = items
        self._prepared = items[0][2]
        self._groups: list[list[PreparedTest]] = []
        for test in self._prepared.tests:
            if not self._groups or self._groups[-1][0].kind != test.kind:
                self._groups.append([])
            self._groups[-1].append(test)
        source = items[0][1].source.encode("utf-8")
        warm = judge.isolation == "batch"
        self.units = []
        for group in self._groups:
            kind, data = group[0].kind, tuple(test.data for test in group)
            self.units.append(self._prepared.unit(kind, source, data, mode="warm" if warm and kind == "code" else ""))
        self._report: Report | None = None

    def finish(self, runs: list[list[Run]]) -> None:
        read = {"stdio": program_outcome, "call": call_outcome, "code": code_outcome}
        pairs: list[tuple[PreparedTest, Outcome]] = []
        for unit, group, its_runs in zip(self.units, self._groups, runs, strict=True):
            for run in its_runs:
                outcome = read[unit.kind](run, unit)
                if outcome.verdict is Verdict.COMPILE_ERROR:
                    self._report = self._made(Verdict.COMPILE_ERROR, (), outcome.error)
                    return
                pairs.append((group[run.first], outcome))
        if len(pairs) != len(self._prepared.tests):
            self._report = self._made(Verdict.JUDGE_ERROR, (), "the sandbox gave no result for a test")
            return
        self._report = self._compare(pairs)

    def reports(self) -> list[tuple[int, Report]]:
        report = self._report or self._made(Verdict.JUDGE_ERROR, (), self.failure or "the submission was not run")
        return [(position, report) for position, _, _ in self._items]

    def _compare(self, pairs: list[tuple[PreparedTest, Outcome]]) -> Report:
        asked: dict[int, tuple[Verdict, str]] = {}
        if self._prepared.checker.kind in ("program", "validator"):
            open_pairs = [pair for pair in pairs if pair[1].verdict is None and pair[0].kind != "code"]
            if open_pairs:
                try:
                    answers = self._judge.check_by_program(self._prepared, open_pairs)
                except WorkerLost as problem:
                    return self._made(Verdict.JUDGE_ERROR, (), f"{problem}, twice, while the checker program ran")
                asked = {test.index: answer for (test, _), answer in zip(open_pairs, answers, strict=True)}
        results: list[TestResult] = []
        for test, outcome in pairs:
            if test.index in asked:
                verdict, error = asked[test.index]
            else:
                verdict, error = outcome.verdict or compared(outcome, test, self._prepared.checker), ""
            results.append(outcome.result(test.index, test.public, verdict, error))
        return self._made(combined_verdict(results), tuple(results), "")

    def _made(self, verdict: Verdict, results: tuple[TestResult, ...], error: str) -> Report:
        return Report(self._prepared.problem.id, verdict, results, error, self._judge.isolation_level)


def compared(outcome: Outcome, test: PreparedTest, checker: Checker) -> Verdict:
    if test.kind == "code":
        return Verdict.ACCEPTED
    same = same_text if test.kind == "stdio" else same_value
    return Verdict.ACCEPTED if same(outcome.value, test.expected, checker) else Verdict.WRONG_ANSWER
