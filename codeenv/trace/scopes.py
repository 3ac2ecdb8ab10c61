"""Which names a program binds and may change, statement by statement: the static half of the instrumentation.

A name is recorded where a statement binds it, and where a statement may change the object behind it: the root of a subscript
or attribute that is stored to, the receiver of a method call, and a name handed to a call. Only names that are surely
bound at that point count, so that reading them cannot raise.

This module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

import ast

__all__ = ["Scope", "may_raise", "names_of", "own_statements"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
PLAIN = frozenset([ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Assert, ast.Import, ast.ImportFrom, ast.Pass])
"""Statements that neither contain others nor leave the block they are in, but by an exception."""
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

_WALK_LIMIT = 400  # expression nodes looked at in one statement: a table of 10^5 literals must not cost time
_UNCHANGING = frozenset(
    [
        "print",
        "len",
        "range",
        "sum",
        "min",
        "max",
        "sorted",
        "str",
        "int",
        "abs",
        "enumerate",
        "zip",
        "list",
        "tuple",
        "set",
        "dict",
        "isinstance",
        "any",
        "all",
        "repr",
        "float",
        "bool",
        "ord",
        "chr",
        "type",
        "map",
        "filter",
        "reversed",
        "divmod",
        "pow",
        "round",
        "hash",
        "id",
        "input",
        "frozenset",
        "bytes",
        "complex",
        "bin",
        "hex",
        "oct",
        "callable",
        "issubclass",
    ]
)


class Scope:
    """One function, class or module: what it is called and which of its names are variables."""

    __slots__ = ("deleted", "globals", "guarded", "hidden", "kind", "name", "nonlocals", "outer", "variables")

    def __init__(self, kind: str, name: str, outer: Scope | None, hidden: bool = False, guarded: bool = False) -> None:
        self.kind = kind
        self.name = name
        self.outer = outer
        self.hidden = hidden  # the program looks at its own local variables here: ours must not be among them
        self.guarded = guarded  # the recursion limit may be met at any call of the recorder, not at the first alone
        self.variables: set[str] = set()
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.deleted: set[str] = set()

    def owner(self, name: str) -> str:
        """Return where a name read here lives: "local", "global", "free", or "" if it is no variable."""
        if name in self.globals:
            scope: Scope | None = self
            while scope is not None and scope.outer is not None:
                scope = scope.outer
            return "global" if scope is not None and name in scope.variables | self.variables else ""
        if name in self.variables and name not in self.nonlocals:
            return "global" if self.kind == "module" else "local"
        scope = self.outer
        while scope is not None:
            if scope.kind != "class" and name in scope.variables:
                return "global" if scope.kind == "module" else "free"
            scope = scope.outer
        return ""

    def collect(self, statements: list[ast.stmt], names: Callable[[ast.stmt], tuple[list[str], list[str]]]) -> None:
        """Fill in the names from the statements of this scope (not of the scopes inside it)."""
        for statement in own_statements(statements):
            if isinstance(statement, ast.Global):
                self.globals.update(statement.names)
            elif isinstance(statement, ast.Nonlocal):
                self.nonlocals.update(statement.names)
            self.variables.update(names(statement)[0])
            if isinstance(statement, ast.Delete):
                self.deleted.update(target.id for target in statement.targets if isinstance(target, ast.Name))


def own_statements(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of one scope, those inside compound statements included, in source order."""
    stack = [iter(statements)]
    while stack:
        statement = next(stack[-1], None)
        if statement is None:
            stack.pop()
            continue
        yield statement
        if type(statement) in PLAIN or isinstance(statement, NESTED):
            continue
        if not hasattr(statement, "body") and not isinstance(statement, ast.Match):
            continue
        inner = [part for field in ("body", "orelse", "finalbody") if (part := getattr(statement, field, None))]
        for handler in getattr(statement, "handlers", ()):
            inner.insert(len(inner), handler.body)
        for case in getattr(statement, "cases", ()):
            inner.append(case.body)
        stack.extend(iter(part) for part in reversed(inner))


