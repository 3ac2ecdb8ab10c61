"""`codeenv view`: a run as a page to read."""

from __future__ import annotations

import http.server
import json
import sys
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
        found = self.path.split("?")[0] == "/"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self._content) if found else 0))
        self.end_headers()
        if found:
            self.wfile.write(self._content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing: the terminal belongs to the person."""
