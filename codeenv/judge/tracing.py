"""Traces for feedback: the first failing public test is run once more under a recorder, after the verdict stands.

The recorded run has a worker of its own, so that workers that judge stay small. Whatever comes of it, no verdict changes; if
nothing comes of it, there is no trace.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from codeenv.judge.prepared import Prepared
from codeenv.judge.verdict import Report, TestResult, Verdict
from codeenv.problems.problem import ProblemError
from codeenv.sandbox.pool import Pool
from codeenv.sandbox.units import Kind, Unit, WorkerLost
from codeenv.trace.collector import collect
from codeenv.trace.recorder import MODES, buffer_size

__all__ = ["Tracer", "checked_mode"]


_TRACED: dict[Kind, Kind] = {"stdio": "stdio-trace", "call": "call-trace", "code": "code-trace"}


def checked_mode(trace: str) -> str:
    """Return a trace mode, or raise `ProblemError` naming those that exist."""
    if trace != "off" and trace not in MODES:
        raise ProblemError(f"trace is {trace!r}; use one of off, {', '.join(MODES)}")
    return trace


class Tracer:
    """Adds traces to reports. `open_pool` gives the pool of the recording worker, when first needed."""

    def __init__(self, open_pool: Callable[[], Pool]) -> None:
        self._open_pool = open_pool
        self._pool: Pool | None = None

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the recording worker and its children."""
        return self._pool.cpu_s if self._pool is not None else 0.0

    def close(self) -> None:
        """End the recording worker."""
        if self._pool is not None:
            self._pool.close()

    def add(self, wanted: Sequence[tuple[int, str, str, Prepared]], reports: list[Report]) -> None:
        """Put a trace into the first failing public result of reports.

        Args:
            wanted: (position in `reports`, source, mode, prepared tests) of the requests that ask for a trace.
            reports: changed in place.
        """
        units: list[Unit] = []
        places: list[tuple[int, TestResult, str]] = []
        for position, source, mode, prepared in wanted:
            tests = {test.index: test for test in prepared.tests}
            failing = [item for item in reports[position].results if item.public and _has_a_trace(item)]
            if not failing:
                continue
            test = tests[failing[0].index]
            unit = prepared.unit(test.kind, source.encode("utf-8"), (test.data,))
            units.append(
                dataclasses.replace(unit, kind=_TRACED[test.kind], mode=mode, output=max(unit.output, 2 * buffer_size(mode)))
            )
            places.append((position, failing[0], source))
        if not units:
            return
        if self._pool is None:
            self._pool = self._open_pool()
        try:
            runs = self._pool.run(units)
        except WorkerLost:
            return
        for (position, result, source), its_runs in zip(places, runs, strict=True):
            if its_runs and its_runs[0].compiled:
                recorded = collect(its_runs[0].value, source).to_jsonl()
                report = reports[position]
                results = tuple(dataclasses.replace(item, trace=recorded) if item is result else item for item in report.results)
                reports[position] = dataclasses.replace(report, results=results)


def _has_a_trace(result: TestResult) -> bool:
    return result.verdict not in (Verdict.ACCEPTED, Verdict.JUDGE_ERROR)
