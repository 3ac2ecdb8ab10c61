"""The recorder: what instrumented code calls while the program runs, and the child's side of tracing as a whole.

    recorder = Recorder(buffer, "bounded")          # buffer: writable shared memory of `buffer_size(mode)` zero bytes
    code = recorder.compile(source, "solution.py")  # instead of the built-in compile; the same SyntaxError if there is one
    try:
        exec(code, {"__name__": "__main__"})
    except BaseException as error:
        recorder.failed(error)
    recorder.finish()

Every record is written into the buffer at once, as a line of JSON, so that what was recorded survives a kill; the parent
reads the buffer with `codeenv.trace.collect`. Nothing here raises into the program.

Test code that calls into a program more than once goes on with `enter()` before and `paused()` or `failed(error)` after each
call: the record is then that of the last call, and of the definitions before the first.

Layout of the buffer: bytes 0-3 magic, 4-7 records dropped (little endian), 8 set while the program waits to be called, 32.. one
byte a mark, then the records up to the first zero byte; the last bytes are for what `faulthandler` says of a stopped run. This
module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

import ast
import gc
import os
import sys
import warnings
from json.encoder import encode_basestring_ascii as quoted

from .blocks import MARK_BASE
from .instrument import Weaver
from .postmortem import locals_of, message_of, places_of
from .recording import recording
from .recursion import could_recurse
from .snapshot import class_name
from .syntax import MARK_LINES, bind

__all__ = ["DUMP", "MAGIC", "MARKS", "MODES", "WAITING", "Recorder", "buffer_size"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from .finals import Finals

MAGIC = b"cet1"
MODES = ("bounded", "coverage", "final", "full")
ITERATIONS = 3
"""Iterations of each loop that are recorded in bounded mode."""
CALLS = 4
"""Activations of each function that are recorded in bounded mode."""

_SOURCE_BYTES = 200_000  # a longer source runs unrecorded
MARKS = 1 << 14
"""Room for coverage marks, in bytes."""
WAITING = 8
"""Index of the byte that is set while the program waits to be called."""
DUMP = 4096
"""Bytes at the buffer's end for the stack of a run that was stopped inside of a long operation."""
_TAIL = 12_000  # bytes kept free for what is known only at the end: the exception and the locals of its frames
_RECORDS = {"bounded": 36_000, "coverage": _TAIL, "final": 36_000, "full": 2_000_000}
_EVENTS = {"bounded": 4_000, "coverage": 0, "final": 4_000, "full": 20_000}
_HEADER_BYTES = 128_000  # line numbers of the blocks: a few bytes a statement
_STACK = 6
_STOP = 3_000  # bytes for where the program was when the limit drew near
_STOPS = 3
_CALLS_IN = 2_000  # calls from outside after which the record is no more started again


def buffer_size(mode: str) -> int:
    """Return the bytes of shared memory that a recorder of this mode needs."""
    return MARK_BASE + MARKS + _HEADER_BYTES + _RECORDS[mode] + _TAIL + _STOPS * _STOP + DUMP


