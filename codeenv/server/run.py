"""The process: listen, serve, and on a stop signal finish what is in hand."""

from __future__ import annotations

import logging
import math
import os
import resource
import socket
import sys
from typing import Any

import uvicorn

from codeenv.errors import CodeenvError
from codeenv.server.app import create_app
from codeenv.server.connection import HEAD_BYTES, guarded
from codeenv.server.service import Service
from codeenv.server.settings import ServerSettings
from codeenv.server.telemetry import JsonFormatter, log

__all__ = ["serve"]

_OTHER_FILES = 256
"""Files of the service that are no connections: its workers' pipes, libraries, logs."""


class _Server(uvicorn.Server):
    """Tells the service when it is asked to stop, so that readiness says so while requests in hand end."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: Any) -> None:
        service = self._service
        if not service.admission.draining:
            service.admission.draining = True
            facts = {"running": service.admission.running, "waiting": service.admission.waiting}
            log.info("draining", extra={"facts": facts})
        else:
            log.warning("stopped at once", extra={"facts": {"running": service.admission.running}})
            os._exit(128 + sig)  # the workers end with this process
        self.should_exit = True


def serve(settings: ServerSettings) -> int:
    """Serve until a stop signal; return the exit status.

    Raises:
        CodeenvError: the address or the sandbox cannot be had, or too few files may be open for the connections.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    for logger, level in ((log, logging.INFO), (logging.getLogger("uvicorn.error"), logging.WARNING)):
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
    _make_room(settings.max_connections)
    app = create_app(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=1024, reuse_port=False)
    except OSError as error:
        app.state.service.close()
        raise CodeenvError(
            f"cannot listen on {host}:{settings.port} ({error.strerror}); choose another --port or --host"
        ) from None
    try:
        app.state.service.try_out()
    except BaseException:
        listener.close()
        app.state.service.close()
        raise
    with listener:
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=guarded(settings.client_timeout_s, settings.max_connections, app.state.service.metrics.refused.inc),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # a client must not choose the address in the log
            timeout_keep_alive=30,
            timeout_graceful_shutdown=max(1, math.ceil(settings.drain_s)),
            h11_max_incomplete_event_size=HEAD_BYTES,
        )
        facts = {
            "url": f"http://{host}:{port}",
            "isolation_level": app.state.service.judge.isolation_level,
            "workers": settings.workers,
            "token": settings.token is not None,
        }
        log.info("listening", extra={"facts": facts})
        _Server(config, app.state.service).run(sockets=[listener])
    log.info("stopped")
    return 0


def _make_room(connections: int) -> None:
    """See that this process may have so many connections open."""
    wanted = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise CodeenvError(
            f"max_connections is {connections}, which takes {wanted} open files, and at most {hard} may be open here "
            "(ulimit -n); use a lower --max-connections"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
