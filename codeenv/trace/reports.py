"""Calls of the recorder in the tree of a program: what each reports, and the marks that it sets on the way.

This module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

import ast

from .blocks import Blocks
from .places import Place
from .scopes import names_of, own_statements
from .syntax import Syntax

__all__ = ["Reports"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Reports:
    """The part of the weaver that knows the recorder.

    Attributes:
        sites: per site (kind, line, names, owners, always, extra, marks): what a call of the recorder reports, and the marks that
            it sets: those that would follow it.
        blocks: the basic blocks and branches with their marks.
    """

    def __init__(self, mark_by_line: bool) -> None:
        self.sites: list[tuple[str, int, tuple[str, ...], tuple[str, ...], int, dict[str, Any], list[int]]] = []
        self.blocks = Blocks()
        self._names: dict[int, tuple[list[str], list[str]]] = {}
        self._deleted: set[str] = set()
        self._reported: tuple[ast.stmt | None, int] = (None, 0)  # the last report that cannot be missed, and its site
        self._code = Syntax(mark_by_line)

    def _site(self, kind: str, line: int, place: Place, names: list[str], always: int, extra: dict[str, Any]) -> int:
        owners = tuple(place.scope.owner(name) for name in names)
        self.sites.append((kind, line, tuple(names), owners, always, extra, []))
        return len(self.sites) - 1

    def _report(
        self,
        out: list[ast.stmt],
        kind: str,
        at: ast.AST,
        place: Place,
        bound: Sequence[str] = (),
        touched: Sequence[str] = (),
        line: int = 0,
    ) -> None:
        """Append a call that reports a statement with the names that it bound and those that it may have changed."""
        line = line or at.lineno  # type: ignore[attr-defined]
        bound = [name for name in bound if place.scope.owner(name) and name not in self._deleted]
        touched = [name for name in touched if name not in bound and place.scope.owner(name) and name not in self._deleted]
        names = bound + touched
        outside = [name for name in names if place.scope.kind == "function" and place.scope.owner(name) != "local"]
        site = self._site(kind, line, place, names, len(bound), {"g": outside} if outside else {})
        code = self._code.at(line)
        self._add(out, site, code.call("line", code.number(site), self._frame(place, line), *map(code.name, names)), place)

    def _add(self, out: list[ast.stmt], site: int, call: ast.expr, place: Place) -> None:
        """Append a call of the recorder; where the recursion limit may stop it, it is left out rather than raised into the
        program.
        """
        statement = self._code.at(call.lineno).expression(call)
        if place.scope.guarded:
            statement = self._code.guard([statement], "recursion", [])
        else:
            self._reported = (statement, site)
        out.append(statement)

    def _mark(self, out: list[ast.stmt], slot: int, line: int) -> None:
        """Append a mark, or let the report just before it set it."""
        reported, site = self._reported
        if out and out[-1] is reported:
            self.sites[site][6].append(slot)
        else:
            out.append(self._code.mark(slot, line))

    def _frame(self, place: Place, line: int) -> ast.expr:
        code = self._code.at(line)
        if place.scope.kind == "module":
            return code.number(0)
        return code.item(code.call("state"), 0) if place.scope.hidden else code.name(".f")

    def _counter(self, place: Place, counter: str | int, line: int) -> ast.expr:
        code = self._code.at(line)
        if isinstance(counter, str):
            return code.name(counter)
        return code.item(code.call("state") if place.scope.kind != "module" else code.constant("counts"), counter)

    def _names_of(self, statement: ast.stmt) -> tuple[list[str], list[str]]:
        key = id(statement)
        if key not in self._names:
            self._names[key] = names_of(statement)
        return self._names[key]

    def _setters(self, body: list[ast.stmt], at: dict[str, list[int]]) -> None:
        """Add to `at` the lines of the statements that set each variable; of one that none sets, those that may change it."""
        own = list(own_statements(body))
        for position in (0, 1):
            known = set(at) if position else set()
            for inner in own:
                for name in self._names_of(inner)[position]:
                    if name not in known and inner.lineno not in (lines := at.setdefault(name, [])):
                        lines.append(inner.lineno)

    def _staged(self, out: list[ast.stmt], names: list[str], place: Place, line: int) -> None:
        code = self._code.at(line)
        for name in names:
            site = self._site("s", line, place, [name], 0, {})
            call = code.expression(code.call("stage", code.number(site), self._frame(place, line), code.name(name)))
            out.append(code.guard([call], "unbound", []))
