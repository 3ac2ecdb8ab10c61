"""Labels of one submission from one traced run on a public test: outcome, exception, lines run, final values.

Nothing here sees a private test: runs are made from the problem's public tests alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from codeenv.agents.trace_head.classes import NOT_REACHED, exception_class, outcome_class, value_classes
from codeenv.judge import Judge, JudgeRequest
from codeenv.judge.verdict import Report, Verdict
from codeenv.prediction.attempt import recording_request
from codeenv.problems import CallTest, Problem, StdioTest
from codeenv.text import program_lines
from codeenv.trace import Trace, TraceError

__all__ = ["RunLabels", "Submission", "TracedLabels", "Variable", "executable_lines", "last_assignments", "run_labels"]


@dataclass(frozen=True, slots=True)
class Submission:
    """A program (`None`: the response held none), the problem that it was written for, and its public report."""

    problem: Problem
    source: str | None
    public: Report


@dataclass(frozen=True, slots=True)
class Variable:
    """A traced variable: `name` is `f.x` or `x`, `end` the character behind its last static assignment."""

    name: str
    end: int
    type: int
    bucket: int


@dataclass(frozen=True, slots=True)
class RunLabels:
    """Class numbers as in `classes.HEADS`; `None` and empty where a head has nothing to learn.

    Attributes:
        outcome: of the public test that was run.
        exception: of the exception that ended the run.
        lines: executable line (1-based) to whether it was run.
        variables: the traced variables.
    """

    outcome: int | None
    exception: int | None = None
    lines: dict[int, bool] = field(default_factory=dict)
    variables: tuple[Variable, ...] = ()


def executable_lines(tree: ast.Module) -> frozenset[int]:
    """Return the lines on which a statement starts, without definitions, classes, imports and docstrings."""
    left_out = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal)
    return frozenset(
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
        and not isinstance(node, left_out)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    )


@dataclass(frozen=True, slots=True)
class _Scope:
    """A module (`node` is it), function or class: what its names begin with, and its names that another scope owns."""

    node: ast.AST
    prefix: str = ""
    elsewhere: dict[str, str] = field(default_factory=dict)


def last_assignments(source: str, tree: ast.Module) -> dict[str, int]:
    """Return for each variable, as `f.x` or `x`, the character position behind its last static assignment.

    What a function declares `global` or `nonlocal` is the owner's variable. Left out are names of class bodies, which are
    attributes, and variables that an inner function rebinds: a record shows their values in the function that owns them alone.
    """
    lines = program_lines(source)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def position(node: ast.stmt | ast.expr) -> int:  # columns are bytes
        line, column = node.end_lineno or node.lineno, node.end_col_offset or 0
        return starts[line - 1] + len(lines[line - 1].encode("utf-8", "surrogatepass")[:column].decode(errors="ignore"))

    found: dict[str, int] = {}
    shared: set[str] = set()

    def visit(node: ast.AST, scopes: list[_Scope], end: int | None) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = [*scopes, _scope(node, scopes)]
            shared.update(owner + name for name, owner in inner[-1].elsewhere.items() if owner)
            for statement in node.body:
                visit(statement, inner, None)
            return
        if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            return  # their variables are not traced
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            end = position(node)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            here = end if end is not None else position(node)
            scope = scopes[-1]
            if node.id in scope.elsewhere or not isinstance(scope.node, ast.ClassDef):
                key = scope.elsewhere.get(node.id, scope.prefix) + node.id
                found[key] = max(found.get(key, 0), here)
        for child in ast.iter_child_nodes(node):
            visit(child, scopes, end if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.expr)) else None)

    for statement in tree.body:
        visit(statement, [_Scope(tree)], None)
    return {name: end for name, end in found.items() if name not in shared}


def _scope(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, outer: Sequence[_Scope]) -> _Scope:
    elsewhere: dict[str, str] = {}
    for inner in _own(node):
        if isinstance(inner, ast.Global):
            elsewhere |= dict.fromkeys(inner.names, "")
        elif isinstance(inner, ast.Nonlocal):
            for name in inner.names:
                owners = [scope for scope in outer if _binds(scope.node, name)]
                elsewhere[name] = owners[-1].elsewhere.get(name, owners[-1].prefix) if owners else ""
    return _Scope(node, f"{outer[-1].prefix}{node.name}.", elsewhere)


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is inside a scope, without the insides of inner functions and classes."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _own(child)


def _binds(scope: ast.AST, name: str) -> bool:
    """Return whether a function has a variable of that name: a parameter or one that it assigns."""
    return isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)) and any(
        (isinstance(node, ast.arg) and node.arg == name)
        or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name)
        for node in _own(scope)
    )


def run_labels(source: str | None, verdict: Verdict, trace: Trace | None) -> RunLabels:
    """Return the labels of one run.

    Args:
        source: the program.
        verdict: that of the run's test.
        trace: its record, `None` if there is none; then only the outcome is known.
    """
    outcome = outcome_class(verdict)
    if source is None or trace is None or outcome is None:
        return RunLabels(outcome)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return RunLabels(outcome)
    foot = trace.footer
    raised = exception_class(foot.exception.type) if verdict is Verdict.RUNTIME_ERROR and foot.exception else None
    covered, uncovered = set(foot.covered), set(foot.uncovered)
    lines = {line: line in covered for line in sorted(executable_lines(tree) & (covered | uncovered))}
    final = {key.replace("<module>:", "").replace(":", "."): text for key, (_, text) in foot.final.items()}
    variables = []
    for name, end in last_assignments(source, tree).items():
        if name.rpartition(".")[2].startswith("_"):
            continue
        classes = value_classes(final[name]) if name in final else (None if foot.dropped else NOT_REACHED)
        if classes is not None:
            variables.append(Variable(name, end, *classes))
    return RunLabels(outcome, raised, lines, tuple(variables))


class TracedLabels:
    """Makes labels by running submissions again, recorded, on the first public test that they failed, else the first.

    Args:
        judge: runs them.
        trace: the trace's mode; `bounded` records the first iterations and calls, which is enough for most variables.
    """

    def __init__(self, judge: Judge, trace: str = "bounded") -> None:
        self.judge = judge
        self.trace = trace

    def __call__(self, submissions: Sequence[Submission]) -> list[RunLabels]:
        """Return the labels of each submission."""
        requests: list[JudgeRequest] = []
        asked: dict[int, int] = {}
        for index, one in enumerate(submissions):
            test = _test_of(one)
            if one.source is not None and isinstance(test, (StdioTest, CallTest)) and one.public.results:
                asked[index] = len(requests)
                requests.append(recording_request(one.problem, test, one.source, one.problem.limits, self.trace))
        reports = self.judge.judge_many(requests)
        labels = []
        for index, one in enumerate(submissions):
            trace = None
            if index in asked and reports[asked[index]].results:
                trace = _read(reports[asked[index]].results[0].trace)
            labels.append(run_labels(one.source, one.public.verdict, trace))
        return labels


def _test_of(submission: Submission) -> object:
    failed = submission.public.failed
    tests = submission.problem.public_tests
    if failed:
        return tests[failed[0].index] if failed[0].index < len(tests) else None
    return tests[0] if tests else None


def _read(text: str | None) -> Trace | None:
    if text is None:
        return None
    try:
        return Trace.from_jsonl(text)
    except TraceError:
        return None
