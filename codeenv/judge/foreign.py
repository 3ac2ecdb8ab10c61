"""Judging programs in languages other than Python: compile, run each test in a process of its own, compare as for Python.

A program that does not compile has the verdict `compile_error` with the first lines of what the compiler said. Limits are those
of the problem; what the language's runtime itself takes to start is added (`codeenv.sandbox.toolchains`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeAlias

from codeenv.judge.blame import FAULT_OF_TALK, Answer
from codeenv.judge.controls import Controls
from codeenv.judge.jobs import compared
from codeenv.judge.outcomes import Outcome
from codeenv.judge.passes import Passes
from codeenv.judge.prepared import Prepared, PreparedTest
from codeenv.judge.program import foreign_outcome
from codeenv.judge.validators import Validator, program_name
from codeenv.judge.verdict import Report, TestResult, Verdict, combined_verdict
from codeenv.problems.problem import Checker, Problem
from codeenv.sandbox.foreign import Foreign
from codeenv.sandbox.toolchains import source_name, toolchain
from codeenv.sandbox.units import Unit, WorkerLost

__all__ = ["ForeignJudge", "foreign"]

_VALIDATORS = 64

Check: TypeAlias = Callable[[Prepared, list[tuple[PreparedTest, Outcome]]], list[tuple[Verdict, str]]]


class Request(Protocol):
    """What is needed of a request."""

    @property
    def problem(self) -> Problem: ...
    @property
    def source(self) -> str: ...
    @property
    def tests(self) -> str: ...


def foreign(problem: Problem) -> bool:
    """Whether submissions to a problem are judged here."""
    return problem.language != "python" or problem.checker.kind == "interactor" or problem.checker.passes > 1


class ForeignJudge:
    """The part of a judge that deals with other languages.

    Args:
        level: isolation level.
        workers: most workers of a language at a time.
        check_by_program: asks a problem's checker program, see `codeenv.judge.judge.Judge`.
    """

    def __init__(self, level: str, workers: int, check_by_program: Check) -> None:
        self._level = level
        self._workers = workers
        self._check = check_by_program
        self._sandbox = Foreign(level, workers)
        self._controls = Controls()
        self._validators: dict[tuple[Checker, float], Validator] = {}

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all compilers, workers and programs."""
        return self._sandbox.cpu_s

    def close(self) -> None:
        """End all workers."""
        self._sandbox.close()

    def judge(self, items: Sequence[tuple[int, Request, Prepared]], reports: list[Report | None]) -> int:
        """Judge (position, request, prepared) and put the reports at their positions; return how many programs were run.

        Raises:
            SandboxError: a language cannot be had here.
        """
        groups: dict[tuple[Any, ...], list[tuple[int, Request, Prepared]]] = {}
        for item in items:
            groups.setdefault((item[1].source, id(item[1].problem), item[1].tests), []).append(item)
        todo = list(groups.values())
        if len(todo) == 1 or self._workers == 1:
            found = [self._report(group[0][1], group[0][2]) for group in todo]
        else:
            with ThreadPoolExecutor(self._workers, thread_name_prefix="judge") as executor:
                found = list(executor.map(lambda group: self._report(group[0][1], group[0][2]), todo))
        for group, report in zip(todo, found, strict=True):
            for position, _, _ in group:
                reports[position] = report
        return len(todo)

    def _report(self, request: Request, prepared: Prepared) -> Report:
        problem = request.problem
        name = source_name(problem.language, request.source)
        try:
            compiled = self._sandbox.compile(problem.language, {name: request.source.encode("utf-8")})
            if not compiled.artifact:
                return self._made(problem, Verdict.COMPILE_ERROR, (), compiled.error)
            flags = program_name(problem.language, request.source)
            unit = prepared.unit("stdio", compiled.artifact, tuple(test.data for test in prepared.tests), flags=flags)
            if problem.checker.kind == "interactor" or problem.checker.passes > 1:
                passes = Passes(self._sandbox, problem.language, unit, self._validator(prepared), problem.checker)
                return self._by_passes(prepared, passes, request.source)
            runs = self._sandbox.run(problem.language, unit)
        except WorkerLost as lost:
            return self._made(problem, Verdict.JUDGE_ERROR, (), f"{lost}, twice")
        if len(runs) != len(prepared.tests):
            return self._made(problem, Verdict.JUDGE_ERROR, (), "the sandbox gave no result for a test")
        chain = toolchain(problem.language)
        outcomes = [foreign_outcome(run, unit, chain) for run in runs]
        try:
            results = self._compared(prepared, list(zip(prepared.tests, outcomes, strict=True)))
        except WorkerLost as lost:
            return self._made(problem, Verdict.JUDGE_ERROR, (), f"{lost}, twice, while the checker program ran")
        return self._made(problem, combined_verdict(results), tuple(results), "")

    def validate(self, prepared: Prepared, pairs: list[tuple[PreparedTest, Outcome]]) -> list[Answer]:
        """Ask the problem's output validator about outputs, up to the first that takes too long.

        Raises:
            SandboxError: its language cannot be had here.
            WorkerLost: twice in a row.
        """
        validator = self._validator(prepared)
        answers: list[Answer] = []
        for test, outcome in pairs:
            said = validator.check(str(test.shown_input), str(test.expected), outcome.value)
            answers.append(Answer(said.verdict, said.error, said.slow))
            if said.slow:
                break
        return answers

    def _validator(self, prepared: Prepared) -> Validator:
        key = (prepared.checker, prepared.problem.limits.time_limit_s)
        found = self._validators.get(key)
        if found is None:
            found = Validator(self._sandbox, *key)
            if len(self._validators) >= _VALIDATORS:
                self._validators.clear()
            self._validators[key] = found
        return found

    def _by_passes(self, prepared: Prepared, passes: Passes, source: str) -> Report:
        known = prepared.problem.correct_solutions[:1]
        correct = None if not known else functools.partial(self._unit_of, prepared, known[0])
        results = []
        for test in prepared.tests:
            outcome, verdict, error = passes.run(test)
            failed = verdict is Verdict.JUDGE_ERROR and not passes.validator.failure
            if failed and known != (source,) and self._controls.works(passes, test, correct):
                verdict, error = Verdict.WRONG_ANSWER, FAULT_OF_TALK
            results.append(outcome.result(test.index, test.public, verdict, error))
        return self._made(prepared.problem, combined_verdict(results), tuple(results), "")

    def _unit_of(self, prepared: Prepared, source: str) -> Unit:
        language = prepared.problem.language
        compiled = self._sandbox.compile(language, {source_name(language, source): source.encode("utf-8")})
        data = tuple(test.data for test in prepared.tests)
        return prepared.unit("stdio", compiled.artifact, data, flags=program_name(language, source))

    def _compared(self, prepared: Prepared, pairs: list[tuple[PreparedTest, Outcome]]) -> list[TestResult]:
        asked: dict[int, tuple[Verdict, str]] = {}
        if prepared.checker.kind in ("program", "validator"):
            open_pairs = [pair for pair in pairs if pair[1].verdict is None]
            answers = self._check(prepared, open_pairs) if open_pairs else []
            asked = {test.index: answer for (test, _), answer in zip(open_pairs, answers, strict=True)}
        results = []
        for test, outcome in pairs:
            verdict, error = asked.get(test.index) or (outcome.verdict or compared(outcome, test, prepared.checker), "")
            results.append(outcome.result(test.index, test.public, verdict, error))
        return results

    def _made(self, problem: Problem, verdict: Verdict, results: tuple[TestResult, ...], error: str) -> Report:
        return Report(problem.id, verdict, results, error, self._level)
