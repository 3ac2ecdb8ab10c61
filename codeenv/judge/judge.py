"""The judge: it sends submissions and inputs to the sandbox, keeps the expected values, compares, and reports.

Two ways to run: `isolation="test"` gives every test a process of its own; `isolation="batch"` runs all tests of a submission
in one process, cheaper, but state leaks between them. A failure of ours is retried once on a fresh worker, then reported as a
judge error.
"""

from __future__ import annotations

import functools
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from codeenv.errors import CodeenvError
from codeenv.judge import blame
from codeenv.judge.blame import Answer, Blame
from codeenv.judge.cache import ExecutionCache
from codeenv.judge.foreign import ForeignJudge, foreign
from codeenv.judge.jobs import BatchJob, Job, SingleJob, report_from
from codeenv.judge.outcomes import Outcome, call_outcome
from codeenv.judge.prepared import Preparations, Prepared, PreparedTest, Which, call_input
from codeenv.judge.tracing import Tracer, checked_mode
from codeenv.judge.verdict import Report, Verdict
from codeenv.problems.packages.wrapped import wrapped_checker
from codeenv.problems.problem import Problem
from codeenv.sandbox.levels import open_pool
from codeenv.sandbox.pool import Pool
from codeenv.sandbox.units import Unit, WorkerLost

__all__ = ["MAX_SOURCE_BYTES", "Judge", "JudgeRequest", "JudgeStats"]

MAX_SOURCE_BYTES = 1 << 20
"""Longest submission in bytes of UTF-8; a longer one does not compile."""

_CHUNK = 64
_ASKED = 4


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """One submission to judge.

    Attributes:
        problem: what was asked.
        source: the submitted program.
        tests: which tests to run.
        trace: `off`, or how to record the first failing public test; a trace never changes a verdict.
    """

    problem: Problem
    source: str
    tests: Which = "all"
    trace: str = "off"


@dataclass(slots=True)
class JudgeStats:
    """What a judge has done so far.

    Attributes:
        requests: submissions judged.
        cache_hits: those answered without running anything.
        executions: submissions that were run.
        worker_cpu_s: CPU seconds of the workers and all their children.
        judge_cpu_s: CPU seconds in the judge's own process (the calling threads while they judge).
        retries: units of work that were run again because a worker was lost.
    """

    requests: int = 0
    cache_hits: int = 0
    executions: int = 0
    worker_cpu_s: float = 0.0
    judge_cpu_s: float = 0.0
    retries: int = 0


