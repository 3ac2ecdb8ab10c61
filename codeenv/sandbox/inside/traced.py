"""One more run of a submission, recorded: for the trace of a failing test. It leaves the recorder's buffer, no verdict."""

from __future__ import annotations

import importlib.util
import marshal
import mmap
import os
import sys
from typing import Any, NoReturn

from . import child

PACKAGE = "codeenv_trace"
"""Name under which the tracing package of the judge's side is known here."""


def load(folder: str) -> Any:
    """Import the recorder from a folder, before the walls hide it."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return importlib.import_module(PACKAGE + ".recorder")


def run(job: child.Job, index: int, recorder_module: Any, mode: str, buffer_fd: int, calls: bool) -> NoReturn:
    """Run the program, or call its entry point, under a recorder that writes into the file `buffer_fd`."""
    child.limit(job)
    text = child.read(job, job.source).decode("utf-8")
    recorder = recorder_module.Recorder(mmap.mmap(buffer_fd, 0), mode)
    try:
        code = recorder.compile(text, child.SOURCE_NAME)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        os._exit(1)
    os.pwrite(job.code_fd, b"1", 0)
    arguments = marshal.loads(child.read(job, job.tests[index])) if calls else None
    child.seal(job)
    namespace = child.fresh_module(job, "solution" if calls else "__main__")
    try:
        exec(code, namespace)
        if arguments is not None:
            args, kwargs = arguments
            child.resolve(namespace, job.entry)(*args, **kwargs)
    except BaseException as error:
        recorder.failed(error)
    recorder.finish()
    os._exit(0)
