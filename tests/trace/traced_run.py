"""Runs programs under the recorder in processes of their own, with any interpreter, and gives what the parent would see."""

from __future__ import annotations

import json
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codeenv.trace import Trace, buffer_size, collect

ROOT = Path(__file__).parents[2]

_CHILD = r"""
import json, mmap, os, sys
sys.path.insert(0, {root!r})
request = json.loads(sys.stdin.buffer.readline())
sys.stdin = open(os.devnull) if request["input"] is None else __import__("io").StringIO(request["input"])
outcome = {{"type": "", "line": 0}}
recorder = None
source, filename = request["source"], "solution.py"
if request["mode"] == "off":
    code = compile(source, filename, "exec", dont_inherit=True)
else:
    from codeenv.trace.recorder import Recorder
    handle = os.open(request["buffer"], os.O_RDWR)
    recorder = Recorder(mmap.mmap(handle, 0), request["mode"])
    code = recorder.compile(source, filename)
try:
    exec(code, {{"__name__": "__main__", "__builtins__": __builtins__}})
except BaseException as error:
    entry, line = error.__traceback__, 0
    while entry is not None:
        if entry.tb_frame.f_code.co_filename == filename:
            line = entry.tb_lineno
        entry = entry.tb_next
    outcome = {{"type": type(error).__name__, "line": line}}
    if recorder:
        recorder.failed(error)
if recorder:
    recorder.finish()
sys.stdout.flush()
os.write(int(sys.argv[1]), json.dumps(outcome).encode())
os._exit(0)
"""


@dataclass(frozen=True)
class Run:
    """What one run printed, how it ended, and its trace (None for an untraced run)."""

    output: str
    error_output: str
    exception: str
    line: int
    trace: Trace | None
    data: bytes

    @property
    def behaviour(self) -> tuple[str, str, int]:
        return self.output, self.exception, self.line


def run(
    source: str,
    mode: str = "bounded",
    python: str = sys.executable,
    seed: int = 0,
    stdin: str | None = None,
    kill_after_s: float = 60.0,
) -> Run:
    """Run a program with or without (`mode="off"`) the recorder; killed after `kill_after_s`, it keeps what was recorded."""
    with tempfile.NamedTemporaryFile() as buffer:
        size = 0 if mode == "off" else buffer_size(mode)
        buffer.truncate(max(size, mmap.PAGESIZE))
        read, write = os.pipe()
        process = subprocess.Popen(
            [python, "-s", "-P", "-S", "-c", _CHILD.format(root=str(ROOT)), str(write)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[write],
            env={"PYTHONHASHSEED": str(seed), "PATH": os.environ["PATH"]},
        )  # fmt: skip
        os.close(write)
        request = {"source": source, "mode": mode, "buffer": buffer.name, "input": stdin}
        try:
            output, errors = process.communicate(json.dumps(request).encode() + b"\n", timeout=kill_after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
        with os.fdopen(read, "rb") as pipe:
            raw = pipe.read()
        outcome: dict[str, Any] = json.loads(raw) if raw else {"type": "<killed>", "line": 0}
        data = Path(buffer.name).read_bytes()
    trace = None if mode == "off" else collect(data, source)
    return Run(output.decode(), errors.decode(), outcome["type"], outcome["line"], trace, data)


def interpreters() -> dict[str, str]:
    """Return "3.11" and newer interpreters found on PATH and among pyenv's versions, the running one first."""
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
