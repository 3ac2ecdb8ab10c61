"""A program's syntax tree, rewritten so that it records its own run: AST instrumentation with loop cloning.

Every loop body and function body exists twice. The first iterations and calls run the *recorded* clone, in which each
statement reports what it bound or changed; later ones run the *plain* clone, which keeps one test per basic block (`if not
seen[i]`). So the cost of a long run is that of the plain clone, and the events are the first few of each place, the number of
iterations of each loop and what the loop left in its variables.

Nothing that is added can be seen by the program: the recorder's functions are constants of the code objects, its own variables
have names that no program can write (`.f`), and where a function looks at `locals()` they are kept outside the frame.

This module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

import ast

from .places import Loop, Place, captured, has_code, leaves, looks_at_locals, parameters_of, prologue, qualified, resumes
from .reports import Reports
from .scopes import PLAIN, Scope, own_statements
from .syntax import Syntax

__all__ = ["Weaver"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOOP_DEPTH = 3  # loops nested deeper run plain: each level copies the body once more
FUNCTION_DEPTH = 3  # functions nested deeper run plain, for the same reason
LOOP_NAMES = 12  # variables reported at the end of a loop
MODULE_NAMES = 24  # variables reported at the end of the module
WOVEN_STATEMENTS = 20_000  # beyond this many statements the rest of a program runs plain


class Weaver(Reports):
    """Rewrites one module. Afterwards `sites`, `blocks` and `loops` say what the recorder's numbers mean.

    Attributes:
        loops: first and last line of the loop that each counter belongs to: a hidden variable, or a place in `counts`.
        counters: number of counters that are kept outside of frames.
    """

    def __init__(self, mode: str, iterations: int, source: str, mark_by_line: bool = False) -> None:
        super().__init__(mark_by_line)
        self.mode = mode
        self.iterations = iterations
        self.loops: dict[str | int, tuple[int, int]] = {}
        self.counters = 1
        quoting = "'" in source or '"' in source
        self._hidden_everywhere = "f_locals" in source or ("locals(" in source and "eval" in source and quoting)
        self._hidden_somewhere = any(word in source for word in ("locals", "vars", "dir"))
        self._deletes = "del" in source
        self._yields = "yield" in source
        self._moves_limit = "setrecursionlimit" in source
        self._stop = self.blocks.slot()
        self._flags: dict[int, int] = {}
        self._woven = 0

    @property
    def stop_slot(self) -> int:
        """The flag that turns every clone plain in full mode."""
        return self._stop

    def module(self, tree: ast.Module) -> ast.Module:
        """Return the rewritten module."""
        for node in ast.walk(tree) if self._deletes else ():
            if isinstance(node, ast.Delete):
                self._deleted.update(target.id for target in node.targets if isinstance(target, ast.Name))
        scope = Scope("module", "<module>", None)
        scope.collect(tree.body, self._names_of)
        head, body = prologue(tree.body)
        place = Place(scope, self.mode in ("bounded", "full"), False, 0)
        woven = self._weave(body, place) if body else []
        if place.record and body:
            self._exit(woven, place, body[-1])
        elif self.mode == "final" and body:
            woven = self._leaving(woven, scope, body, body[0].lineno, [])
        return ast.Module(body=head + woven, type_ignores=[])

    # Statements

    def _weave(
        self,
        statements: list[ast.stmt],
        place: Place,
        skip_head: bool = False,
        skip_tail: bool = False,
        out: list[ast.stmt] | None = None,
    ) -> list[ast.stmt]:
        """Return the woven form of a statement list, behind what is in `out`; `skip_*` leave out marks of its first block that
        are surely set already.
        """
        out = [] if out is None else out
        start = 0
        while start < len(statements):
            segment = self.blocks.segment(statements, start)
            end = start + len(segment) - 1
            in_function = place.scope.kind == "function"
            head, tail = self.blocks.block(segment, in_function)
            if end + 1 < len(statements) and isinstance(last := segment[-1], ast.If) and leaves(last):
                self.blocks.follow(last, self.blocks.segment(statements, end + 1), in_function)
            if start or not skip_head:
                self._mark(out, head, segment[0].lineno)
            for statement in segment:
                if tail and statement is segment[-1] and (start or not skip_tail):
                    self._mark(out, tail, statement.lineno)
                self._woven += 1
                self._statement(statement, out, place)
            start = end + 1
        return out or [ast.copy_location(ast.Pass(), statements[0])]

    def _statement(self, statement: ast.stmt, out: list[ast.stmt], place: Place) -> None:
        if type(statement) in PLAIN:
            self._simple(statement, out, place)
        elif isinstance(statement, ast.If):
            out.append(self._if(statement, place))
        elif isinstance(statement, (ast.For, ast.AsyncFor, ast.While)):
            self._loop(statement, out, place)
        elif isinstance(statement, (ast.Try, ast.TryStar)):
            out.append(self._try(statement, place))
        elif isinstance(statement, (ast.With, ast.AsyncWith)):
            inner: list[ast.stmt] = []
            if place.record:
                self._report(inner, "l", statement, place, *self._names_of(statement))
            out.append(Syntax.changed(statement, body=self._weave(statement.body, place.inner(), out=inner)))
        elif isinstance(statement, ast.Match):
            out.append(self._match(statement, place))
        elif isinstance(statement, ast.Return):
            self._return(statement, out, place)
        elif isinstance(statement, (ast.Global, ast.Nonlocal)):
            if place.scope.kind != "function":
                out.append(statement)
        else:
            self._simple(statement, out, place)

    def _simple(self, statement: ast.stmt, out: list[ast.stmt], place: Place) -> None:
        if type(statement) in PLAIN and not place.record:
            out.append(statement)
            place.bound.update(self._names_of(statement)[0])
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            out.append(self._function(statement, place))
        elif isinstance(statement, ast.ClassDef):
            scope = Scope("class", qualified(place.scope, statement.name), place.scope)
            scope.collect(statement.body, self._names_of)
            head, body = prologue(statement.body)
            inside = Place(scope, False, False, place.nesting)
            out.append(Syntax.changed(statement, body=head + (self._weave(body, inside) if body else [])))
        elif not place.record:
            out.append(statement)
            place.bound.update(self._names_of(statement)[0])
            return
        elif isinstance(statement, (ast.Break, ast.Continue)):
            self._report(out, "l", statement, place)
            out.append(statement)
            return
        elif isinstance(statement, ast.Raise):
            out.append(statement)
            return
        else:
            out.append(self._yielding(statement, place))
        if place.record and has_code(statement, place.scope.kind == "function"):
            bound, touched = self._names_of(statement)
            self._report(out, "l", statement, place, bound, touched)
            place.bound.update(bound)

    def _yielding(self, statement: ast.stmt, place: Place) -> ast.stmt:
        """Report the value of a statement that is a `yield` or assigns one."""
        value = getattr(statement, "value", None)
        if not isinstance(statement, (ast.Expr, ast.Assign)) or not isinstance(value, ast.Yield) or value.value is None:
            return statement
        code = self._code.at(statement.lineno)
        site = self._site("y", statement.lineno, place, [], 0, {})
        passed = code.call("leave", code.number(site), self._frame(place, statement.lineno), value.value)
        return Syntax.changed(statement, value=Syntax.changed(value, value=passed))

    def _if(self, statement: ast.If, place: Place) -> ast.stmt:
        yes, no = place.inner(), place.inner()
        body: list[ast.stmt] = []
        other: list[ast.stmt] = []
        if place.record:
            bound, touched = self._names_of(statement)
            self._report(body, "b1", statement, yes, bound, touched)
            self._report(other, "b0", statement, no, bound, touched)
        self._weave(statement.body, yes, out=body)
        taken = self.blocks.head(statement.body)
        if statement.orelse:
            self._weave(statement.orelse, no, out=other)
            not_taken = self.blocks.head(statement.orelse)
        else:
            not_taken = self.blocks.following(statement)
            if not not_taken:
                not_taken = self.blocks.arm(statement, "else")
                self._mark(other, not_taken, statement.lineno)
        self.blocks.branch(statement.lineno, taken, not_taken)
        return Syntax.changed(statement, body=body, orelse=other)

    def _try(self, statement: ast.Try | ast.TryStar, place: Place) -> ast.stmt:
        handlers = []
        for handler in statement.handlers:
            inner = place.inner()
            out: list[ast.stmt] = []
            if place.record:
                line = handler.lineno
                site = self._site("h", line, place, [], 0, {"as": handler.name} if handler.name else {})
                code = self._code.at(line)
                self._add(out, site, code.call("caught", code.number(site), self._frame(place, line)), place)
            handlers.append(Syntax.changed(handler, body=self._weave(handler.body, inner, out=out)))
        return Syntax.changed(
            statement,
            body=self._weave(statement.body, place.inner()),
            handlers=handlers,
            orelse=self._weave(statement.orelse, place.inner()) if statement.orelse else [],
            finalbody=self._weave(statement.finalbody, place.inner()) if statement.finalbody else [],
        )

    def _match(self, statement: ast.Match, place: Place) -> ast.stmt:
        cases = []
        for case in statement.cases:
            out: list[ast.stmt] = []
            if place.record:
                names = [name for node in ast.walk(case.pattern) if (name := captured(node))]
                self._report(out, "b1", case.pattern, place, list(dict.fromkeys(names)))
            cases.append(Syntax.changed(case, body=self._weave(case.body, place.inner(), out=out)))
            self.blocks.branch(case.pattern.lineno, self.blocks.head(case.body), 0)
        return Syntax.changed(statement, cases=cases)

    def _return(self, statement: ast.Return, out: list[ast.stmt], place: Place) -> None:
        if not place.live:
            out.append(statement)
            return
        for loop in reversed(place.loops):
            self._loop_end(out, loop, place, statement.lineno, left="return")
        line = statement.lineno
        code = self._code.at(line)
        site = self._site("r", line, place, [], 0, {})
        if place.scope.hidden and statement.value is not None:
            value = code.call("leave", code.number(site), self._frame(place, line), statement.value)
            out.append(Syntax.changed(statement, value=value))
            return
        held: ast.expr = code.none()
        if statement.value is not None:
            out.append(code.assign([code.name(".v", store=True)], statement.value))
            held = code.name(".v")
        self._add(out, site, code.call("leave", code.number(site), self._frame(place, line), held), place)
        out.append(Syntax.changed(statement, value=held) if statement.value is not None else statement)

    # Loops and functions

    def _loop(self, statement: ast.For | ast.AsyncFor | ast.While, out: list[ast.stmt], place: Place) -> None:
        line = statement.lineno
        orelse = self._weave(statement.orelse, place.inner()) if statement.orelse else []
        left = self.blocks.arm(statement, "end")
        orelse.insert(0, self._code.mark(left, line))
        targets, touched = self._names_of(statement)
        if not place.record or place.depth >= LOOP_DEPTH or self._woven > WOVEN_STATEMENTS:
            inside = place.inner(record=False)
            inside.bound.update(targets)
            out.append(Syntax.changed(statement, body=self._weave(statement.body, inside), orelse=orelse))
            self.blocks.branch(line, self.blocks.head(statement.body), left)
            return
        loop = self._carried(statement, place, targets)
        recorded, plain = place.inner(), place.inner(record=False)
        for inside in (recorded, plain):
            inside.depth += 1
            inside.loops = (*place.loops, loop)
            inside.bound.update(targets)
        code = self._code.at(line)
        count = self._counter(place, loop.counter, line)
        first: list[ast.stmt] = []
        names = [name for name in targets + touched if place.scope.owner(name) and name not in self._deleted]
        site = self._site("i", line, place, names, len(targets), {})
        call = code.call("iteration", code.number(site), self._frame(place, line), count, *map(code.name, names))
        self._add(first, site, call, place)
        self._weave(statement.body, recorded, out=first)
        bounded = self.mode == "bounded"
        later = self._weave(statement.body, plain, skip_head=bounded, skip_tail=bounded)
        test = code.at_most(count, self.iterations) if bounded else code.negated(code.flag(self._stop))
        out.append(code.assign([code.stored(count)], code.number(0)))
        body = [code.increment(code.stored(count)), code.branch(test, first, later)]
        out.append(Syntax.changed(statement, body=body, orelse=orelse))
        self.blocks.branch(line, self.blocks.head(statement.body), left)
        self._loop_end(out, loop, place, line)

    def _carried(self, statement: ast.For | ast.AsyncFor | ast.While, place: Place, targets: list[str]) -> Loop:
        at: dict[str, list[int]] = {name: [statement.lineno] for name in targets}
        self._setters(statement.body, at)
        at = {name: lines for name, lines in at.items() if place.scope.owner(name) and name not in self._deleted}
        self.counters += 1
        outside = place.scope.hidden or place.scope.kind == "module"
        counter: str | int = self.counters - 1 if outside else f".n{self.counters - 1}"
        if isinstance(counter, str) or place.scope.kind == "module":
            self.loops[counter] = (statement.lineno, statement.body[-1].end_lineno or statement.lineno)
        return Loop(statement.lineno, counter, list(at)[:LOOP_NAMES], at, set(place.bound))

    def _loop_end(self, out: list[ast.stmt], loop: Loop, place: Place, line: int, left: str = "") -> None:
        """Append the report of a loop's end: iterations and carried variables; those that may be unbound are tried first."""
        code = self._code.at(line)
        names = [name for name in loop.names if place.scope.owner(name)]
        sure = [name for name in names if name in loop.bound]
        extra: dict[str, Any] = {"at": {name: loop.at[name] for name in names}}
        if left:
            extra["left"] = left
        self._staged(out, [name for name in names if name not in sure], place, line)
        site = self._site("n", loop.line, place, sure, 0, extra)
        count = self._counter(place, loop.counter, line)
        call = code.call("loop", code.number(site), self._frame(place, line), count, *map(code.name, sure))
        self._add(out, site, call, place)

    def _exit(self, out: list[ast.stmt], place: Place, last: ast.stmt) -> None:
        line = last.lineno
        self._staged(
            out, [name for name in sorted(place.scope.variables) if name not in self._deleted][:MODULE_NAMES], place, line
        )
        self._report(out, "r", last, place, line=line)

    def _leaving(
        self, woven: list[ast.stmt], scope: Scope, body: list[ast.stmt], line: int, parameters: list[str]
    ) -> list[ast.stmt]:
        """Have the variables looked at when the function is left, however that happens."""
        at = {name: [line] for name in parameters}
        self._setters(body, at)
        place = Place(scope, False, False, 0)
        site = self._site("r", line, place, [], 0, {"fn": scope.name, "at": at})
        code = self._code.at(line)
        leaving = code.guard([code.expression(code.call("leaving", code.number(site)))], "recursion", [])
        return [code.finally_(woven, [leaving])]

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, place: Place) -> ast.stmt:
        hidden = self._hidden_everywhere or (self._hidden_somewhere and looks_at_locals(node))
        guarded = hidden or self._moves_limit or self.mode != "bounded" or resumes(node, self._yields)
        scope = Scope("function", qualified(place.scope, node.name), place.scope, hidden, guarded)
        parameters = parameters_of(node)
        scope.variables.update(parameters)
        scope.collect(node.body, self._names_of)
        head, body = prologue(node.body)
        head += [item for item in own_statements(body) if isinstance(item, (ast.Global, ast.Nonlocal))]
        if not body:
            return node
        plain = Place(scope, False, False, place.nesting + 1)
        plain.bound.update(parameters)
        if self.mode == "final":
            return Syntax.changed(node, body=head + self._leaving(self._weave(body, plain), scope, body, node.lineno, parameters))
        if self.mode not in ("bounded", "full") or place.nesting >= FUNCTION_DEPTH or self._woven > WOVEN_STATEMENTS:
            return Syntax.changed(node, body=head + self._weave(body, plain))
        recorded = plain.inner(record=True)
        recorded.live = True
        if self.mode == "full":
            flag = self._stop
        else:
            flag = self._flags[id(node)] = self._flags.get(id(node)) or self.blocks.slot()
        line = node.lineno
        code = self._code.at(line)
        names = [name for name in parameters if name not in self._deleted]
        site = self._site("c", line, recorded, names, len(names), {"fn": scope.name, "hidden": hidden})
        call = code.call("call", code.number(site), code.number(flag), *map(code.name, names))
        first: list[ast.stmt] = []
        frame = code.name(".f", store=True)
        if hidden:
            self._add(first, site, call, recorded)
        elif guarded:
            first.append(code.guard([code.assign([frame], call)], "recursion", [code.assign([frame], code.number(-1))]))
        else:
            called = code.assign([frame], call)
            first.append(called)
            self._reported = (called, site)
        self._weave(body, recorded, out=first)
        ends = isinstance(body[-1], (ast.Return, ast.Raise))
        if not ends:
            end = body[-1].end_lineno or line
            site = self._site("r", body[-1].lineno, recorded, [], 0, {"implicit": True})
            leave = self._code.at(end).call("leave", code.number(site), self._frame(recorded, end), code.none())
            self._add(first, site, leave, recorded)
        later = self._weave(body, plain, skip_head=self.mode == "bounded")
        if guarded:
            return Syntax.changed(node, body=[*head, code.branch(code.flag(flag), later, first)])
        # The recorder can be called here, so it can wherever this activation calls it; if it cannot, the plain clone is run.
        unrecorded = [self._code.mark(self.blocks.head(body), line), code.assign([code.stored(code.flag(flag))], code.true())]
        recording = code.guard([called], "recursion", unrecorded, first[1:] if ends else [*first[1:], code.leave()])
        return Syntax.changed(node, body=[*head, code.branch(code.negated(code.flag(flag)), [recording], []), *later])
