"""A real `codeenv serve` process on a free loopback port."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading


class RunningService:
    """The process, its URL and the log rows it has written."""

    def __init__(self, *flags: str, token: str | None = None):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"} | ({"CODEENV_TOKEN": token} if token else {})
        command = [
            sys.executable,
            "-c",
            "import sys; from codeenv.cli import main; sys.exit(main())",
            "serve",
            "--port",
            "0",
            *flags,
        ]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.rows = []
        first = self._row(self.process.stderr.readline())
        self.url = first["url"]
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def stop(self, timeout: float = 60) -> int:
        """Ask it to stop and return its exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=timeout)
        self._reader.join()
        return status

    def _read(self):
        for line in self.process.stderr:
            self._row(line)

    def _row(self, line):
        self.rows.append(json.loads(line))
        return self.rows[-1]


@contextlib.contextmanager
def running_service(*flags, token=None):
    service = RunningService(*flags, token=token)
    try:
        yield service
    finally:
        service.stop()
