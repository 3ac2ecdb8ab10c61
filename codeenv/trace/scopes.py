"""Which names a program binds and may change, statement by statement: the static half of the instrumentation.

A name is recorded where a statement binds it, and where a statement may change the object behind it: the root of a subscript
or attribute that is stored to, the receiver of a method call, and a name handed to a call. Only names that are surely
bound at that point count, so that reading them cannot raise.

This module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

import ast

__all__ = ["Scope", "bound_names", "may_raise", "own_statements", "touched_names"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
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

    __slots__ = ("deleted", "globals", "hidden", "kind", "name", "nonlocals", "outer", "variables")

    def __init__(self, kind: str, name: str, outer: Scope | None, hidden: bool = False) -> None:
        self.kind = kind
        self.name = name
        self.outer = outer
        self.hidden = hidden  # the program looks at its own local variables here: ours must not be among them
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

    def collect(self, statements: list[ast.stmt]) -> None:
        """Fill in the names from the statements of this scope (not of the scopes inside it)."""
        for statement in own_statements(statements):
            if isinstance(statement, ast.Global):
                self.globals.update(statement.names)
            elif isinstance(statement, ast.Nonlocal):
                self.nonlocals.update(statement.names)
            self.variables.update(bound_names(statement))
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
        if isinstance(statement, NESTED):
            continue
        inner = [part for field in ("body", "orelse", "finalbody") if (part := getattr(statement, field, None))]
        for handler in getattr(statement, "handlers", ()):
            inner.insert(len(inner), handler.body)
        for case in getattr(statement, "cases", ()):
            inner.append(case.body)
        stack.extend(iter(part) for part in reversed(inner))


def bound_names(statement: ast.stmt) -> list[str]:
    """Return the variables that the head of a statement binds, in order, each once; not imports, functions and classes."""
    names: dict[str, None] = {}
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            _target_names(target, names)
    elif (
        isinstance(statement, ast.AugAssign)
        or (isinstance(statement, ast.AnnAssign) and statement.value is not None)
        or isinstance(statement, (ast.For, ast.AsyncFor))
    ):
        _target_names(statement.target, names)
    elif isinstance(statement, (ast.With, ast.AsyncWith)):
        for item in statement.items:
            if item.optional_vars is not None:
                _target_names(item.optional_vars, names)
    elif isinstance(statement, ast.Match):
        for case in statement.cases:
            for node in ast.walk(case.pattern):
                name = getattr(node, "name", None) or getattr(node, "rest", None)
                if isinstance(name, str):
                    names[name] = None
    for expression in _head_expressions(statement):
        for node in _unconditional(expression):
            if isinstance(node, ast.NamedExpr) and isinstance(node.target, ast.Name):
                names[node.target.id] = None
    return list(names)


def touched_names(statement: ast.stmt) -> list[str]:
    """Return the names whose objects the head of a statement may change: always evaluated, so surely bound afterwards."""
    names: dict[str, None] = {}
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = list(statement.targets)
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        targets = [statement.target]
    elif isinstance(statement, ast.Delete):
        targets = list(statement.targets)
    while targets:
        target = targets.pop(0)
        if isinstance(target, (ast.Tuple, ast.List)):
            targets[:0] = target.elts
        elif isinstance(target, ast.Starred):
            targets.insert(0, target.value)
        elif isinstance(target, (ast.Subscript, ast.Attribute)) and (root := _root(target)):
            names[root] = None
    for expression in _head_expressions(statement):
        for node in _unconditional(expression):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Attribute):
                if root := _root(node.func.value):
                    names[root] = None
            elif isinstance(node.func, ast.Name) and node.func.id in _UNCHANGING:
                continue
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                if isinstance(argument, ast.Name):
                    names[argument.id] = None
    return list(names)


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


def _target_names(target: ast.expr, names: dict[str, None]) -> None:
    if isinstance(target, ast.Name):
        names[target.id] = None
    elif isinstance(target, (ast.Tuple, ast.List)):
        for item in target.elts:
            _target_names(item, names)
    elif isinstance(target, ast.Starred):
        _target_names(target.value, names)


def _root(node: ast.expr) -> str:
    """Return the variable at the bottom of `a.b[c].d`, or "" if there is a call or literal instead."""
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _head_expressions(statement: ast.stmt) -> list[ast.expr]:
    """Return the expressions that the statement itself evaluates (of a compound statement: its head)."""
    if isinstance(statement, NESTED):
        return []
    found: list[ast.expr] = []
    for field in ("value", "test", "iter", "exc", "cause", "msg", "subject"):
        part = getattr(statement, field, None)
        if isinstance(part, ast.expr):
            found.append(part)
    found += [item.context_expr for item in getattr(statement, "items", ())]
    if isinstance(statement, ast.Assert):
        found = [statement.test]
    return found


def _unconditional(expression: ast.expr) -> Iterator[ast.AST]:
    """Yield the nodes that are surely evaluated with the expression, outermost first; not into comprehensions and lambdas."""
    queue: list[ast.AST] = [expression]
    looked = 0
    while queue and looked < _WALK_LIMIT:
        node = queue.pop(0) if looked < 8 else queue.pop()
        looked += 1
        yield node
        if isinstance(node, (ast.Name, ast.Constant, ast.Lambda)):
            continue
        if isinstance(node, COMPREHENSIONS):
            queue.append(node.generators[0].iter)
        elif isinstance(node, ast.BoolOp):
            queue.append(node.values[0])
        elif isinstance(node, ast.IfExp):
            queue.append(node.test)
        elif isinstance(node, ast.Compare):
            queue += [node.left, node.comparators[0]]
        elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            queue += node.elts[:32]
        elif isinstance(node, ast.Dict):
            queue += node.values[:32]
        else:
            queue.extend(ast.iter_child_nodes(node))
