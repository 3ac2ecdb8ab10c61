"""Runs programs under the recorder in processes of their own, with any interpreter, and gives what the parent would see.

Mode "off" runs the program untraced; mode "oracle" runs it under `sys.settrace` and reports the lines and the changes of
scalar variables that it saw.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from codeenv.trace import Trace, collect

MODULES = Path(__file__).parents[2] / "codeenv" / "trace"
CHILD = Path(__file__).with_name("traced_child.py")


@dataclass(frozen=True)
class Job:
    """One run of one program."""

    source: str
    mode: str = "bounded"
    stdin: str = ""
    kill_after_s: float = 60.0
    counts_output: bool = False


@dataclass(frozen=True)
class Run:
    """What one run printed, how it ended, and its trace (None for an untraced run)."""

    output: str
    error_output: str
    exception: str
    line: int
    status: int
    cpu_s: float
    oracle: Any
    trace: Trace | None
    data: bytes

    @property
    def behaviour(self) -> tuple[str, str, int, int]:
        return self.output, self.exception, self.line, self.status


def run_many(jobs: Sequence[Job], python: str = sys.executable, seed: int = 0) -> list[Run]:
    """Run each job in a fork of one warm interpreter."""
    request = json.dumps([job.__dict__ for job in jobs])
    done = subprocess.run(
        [python, "-s", "-P", "-S", str(CHILD), str(MODULES)], input=request, capture_output=True, text=True, check=False,
        env={"PYTHONHASHSEED": str(seed), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    runs = []
    for job, line in zip(jobs, done.stdout.splitlines(), strict=True):
        row = json.loads(line)
        data = base64.b64decode(row.pop("data"))
        trace = collect(data, job.source) if data else None
        runs.append(Run(**row, trace=trace, data=data))
    return runs


def run(source: str, mode: str = "bounded", python: str = sys.executable, seed: int = 0, **options: Any) -> Run:
    """Run one program."""
    return run_many([Job(source, mode, **options)], python, seed)[0]


@cache
def interpreters() -> dict[str, str]:
    """Return "3.11" and newer interpreters found on PATH and among pyenv's versions."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    candidates = [path for minor in range(11, 15) if (path := shutil.which(f"python3.{minor}"))]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += [str(path) for path in sorted(versions.glob("3.1[1-4]*/bin/python"))]
    for candidate in candidates:
        check = "import sys; print('%d.%d' % sys.version_info[:2])"
        asked = subprocess.run([candidate, "-I", "-S", "-c", check], capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            found.setdefault(asked.stdout.strip(), candidate)
    return dict(sorted(found.items()))
