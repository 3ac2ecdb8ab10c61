"""SandboxFusion's endpoints, so that its clients (verl, and others) can be pointed here: `/run_code`, `/submit`, `/v1/ping`.

A program runs in our sandbox: no network, no files, one process. Requests that need more (`files`, `fetch_files`, languages that
are unknown or not installed) are answered with 400 and a sentence. `/submit` compares outside the sandbox, in the judge.
"""

from __future__ import annotations

import re
import signal
from enum import StrEnum
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from codeenv.errors import CodeenvError
from codeenv.judge import JudgeRequest
from codeenv.judge.verdict import TestResult, Verdict
from codeenv.problems import Limits, Problem, StdioTest
from codeenv.problems.languages import LANGUAGES
from codeenv.server.service import ERRORS, Answer, JudgeLostError, Service
from codeenv.submission import extract_code

__all__ = ["router"]

router = APIRouter(responses=ERRORS)

_LANGUAGES = {"python3": "python", "nodejs": "javascript"} | {name: name for name in LANGUAGES}
"""SandboxFusion's names and ours to ours."""


class CommandStatus(StrEnum):
    """How a command ended."""

    FINISHED = "Finished"
    ERROR = "Error"
    TIME_LIMIT = "TimeLimitExceeded"


class RunStatus(StrEnum):
    """How a run ended."""

    SUCCESS = "Success"
    FAILED = "Failed"
    SANDBOX_ERROR = "SandboxError"


class CommandResult(Answer):
    """What a command did."""

    status: CommandStatus
    execution_time: float | None = None
    return_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None


class RunRequest(BaseModel):
    """A program and its standard input."""

    code: str
    language: str = "python"
    stdin: str | None = None
    compile_timeout: float = Field(10, gt=0, le=3600)
    run_timeout: float = Field(10, ge=0.01, le=3600)
    memory_limit_MB: int = Field(-1, description="-1 for the service's highest")
    files: dict[str, str | None] = Field(default_factory=dict)
    fetch_files: list[str] = Field(default_factory=list)


class RunResponse(Answer):
    """What a program did."""

    status: RunStatus
    message: str = ""
    compile_result: CommandResult | None = None
    run_result: CommandResult | None = None
    executor_pod_name: str | None = None
    files: dict[str, str] = Field(default_factory=dict)


class SubmitConfig(BaseModel):
    """The parts of SandboxFusion's test configuration that have a meaning here."""

    language: str | None = None
    run_timeout: float | None = Field(default=None, ge=0.01, le=3600)
    provided_data: dict[str, Any] | None = Field(
        default=None, description="a problem with `test`: [{input: {stdin}, output: {stdout}}]"
    )


class SubmitRequest(BaseModel):
    """A model's completion for a problem of the service's sets (`id`), or for the one in `config.provided_data`."""

    dataset: str
    id: int | str
    completion: str
    config: SubmitConfig = Field(default_factory=SubmitConfig)


class CaseResult(Answer):
    """One test."""

    passed: bool
    exec_info: RunResponse
    test_info: dict[str, Any] | None = None


class SubmitResult(Answer):
    """The outcome of a completion."""

    id: int | str
    accepted: bool
    extracted_code: str
    full_code: str | None = None
    test_code: str | None = None
    tests: list[CaseResult]
    extracted_type: str | None = None
    extra: dict[str, Any] | None = None


@router.get("/v1/ping")
async def ping() -> str:
    """Say that the service is there."""
    return "pong"


@router.post("/run_code")
async def run_code(request: Request, body: RunRequest) -> RunResponse:
    """Run a program."""
    service: Service = request.app.state.service
    language = _language(body.language)
    if body.files or body.fetch_files:
        raise CodeenvError("programs see no files here; leave 'files' and 'fetch_files' empty")
    most = service.settings
    if body.run_timeout > most.max_time_limit_s:
        raise CodeenvError(f"run_timeout is {body.run_timeout:g}; at most {most.max_time_limit_s:g} is given here")
    memory = body.memory_limit_MB if body.memory_limit_MB > 0 else most.max_memory_mb
    limits = Limits(body.run_timeout, min(memory, most.max_memory_mb), most.max_output_kb)
    test = StdioTest(body.stdin or "", "")
    problem = Problem("run_code", "", "stdio", public_tests=(test,), limits=limits, language=language)
    try:
        report = (await service.judge_many(request, [JudgeRequest(problem, body.code)]))[0]
    except JudgeLostError as lost:
        return RunResponse(status=RunStatus.SANDBOX_ERROR, message=str(lost))
    request.state.facts.update(verdict=report.verdict.value)
    if report.verdict is Verdict.JUDGE_ERROR:
        return RunResponse(status=RunStatus.SANDBOX_ERROR, message=report.error)
    if not report.results:
        error = CommandResult(status=CommandStatus.FINISHED, execution_time=0.0, return_code=1, stdout="", stderr=report.error)
        if language == "python":
            return RunResponse(status=RunStatus.FAILED, run_result=error)
        return RunResponse(status=RunStatus.FAILED, compile_result=error)
    answer = _run_response(report.results[0])
    if language not in ("python", "javascript"):
        answer.compile_result = CommandResult(status=CommandStatus.FINISHED, return_code=0, stdout="", stderr="")
    return answer


