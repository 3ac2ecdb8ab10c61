"""One measurement of `tracing.py`, in a process of its own: CPU time of a program under a tracer over that without it.

Run by `tracing.py` with any interpreter; reads a JSON request from standard input and prints a JSON answer.
"""

import gc
import io
import json
import mmap
import os
import sys
import tempfile
import time
import types

request = json.load(sys.stdin)
package = types.ModuleType("tracing")  # the modules of the child, as a sandbox loads them: without codeenv around them
package.__path__ = [request["modules"]]
sys.modules["tracing"] = package

from tracing.recorder import Recorder, buffer_size  # noqa: E402

MODES = ("bounded", "coverage", "full", "final")
DEPTH = 200


class Sink(io.StringIO):
    """Where libraries print to: formatted, counted, thrown away."""

    characters = 0

    def write(self, text):
        self.characters += len(text)
        return len(text)


def timed(code):
    """Return the CPU seconds of running a program, its output thrown away."""
    before, sys.stdout = sys.stdout, io.StringIO()
    gc.collect()
    start = time.process_time()
    try:
        exec(code, {"__name__": "__main__"})
        return time.process_time() - start
    finally:
        sys.stdout = before


def untraced(source, path, at_least_s=0.02):
    code = compile(source, path, "exec", dont_inherit=True)
    times = [timed(code)]
    while sum(times) < at_least_s and len(times) < 50:
        times.append(timed(code))
    return sum(times) / len(times)


def traced(method, source, path):
    """Return the CPU seconds of running a program under a method, and what it left behind in bytes."""
    if method in MODES:
        buffer = mmap.mmap(-1, buffer_size(method))
        recorder = Recorder(buffer, method)
        code = recorder.compile(source, path)
        spent = timed(code)
        recorder.finish()
        return spent, len(bytes(buffer).rstrip(b"\0"))
    code = compile(source, path, "exec", dont_inherit=True)
    sink = Sink()
    if method == "settrace-noop":

        def noop(frame, event, argument):
            return noop

        sys.settrace(noop)
        try:
            return timed(code), 0
        finally:
            sys.settrace(None)
    if method == "monitoring-noop":
        monitoring = sys.monitoring
        monitoring.use_tool_id(4, "noop")
        monitoring.register_callback(4, monitoring.events.LINE, lambda code, line: None)
        monitoring.set_events(4, monitoring.events.LINE)
        try:
            return timed(code), 0
        finally:
            monitoring.set_events(4, 0)
            monitoring.free_tool_id(4)
    if method == "pysnooper":
        import pysnooper

        with pysnooper.snoop(sink, depth=DEPTH, color=False):
            return timed(code), sink.characters
    if method == "snoop":
        import snoop

        with snoop.Config(out=sink, color=False).snoop(depth=DEPTH):
            return timed(code), sink.characters
    if method.startswith("hunter"):
        import hunter

        kind = hunter.VarsSnooper if method == "hunter-vars" else hunter.CallPrinter
        with hunter.trace(filename=path, action=kind(stream=sink, force_colors=False)):
            return timed(code), sink.characters
    if method == "viztracer":
        import viztracer

        tracer = viztracer.VizTracer(log_func_args=True, log_func_retval=True, verbose=0, tracer_entries=2_000_000)
        tracer.start()
        try:
            return timed(code), 0
        finally:
            tracer.stop()
            tracer.clear()
    if method.startswith("coverage.py"):
        import coverage

        collector = coverage.Coverage(data_file=None, include=[path], branch=method.endswith("branch"))
        collector.start()
        try:
            return timed(code), 0
        finally:
            collector.stop()
    raise ValueError(method)


def ratios():
    source, method = request["source"], request["method"]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "program.py")  # noqa: PTH118 - str, as the libraries compare file names
        with open(path, "w") as file:  # noqa: PTH123
            file.write(source)
        found, left = [], 0
        for _ in range(request["pairs"]):
            plain = untraced(source, path)
            spent, left = traced(method, source, path)
            found.append(spent / plain)
    return {"ratios": found, "bytes": left}


def humaneval():
    """Return for each program the milliseconds that tracing adds, preparation included: the least of three runs each."""
    added, left = [], []
    for source in request["sources"]:
        plain, under = [], []
        for _ in range(3):
            start = time.process_time()
            code = compile(source, "program.py", "exec", dont_inherit=True)
            plain.append(time.process_time() - start + timed(code))
            start = time.process_time()
            buffer = mmap.mmap(-1, buffer_size("bounded"))
            recorder = Recorder(buffer, "bounded")
            code = recorder.compile(source, "program.py")
            under.append(time.process_time() - start + timed(code))
            recorder.finish()
        added.append((min(under) - min(plain)) * 1000)
        left.append(len(bytes(buffer).rstrip(b"\0")))
    return {"added_ms": added, "bytes": left}


print(json.dumps(humaneval() if "sources" in request else ratios()))
