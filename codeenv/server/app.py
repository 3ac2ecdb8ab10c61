"""The application: endpoints, what stands before them, errors as sentences."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from codeenv.errors import CodeenvError
from codeenv.server import fusion, judging
from codeenv.server.admission import BusyError, DrainingError, HungUpError
from codeenv.server.gate import BodyLimit, CutOff, TokenCheck, stopping
from codeenv.server.service import JudgeLostError, Service, UnknownProblemError, sendable
from codeenv.server.settings import ServerSettings
from codeenv.server.telemetry import RequestLog

__all__ = ["create_app"]


def create_app(settings: ServerSettings) -> FastAPI:
    """Return the application; its workers start with the first submission and end with the application."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(title="codeenv judge", version="1", lifespan=lifespan)
    app.state.service = service
    app.include_router(judging.router)
    app.include_router(fusion.router)

    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """Say that the process lives."""
        return "ok"

    @app.get("/readyz", response_class=PlainTextResponse, responses={503: {"description": "the service is stopping"}})
    async def readyz() -> PlainTextResponse:
        """Say whether new work is taken."""
        return PlainTextResponse("draining", 503) if service.admission.draining else PlainTextResponse("ready")

    @app.get("/metrics", response_class=PlainTextResponse, responses={401: {"description": "wrong token"}})
    async def metrics() -> PlainTextResponse:
        """Give the metrics in Prometheus' text format."""
        return PlainTextResponse(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    _add_errors(app, service, settings.queue)
    app.add_middleware(BodyLimit, most=settings.max_body_mb << 20, limit_s=settings.client_timeout_s)
    app.add_middleware(TokenCheck, token=settings.token)
    app.add_middleware(CutOff, draining=lambda: service.admission.draining)
    app.add_middleware(RequestLog, metrics=service.metrics)
    return app


def _add_errors(app: FastAPI, service: Service, queue: int) -> None:
    def sentence(status: int, text: str, **headers: str) -> JSONResponse:
        return JSONResponse({"error": sendable(text)}, status, headers)

    @app.exception_handler(UnknownProblemError)
    async def unknown(request: Request, error: UnknownProblemError) -> JSONResponse:
        return sentence(404, str(error))

    @app.exception_handler(CodeenvError)
    async def refused(request: Request, error: CodeenvError) -> JSONResponse:
        return sentence(400, str(error))

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        text = f"{where}: {first['msg']}"
        return sentence(422, text)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return sentence(error.status_code, str(error.detail), **(error.headers or {}))

    @app.exception_handler(BusyError)
    async def busy(request: Request, error: BusyError) -> JSONResponse:
        waiting = service.admission.waiting
        text = f"{waiting} submissions wait already and this request has {error.size}; at most {queue} may wait; come back later"
        return sentence(429, text, **{"Retry-After": str(service.retry_after_s)})

    @app.exception_handler(DrainingError)
    async def draining(request: Request, error: DrainingError) -> JSONResponse:
        return stopping()

    @app.exception_handler(HungUpError)
    async def hung_up(request: Request, error: HungUpError) -> JSONResponse:
        return sentence(499, "the client hung up")

    @app.exception_handler(JudgeLostError)
    async def lost(request: Request, error: JudgeLostError) -> JSONResponse:
        return sentence(503, f"the judge failed: {error}; the submission was not judged", **{"Retry-After": "1"})