@router.post("/submit")
async def submit(request: Request, body: SubmitRequest) -> SubmitResult:
    """Judge a completion on all tests of its problem."""
    service: Service = request.app.state.service
    problem = _submitted_problem(service, body)
    source = extract_code(body.completion, False, problem.language)
    if source is None:
        return SubmitResult(id=body.id, accepted=False, extracted_code="", tests=[], extracted_type="empty")
    report = (await service.judge_many(request, [JudgeRequest(problem, source)]))[0]
    request.state.facts.update(verdict=report.verdict.value, problem_id=problem.id)
    if report.verdict is Verdict.JUDGE_ERROR:
        raise JudgeLostError(report.error)
    cases = [CaseResult(passed=result.verdict is Verdict.ACCEPTED, exec_info=_run_response(result)) for result in report.results]
    if not cases:
        failed = CommandResult(status=CommandStatus.FINISHED, return_code=1, stdout="", stderr=report.error)
        cases = [CaseResult(passed=False, exec_info=RunResponse(status=RunStatus.FAILED, run_result=failed))]
    kind = "fenced" if "```" in body.completion else "heuristic"
    extra = {"verdict": report.verdict.value, "passed_fraction": report.passed_fraction}
    return SubmitResult(
        id=body.id, accepted=report.accepted, extracted_code=source, tests=cases, extracted_type=kind, extra=extra
    )


def _language(name: str) -> str:
    if name not in _LANGUAGES:
        raise CodeenvError(f"language {name!r} is not available here; use {', '.join(sorted(_LANGUAGES))}")
    return _LANGUAGES[name]


def _submitted_problem(service: Service, body: SubmitRequest) -> Problem:
    data, language = body.config.provided_data, _language(body.config.language or "python")
    if data is None:
        names = [str(body.id), f"{body.dataset}/{body.id}", f"HumanEval/{body.id}"]
        known = next((name for name in names if service.has(name)), names[0])
        return service.problem(known)
    rows = data.get("test", data.get("tests"))
    try:
        tests = tuple(StdioTest(str(row["input"]["stdin"]), str(row["output"]["stdout"])) for row in rows or ())
    except (TypeError, KeyError):
        raise CodeenvError("config.provided_data.test must be a list of {input: {stdin}, output: {stdout}}") from None
    limits = Limits(min(body.config.run_timeout or 10.0, service.settings.max_time_limit_s))
    name, content = f"{body.dataset}/{body.id}", str(data.get("content", ""))
    problem = Problem(name, content, "stdio", private_tests=tests, limits=limits, language=language)
    service.settings.check(problem)
    return problem


def _run_response(result: TestResult) -> RunResponse:
    crashed = result.verdict in (Verdict.RUNTIME_ERROR, Verdict.MEMORY_LIMIT, Verdict.OUTPUT_LIMIT, Verdict.SECURITY_VIOLATION)
    late = result.verdict is Verdict.TIME_LIMIT
    command = CommandResult(
        status=CommandStatus.TIME_LIMIT if late else CommandStatus.FINISHED,
        execution_time=result.time_s,
        return_code=None if late else _return_code(result.error) if crashed else 0,
        stdout=result.output,
        stderr=result.error,
    )
    return RunResponse(status=RunStatus.FAILED if crashed or late else RunStatus.SUCCESS, run_result=command)


def _return_code(error: str) -> int:
    """Return what the judge said of how a program ended: its exit status, minus the signal that killed it, or 1."""
    if status := re.fullmatch(r"exit status (\d+)", error):
        return int(status[1])
    if killed := re.fullmatch(r"killed by signal (SIG\w+)", error):
        return -getattr(signal, killed[1], -1)
    return 1
