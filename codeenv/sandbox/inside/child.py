"""One child, one submission: take what belongs to the test, give up everything else, run the program, leave a record and end.

The trusted part runs first: it reads the source (and the arguments) from the request file, sets the limits, compiles, closes
every descriptor but its own streams, and adds the child's system-call filter. Only then does the submission's first line run.
What the child leaves is bytes in its own output files. The record's first letter says how the program ended; a program may
write it itself and gains nothing, because the judge compares the value, and the value is all it accepts.

    F finished   X sys.exit(text is the status)   E exception (text is the traceback)   M out of memory   C does not compile
    V value (text is its frame)   N not plain data (text says why)   L value too large
"""

from __future__ import annotations

import builtins
import gc
import marshal
import os
import resource
import struct
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from . import frames

VALUE_FD = 3
RECORD = struct.Struct("<IBdI")
"""A record: index of the test, letter, CPU seconds, bytes of text that follow."""
LENGTH = struct.Struct("<I")
"""In a record of a program batch: bytes of standard output, which come before the text."""
SOURCE_NAME = "solution.py"

_ERROR_CHARACTERS = 8000


class Job:
    """What a child needs to know of its unit of work; positions are (offset, length) in the request file."""

    __slots__ = (
        "blob", "code_fd", "count", "cpu_s", "entry", "filter", "last", "memory", "module", "output", "request_fd", "source",
        "tests",
    )  # fmt: skip

    def __init__(self, source: tuple[int, int], entry: str, cpu_s: float, memory: int, output: int) -> None:
        self.source = source
        self.entry = entry
        self.cpu_s = cpu_s
        self.memory = memory
        self.output = output
        self.tests: list[tuple[int, int]] = []
        self.blob = (0, 0)
        self.count = 1
        self.last = VALUE_FD
        self.request_fd = self.code_fd = -1
        self.filter: Any = None
        self.module: Any = None


def limit(job: Job, times: int = 1) -> None:
    """Set the limits of this process; they cannot be raised again."""
    seconds = int(1.5 * job.cpu_s * times) + 2  # the kernel counts whole ticks here: some percent more than the worker's clock
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    if job.memory:
        resource.setrlimit(resource.RLIMIT_AS, (job.memory, job.memory))
    size = job.output * times + 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def read(job: Job, place: tuple[int, int]) -> bytes:
    """Read one place of the request file."""
    data = os.pread(job.request_fd, place[1], place[0])
    if len(data) != place[1]:
        raise EOFError("the request file is shorter than it says")
    return data


class NotCompiled(Exception):
    """The submission does not compile; the text says why."""


def compiled(job: Job, save: bool) -> tuple[Any, str]:
    """Return the compiled program and its text.

    The first child of a unit compiles; with `save`, it leaves the code for the children of the other tests.

    Raises:
        NotCompiled: it does not compile.
    """
    text = read(job, job.source).decode("utf-8")
    size = os.lseek(job.code_fd, 0, os.SEEK_END)
    if size > 1:
        return marshal.loads(os.pread(job.code_fd, size, 0)), text
    try:
        code = compile(text, SOURCE_NAME, "exec", 0, True)
    except MemoryError:
        raise NotCompiled("MemoryError: the source takes too much memory to compile") from None
    except (SyntaxError, ValueError, OverflowError, RecursionError) as error:
        raise NotCompiled(syntax_text(error)) from None
    os.pwrite(job.code_fd, marshal.dumps(code) if save else b"1", 0)
    return code, text


def load(job: Job, save: bool) -> tuple[Any, str]:
    """Return the compiled program and its text; ends the process if it does not compile."""
    try:
        return compiled(job, save)
    except NotCompiled as problem:
        end("C", str(problem))


def seal(job: Job) -> None:
    """Close every descriptor above the job's last one, and filter system calls."""
    os.closerange(job.last + 1, 1 << 20)
    if job.filter is not None:
        job.filter.load(os.getpid())
    job.request_fd = job.code_fd = -1


def run_program(job: Job, save: bool) -> NoReturn:
    """Run a program that talks over its standard streams."""
    limit(job)
    code, text = load(job, save)
    seal(job)
    namespace = fresh_module(job, "__main__")
    try:
        exec(code, namespace)
    except BaseException as error:
        leave(*outcome_of(error, text, job), error)
    leave("F", "", None)


def run_call(job: Job, save: bool, index: int) -> NoReturn:
    """Call the entry point once and leave the value it returned."""
    limit(job)
    code, text = load(job, save)
    args, kwargs = marshal.loads(read(job, job.tests[index]))
    seal(job)
    namespace = fresh_module(job, "solution")
    try:
        exec(code, namespace)
        value = resolve(namespace, job.entry)(*args, **kwargs)
        letter, words = value_of(value, job)
    except BaseException as error:
        letter, words = outcome_of(error, text, job)
    end(letter, words)


def value_of(value: Any, job: Job) -> tuple[str, str]:
    """Return the record's letter and text for a returned value."""
    try:
        return "V", frames.encode(value, job.output)
    except frames.TooLarge as error:
        return "L", str(error)
    except frames.NotPlain as error:
        return "N", str(error)


