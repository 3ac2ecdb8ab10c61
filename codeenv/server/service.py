"""What the endpoints share: the judge, the queue, the problem sets, the errors."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

from fastapi import Request
from pydantic import BaseModel, model_validator

from codeenv.env import resolve_problems
from codeenv.errors import CodeenvError
from codeenv.judge import Judge, JudgeRequest
from codeenv.judge.verdict import Report
from codeenv.problems import Problem, StdioTest
from codeenv.sandbox.toolchains import missing
from codeenv.sandbox.units import SandboxError
from codeenv.server.admission import Admission, HungUpError
from codeenv.server.settings import ServerSettings
from codeenv.server.telemetry import Metrics

__all__ = ["ERRORS", "Answer", "ErrorRow", "JudgeLostError", "Service", "UnknownProblemError", "sendable"]

_AHEAD = 4
"""Submissions of a batch per worker that are handed to the judge at a time."""


class Answer(BaseModel):
    """A model of an answer; surrogates in its text, which cannot be sent as UTF-8, are written as `\\ud800`."""

    @model_validator(mode="before")
    @classmethod
    def _sendable(cls, data: Any) -> Any:
        return sendable(data)


def sendable(data: Any) -> Any:
    """Return data whose text can be sent as UTF-8."""
    if isinstance(data, str):
        return data if data.isascii() else data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, dict):
        return {sendable(key): sendable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [sendable(value) for value in data]
    return data


class ErrorRow(BaseModel):
    """What went wrong, in one sentence."""

    error: str


class UnknownProblemError(CodeenvError):
    """The service has no problem of that id."""


class JudgeLostError(Exception):
    """The judge failed on a submission even after its retry."""


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorRow, "description": "the request asks for something that cannot be done"},
    401: {"model": ErrorRow, "description": "the token is missing or wrong"},
    404: {"model": ErrorRow, "description": "there is no such problem"},
    408: {"model": ErrorRow, "description": "the request did not come in time"},
    413: {"model": ErrorRow, "description": "the request is too large"},
    422: {"model": ErrorRow, "description": "the request does not fit the description of the endpoint"},
    429: {"model": ErrorRow, "description": "the queue is full; Retry-After says when to come back"},
    503: {"model": ErrorRow, "description": "the judge failed, or the service is stopping; the submission was not judged"},
}


class Service:
    """One service."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.problem_sets = {name: resolve_problems(name) for name in settings.problem_sets}
        self._problems = {problem.id: problem for problems in self.problem_sets.values() for problem in problems}
        self.judge = Judge(sandbox=settings.sandbox, workers=settings.workers, isolation=settings.isolation)  # type: ignore[arg-type]
        self.admission = Admission(settings.workers, settings.queue)
        self.metrics = Metrics(self.judge, self.admission)

    def try_out(self) -> None:
        """Judge a program, so that a sandbox that cannot be had here is found before the first client comes.

        Raises:
            CodeenvError: the judge does not work here.
        """
        report = self.judge.judge(Problem("serve/one", "", "stdio", public_tests=(StdioTest("", "1\n"),)), "print(1)")
        if not report.accepted:
            raise CodeenvError(f"the judge does not work here: {report.error or report.verdict.value}; see codeenv doctor")

    def problem(self, problem_id: str) -> Problem:
        """Return a problem of the service's sets.

        Raises:
            UnknownProblemError: there is none of that id.
        """
        if problem_id not in self._problems:
            sets = ", ".join(self.problem_sets) or "none; start the service with --problems"
            raise UnknownProblemError(f"there is no problem {problem_id!r} here; the problem sets are {sets}")
        return self._problems[problem_id]

    def has(self, problem_id: str) -> bool:
        """Return whether the service has a problem of that id."""
        return problem_id in self._problems

    async def judge_many(self, request: Request, work: Sequence[JudgeRequest]) -> list[Report]:
        """Judge submissions when a worker is free; of a batch, no more than a few are begun after its client has hung up."""
        step = _AHEAD * self.settings.workers

        def judged(gone: threading.Event) -> list[Report]:
            found: list[Report] = []
            for start in range(0, len(work), step):
                if gone.is_set():
                    raise HungUpError(len(work) - start)
                try:
                    found += self.judge.judge_many(work[start : start + step])
                except SandboxError as error:
                    if self._cannot_be_had(work):
                        raise
                    raise JudgeLostError(str(error)) from None
            return found

        reports = await self.admission.run(request, judged, len(work))
        for report in reports:
            self.metrics.verdicts.labels(report.verdict.value).inc()
        return reports

    def _cannot_be_had(self, work: Sequence[JudgeRequest]) -> bool:
        """Return whether some submissions are in a language that is not run here, so that no later try can succeed."""
        languages = {one.problem.language for one in work} - {"python"}
        return any(self.judge.isolation_level != "namespaces" or missing(language) for language in languages)

    @property
    def retry_after_s(self) -> int:
        """A guess at when a client should come back."""
        return max(1, math.ceil(self.admission.waiting / (10 * self.settings.workers)))

    def close(self) -> None:
        """End the workers; work that is still in hand is lost, and nobody waits for it."""
        self.admission.close()
        self.judge.close()
