"""What the service tells its operator: Prometheus metrics and one JSON line of log per request."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codeenv.judge import Judge
from codeenv.server.admission import Admission

__all__ = ["JsonFormatter", "Metrics", "RequestLog", "log"]

log = logging.getLogger("codeenv.serve")

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The metrics of one service, in a registry of their own."""

    def __init__(self, judge: Judge, admission: Admission) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter("codeenv_requests_total", "Requests answered.", ("path", "status"), registry=self.registry)
        self.seconds = Histogram(
            "codeenv_request_seconds",
            "Wall time of a request, waiting included.",
            ("path",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.verdicts = Counter("codeenv_verdicts_total", "Submissions judged, by verdict.", ("verdict",), registry=self.registry)
        text = "Connections that were refused because --max-connections were open."
        self.refused = Counter("codeenv_connections_refused_total", text, registry=self.registry)
        for name, text, value in (
            ("codeenv_running", "Submissions being judged.", lambda: admission.running),
            ("codeenv_waiting", "Submissions waiting for a worker.", lambda: admission.waiting),
            ("codeenv_abandoned", "Submissions whose client hung up before they were judged.", lambda: admission.abandoned),
            ("codeenv_draining", "1 while the service is stopping.", lambda: float(admission.draining)),
            ("codeenv_worker_cpu_seconds", "CPU seconds of the judge's workers.", lambda: judge.stats.worker_cpu_s),
            ("codeenv_worker_retries", "Work that was run again because a worker was lost.", lambda: judge.stats.retries),
        ):
            Gauge(name, text, registry=self.registry).set_function(value)


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        row: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            row["exception"] = self.formatException(record.exc_info)
        return json.dumps(row, ensure_ascii=False, default=str)


class RequestLog:
    """ASGI middleware: gives each request an id, counts it, times it and logs it. Submissions and tests are not logged."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) else uuid.uuid4().hex
        facts: dict[str, Any] = {}
        scope.setdefault("state", {})["facts"] = facts
        status = 500
        start = time.perf_counter()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - start
            route = scope.get("route")
            path = getattr(route, "path", "unknown")  # the pattern, so that clients cannot make up label values
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(seconds)
            client = scope.get("client") or ("", 0)
            row = {"request_id": request_id, "client": client[0], "method": scope["method"], "path": path, "status": status}
            level = logging.ERROR if status >= 500 else logging.INFO
            log.log(level, "request", extra={"facts": {**row, "seconds": round(seconds, 4), **facts}})
