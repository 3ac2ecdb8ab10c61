"""`codeenv view`: a run as a page to read."""

from __future__ import annotations

import http.server
import ipaddress
import json
import sys
import urllib.parse
import webbrowser
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from codeenv.errors import CodeenvError
from codeenv.evaluation.report import write_report


def main(
    run: tyro.conf.Positional[str],
    compare: tuple[str, ...] = (),
    out: str | None = None,
    title: str = "",
    open_page: Annotated[bool, tyro.conf.arg(name="open")] = False,
    serve: int | None = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Write the report of a run, one HTML file that needs no network, and say where it is.

    Example: codeenv view runs/after --compare runs/before --open

    Args:
        run: folder of a run.
        compare: folders of runs to show beside it.
        out: the file; by default report.html in the run's folder.
        title: title of the page.
        open_page: open it in the browser.
        serve: serve it on this port of localhost until Ctrl-C (0 picks a free port).
        as_json: print the path as JSON.
    """
    page = write_report([run, *compare], out or Path(run) / "report.html", title=title)
    print(json.dumps({"report": str(page)}) if as_json else f"The report is in {page}")
    if serve is not None:
        _serve(page, serve, open_page)
    elif open_page:
        webbrowser.open(page.resolve().as_uri())


def _serve(page: Path, port: int, open_page: bool) -> None:
    if not 0 <= port < 65536:
        raise CodeenvError(f"port is {port}; use a number from 0 to 65535")
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), partial(_OnePage, page.read_bytes()))
    except OSError as error:
        raise CodeenvError(f"cannot serve on port {port}: {error.strerror}; choose another --serve port") from None
    with server:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        print(f"Serving it at {address} until Ctrl-C", flush=True)
        if open_page:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(file=sys.stderr)


class _OnePage(http.server.BaseHTTPRequestHandler):
    def __init__(self, content: bytes, *arguments: object) -> None:
        self._content = content
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if not is_this_machine(self.headers.get("Host", "")):
            # a page of another site whose name was made to point here would otherwise read the run (DNS rebinding)
            self._answer(403, b"This page is for this machine alone; open it as http://127.0.0.1 or http://localhost.\n", "plain")
        elif self.path.split("?")[0] == "/":
            self._answer(200, self._content)
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes, kind: str = "html") -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"text/{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing: the terminal belongs to the person."""


def is_this_machine(host: str) -> bool:
    """Whether a Host header (a name or an address, with or without a port) names this machine's loopback.

    >>> [is_this_machine(host) for host in ("localhost:8000", "127.0.0.1", "[::1]:80", "evil.example:8000", "")]
    [True, True, True, False, False]
    """
    try:
        name = urllib.parse.urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
