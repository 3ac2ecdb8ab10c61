"""What stands before the application: the token, size and time of a body, and the answer to requests that a stop cuts off."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["OPEN_PATHS", "BodyLimit", "CutOff", "TokenCheck", "stopping"]

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"})
"""What is answered without the token."""


class TokenCheck:
    """ASGI middleware: a request without the token is answered with 401 before its body is read."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._token is not None and scope["path"] not in OPEN_PATHS:
            shown = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
            if not hmac.compare_digest(_token_in(shown).encode(), self._token.encode()):
                answer = JSONResponse({"error": "the token is missing or wrong"}, 401, {"WWW-Authenticate": "Bearer"})
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _token_in(header: str) -> str:
    kind, _, value = header.partition(" ")
    if kind.lower() == "bearer":
        return value
    if kind.lower() != "basic":
        return ""
    try:  # what clients make of http://user:TOKEN@host/
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeError, ValueError):
        return ""


class BodyLimit:
    """ASGI middleware: a body of more than `most` bytes is answered with 413 and one that takes longer than `limit_s` with 408,
    without reading the rest.
    """

    def __init__(self, app: ASGIApp, most: int, limit_s: float) -> None:
        self._app = app
        self._most = most
        self._limit_s = limit_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if told.isdigit() and int(told) > self._most:
            answer = JSONResponse({"error": TooLargeError(self._most).detail}, 413)
            await answer(scope, receive, send)
            return
        seen, whole = 0, False
        deadline = asyncio.get_running_loop().time() + self._limit_s

        async def counted() -> Message:
            nonlocal seen, whole
            try:
                async with asyncio.timeout_at(None if whole else deadline):
                    message = await receive()
            except TimeoutError:
                raise TooSlowError(self._limit_s) from None
            seen += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if seen > self._most:
                raise TooLargeError(self._most)
            return message

        await self._app(scope, counted, send)


class TooLargeError(HTTPException):  # FastAPI lets its own errors through while it reads a body
    """The body of a request goes on beyond the limit."""

    def __init__(self, most: int) -> None:
        super().__init__(413, f"the request has more than {most >> 20} MiB, the most that is taken")


class TooSlowError(HTTPException):
    """The body of a request does not come."""

    def __init__(self, limit_s: float) -> None:
        text = f"the body of the request did not come within {limit_s:g} s, the most that is waited"
        super().__init__(408, text, {"Connection": "close"})


class CutOff:
    """ASGI middleware: a request that the server cancels because it is stopping is answered with 503, not with an error."""

    def __init__(self, app: ASGIApp, draining: Callable[[], bool]) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except asyncio.CancelledError:
            if begun or not self._draining():
                raise
            await stopping()(scope, receive, send)


def stopping() -> JSONResponse:
    """Return the answer to work that is not done because the service stops."""
    return JSONResponse({"error": "the service is stopping; ask another one"}, 503, {"Retry-After": "5"})
