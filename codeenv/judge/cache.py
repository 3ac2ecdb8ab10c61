"""What submissions did, remembered by input: the same program is not run twice on the same arguments.

It is sound only for deterministic programs whose tests do not influence each other, which is why it is opt-in and goes with
`isolation="batch"`. Expected values are not in it; each request is compared anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from codeenv.judge.outcomes import Outcome, Pending
from codeenv.judge.prepared import call_input
from codeenv.problems.problem import Problem, ProblemError

__all__ = ["ExecutionCache", "Program"]

_ENCODED = 256
"""Most input sequences of a function `inputs` whose encoded form is kept."""


class Program:
    """The outcomes of one program: by input, and one for all inputs if it does not compile or fails while it is defined."""

    __slots__ = ("outcomes", "whole")

    def __init__(self) -> None:
        self.outcomes: dict[bytes, Outcome | Pending] = {}
        self.whole: Outcome | None = None

    def outcome(self, data: bytes) -> Outcome | None:
        """Return the outcome for an input, or `None` if it is not known."""
        found = self.outcomes.get(data)
        if type(found) is Pending:
            found = self.outcomes[data] = found.outcome()
        return found or self.whole  # type: ignore[return-value]


class ExecutionCache:
    """Outcomes by (source, entry point, limits) and input.

    Args:
        inputs: argument tuples that a program of a call-mode problem is run on, beside the tests that ask for it, whenever it
            has to be run; later requests on these inputs are answered from memory. Or a function from the problem to
            such a sequence; one that gives the same object again spares encoding it anew.
        max_programs: most programs remembered; the oldest is forgotten first.

    >>> cache = ExecutionCache(inputs=[(n,) for n in range(100)])
    """

    def __init__(
        self, inputs: Sequence[tuple[Any, ...]] | Callable[[Problem], Sequence[tuple[Any, ...]]] = (), max_programs: int = 50_000
    ) -> None:
        if max_programs < 1:
            raise ProblemError(f"max_programs is {max_programs!r}; use a whole number of at least 1")
        self.max_programs = max_programs
        self._inputs = inputs
        self._fixed = None if callable(inputs) else tuple(call_input(tuple(args)) for args in inputs)
        self._encoded: dict[int, tuple[Any, tuple[bytes, ...]]] = {}
        self._programs: dict[tuple[Any, ...], Program] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._programs)

    def find(self, key: tuple[Any, ...]) -> Program | None:
        """Return what is known of a program."""
        return self._programs.get(key)

    def domain(self, problem: Problem) -> tuple[bytes, ...]:
        """Return the inputs that a new program of this problem is run on."""
        if problem.mode != "call":
            return ()
        if self._fixed is not None:
            return self._fixed
        assert callable(self._inputs)
        inputs = self._inputs(problem)
        known = self._encoded.get(id(inputs))
        if known is None or known[0] is not inputs:
            if len(self._encoded) >= _ENCODED:
                self._encoded.clear()
            known = self._encoded[id(inputs)] = inputs, tuple(call_input(tuple(args)) for args in inputs)
        return known[1]

    def add(self, key: tuple[Any, ...], outcomes: dict[bytes, Outcome | Pending], whole: Outcome | None) -> None:
        """Remember outcomes of a program; those already known stay."""
        with self._lock:
            program = self._programs.get(key)
            if program is None:
                while len(self._programs) >= self.max_programs:
                    del self._programs[next(iter(self._programs))]
                program = self._programs[key] = Program()
            for data, outcome in outcomes.items():
                program.outcomes.setdefault(data, outcome)
            if whole is not None:
                program.whole = whole
