"""The interpreter in which `traced_run` runs programs: each in a fork, its streams in files, the trace in shared memory."""

import base64
import io
import json
import mmap
import os
import resource
import signal
import sys
import tempfile
import time
import types

package = types.ModuleType("tracing")  # the modules for the child, without codeenv around them: as a sandbox loads them
package.__path__ = [sys.argv[1]]
sys.modules["tracing"] = package
from tracing.recorder import Recorder, buffer_size  # noqa: E402

FILENAME = "solution.py"


def execute(job, buffer, outcome):
    source, mode = job["source"], job["mode"]
    recorder, oracle, code = None, None, None
    sys.stdin = io.StringIO(job["stdin"])
    namespace = {"__name__": "__main__", "__builtins__": __builtins__}
    found = {"exception": "", "line": 0, "oracle": None}
    try:
        if mode in ("off", "oracle"):
            code = compile(source, FILENAME, "exec", dont_inherit=True)
        else:
            output = None
            if job["counts_output"]:
                sys.stdout.reconfigure(write_through=True)
                output = sys.stdout.buffer.tell
            recorder = Recorder(buffer, mode, output=output)
            code = recorder.compile(source, FILENAME)
        if mode == "oracle":
            oracle = Oracle()
            sys.settrace(oracle.event)
        exec(code, namespace)
    except BaseException as error:
        sys.settrace(None)
        found["exception"] = type(error).__name__
        entry = error.__traceback__
        while entry is not None:
            if entry.tb_frame.f_code.co_filename == FILENAME:
                found["line"] = entry.tb_lineno
            entry = entry.tb_next
        if recorder and code is not None:
            recorder.failed(error)
    sys.settrace(None)
    if recorder and code is not None:
        recorder.finish()
    if oracle:
        found["oracle"] = {"lines": sorted(oracle.lines), "changes": oracle.changes}
    sys.stdout.flush()
    outcome.write(json.dumps(found).encode())
    outcome.flush()


class Oracle:
    """What `sys.settrace` sees: the lines, and after each line the scalar variables whose value changed."""

    SCALARS = (int, bool, float, str, type(None))

    def __init__(self):
        self.lines = set()
        self.changes = []
        self.known = {}

    def event(self, frame, event, argument):
        if frame.f_code.co_filename != FILENAME or frame.f_code.co_name in (
            "<listcomp>",
            "<setcomp>",
            "<dictcomp>",
            "<genexpr>",
            "<lambda>",
        ):
            return None
        if event == "line":
            self.lines.add(frame.f_lineno)
        if frame.f_code.co_name != "<module>" or event == "line":
            self.compare(frame, event)
        return self.event

    def compare(self, frame, event):
        scalars = {
            name: repr(value) for name, value in frame.f_locals.items()
            if type(value) in self.SCALARS and not (type(value) is str and len(value) > 60) and name[:2] != "__"
        }  # fmt: skip
        before, line = self.known.get(id(frame), ({}, 0)) if event != "call" or frame.f_lasti > 4 else ({}, 0)
        if line:
            for name, text in scalars.items():
                if before.get(name) != text:
                    self.changes.append([line, name, text])
        self.known[id(frame)] = (scalars, frame.f_lineno)


def run(job):
    buffer = None if job["mode"] in ("off", "oracle") else mmap.mmap(-1, buffer_size(job["mode"]))
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as outcome:
        child = os.fork()
        if child == 0:
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
                execute(job, buffer, outcome)
            finally:
                os._exit(0)
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        end = time.monotonic() + job["kill_after_s"]
        pause = 0.0005
        while not (waited := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)
        rows = {}
        for name, stream in (("output", out), ("error_output", err), ("outcome", outcome)):
            stream.seek(0)
            rows[name] = stream.read().decode("utf-8", "replace")
    found = json.loads(rows.pop("outcome") or '{"exception":"<killed>","line":0,"oracle":null}')
    data = bytes(buffer) if buffer is not None else b""
    return {
        **rows, **found, "status": waited[1], "cpu_s": resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before,
        "data": base64.b64encode(data.rstrip(b"\0") + b"\0" if data else b"").decode(),
    }  # fmt: skip


for request in json.load(sys.stdin):
    print(json.dumps(run(request)), flush=True)
