"""The application: endpoints, authentication, size limit, errors as sentences."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codeenv.errors import CodeenvError
from codeenv.server import fusion, judging
from codeenv.server.admission import BusyError, DrainingError, HungUpError
from codeenv.server.service import JudgeLostError, Service, UnknownProblemError
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
    guard = [Depends(_check_token)]
    app.include_router(judging.router, dependencies=guard)
    app.include_router(fusion.router, dependencies=guard)

    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """Say that the process lives."""
        return "ok"

    @app.get("/readyz", response_class=PlainTextResponse, responses={503: {"description": "the service is stopping"}})
    async def readyz() -> PlainTextResponse:
        """Say whether new work is taken."""
        return PlainTextResponse("draining", 503) if service.admission.draining else PlainTextResponse("ready")

    @app.get("/metrics", response_class=PlainTextResponse, dependencies=guard, responses={401: {"description": "wrong token"}})
    async def metrics() -> PlainTextResponse:
        """Give the metrics in Prometheus' text format."""
        return PlainTextResponse(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    _add_errors(app, service)
    app.add_middleware(BodyLimit, most=settings.max_body_mb << 20)
    app.add_middleware(RequestLog, metrics=service.metrics)
    return app


class UnauthorizedError(Exception):
    """The token is missing or wrong."""


def _check_token(request: Request) -> None:
    service: Service = request.app.state.service
    expected = service.settings.token
    if expected is None:
        return
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":  # what clients make of http://user:TOKEN@host/
        try:
            value = base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            value = ""
    elif kind.lower() != "bearer":
        value = ""
    if not hmac.compare_digest(value.encode(), expected.encode()):
        raise UnauthorizedError


class BodyLimit:
    """ASGI middleware: a request of more than `most` bytes is answered with 413, without reading the rest."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if told.isdigit() and int(told) > self._most:
            answer = JSONResponse({"error": TooLargeError(self._most).detail}, 413)
            await answer(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._most:
                raise TooLargeError(self._most)
            return message

        await self._app(scope, counted, send)


class TooLargeError(HTTPException):  # FastAPI lets its own errors through while it reads a body
    """The body of a request goes on beyond the limit."""

    def __init__(self, most: int) -> None:
        super().__init__(413, f"the request has more than {most >> 20} MiB, the most that is taken")


def _add_errors(app: FastAPI, service: Service) -> None:
    def sentence(status: int, text: str, **headers: str) -> JSONResponse:
        shown = text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate cannot be sent
        return JSONResponse({"error": shown}, status, headers)

    @app.exception_handler(UnknownProblemError)
    async def unknown(request: Request, error: UnknownProblemError) -> JSONResponse:
        return sentence(404, str(error))

    @app.exception_handler(CodeenvError)
    async def refused(request: Request, error: CodeenvError) -> JSONResponse:
        return sentence(400, str(error))

    @app.exception_handler(UnauthorizedError)
    async def unauthorized(request: Request, error: UnauthorizedError) -> JSONResponse:
        return sentence(401, "the token is missing or wrong", **{"WWW-Authenticate": "Bearer"})

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
        text = f"{service.admission.waiting} submissions wait already; come back later"
        return sentence(429, text, **{"Retry-After": str(service.retry_after_s)})

    @app.exception_handler(DrainingError)
    async def draining(request: Request, error: DrainingError) -> JSONResponse:
        return sentence(503, "the service is stopping; ask another one", **{"Retry-After": "5"})

    @app.exception_handler(HungUpError)
    async def hung_up(request: Request, error: HungUpError) -> JSONResponse:
        return sentence(499, "the client hung up")

    @app.exception_handler(JudgeLostError)
    async def lost(request: Request, error: JudgeLostError) -> JSONResponse:
        return sentence(503, f"the judge failed: {error}; the submission was not judged", **{"Retry-After": "1"})
