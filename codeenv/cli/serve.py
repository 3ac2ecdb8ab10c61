"""`codeenv serve`: the judge as an HTTP service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from codeenv.errors import CodeenvError, MissingExtraError


def main(
    host: str = "127.0.0.1",
    port: int = 8111,
    token_file: str | None = None,
    problems: tuple[str, ...] = (),
    workers: int | None = None,
    queue: int = 256,
    sandbox: str = "local",
    isolation: Literal["test", "batch"] = "test",
    max_connections: int = 512,
    max_body_mb: int = 16,
    max_tests: int = 1000,
    max_batch: int | None = None,
    max_time_limit_s: float = 60.0,
    max_memory_mb: int = 4096,
    max_total_s: float = 3600.0,
    client_timeout_s: float = 60.0,
    drain_s: float = 60.0,
) -> int:
    """Serve the judge over HTTP: our endpoints (/v1/judge, /v1/judge_batch) and SandboxFusion's (/run_code, /submit).

    Example: codeenv serve --problems humaneval
    Then:    curl -s localhost:8111/run_code -d '{"code": "print(1)", "language": "python"}' -H 'content-type: application/json'

    Logs go to standard error, one JSON object a line; metrics are at /metrics, the API's description at /docs. SIGTERM and
    Ctrl-C finish what is in hand; a second signal ends the service at once.

    Args:
        host: address to listen on; one that other machines can reach needs a token.
        port: port to listen on; 0 takes a free one, which the first line of the log tells.
        token_file: file with the token that clients must show; or set CODEENV_TOKEN.
        problems: problem sets whose problems clients may name by id.
        workers: judge workers; one per core by default.
        queue: most submissions that wait for a worker; more are answered with 429.
        sandbox: where programs run: local, docker, ray.
        isolation: test (a process per test) or batch (a process per submission).
        max_connections: most connections at a time; further ones are told 503 and closed.
        max_body_mb: most MiB of a request.
        max_tests: most tests of a problem.
        max_batch: most submissions in one request, at most --queue; 256 by default, or --queue if that is less.
        max_time_limit_s: highest time limit that a client's problem may ask for.
        max_memory_mb: highest memory limit that a client's problem may ask for.
        max_total_s: most time that all tests of a client's problem may take together: tests times time limit.
        client_timeout_s: how long a client may take to send a request's head, to send its body, and to take the answer.
        drain_s: how long requests in hand may take to end after a stop signal.
    """
    try:
        from codeenv.server.run import serve
        from codeenv.server.settings import ServerSettings
    except ModuleNotFoundError as error:
        raise MissingExtraError("codeenv serve", error.name or "fastapi", "serve") from error
    token = os.environ.get("CODEENV_TOKEN")
    if token_file is not None:
        try:
            token = Path(token_file).read_text("utf-8").strip()
        except OSError as error:
            raise CodeenvError(f"cannot read the token file {token_file!r} ({error.strerror})") from None
        except UnicodeDecodeError:
            raise CodeenvError(f"the token file {token_file!r} is not UTF-8 text; write a token of letters and digits") from None
        if not token:
            raise CodeenvError(f"the token file {token_file!r} is empty; write a token of at least 16 characters into it")
    settings = ServerSettings(
        host=host,
        port=port,
        token=token or None,
        workers=(os.cpu_count() or 1) if workers is None else workers,
        queue=queue,
        sandbox=sandbox,
        isolation=isolation,
        problem_sets=tuple(problems),
        max_connections=max_connections,
        max_body_mb=max_body_mb,
        max_tests=max_tests,
        max_batch=min(256, max(1, queue)) if max_batch is None else max_batch,
        max_time_limit_s=max_time_limit_s,
        max_memory_mb=max_memory_mb,
        max_total_s=max_total_s,
        client_timeout_s=client_timeout_s,
        drain_s=drain_s,
    )
    return serve(settings)
