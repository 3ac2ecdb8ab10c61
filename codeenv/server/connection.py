"""Connections that are too many or too slow: half a head, an answer that nobody takes, a body that never ends.

uvicorn closes a connection that is idle after an answer; one that never finishes its first request it keeps for ever.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["HEAD_BYTES", "guarded"]

HEAD_BYTES = 64 << 10
"""Most bytes of a request's head."""

_LINGER_S = 5.0
"""How long a client may go on sending a body after the answer that did not need it."""

_REFUSAL_S = 1.0
"""How long a refused connection may take to say something, so that it can be told why before it is closed."""


def guarded(limit_s: float, most: int, refused: Callable[[], None]) -> type[H11Protocol]:
    """Return uvicorn's HTTP protocol with limits.

    Args:
        limit_s: how long a client may take to send the head of a request, and to take an answer.
        most: most connections at a time; further ones are told 503 and closed.
        refused: called for each of those.
    """
    settings = {"limit_s": limit_s, "most": most, "count_refused": staticmethod(refused)}
    return type("GuardedProtocol", (_GuardedProtocol,), settings)


class _GuardedProtocol(H11Protocol):
    limit_s: float
    most: int
    count_refused: Callable[[], None]

    _admitted = True
    _begun = False
    _head: asyncio.TimerHandle | None = None
    _answer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self.most:
            self._admitted = False
            self.transport = transport
            self.count_refused()
            self.loop.call_later(_REFUSAL_S, self._cut)
            return
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # pause_writing at the first byte that the client does not take
        self._head = self.loop.call_later(self.limit_s, self._late)

    def data_received(self, data: bytes) -> None:
        if not self._admitted:
            text = f"{self.most} connections are open, the most that are served; come back later"
            self._last_words(HTTPStatus.SERVICE_UNAVAILABLE, text, "Retry-After: 1\r\n")
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        else:
            self._begun = True
            if self._head is None:  # the first bytes of another request
                self._head = self.loop.call_later(self.limit_s, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self.loop.call_later(_LINGER_S, self._cut_leftover)

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # nothing more is said after these words
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        text = f"what came is no HTTP request that can be read; its head may have {HEAD_BYTES >> 10} KiB"
        self._last_words(HTTPStatus.BAD_REQUEST, text)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._answer = self.loop.call_later(self.limit_s, self._cut)

    def resume_writing(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None
        if self.flow is not None:
            super().resume_writing()

    def _stop_waiting(self) -> None:
        self._begun = False
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _late(self) -> None:
        """End a connection whose request has no whole head yet."""
        self._head = None
        if not self._begun:
            self.transport.close()
            return
        text = f"the head of the request did not come within {self.limit_s:g} s"
        self._last_words(HTTPStatus.REQUEST_TIMEOUT, text)

    def _last_words(self, status: HTTPStatus, text: str, headers: str = "") -> None:
        if self.transport.is_closing():
            return
        body = json.dumps({"error": text}).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"{headers}Connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _cut_leftover(self) -> None:
        if self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY:
            self._cut()

    def _cut(self) -> None:
        self.transport.abort()
