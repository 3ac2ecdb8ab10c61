"""Our own endpoints: judge one submission or many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, SkipValidation, TypeAdapter, ValidationError

from codeenv.errors import CodeenvError
from codeenv.judge import JudgeRequest
from codeenv.judge.verdict import Report, Verdict
from codeenv.problems import Problem
from codeenv.server.service import ERRORS, Answer, JudgeLostError, Service
from codeenv.submission import extract_code

__all__ = ["router"]

router = APIRouter(prefix="/v1", responses=ERRORS)


class JudgeBody(BaseModel):
    """One submission. The problem is given whole, or named by the id it has in one of the service's problem sets."""

    model_config = ConfigDict(extra="forbid")

    problem: dict[str, Any] | None = Field(None, description="the problem's JSON row, see Problem.from_dict")
    problem_id: str | None = Field(None, description="id of a problem of the service's own sets, instead of `problem`")
    source: str | None = Field(None, description="the program")
    response: str | None = Field(
        None, description="a model's response that holds the program in a fenced block, instead of `source`"
    )
    tests: Literal["public", "private", "all"] = "all"


class BatchBody(BaseModel):
    """Several submissions, judged in parallel."""

    model_config = ConfigDict(extra="forbid")

    requests: list[SkipValidation[JudgeBody]] = Field(min_length=1)  # read by `judge_batch`, once there are not too many


_BODIES = TypeAdapter(list[JudgeBody])


class TestRow(Answer):
    """The result of one test."""

    index: int
    public: bool
    verdict: Verdict
    time_s: float
    memory_mb: float
    output: str
    error: str


class ReportRow(Answer):
    """The results of a submission."""

    problem_id: str
    verdict: Verdict
    passed_fraction: float
    results: list[TestRow]
    error: str
    isolation: str


class BatchReport(Answer):
    """One report per submission, in order; `null` where the judge itself failed on it."""

    reports: list[ReportRow | None]


class InfoRow(Answer):
    """What the service is."""

    version: str
    isolation_level: str
    workers: int
    problem_sets: dict[str, int] = Field(description="name of each problem set and its number of problems")


@router.get("/info")
async def info(request: Request) -> InfoRow:
    """Say what this service is."""
    from codeenv.version import __version__

    service: Service = request.app.state.service
    return InfoRow(
        version=__version__,
        isolation_level=service.judge.isolation_level,
        workers=service.settings.workers,
        problem_sets={name: len(problems) for name, problems in service.problem_sets.items()},
    )


@router.post("/judge")
async def judge(request: Request, body: JudgeBody) -> ReportRow:
    """Judge one submission. If the judge itself fails, the answer is 503 and never a report."""
    report = (await _judge(request, [body]))[0]
    if report.verdict is Verdict.JUDGE_ERROR:
        raise JudgeLostError(report.error)
    return _row(report)


@router.post("/judge_batch")
async def judge_batch(request: Request, body: BatchBody) -> BatchReport:
    """Judge several submissions."""
    service: Service = request.app.state.service
    size, most = len(body.requests), service.settings.max_batch
    if size > most:
        raise CodeenvError(f"the batch has {size} submissions; at most {most} are taken at a time")
    try:
        bodies = _BODIES.validate_python(body.requests)
    except ValidationError as error:
        rows = [{**row, "loc": ("body", "requests", *row["loc"])} for row in error.errors()]
        raise RequestValidationError(rows) from None
    reports = await _judge(request, bodies)
    return BatchReport(reports=[None if report.verdict is Verdict.JUDGE_ERROR else _row(report) for report in reports])


async def _judge(request: Request, bodies: Sequence[JudgeBody]) -> list[Report]:
    service: Service = request.app.state.service
    problems = [_problem(service, body) for body in bodies]
    sources = [_source(body, problem.language) for body, problem in zip(bodies, problems, strict=True)]
    work = [
        JudgeRequest(problem, source, body.tests)
        for body, problem, source in zip(bodies, problems, sources, strict=True)
        if source is not None
    ]
    found = iter(await service.judge_many(request, work) if work else [])
    level = service.judge.isolation_level
    reports = [
        next(found) if source is not None else Report(problem.id, Verdict.NO_CODE, (), "the response holds no program", level)
        for problem, source in zip(problems, sources, strict=True)
    ]
    request.state.facts.update(submissions=len(reports), problem_id=reports[0].problem_id, verdict=reports[0].verdict.value)
    return reports


def _problem(service: Service, body: JudgeBody) -> Problem:
    if (body.problem is None) == (body.problem_id is None):
        raise CodeenvError("give either 'problem' or 'problem_id'")
    if body.problem_id is not None:
        return service.problem(body.problem_id)
    problem = Problem.from_dict(body.problem or {})
    service.settings.check(problem)
    return problem


def _source(body: JudgeBody, language: str) -> str | None:
    if (body.source is None) == (body.response is None):
        raise CodeenvError("give either 'source' or 'response'")
    return body.source if body.source is not None else extract_code(body.response or "", False, language)


def _row(report: Report) -> ReportRow:
    return ReportRow.model_validate(report.to_dict())
