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

Layout of the buffer: bytes 0-3 magic, 4-7 records dropped (little endian), 32.. one byte a mark, then the records up to the
first zero byte. This module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

import ast
import gc
import os
import sys
import warnings
from _thread import get_ident
from json.encoder import encode_basestring_ascii as quoted

from .blocks import MARK_BASE
from .finals import Finals
from .instrument import Weaver
from .postmortem import locals_of, message_of, places_of
from .recursion import could_recurse
from .snapshot import class_name, snap
from .syntax import MARK_LINES, bind

__all__ = ["MAGIC", "MARKS", "MODES", "Recorder", "buffer_size"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

MAGIC = b"cet1"
MODES = ("bounded", "coverage", "final", "full")
ITERATIONS = 3
"""Iterations of each loop that are recorded in bounded mode."""
CALLS = 4
"""Activations of each function that are recorded in bounded mode."""

_SOURCE_BYTES = 200_000  # a longer source runs unrecorded
MARKS = 1 << 14
"""Room for coverage marks, in bytes."""
_TAIL = 12_000  # bytes kept free for what is known only at the end: the exception and the locals of its frames
_RECORDS = {"bounded": 36_000, "coverage": _TAIL, "final": 36_000, "full": 2_000_000}
_EVENTS = {"bounded": 4_000, "coverage": 0, "final": 4_000, "full": 20_000}
_HEADER_BYTES = 128_000  # line numbers of the blocks: a few bytes a statement
_STACK = 6


def buffer_size(mode: str) -> int:
    """Return the bytes of shared memory that a recorder of this mode needs."""
    return MARK_BASE + MARKS + _HEADER_BYTES + _RECORDS[mode] + _TAIL


class Recorder:
    """Records one run of one program into a buffer. See the module's docstring for how it is used."""

    def __init__(self, buffer: Any, mode: str = "bounded", iterations: int = ITERATIONS, calls: int = CALLS) -> None:
        if mode not in MODES:
            raise ValueError(f"trace mode is {mode!r}; use one of {', '.join(MODES)}")
        self._buffer = buffer
        self._mode = mode
        self._iterations = iterations
        self._calls = calls
        self._position = 0
        self._limit = 0
        self._filename = ""
        self._ended = False
        self._tool = -1
        self._finals: Finals | None = None
        self._frames: dict[int, tuple[int, Any]] = {}
        self._loop_lines: dict[str, int] = {}
        self._reported: tuple[int, int] = (0, 0)

    def compile(self, source: str, filename: str = "<submission>") -> CodeType:
        """Return the code of the program, instrumented if that is possible; a program that is not is run as it is.

        Raises:
            SyntaxError, ValueError, and whatever else the built-in `compile` raises for this source.
        """
        plain: CodeType = compile(source, filename, "exec", dont_inherit=True)
        self._filename = filename
        modes = [self._mode] if self._mode == "coverage" else [self._mode, "coverage"]
        reason = f"the source is longer than {_SOURCE_BYTES} characters"
        if len(source) <= _SOURCE_BYTES:
            collects = gc.isenabled()
            gc.disable()  # a syntax tree is many objects and no garbage
            try:
                for mode in modes:
                    try:
                        return self._instrumented(source, filename, mode)
                    except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError) as error:
                        reason = f"{class_name(type(error))} while instrumenting"
            finally:
                if collects:
                    gc.enable()
        self._start([], [], 0, reason)
        return plain

    def _instrumented(self, source: str, filename: str, mode: str) -> CodeType:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source, filename)
            watched = mode == "coverage" and self._monitoring() and not could_recurse(tree)
            weaver = Weaver(mode, self._iterations, source, watched)
            code: CodeType = compile(weaver.module(tree), filename, "exec", dont_inherit=True)
        if weaver.blocks.slots - MARK_BASE > MARKS:
            raise ValueError("too many blocks")
        self._mode = mode
        self._loop_lines = weaver.loop_lines
        blocks = [[head - MARK_BASE, tail - MARK_BASE if tail else 0, *lines] for head, tail, lines in weaver.blocks.rows]
        branches = [[line, taken - MARK_BASE, other - MARK_BASE if other else 0] for line, taken, other in weaver.blocks.branches]
        self._start(blocks, branches, weaver.blocks.slots - MARK_BASE, "")
        if watched:
            self._watch(code)
            return code
        return bind(code, *self._functions(weaver))

    def _start(self, blocks: list[list[int]], branches: list[list[int]], marks: int, unrecorded: str) -> None:
        buffer = self._buffer
        buffer[0:4] = MAGIC
        self._position = MARK_BASE + MARKS
        version = sys.version_info
        header = (
            (
                f'{{"py":"{version[0]}.{version[1]}","mode":"{self._mode}","K":{self._iterations},"calls":{self._calls},'
                f'"marks":{marks},"blocks":{blocks},"branches":{branches},"unrecorded":{quoted(unrecorded)}}}\n'
            )
            .replace(" ", "" if not unrecorded else " ")
            .encode()
        )
        if len(header) > _HEADER_BYTES:
            raise ValueError("too many blocks")
        self._limit = self._position + len(header)
        self._write(header)
        self._limit += _RECORDS[self._mode]
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
        disable, line_event, buffer = monitoring.DISABLE, monitoring.events.LINE, self._buffer

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
        self._limit = 0
        self._ended = True

    def _write(self, record: bytes) -> bool:
        start = self._position
        end = start + len(record)
        if end > self._limit:
            return False
        self._position = end
        self._buffer[start:end] = record
        return True

    def _functions(self, weaver: Weaver) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what the instrumented code refers to: the functions below share their state through this closure."""
        sites = weaver.sites
        seen = [False] * weaver.blocks.slots
        budget = _EVENTS[self._mode]
        stop = weaver.stop_slot
        counts = [0] * weaver.counters
        activations: dict[int, int] = {}
        texts: dict[int, dict[str, str]] = {-2: {}, 0: {}}
        threads = {get_ident(): 0}
        states: dict[int, list[int]] = {}
        frames = self._frames
        allowed_calls = self._calls
        dropped = 0
        next_frame = 1
        staged: list[str] = []

        buffer = self._buffer

        def emit(record: str) -> None:
            nonlocal budget, dropped
            if budget > 0:
                data = record.encode()
                start = self._position  # no call between here and the next line but one: no other thread comes between
                end = start + len(data)
                if end <= self._limit:
                    self._position = end
                    budget -= 1
                    buffer[start:end] = data
                    return
                budget = 0
            if dropped == 0:
                seen[stop] = True
            dropped += 1
            if not self._ended:
                buffer[4:8] = dropped.to_bytes(4, "little")

        def changed(site: tuple[Any, ...], frame: int, values: tuple[Any, ...]) -> str:
            _, _, names, owners, always, _ = site
            parts = []
            for index, value in enumerate(values):
                name = names[index]
                owner = owners[index]
                known = texts[frame if owner == "local" else 0 if owner == "global" else -2]
                text = snap(value)
                if index < always or known.get(name) != text:
                    known[name] = text
                    parts.append(f'"{name}":{quoted(text)}' if name.isascii() else f"{quoted(name)}:{quoted(text)}")
            return ",".join(parts)

        def line(number: int, frame: int, *values: Any) -> None:
            if frame < 0 or budget <= 0:
                return dropping()
            site = sites[number]
            parts = changed(site, frame, values) if values else ""
            if staged:
                parts = taken(parts)
            if parts:
                return emit(f'["{site[0]}",{site[1]},{frame},{{{parts}}}{outside(site)}]\n')
            return emit(f'["{site[0]}",{site[1]},{frame}]\n')

        def outside(site: tuple[Any, ...]) -> str:
            return ',{"g":[' + ",".join(map(quoted, site[5]["g"])) + "]}" if site[5] else ""

        def iteration(number: int, frame: int, count: int, *values: Any) -> None:
            if frame < 0 or budget <= 0:
                return dropping()
            site = sites[number]
            parts = changed(site, frame, values) if values else ""
            return emit(f'["i",{site[1]},{frame},{{{parts}}},{{"n":{count}}}]\n')

        def loop(number: int, frame: int, count: int, *values: Any) -> None:
            if frame < 0 or budget <= 0:
                return dropping()
            site = sites[number]
            parts = changed(site, frame, values) if values else ""
            if staged:
                parts = taken(parts)
            at = ",".join(f"{quoted(name)}:{lines}" for name, lines in site[5]["at"].items() if quoted(name) + ":" in parts)
            left = f',"left":"{site[5]["left"]}"' if "left" in site[5] else ""
            return emit(f'["n",{site[1]},{frame},{{{parts}}},{{"trips":{count}{left}{f""","at":{{{at}}}""" if at else ""}}}]\n')

        def stage(number: int, frame: int, value: Any) -> None:
            if frame >= 0 and budget > 0 and (part := changed(sites[number], frame, (value,))):
                staged.append(part)

        def taken(parts: str) -> str:
            parts = ",".join([*staged, parts] if parts else staged)
            staged.clear()
            return parts

        def dropping() -> None:
            emit("")

        def call(number: int, flag: int, *values: Any) -> int:
            nonlocal next_frame
            count = activations.get(flag, 0) + 1
            activations[flag] = count
            if count >= allowed_calls and flag != stop:
                seen[flag] = True
            frame = next_frame
            next_frame += 1
            texts[frame] = {}
            inside = sys._getframe(1)
            if sites[number][5]["hidden"]:
                states[id(inside)] = [frame] + [0] * weaver.counters
            parent = parent_of(inside.f_back)
            frames[id(inside)] = (frame, inside.f_code)
            if budget <= 0:
                dropping()
                return frame
            site = sites[number]
            thread = get_ident()
            extra = f',"thread":{threads.setdefault(thread, len(threads))}' if thread not in threads or threads[thread] else ""
            parts = changed(site, frame, values)
            emit(f'["c",{site[1]},{frame},{{{parts}}},{{"fn":{quoted(site[5]["fn"])},"parent":{parent}{extra}}}]\n')
            return frame

        def parent_of(caller: Any) -> int:
            for _ in range(1000):
                if caller is None:
                    break
                known = frames.get(id(caller))
                if known is not None and known[1] is caller.f_code:
                    return known[0]
                caller = caller.f_back
            return 0

        finals = Finals(sites, emit)
        self._finals = finals

        def state() -> list[int]:
            return states.get(id(sys._getframe(1))) or [-1] * weaver.counters

        def leave(number: int, frame: int, value: Any) -> Any:
            if frame < 0 or budget <= 0:
                dropping()
                return value
            site = sites[number]
            extra = ',"implicit":true' if "implicit" in site[5] else ""
            emit(f'["{site[0]}",{site[1]},{frame},{{}},{{"value":{quoted(snap(value))}{extra}}}]\n')
            return value

        def caught(number: int, frame: int) -> None:
            if frame < 0 or budget <= 0:
                return dropping()
            site = sites[number]
            error = sys.exc_info()[1]
            name, message = (class_name(type(error)), message_of(error)) if error is not None else ("", "")
            bound = f"{quoted(site[5]['as'])}:{quoted(snap(error))}" if "as" in site[5] else ""
            kind = f'"type":{quoted(name)},"msg":{quoted(message)}'
            places = places_of(error, self._filename)
            if places and error is not None:
                place = places[-1]
                number = frames.get(id(place[0]), (frame, None))[0]
                emit(f'["x",{place[1]},{number},{{}},{{{kind},"uncaught":false}}]\n')
            return emit(f'["h",{site[1]},{frame},{{{bound}}},{{{kind}}}]\n')

        tables = {"seen": seen, "marks": self._buffer, "counts": counts}
        functions = {
            "call": call,
            "line": line,
            "iteration": iteration,
            "loop": loop,
            "stage": stage,
            "caught": caught,
            "leave": leave,
            "leaving": finals.leaving,
            "state": state,
            "recursion": (RecursionError, MemoryError),
            "unbound": (NameError, RecursionError, MemoryError),
        }
        return tables, functions

    # The end of the run

    def failed(self, error: BaseException) -> None:
        """Record an exception that ended the program: its type and message, and the locals of the frames it passed."""
        if self._ended or not self._position:
            return
        self._limit += _TAIL - 100
        try:
            kind, message = class_name(type(error)), message_of(error)
            places = places_of(error, self._filename)
            shown = places if len(places) <= _STACK else places[:1] + places[1 - _STACK :]
            known = {id(frame): number for frame, (number, _) in self._number(shown).items()}
            for frame, line in shown:
                last = frame is shown[-1][0] and line == shown[-1][1]
                names, loops = locals_of(frame, 118 if last else 60, self._loop_lines)
                extra = f'"type":{quoted(kind)},"msg":{quoted(message)},"uncaught":true' if last else '"through":true'
                function = frame.f_code.co_name
                extra += f',"fn":{quoted(function)}' + (f',"depth":{len(places)}' if last else "")
                if loops:
                    extra += ',"loops":{' + ",".join(f'"{at}":{trips}' for at, trips in loops) + "}"
                self._write(f'["x",{line},{known.get(id(frame), 0)},{{{names}}},{{{extra}}}]\n'.encode())
            if not shown:
                self._write(f'["x",0,0,{{}},{{"type":{quoted(kind)},"msg":{quoted(message)},"uncaught":true}}]\n'.encode())
        except (RecursionError, MemoryError):
            pass
        finally:
            self._limit += 100
            exits = isinstance(error, SystemExit)
            self._end("exit" if exits else "exception")

    def finish(self) -> None:
        """Record that the run came to its end; without it the trace says that it was cut off."""
        self._limit += 100
        self._end("ok")

    def _end(self, how: str) -> None:
        if not self._ended and self._position:
            if self._finals is not None:
                self._finals.rest()
            self._ended = True
            self._write(f'["z","{how}"]\n'.encode())
            if self._tool >= 0:
                vars(sys)["monitoring"].free_tool_id(self._tool)

    def _number(self, places: list[tuple[Any, int]]) -> dict[Any, tuple[int, int]]:
        """Return the activation number of each frame; frames of plain activations get numbers of their own."""
        numbers: dict[Any, tuple[int, int]] = {}
        fresh = 1 + max((number for number, _ in self._frames.values()), default=0)
        for frame, line in places:
            known = self._frames.get(id(frame))
            if frame.f_code.co_name == "<module>":
                numbers[frame] = (0, line)
            elif known is not None and known[1] is frame.f_code:
                numbers[frame] = (known[0], line)
            else:
                numbers[frame] = (fresh, line)
                fresh += 1
        return numbers