def names_of(statement: ast.stmt) -> tuple[list[str], list[str]]:
    """Return the variables that the head of a statement surely binds (not imports, functions and classes), and those whose
    objects it may change; the latter are always evaluated, so surely bound afterwards. Each in order, each once.
    """
    bound: dict[str, None] = {}
    touched: dict[str, None] = {}
    kind = type(statement)
    targets: list[ast.expr] = []
    if isinstance(statement, (ast.Assign, ast.Delete)):
        targets = list(statement.targets)
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign, ast.For, ast.AsyncFor)):
        targets = [statement.target] if kind is not ast.AnnAssign or statement.value is not None else []  # type: ignore[union-attr]
    elif isinstance(statement, (ast.With, ast.AsyncWith)):
        targets = [item.optional_vars for item in statement.items if item.optional_vars is not None]
    elif isinstance(statement, ast.Match):
        for case in statement.cases:
            for node in ast.walk(case.pattern):
                name = getattr(node, "name", None) or getattr(node, "rest", None)
                if isinstance(name, str):
                    bound[name] = None
    while targets:
        target = targets.pop(0)
        if isinstance(target, ast.Name):
            if kind is not ast.Delete:
                bound[target.id] = None
        elif isinstance(target, (ast.Tuple, ast.List)):
            targets[:0] = target.elts
        elif isinstance(target, ast.Starred):
            targets.insert(0, target.value)
        elif root := _root(target):
            touched[root] = None
    for expression in _head_expressions(statement):
        _look(expression, bound, touched)
    return list(bound), [name for name in touched if name not in bound]


def may_raise(statement: ast.stmt) -> bool:
    """Say whether the statement can end other than by reaching the next one."""
    if isinstance(statement, (ast.Pass, ast.Global, ast.Nonlocal)):
        return False
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Assign):
        return not all(isinstance(target, ast.Name) for target in statement.targets) or not isinstance(
            statement.value, ast.Constant
        )
    return True


def _root(node: ast.expr) -> str:
    """Return the variable at the bottom of `a.b[c].d`, or "" if there is a call or literal instead."""
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _head_expressions(statement: ast.stmt) -> list[ast.expr]:
    """Return the expressions that the statement itself evaluates (of a compound statement: its head)."""
    if isinstance(statement, (ast.With, ast.AsyncWith)):
        return [item.context_expr for item in statement.items]
    parts = [getattr(statement, field) for field in _HEADS.get(type(statement), ())]
    return [part for part in parts if part is not None]


_HEADS: dict[type[ast.stmt], tuple[str, ...]] = {
    ast.Expr: ("value",),
    ast.Assign: ("value",),
    ast.AugAssign: ("value",),
    ast.AnnAssign: ("value",),
    ast.Return: ("value",),
    ast.If: ("test",),
    ast.While: ("test",),
    ast.For: ("iter",),
    ast.AsyncFor: ("iter",),
    ast.Assert: ("test",),
    ast.Raise: ("exc", "cause"),
    ast.Match: ("subject",),
}

_PARTS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.Attribute: ("value",),
    ast.Subscript: ("value", "slice"),
    ast.BinOp: ("left", "right"),
    ast.UnaryOp: ("operand",),
    ast.Starred: ("value",),
    ast.Await: ("value",),
    ast.FormattedValue: ("value",),
    ast.IfExp: ("test",),  # the arms are evaluated or not
    ast.keyword: ("value",),
}


def _look(expression: ast.expr, bound: dict[str, None], touched: dict[str, None]) -> None:
    """Add the names that an expression surely binds or may change; not inside of comprehensions and lambdas."""
    stack: list[ast.AST | None] = [expression]
    looked = 0
    while stack and looked < _WALK_LIMIT:
        node = stack.pop()
        kind = type(node)
        looked += 1
        if kind is ast.Name or kind is ast.Constant or kind is ast.Lambda or node is None:
            continue
        if isinstance(node, ast.Call):
            _look_at_call(node, touched)
            stack += [*reversed(node.keywords), *reversed(node.args), node.func]
        elif kind in _PARTS:
            stack += [getattr(node, field) for field in reversed(_PARTS[kind])]
        elif isinstance(node, ast.NamedExpr):
            bound[node.target.id] = None
            stack.append(node.value)
        elif isinstance(node, ast.Compare):
            stack += [node.comparators[0], node.left]
        elif isinstance(node, ast.BoolOp):
            stack.append(node.values[0])
        elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            stack.extend(reversed(node.elts[:32]))
        elif isinstance(node, ast.Dict):
            stack.extend(reversed(node.values[:32]))
        elif isinstance(node, COMPREHENSIONS):
            stack.append(node.generators[0].iter)
        else:
            stack.extend(reversed(list(ast.iter_child_nodes(node))))


def _look_at_call(call: ast.Call, touched: dict[str, None]) -> None:
    """Add the receiver of a method call and the names handed to a call that may change its arguments."""
    if isinstance(call.func, ast.Attribute):
        if root := _root(call.func.value):
            touched[root] = None
    elif isinstance(call.func, ast.Name) and call.func.id in _UNCHANGING:
        return
    for argument in call.args:
        if isinstance(argument, ast.Name):
            touched[argument.id] = None
    for keyword in call.keywords:
        if isinstance(keyword.value, ast.Name):
            touched[keyword.value.id] = None
