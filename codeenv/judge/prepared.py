"""A problem made ready for judging: inputs as bytes for the sandbox, expected values kept apart for the judge."""

from __future__ import annotations

import marshal
import threading
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from codeenv.problems.problem import CallTest, Checker, CodeTest, Problem, ProblemError, StdioTest
from codeenv.sandbox.units import Kind, Unit

__all__ = ["Preparations", "Prepared", "PreparedTest", "Which", "call_input"]

Which: TypeAlias = Literal["public", "private", "all"]

_KEPT = 4096


def call_input(args: tuple[Any, ...], kwargs: Any = None) -> bytes:
    """Return the bytes that carry the arguments of a call to a sandbox; equal bytes mean equal arguments, type by type.

    Raises:
        ProblemError: an argument is not plain data.
    """
    try:
        return marshal.dumps((tuple(args), dict(kwargs or {})), 2)
    except ValueError:
        raise ProblemError(
            f"the arguments {_short(args)} are not plain data; use numbers, texts and built-in containers"
        ) from None


@dataclass(slots=True)  # not frozen: that makes one three times as dear, and every problem of a training run has its own
class PreparedTest:
    """One test: its place in the problem, its input for the sandbox, and what the judge compares with."""

    index: int
    public: bool
    kind: Kind
    data: bytes
    expected: Any
    shown_input: Any


@dataclass(frozen=True, slots=True)
class Prepared:
    """The tests of one request, ready to run."""

    problem: Problem
    tests: tuple[PreparedTest, ...]
    simple: bool
    program_key: tuple[Any, ...]
    checker: Checker

    def unit(
        self,
        kind: Kind,
        source: bytes,
        data: tuple[bytes, ...],
        needed: tuple[int, ...] = (),
        flags: str | None = None,
        mode: str = "",
    ) -> Unit:
        """Return the unit of work that runs a submission on inputs, under the problem's limits; `flags` replace the entry."""
        limits = self.problem.limits
        prelude = self.problem.starter_code.encode("utf-8", "replace") if kind == "code" else b""
        return Unit(
            kind,
            source,
            self.problem.entry_point or "" if flags is None else flags,
            data,
            needed,
            prelude,
            limits.time_limit_s,
            limits.memory_mb << 20,
            limits.output_kb << 10,
            mode,
        )


class Preparations:
    """Prepared problems, remembered by the identity of the problem object; thread-safe and bounded."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], Prepared] = {}
        self._lock = threading.Lock()

    def get(self, problem: Problem, which: Which) -> Prepared:
        """Return the prepared tests of a problem: public, private, or all.

        Raises:
            ProblemError: there are none.
        """
        key = (id(problem), which)
        found = self._kept.get(key)
        if found is not None and found.problem is problem:
            return found
        prepared = _prepare(problem, which)
        with self._lock:
            if len(self._kept) >= _KEPT:
                for old in list(self._kept)[: _KEPT // 4]:
                    del self._kept[old]
            self._kept[key] = prepared
        return prepared


def _prepare(problem: Problem, which: Which) -> Prepared:
    chosen = problem.tests(which)
    if not chosen:
        other = "private" if which == "public" else "public"
        raise ProblemError(
            f"problem {problem.id!r} has no {which} tests, so nothing can be judged by them; ask for its {other} ones"
        )
    public = len(problem.public_tests)
    first = public if which == "private" else 0
    tests = []
    for index, test in enumerate(chosen, first):
        kind: Kind
        shown: Any
        if isinstance(test, CallTest):
            kind, data, expected, shown = "call", call_input(test.args, test.kwargs), test.expected, (test.args, test.kwargs)
        elif isinstance(test, StdioTest):
            kind, data, expected, shown = "stdio", test.input.encode("utf-8", "surrogateescape"), test.output, test.input
        else:
            assert isinstance(test, CodeTest)
            kind, data, expected, shown = "code", test.code.encode("utf-8", "replace"), None, test.code
        tests.append(PreparedTest(index, index < public, kind, data, expected, shown))
    simple = all(test.kind != "code" for test in tests) and problem.checker.kind not in ("program", "validator")
    limits = problem.limits
    key = (problem.mode, problem.entry_point, limits.time_limit_s, limits.memory_mb, limits.output_kb)
    return Prepared(problem, tuple(tests), simple, key, problem.checker)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
