"""The functions that instrumented code calls while the program runs: they put into words what happened and write it down.

Each sets the marks of its site first, and raises nothing of its own into the program: at the recursion or memory limit what it
would have said is lost. This module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from json.encoder import encode_basestring_ascii as quoted

from .finals import Finals
from .postmortem import message_of, places_of
from .snapshot import class_name, snap

__all__ = ["recording"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .instrument import Weaver
    from .recorder import Recorder

_LIMITS = (RecursionError, MemoryError)


def recording(recorder: Recorder, weaver: Weaver, budget: int, allowed_calls: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tables that instrumented code refers to and the functions that it calls, which share their state through this
    closure; the function `restart`, which nothing of the program calls, forgets what happened since it was called first.
    """
    sites = weaver.sites
    seen = [False] * weaver.blocks.slots
    stop = weaver.stop_slot
    counts = [0] * weaver.counters
    activations: dict[int, int] = {}
    texts: dict[int, dict[str, str]] = {-2: {}, 0: {}}
    threads = {get_ident(): 0}
    watched: list[Any] = []
    states: dict[int, list[int]] = {}
    frames = recorder.frames
    buffer = recorder.buffer
    counts_output = recorder.output is not None
    dropped = shown = 0
    next_frame = 1
    staged: list[str] = []

    def printed() -> str:
        """Return a record of how much the program has printed, if that has grown."""
        nonlocal shown
        now = recorder.output() if recorder.output is not None else 0
        if now == shown:
            return ""
        shown = now
        return f'["o",{now}]\n'

    def emit(record: str) -> None:
        nonlocal budget, dropped
        if budget > 0:
            data = (printed() + record).encode() if counts_output else record.encode()
            size = len(data)
            start = recorder.position  # no call between here and the next line but one: no other thread comes between
            end = start + size
            if end <= recorder.limit:
                recorder.position = end
                budget -= 1
                buffer[start:end] = data
                return
            budget = 0
        if dropped == 0:
            seen[stop] = True
        dropped += 1
        if not recorder.ended:
            buffer[4:8] = dropped.to_bytes(4, "little")

    def mark(marks: list[int]) -> None:
        for slot in marks:
            seen[slot] = True
            buffer[slot] = 1

    def changed(site: tuple[Any, ...], frame: int, values: tuple[Any, ...]) -> str:
        names, owners, always = site[2:5]
        parts = []
        for index, value in enumerate(values):
            name = names[index]
            owner = owners[index]
            place = frame if owner == "local" else 0 if owner == "global" else -2
            known = texts.get(place)
            if known is None:
                known = texts[place] = {}
            text = snap(value)
            if index < always or known.get(name) != text:
                known[name] = text
                parts.append(f'"{name}":{quoted(text)}' if name.isascii() else f"{quoted(name)}:{quoted(text)}")
        return ",".join(parts)

    def line(number: int, frame: int, *values: Any) -> None:
        site = sites[number]
        try:
            for slot in site[6]:
                seen[slot] = buffer[slot] = True
            if frame < 0 or budget <= 0:
                return emit("")
            parts = changed(site, frame, values) if values else ""
            if staged:
                parts = taken(parts)
            if parts:
                return emit(f'["{site[0]}",{site[1]},{frame},{{{parts}}}{outside(site)}]\n')
            return emit(f'["{site[0]}",{site[1]},{frame}]\n')
        except _LIMITS:
            return None

    def outside(site: tuple[Any, ...]) -> str:
        return ',{"g":[' + ",".join(map(quoted, site[5]["g"])) + "]}" if site[5] else ""

    def iteration(number: int, frame: int, count: int, *values: Any) -> None:
        site = sites[number]
        try:
            for slot in site[6]:
                seen[slot] = buffer[slot] = True
            if frame < 0 or budget <= 0:
                return emit("")
            parts = changed(site, frame, values) if values else ""
            return emit(f'["i",{site[1]},{frame},{{{parts}}},{{"n":{count}}}]\n')
        except _LIMITS:
            return None

    def loop(number: int, frame: int, count: int, *values: Any) -> None:
        site = sites[number]
        try:
            for slot in site[6]:
                seen[slot] = buffer[slot] = True
            if frame < 0 or budget <= 0:
                return emit("")
            parts = changed(site, frame, values) if values else ""
            if staged:
                parts = taken(parts)
            at = ",".join(f"{quoted(name)}:{lines}" for name, lines in site[5]["at"].items() if quoted(name) + ":" in parts)
            left = f',"left":"{site[5]["left"]}"' if "left" in site[5] else ""
            return emit(f'["n",{site[1]},{frame},{{{parts}}},{{"trips":{count}{left}{f""","at":{{{at}}}""" if at else ""}}}]\n')
        except _LIMITS:
            return None

    def stage(number: int, frame: int, value: Any) -> None:
        if frame >= 0 and budget > 0 and (part := changed(sites[number], frame, (value,))):
            staged.append(part)

    def taken(parts: str) -> str:
        parts = ",".join([*staged, parts] if parts else staged)
        staged.clear()
        return parts

    def call(number: int, flag: int, *values: Any) -> int:
        nonlocal next_frame
        site = sites[number]
        for slot in site[6]:
            seen[slot] = buffer[slot] = True
        count = activations.get(flag, 0) + 1
        activations[flag] = count
        if count >= allowed_calls and flag != stop:
            seen[flag] = True
        frame = next_frame
        next_frame += 1
        inside = sys._getframe(1)
        if site[5]["hidden"]:
            states[id(inside)] = [frame] + [0] * weaver.counters
        parent = parent_of(inside.f_back)
        frames[id(inside)] = (frame, inside.f_code)
        if budget <= 0:
            emit("")
            return frame
        thread = get_ident()
        if thread not in threads:
            watch_threads()
        extra = f',"thread":{threads.setdefault(thread, len(threads))}' if thread not in threads or threads[thread] else ""
        parts = changed(site, frame, values)
        emit(f'["c",{site[1]},{frame},{{{parts}}},{{"fn":{quoted(site[5]["fn"])},"parent":{parent}{extra}}}]\n')
        return frame

    def watch_threads() -> None:
        """Have the exception that ends a thread recorded before the hook for it, which prints it, is called."""
        module = sys.modules.get("threading")
        if type(module) is not type(sys) or watched:
            return
        before = vars(module)["excepthook"]

        def excepthook(args: Any) -> None:
            ended(args.exc_value)
            before(args)

        watched.append(before)
        vars(module)["excepthook"] = excepthook

    def ended(error: BaseException | None) -> None:
        try:
            if error is None or not (places := places_of(error, recorder.filename)):
                return None
            inside, line = places[-1]
            kind = f'"type":{quoted(class_name(type(error)))},"msg":{quoted(message_of(error))}'
            number = frames.get(id(inside), (0, None))[0]
            thread = threads.setdefault(get_ident(), len(threads))
            return emit(f'["x",{line},{number},{{}},{{{kind},"thread":{thread}}}]\n')
        except _LIMITS:
            return None

    def parent_of(caller: Any) -> int:
        for _ in range(1000):
            if caller is None:
                break
            known = frames.get(id(caller))
            if known is not None and known[1] is caller.f_code:
                return known[0]
            caller = caller.f_back
        return 0

    def state() -> list[int]:
        return states.get(id(sys._getframe(1))) or [-1] * weaver.counters

    def leave(number: int, frame: int, value: Any) -> Any:
        try:
            if frame < 0 or budget <= 0:
                emit("")
                return value
            site = sites[number]
            extra = ',"implicit":true' if "implicit" in site[5] else ""
            emit(f'["{site[0]}",{site[1]},{frame},{{}},{{"value":{quoted(snap(value))}{extra}}}]\n')
        except _LIMITS:
            return value
        return value

    def caught(number: int, frame: int) -> None:
        site = sites[number]
        try:
            mark(site[6])
            if frame < 0 or budget <= 0:
                return emit("")
            error = sys.exc_info()[1]
            name, message = (class_name(type(error)), message_of(error)) if error is not None else ("", "")
            bound = f"{quoted(site[5]['as'])}:{quoted(snap(error))}" if "as" in site[5] else ""
            kind = f'"type":{quoted(name)},"msg":{quoted(message)}'
            places = places_of(error, recorder.filename)
            if places and error is not None:
                place = places[-1]
                number = frames.get(id(place[0]), (frame, None))[0]
                emit(f'["x",{place[1]},{number},{{}},{{{kind},"uncaught":false}}]\n')
            return emit(f'["h",{site[1]},{frame},{{{bound}}},{{{kind}}}]\n')
        except _LIMITS:
            return None

    kept: list[Any] = []

    def restart() -> None:
        """Go back to where the record stood when this was called first, so that a later call is recorded in full too."""
        nonlocal budget, dropped, shown
        shown = 0
        if not kept:
            size = len(seen)
            kept[:] = [recorder.position, recorder.limit, budget, dropped, bytes(buffer[:size]), seen[:], dict(activations)]
            return
        start, recorder.limit, budget, dropped, marked, seen[:], calls = kept
        buffer[start : recorder.position] = bytes(recorder.position - start)
        buffer[: len(marked)] = marked
        recorder.position = start
        activations.clear()
        activations.update(calls)
        for known in [number for number in texts if number > 0]:
            del texts[known]
        staged.clear()

    recorder.finals = finals = Finals(sites, emit)
    recorder.counts = counts
    recorder.rewind = restart
    recorder.printed = printed
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
        "recursion": _LIMITS,
        "unbound": (NameError, *_LIMITS),
    }
    return {"seen": seen, "marks": buffer, "counts": counts}, functions
