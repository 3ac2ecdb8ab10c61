"""The variables of each function as its last activation left them, also when an exception did.

Immutable values are kept as they are; of others the text is taken at the exit, for they may change later and must not be kept
alive. Each function's record is written at its 1st, 2nd, 4th, 8th ... exit and at the end, so that a killed run has one too.

This module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

import sys
from json.encoder import encode_basestring_ascii as quoted

from .snapshot import snap

__all__ = ["Finals"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

SNAPSHOTS = 2_000
"""Exits of one function at which containers are looked at; more would not be bounded work. Later ones are left out."""
NAMES = 24
"""Variables of one function that are reported."""

_NOT_DATA = ("<function", "<class", "<module", "<builtin_function")


class Finals:
    """Keeps what the last exit of each function left, and reports it."""

    def __init__(self, sites: Sequence[tuple[Any, ...]], emit: Callable[[str], None]) -> None:
        self._sites = sites
        self._emit = emit
        self._exits: dict[int, int] = {}
        self._kept: dict[int, dict[str, Any]] = {}

    def leaving(self, site: int) -> None:
        """Look at the variables of the calling frame, which is being left."""
        count = self._exits[site] = self._exits.get(site, 0) + 1
        values: dict[str, Any] = {}
        inside = sys._getframe(1).f_locals
        for name in list(inside):
            value = inside[name]
            kind = type(value)
            if kind is int or kind is bool or kind is float or value is None or (kind is str and len(value) <= 60):
                values[name] = value
            elif count <= SNAPSHOTS and not (text := snap(value)).startswith(_NOT_DATA):
                values[name] = (text,)  # no value that is kept as it is has this type
        self._kept[site] = values
        if count & (count - 1) == 0:
            self._report(site)

    def rest(self) -> None:
        """Report the functions whose last exit is not reported yet."""
        for site, count in self._exits.items():
            if count & (count - 1):
                self._report(site)

    def _report(self, site: int) -> None:
        kept = self._kept[site]
        line, extra = self._sites[site][1], self._sites[site][5]
        names = [name for name in kept if name.isidentifier() and name[:2] != "__"][:NAMES]
        members = ",".join(
            f"{quoted(name)}:{quoted(kept[name][0] if type(kept[name]) is tuple else snap(kept[name]))}" for name in names
        )
        at = ",".join(f"{quoted(name)}:{extra['at'][name]}" for name in names if name in extra["at"])
        frame = 0 if extra["fn"] == "<module>" else site + 1  # activations are not told apart: one number for each function
        self._emit(f'["r",{line},{frame},{{{members}}},{{"fn":{quoted(extra["fn"])},"at":{{{at}}}}}]\n')