class Recorder:
    """Records one run of one program into a buffer. See the module's docstring for how it is used."""

    def __init__(
        self,
        buffer: Any,
        mode: str = "bounded",
        iterations: int = ITERATIONS,
        calls: int = CALLS,
        output: Callable[[], int] | None = None,
    ) -> None:
        """`output` says how many bytes the program has printed, without raising."""
        if mode not in MODES:
            raise ValueError(f"trace mode is {mode!r}; use one of {', '.join(MODES)}")
        self.buffer = buffer
        self.position = 0
        self.limit = 0
        self.filename = ""
        self.ended = False
        self.finals: Finals | None = None
        self.frames: dict[int, tuple[int, Any]] = {}
        self.counts: list[int] = []
        self.output = output
        self.printed: Callable[[], str] | None = None
        self.rewind: Callable[[], None] | None = None
        self.mode = mode
        self._iterations = iterations
        self._calls = calls
        self._tool = -1
        self._loops: dict[str | int, tuple[int, int]] = {}
        self._most = buffer_size(mode) - DUMP
        self._stops = 0
        self._entered = 0

    def compile(self, source: str, filename: str = "<submission>") -> CodeType:
        """Return the code of the program, instrumented if that is possible; a program that is not is run as it is.

        Raises:
            SyntaxError, ValueError, and whatever else the built-in `compile` raises for this source.
        """
        plain: CodeType | None = None
        self.filename = filename
        if "global" in source or "nonlocal" in source or len(source) > _SOURCE_BYTES:  # what the woven tree does not refuse
            plain = compile(source, filename, "exec", dont_inherit=True)
        reason = f"the source is longer than {_SOURCE_BYTES} characters"
        for mode in ["coverage"] if self.mode == "coverage" else [self.mode, "coverage"]:
            if len(source) > _SOURCE_BYTES:
                break
            collects = gc.isenabled()
            gc.disable()  # a syntax tree is many objects and no garbage
            try:
                return self._instrumented(source, filename, mode)
            except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError) as error:
                reason = f"{class_name(type(error))} while instrumenting"
            finally:
                if collects:
                    gc.enable()
            plain = plain or compile(source, filename, "exec", dont_inherit=True)
        self._start([], [], 0, reason)
        assert plain is not None
        return plain

    def _instrumented(self, source: str, filename: str, mode: str) -> CodeType:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            tree = ast.parse(source, filename)
            watched = mode == "coverage" and self._monitoring() and not could_recurse(tree)
            weaver = Weaver(mode, self._iterations, source, watched)
            code: CodeType = compile(weaver.module(tree), filename, "exec", dont_inherit=True)
        if warned:
            compile(source, filename, "exec", dont_inherit=True)  # a warning is about the program as it stands
        if weaver.blocks.slots - MARK_BASE > MARKS:
            raise ValueError("too many blocks")
        self.mode = mode
        self._loops = weaver.loops
        blocks = [[head - MARK_BASE, tail - MARK_BASE if tail else 0, *lines] for head, tail, lines in weaver.blocks.rows]
        branches = [[line, taken - MARK_BASE, other - MARK_BASE if other else 0] for line, taken, other in weaver.blocks.branches]
        self._start(blocks, branches, weaver.blocks.slots - MARK_BASE, "")
        if watched:
            self._watch(code)
            return code
        return bind(code, *recording(self, weaver, _EVENTS[mode], self._calls))

    def _start(self, blocks: list[list[int]], branches: list[list[int]], marks: int, unrecorded: str) -> None:
        buffer = self.buffer
        buffer[0:4] = MAGIC
        self.position = MARK_BASE + MARKS
        version = sys.version_info
        header = (
            (
                f'{{"py":"{version[0]}.{version[1]}","mode":"{self.mode}","K":{self._iterations},"calls":{self._calls},'
                f'"marks":{marks},"file":{quoted(self.filename)},"blocks":{blocks},"branches":{branches},"unrecorded":{quoted(unrecorded)}}}\n'
            )
            .replace(" ", "" if not unrecorded else " ")
            .encode()
        )
        if len(header) > _HEADER_BYTES:
            raise ValueError("too many blocks")
        self.limit = self.position + len(header)
        self._write(header)
        self.limit += _RECORDS[self.mode]
        os.register_at_fork(after_in_child=self._stop)

    def _monitoring(self) -> bool:
        """Take a free tool of `sys.monitoring`, if this version has it."""
        monitoring: Any = vars(sys).get("monitoring")
        free = [] if monitoring is None else [number for number in (3, 4, 2, 1, 0) if monitoring.get_tool(number) is None]
        if free:
            self._tool = free[0]
            monitoring.use_tool_id(self._tool, "codeenv")
        return bool(free)

    def _watch(self, code: CodeType) -> None:
        """Set the mark of each block the first time that its line runs; later passes cost nothing."""
        monitoring: Any = vars(sys)["monitoring"]
        disable, line_event, buffer = monitoring.DISABLE, monitoring.events.LINE, self.buffer

        def reached(_: CodeType, line: int) -> Any:
            if line >= MARK_LINES:
                buffer[line - MARK_LINES] = 1
            return disable

        monitoring.register_callback(self._tool, line_event, reached)
        stack = [code]
        while stack:
            inner = stack.pop()
            monitoring.set_local_events(self._tool, inner, line_event)
            stack.extend(item for item in inner.co_consts if type(item) is type(code))

    def _stop(self) -> None:
        """In a process that the program forked: record nothing, the buffer belongs to the parent."""
        self.limit = 0
        self.ended = True

    def _write(self, record: bytes) -> bool:
        start = self.position
        end = start + len(record)
        if end > self.limit:
            return False
        self.position = end
        self.buffer[start:end] = record
        return True

    # The end of the run

    def enter(self) -> None:
        """Say that the program is called from outside: what an earlier call recorded is forgotten."""
        self._entered += 1
        self.ended = False
        if self._entered <= _CALLS_IN and self.rewind is not None:
            self.rewind()
        if self.position:
            self.buffer[WAITING] = 0

    def paused(self) -> None:
        """Say that a call from outside came back, or that the definitions are done."""
        if self.position:
            self.buffer[WAITING] = 1

    def failed(self, error: BaseException) -> None:
        """Record an exception that ended the program: its type and message, and the locals of the frames it passed."""
        if self.ended or not self.position:
            return
        self._make_room(_TAIL - 100)
        try:
            kind, message = class_name(type(error)), message_of(error)
            places = places_of(error, self.filename)
            self._stack("x", places, f'"type":{quoted(kind)},"msg":{quoted(message)},"uncaught":true')
            if not places:
                self._write(f'["x",0,0,{{}},{{"type":{quoted(kind)},"msg":{quoted(message)},"uncaught":true}}]\n'.encode())
        except (RecursionError, MemoryError):
            pass
        finally:
            self._make_room(100)
            exits = isinstance(error, SystemExit)
            self._end("exit" if exits else "exception")

    def stopping(self, frame: Any) -> None:
        """Record that the program is at `frame`, from a signal handler: its limit draws near. Its end makes this void."""
        if self.ended or not self.position or self._stops >= _STOPS:
            return
        self._stops += 1
        before = self.limit
        self._make_room(_STOP)
        try:
            places: list[tuple[Any, int]] = []
            while frame is not None and len(places) < 5_000:
                if frame.f_code.co_filename == self.filename:
                    places.append((frame, frame.f_lineno or 0))
                frame = frame.f_back
            self._stack("k", places[::-1], "")
        except (RecursionError, MemoryError):
            pass
        finally:
            self.limit = min(before + _STOP, self._most)

    def _stack(self, event: str, places: list[tuple[Any, int]], extra: str) -> None:
        """Write the frames of a stack, the last of which is where it happened."""
        shown = places if len(places) <= _STACK else places[:1] + places[1 - _STACK :]
        known = {id(frame): number for frame, (number, _) in self._number(shown).items()}
        for frame, line in shown:
            last = frame is shown[-1][0] and line == shown[-1][1]
            names, loops = locals_of(frame, 118 if last else 60, self._loops, line, self.counts)
            more = [extra if last else '"through":true', f'"fn":{quoted(frame.f_code.co_name)}']
            if last:
                more.append(f'"depth":{len(places)}')
            if loops:
                more.append('"loops":{' + ",".join(f'"{at}":{trips}' for at, trips in loops) + "}")
            members = ",".join(filter(None, more))
            before = self.printed() if self.printed is not None else ""
            self._write(f'{before}["{event}",{line},{known.get(id(frame), 0)},{{{names}}},{{{members}}}]\n'.encode())

    def finish(self) -> None:
        """Record that the run came to its end; without it the trace says that it was cut off."""
        self._make_room(100)
        self._end("ok")

    def _make_room(self, size: int) -> None:
        self.limit = min(self.limit + size, self._most)

    def _end(self, how: str) -> None:
        if not self.ended and self.position:
            if self.finals is not None:
                self.finals.rest()
            self.ended = True
            self._write(f'["z","{how}"]\n'.encode())
            if self._tool >= 0:
                vars(sys)["monitoring"].free_tool_id(self._tool)

    def _number(self, places: list[tuple[Any, int]]) -> dict[Any, tuple[int, int]]:
        """Return the activation number of each frame; frames of plain activations get numbers of their own."""
        numbers: dict[Any, tuple[int, int]] = {}
        fresh = 1 + max((number for number, _ in self.frames.values()), default=0)
        for frame, line in places:
            known = self.frames.get(id(frame))
            if frame.f_code.co_name == "<module>":
                numbers[frame] = (0, line)
            elif known is not None and known[1] is frame.f_code:
                numbers[frame] = (known[0], line)
            else:
                numbers[frame] = (fresh, line)
                fresh += 1
        return numbers