class Judge:
    """Judges submissions in a sandbox. Thread-safe; use it as a context manager or call `close`.

    Args:
        sandbox: `local` (the same as `namespaces`), `namespaces`, `landlock`, `rlimits`, `docker` or `ray`.
        workers: most workers at a time; they are started when first needed.
        isolation: `test` or `batch`.
        cache: remembers executions; only with `isolation="batch"` and deterministic programs.
        options: settings of the sandbox, see `codeenv.sandbox.levels.open_pool` and `codeenv.sandbox.ray.open_ray_pool`.

    Raises:
        SandboxError: the asked-for level of isolation cannot be had here.
    """

    def __init__(
        self,
        sandbox: str = "local",
        workers: int = 2,
        isolation: Literal["test", "batch"] = "test",
        cache: ExecutionCache | None = None,
        **options: Any,
    ) -> None:
        if isolation not in ("test", "batch"):
            raise CodeenvError(f"isolation is {isolation!r}; use 'test' or 'batch'")
        if cache is not None and isolation != "batch":
            raise CodeenvError(
                "an execution cache goes with isolation='batch' only: it remembers what tests did in a shared process"
            )
        self.isolation: Literal["test", "batch"] = isolation
        self.workers = workers
        self._made: tuple[tuple[Any, ...], dict[str, Any]] = ((sandbox, workers, isolation, cache), options)
        self._pool, self.isolation_level = _opened(sandbox, workers, options)
        self._tracer = Tracer(lambda: _opened(sandbox, 1, {**options, "tracing": True})[0])
        self.cache = cache
        self._blame = Blame()
        self._foreign = ForeignJudge(self.isolation_level, workers, self.check_by_program)
        self._prepared = Preparations()
        self._stats = JudgeStats()
        self._lock = threading.Lock()
        self._closer = weakref.finalize(self, _close, self._pool, self._tracer, self._foreign)

    def __reduce__(self) -> tuple[Any, ...]:
        """A judge is pickled as its settings: the copy starts workers of its own."""
        given, options = self._made
        return functools.partial(Judge, *given, **options), ()

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers; a closed judge cannot be used again."""
        self._closer()

    @property
    def stats(self) -> JudgeStats:
        """What this judge has done so far (a snapshot)."""
        with self._lock:
            stats = self._stats
            return JudgeStats(
                stats.requests,
                stats.cache_hits,
                stats.executions,
                self._pool.cpu_s + self._tracer.cpu_s + self._foreign.cpu_s,
                stats.judge_cpu_s,
                stats.retries,
            )

    def judge(self, problem: Problem, source: str, tests: Which = "all", trace: str = "off") -> Report:
        """Judge one submission."""
        return self.judge_many([JudgeRequest(problem, source, tests, trace)])[0]

    def judge_many(self, requests: Sequence[JudgeRequest]) -> list[Report]:
        """Judge submissions in parallel; the reports are in the order of the requests.

        Raises:
            ProblemError: a problem has none of the tests that are asked for; nothing has been judged then.
        """
        started = time.thread_time()
        batch = self.isolation == "batch"
        reports: list[Report | None] = []
        waiting: list[tuple[int, JudgeRequest, Prepared]] = []
        wanted: list[tuple[int, str, str, Prepared]] = []
        hits = 0
        for position, request in enumerate(requests):
            prepared = self._prepared.get(request.problem, request.tests)
            report: Report | None = None
            if batch and self.cache is not None and type(request.source) is str and request.problem.language == "python":
                program = self.cache.find((request.source, *prepared.program_key))
                if program is not None:
                    report = report_from(program, prepared, self.isolation_level)
                    hits += report is not None
            if report is None:
                report = self._without_running(request)
            reports.append(report)
            if report is None:
                waiting.append((position, request, prepared))
            if request.trace != "off" and request.problem.language == "python":
                wanted.append((position, request.source, checked_mode(request.trace), prepared))
        executed = 0
        if waiting:
            executed = self._run(waiting, reports)
        done = [report for report in reports if report is not None]
        if wanted:
            self._tracer.add(wanted, done)
        with self._lock:
            self._stats.requests += len(requests)
            self._stats.cache_hits += hits
            self._stats.executions += executed
            self._stats.judge_cpu_s += time.thread_time() - started
        return done

    def _without_running(self, request: JudgeRequest) -> Report | None:
        """Return the report of a source that cannot be a program, or `None`."""
        source = request.source
        error = ""
        verdict = Verdict.COMPILE_ERROR
        if not isinstance(source, str):
            error = f"the submission is a {type(source).__name__}, not a text"
        elif not source.strip():
            error, verdict = "the submission is empty", Verdict.NO_CODE
        elif len(source) > MAX_SOURCE_BYTES:
            error = f"the source has {len(source)} characters; at most {MAX_SOURCE_BYTES} bytes are compiled"
        elif "\0" in source:
            error = "the source holds a NUL character, which no program may"
        else:
            try:
                if len(source.encode("utf-8")) > MAX_SOURCE_BYTES:
                    error = f"the source has more than {MAX_SOURCE_BYTES} bytes, the most that are compiled"
            except UnicodeEncodeError as problem:
                error = f"the source has a lone surrogate at position {problem.start}, which is not a character"
        return Report(request.problem.id, verdict, (), error, self.isolation_level) if error else None

    def _run(self, waiting: list[tuple[int, JudgeRequest, Prepared]], reports: list[Report | None]) -> int:
        """Run what has to be run and fill in the reports; return how many different submissions were run."""
        executed = 0
        if any(foreign(request.problem) for _, request, _ in waiting):
            executed = self._foreign.judge([item for item in waiting if foreign(item[1].problem)], reports)
            waiting = [item for item in waiting if not foreign(item[1].problem)]
        batched: dict[tuple[Any, ...], list[tuple[int, JudgeRequest, Prepared]]] = {}
        single: dict[tuple[Any, ...], list[tuple[int, JudgeRequest, Prepared]]] = {}
        for item in waiting:
            _, request, prepared = item
            if self.isolation == "batch" and prepared.simple:
                batched.setdefault((request.source, *prepared.program_key), []).append(item)
            else:
                single.setdefault((request.source, id(request.problem), request.tests), []).append(item)
        jobs: list[Job] = [BatchJob(self, key, items) for key, items in batched.items()]
        jobs += [SingleJob(self, items) for items in single.values()]
        size = max(1, min(_CHUNK, -(-len(jobs) // (self._pool.size * 2))))
        self._pool.map(self._run_jobs, [jobs[start : start + size] for start in range(0, len(jobs), size)])
        for job in jobs:
            for position, report in job.reports():
                reports[position] = report
        return len(jobs) + executed

    def _run_jobs(self, jobs: list[Job]) -> None:
        caller = time.thread_time()
        units = [unit for job in jobs for unit in job.units]
        try:
            runs = self._pool.run(units) if units else []
        except WorkerLost:
            for job in jobs:
                self._run_alone(job)
        else:
            position = 0
            for job in jobs:
                job.finish(runs[position : position + len(job.units)])
                position += len(job.units)
        if threading.current_thread().name.startswith("judge_"):
            with self._lock:
                self._stats.judge_cpu_s += time.thread_time() - caller

    def _run_alone(self, job: Job) -> None:
        with self._lock:
            self._stats.retries += 1
        try:
            runs = self._pool.run(job.units)
        except WorkerLost as error:
            job.fail(str(error))
        else:
            job.finish(runs)

    def check_by_program(self, prepared: Prepared, pairs: list[tuple[PreparedTest, Outcome]]) -> list[tuple[Verdict, str]]:
        """Ask the problem's checker program or validator about outputs, and settle whose failure it is if it fails.

        Raises:
            WorkerLost: twice in a row.
        """
        return self._blame.settle(prepared, pairs, self._asked)

    def _asked(self, prepared: Prepared, pairs: list[tuple[PreparedTest, Outcome]]) -> list[Answer]:
        """Ask about a few outputs at a time, so that a checker that takes too long is not asked about all."""
        checker = prepared.checker
        if checker.kind == "validator" and (checker.language != "python" or self.isolation_level == "namespaces"):
            return self._foreign.validate(prepared, pairs)
        program = checker.program if checker.kind == "program" else wrapped_checker(checker)
        answers: list[Answer] = []
        while len(answers) < len(pairs) and not any(answer.slow for answer in answers):
            answers += self._by_program(prepared, program or "", pairs[len(answers) : len(answers) + (_ASKED if answers else 1)])
        return answers

    def _by_program(self, prepared: Prepared, program: str, pairs: list[tuple[PreparedTest, Outcome]]) -> list[Answer]:
        """Run a checker program: `check(input, output, expected)` returns whether the output is right."""
        source = program.encode("utf-8", "replace")
        data = []
        for test, outcome in pairs:
            output = outcome.value
            if isinstance(output, str):
                output = output.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            data.append(call_input((test.shown_input, output, test.expected)))
        limits = prepared.problem.limits
        unit = Unit("call", source, "check", tuple(data), (), b"", max(blame.LEAST_S, limits.time_limit_s), 1 << 30, 1 << 20)
        try:
            runs = self._pool.run([unit])[0]
        except WorkerLost:
            runs = self._pool.run([unit])[0]
        answers = []
        for run in runs:
            found = call_outcome(run, unit)
            if found.verdict is not None or type(found.value) is not bool:
                reason = found.error or f"it returned {found.output}, not True or False"
                slow = found.verdict is Verdict.TIME_LIMIT
                answers.append(Answer(Verdict.JUDGE_ERROR, f"the problem's checker program failed: {reason}", slow))
            else:
                answers.append(Answer(Verdict.ACCEPTED if found.value else Verdict.WRONG_ANSWER))
        missing = Answer(Verdict.JUDGE_ERROR, f"the problem's checker program failed: {call_outcome(runs[0], unit).error}")
        return answers + [missing] * (len(pairs) - len(answers))


def _opened(sandbox: str, workers: int, options: dict[str, Any]) -> tuple[Pool, str]:
    if sandbox == "ray":
        from codeenv.sandbox.ray import open_ray_pool

        return open_ray_pool(workers, **options)
    return open_pool(sandbox, workers, **options)


def _close(pool: Pool, tracer: Tracer, foreign: ForeignJudge) -> None:
    pool.close()
    tracer.close()
    foreign.close()
