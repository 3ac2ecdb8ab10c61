"""What a traceback tells after the fact: the program's frames, their variables, and the exception's text.

This module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as quoted

from .snapshot import snap

__all__ = ["locals_of", "message_of", "places_of"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any

LOCALS = 12
"""Variables of a frame that are shown."""

_traceback_of = BaseException.__dict__["__traceback__"].__get__
_args_of = BaseException.__dict__["args"].__get__


def places_of(error: BaseException | None, filename: str) -> list[tuple[Any, int]]:
    """Return (frame, line) of the program's own frames in the traceback, outermost first."""
    places = []
    entry: TracebackType | None = None if error is None else _traceback_of(error)
    while entry is not None:
        if entry.tb_frame.f_code.co_filename == filename:
            places.append((entry.tb_frame, entry.tb_lineno))
        entry = entry.tb_next
    return places


def locals_of(
    frame: Any, chars: int, loops: Mapping[str | int, tuple[int, int]], line: int, counts: Sequence[int]
) -> tuple[str, list[tuple[int, int]]]:
    """Return the variables of a frame that stands at `line` as JSON members, and (line, iterations) of the loops it is in.

    `loops` has the first and the last line of the loop of each counter: a hidden variable, or a place in `counts`.
    """
    inside = frame.f_locals
    members: list[str] = []
    turns: list[tuple[int, int]] = []
    if type(inside) is not dict and type(inside).__name__ != "FrameLocalsProxy":
        return "", []
    for name, value in list(inside.items()):
        if name in loops:
            if type(value) is int and value and loops[name][0] <= line <= loops[name][1]:
                turns.append((loops[name][0], value))
        elif type(name) is str and name[:1] != "." and name[:2] != "__" and len(members) < LOCALS:
            text = snap(value, chars)
            if not text.startswith(("<function", "<class", "<module")):
                members.append(f"{quoted(name)}:{quoted(text)}")
    if frame.f_code.co_name == "<module>":
        for counter, (first, last) in loops.items():
            if type(counter) is int and counter < len(counts) and counts[counter] and first <= line <= last:
                turns.append((first, counts[counter]))
    return ",".join(members), sorted(set(turns))


def message_of(error: BaseException | None, chars: int = 80) -> str:
    """Return the text of an exception from its arguments: `str(error)` could run code of the program."""
    args = () if error is None else _args_of(error)
    if not args:
        return ""
    first = args[0]
    if len(args) == 2 and type(first) is int and type(args[1]) is str and isinstance(error, OSError):
        return f"[Errno {first}] {args[1]}"[:chars]
    if len(args) == 1 or isinstance(error, SyntaxError):
        text = first if type(first) is str and type(error) is not KeyError else snap(first, chars)
    else:
        text = snap(args, chars)
    return text if len(text) <= chars else text[: chars - 3] + "..."