def fresh_module(job: Job, name: str) -> dict[str, Any]:
    """Return the namespace of a new module, registered under `name` so that classes find it."""
    module = type(sys)(name)
    sys.modules[name] = module
    namespace = module.__dict__
    namespace["__builtins__"] = builtins
    namespace["__file__"] = SOURCE_NAME
    job.module = module
    return namespace


def resolve(namespace: dict[str, Any], entry: str) -> Callable[..., Any]:
    """Return what an entry point names: `f`, `Class`, `Class().method` or `Class.method`; a plain name may be a method of
    `Solution`.
    """
    target: Any = None
    for position, part in enumerate(entry.split(".")):
        name = part[:-2] if part.endswith("()") else part
        if position:
            target = getattr(target, name)
        elif name in namespace:
            target = namespace[name]
        elif hasattr(namespace.get("Solution"), name):
            target = getattr(namespace["Solution"](), name)
        else:
            raise NameError(f"name {name!r} is not defined")
        if part.endswith("()"):
            target = target()
    return target  # type: ignore[no-any-return]


def outcome_of(error: BaseException, text: str, job: Job) -> tuple[str, str]:
    """Return the record's letter and text for an exception that reached the runner."""
    try:
        if isinstance(error, SystemExit):
            return "X", f"SystemExit: {error.code}"
        if isinstance(error, MemoryError):
            error.__traceback__ = None
            return "M", "MemoryError"
        return "E", traceback_text(error, text)
    except BaseException as problem:  # a hostile __str__, or no memory left to describe the error
        return "E", f"{type(error).__name__}: (not printable: {type(problem).__name__})"


def traceback_text(error: BaseException, text: str) -> str:
    """Return the traceback of an exception from the submission's first frame on, with its source lines."""
    entries = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        entries.append((code.co_filename, step.tb_lineno, code.co_name))
        step = step.tb_next
    mine = next((position for position, entry in enumerate(entries) if entry[0] == SOURCE_NAME), len(entries))
    entries = entries[mine:]
    lines = text.split("\n") if text else []
    shown = ["Traceback (most recent call last):"] if entries else []
    for position, (name, number, function) in enumerate(entries):
        if len(entries) > 12 and position == 4:
            shown.append(f"  ... {len(entries) - 10} more calls ...")
        if len(entries) > 12 and 4 <= position < len(entries) - 6:
            continue
        name = name if name == SOURCE_NAME else os.path.basename(name)
        shown.append(f'  File "{name}", line {number}, in {function}')
        if name == SOURCE_NAME and 0 < number <= len(lines):
            shown.append("    " + lines[number - 1].strip()[:200])
    if isinstance(error, SyntaxError):
        shown.append(syntax_text(error))
    else:
        words = str(error)
        if len(words) > 2000:
            words = words[:1500] + " ... " + words[-400:]
        shown.append(f"{type(error).__name__}: {words}" if words else type(error).__name__)
    if isinstance(error, OSError) and any("/multiprocessing/" in name for name, _, _ in entries):
        shown[-1] += " (a submission may not start processes)"
    return "\n".join(shown)[-_ERROR_CHARACTERS:]


def syntax_text(error: BaseException) -> str:
    """Return an error of the compiler the way Python shows it."""
    if not isinstance(error, SyntaxError) or error.lineno is None:
        words = str(error.msg if isinstance(error, SyntaxError) else error)
        return f"{type(error).__name__}: {words}"[:_ERROR_CHARACTERS]
    name = SOURCE_NAME if error.filename in (None, SOURCE_NAME, "<string>", "<unknown>") else "other"
    shown = [f'  File "{name}", line {error.lineno}']
    if error.text:
        line = error.text.rstrip("\n")[:400]
        stripped = line.lstrip()
        shown.append("    " + stripped)
        if error.offset is not None and 0 < error.offset <= 400:
            shown.append("    " + " " * max(0, error.offset - 1 - (len(line) - len(stripped))) + "^")
    shown.append(f"{type(error).__name__}: {error.msg}")
    return "\n".join(shown)[:_ERROR_CHARACTERS]


def leave(letter: str, words: str, error: BaseException | None) -> NoReturn:
    """End a program as the interpreter would: wait for threads, run exit functions, flush; then leave the record."""
    status = 0
    if error is not None:
        status = 1
        if isinstance(error, SystemExit):
            status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
            words = str(status)
            if error.code is not None and not isinstance(error.code, int):
                words = f"1\n{error.code}"
        error = None
    try:
        threading = sys.modules.get("threading")
        if threading is not None:
            threading._shutdown()
        atexit = sys.modules.get("atexit")
        if atexit is not None:
            atexit._run_exitfuncs()
    except BaseException as problem:
        letter, words = "E", f"{type(problem).__name__}: in an exit function"
    for stream in (sys.stdout, sys.__stdout__, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except BaseException:
            status = status or 120
    end(letter, words, 0, status)


def end(letter: str, words: str, index: int = 0, status: int = 0) -> NoReturn:
    """Leave a last record and end the process."""
    try:
        gc.disable()
        record(letter, words, index)
    finally:
        os._exit(status & 255)


def record(letter: str, words: str, index: int = 0) -> None:
    """Leave a record."""
    body = words.encode("utf-8", "replace")
    os.pwrite(VALUE_FD, RECORD.pack(index, ord(letter), 0.0, len(body)) + body, 0)
