"""One more run of a submission, recorded: for the trace of a failing test. It leaves the recorder's buffer, no verdict."""

from __future__ import annotations

import faulthandler
import functools
import marshal
import mmap
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from . import calls, child, conversation, proxies

PACKAGE = "codeenv_trace"
"""Name under which the tracing package of the judge's side is known here."""


def load(folder: str) -> Any:
    """Import the recorder from a folder, before the walls hide it."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return importlib.import_module(PACKAGE + ".recorder")


def run(job: child.Job, index: int, recorder_module: Any, mode: str, buffer_fd: int, by_call: bool) -> NoReturn:
    """Run the program, or call its entry point, under a recorder that writes into the file `buffer_fd`."""
    child.limit(job)
    recorder, code, _ = _prepared(job, recorder_module, mode, buffer_fd)
    arguments = marshal.loads(child.read(job, job.tests[index])) if by_call else None
    child.seal(job)
    namespace = child.fresh_module(job, "solution" if by_call else "__main__")
    try:
        exec(code, namespace)
        if arguments is not None:
            args, kwargs = arguments
            child.resolve(namespace, job.entry)(*args, **kwargs)
    except BaseException as error:
        recorder.failed(error)
    recorder.finish()
    os._exit(0)


def run_candidate(job: child.Job, recorder_module: Any, mode: str) -> NoReturn:
    """Answer test code as `calls.run_candidate` does, under a recorder whose buffer is the value file: it holds the last call."""
    child.limit(job)
    recorder, code, text = _prepared(job, recorder_module, mode, child.VALUE_FD)
    job.last = calls.SOCKET_FD
    child.seal(job)
    namespace = child.fresh_module(job, "solution")
    conversation.SOURCE[0], conversation.JOB[0] = text, job
    for name, operation in conversation.OPERATIONS.items():
        if name != "getattr":
            conversation.OPERATIONS[name] = _watched(recorder, operation, name == "call")
    peer = conversation.Peer(calls.SOCKET_FD, frozenset(conversation.OPERATIONS), proxies.Callback)
    try:
        exec(code, namespace)
        target: Any = calls._Entry(namespace, job.entry)
        recorder.paused()
    except BaseException as error:
        recorder.failed(error)
        target = calls._Failed(error)
        conversation.OPERATIONS["call"] = lambda failed, *args: failed(*args)
    try:
        peer.serve(target)
    except BaseException:
        os._exit(1)
    os._exit(0)


def _watched(recorder: Any, operation: Callable[..., Any], call: bool) -> Callable[..., Any]:
    """Have each call from the test code recorded by itself, and other operations added to the record of the last call."""

    def watched(target: Any, *args: Any, **kwargs: Any) -> Any:
        if type(target) is calls._Entry:  # looks the entry point up
            return operation(target, *args, **kwargs)
        if call:
            recorder.enter()
        try:
            value = operation(target, *args, **kwargs)
        except BaseException as error:
            if not issubclass(type(error), StopIteration):
                recorder.failed(error)
            raise
        recorder.paused()
        return value

    return watched


def _prepared(job: child.Job, recorder_module: Any, mode: str, buffer_fd: int) -> tuple[Any, Any, str]:
    """Return a recorder, the instrumented program and its text; ends the process if it does not compile."""
    text = child.read(job, job.source).decode("utf-8")
    recorder = recorder_module.Recorder(mmap.mmap(buffer_fd, 0), mode, output=_printed())
    try:
        code = recorder.compile(text, child.SOURCE_NAME)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        os._exit(1)
    os.pwrite(job.code_fd, b"1", 0)
    _look_before_the_limit(job, recorder, recorder_module, buffer_fd)
    return recorder, code, text


def _printed() -> Callable[[], int]:
    """Return what counts the bytes of standard output, those that wait in its buffer included."""
    stream: Any = sys.stdout
    stream.reconfigure(write_through=True)
    position = stream.buffer.tell

    def count() -> int:
        try:
            return int(position())
        except (OSError, ValueError):  # the program closed it
            return 0

    return count


def _look_before_the_limit(job: child.Job, recorder: Any, recorder_module: Any, buffer_fd: int) -> None:
    """Have the recorder say where the program is shortly before its limits end it.

    The interpreter calls the recorder at the next bytecode; `faulthandler` leaves the line also from within a long operation.
    """
    if buffer_fd != child.VALUE_FD:
        os.dup2(buffer_fd, child.VALUE_FD)
    os.lseek(child.VALUE_FD, recorder_module.buffer_size(recorder.mode) - recorder_module.DUMP, os.SEEK_SET)
    for number, timer, seconds in (
        (signal.SIGPROF, signal.ITIMER_PROF, max(job.cpu_s / 2, 0.98 * job.cpu_s - 0.1)),
        (signal.SIGALRM, signal.ITIMER_REAL, job.cpu_s + 0.2),
    ):
        signal.signal(number, functools.partial(_stopping, recorder))
        faulthandler.register(number, child.VALUE_FD, all_threads=False, chain=True)
        signal.setitimer(timer, seconds)


def _stopping(recorder: Any, number: int, frame: Any) -> None:
    recorder.stopping(frame)
