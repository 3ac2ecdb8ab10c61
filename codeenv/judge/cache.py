"""What submissions did, remembered by input: the same program is not run twice on the same arguments.

It is sound only for deterministic programs whose tests do not influence each other, which is why it is opt-in and goes with
`isolation="batch"`. Expected values are not in it; each request is compared anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from codeenv.judge.outcomes import BatchOutcomes, Outcome
from codeenv.judge.prepared import call_input
from codeenv.problems.problem import Problem, ProblemError

__all__ = ["Domain", "ExecutionCache", "Program"]

_ENCODED = 256
"""Most input sequences of a function `inputs` whose encoded form is kept."""


class Domain:
    """Inputs that programs are run on together, encoded, and the place of each among them."""

    __slots__ = ("places", "tests")

    def __init__(self, tests: tuple[bytes, ...]) -> None:
        self.tests = tests
        self.places = {data: place for place, data in enumerate(tests)}


class Program:
    """The outcomes of one program: by input, and one for all inputs if it does not compile or fails while it is defined."""

    __slots__ = ("batches", "whole")

    def __init__(self) -> None:
        self.batches: list[tuple[Domain, BatchOutcomes]] = []
        self.whole: Outcome | None = None

    def outcome(self, data: bytes) -> tuple[Outcome, float] | None:
        """Return the outcome for an input and its CPU seconds, or `None` if it is not known."""
        for domain, batch in self.batches:
            place = domain.places.get(data)
            if place is not None and (found := batch.outcome(place)) is not None:
                return found
        return None if self.whole is None else (self.whole, self.whole.time_s)

    def add(self, domain: Domain, batch: BatchOutcomes) -> None:
        """Add the outcomes of a batch; those already known stay."""
        self.batches = [*self.batches, (domain, batch)]
        if batch.whole is not None:
            self.whole = batch.whole


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
        self._fixed = None if callable(inputs) else _encoded(inputs)
        self._encoded: dict[int, tuple[Any, Domain]] = {}
        self._programs: dict[tuple[Any, ...], Program] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._programs)

    def find(self, key: tuple[Any, ...]) -> Program | None:
        """Return what is known of a program."""
        return self._programs.get(key)

    def domain(self, problem: Problem) -> Domain:
        """Return the inputs that a new program of this problem is run on."""
        if problem.mode != "call":
            return _NONE
        if self._fixed is not None:
            return self._fixed
        assert callable(self._inputs)
        inputs = self._inputs(problem)
        known = self._encoded.get(id(inputs))
        if known is None or known[0] is not inputs:
            if len(self._encoded) >= _ENCODED:
                self._encoded.clear()
            known = self._encoded[id(inputs)] = inputs, _encoded(inputs)
        return known[1]

    def add(self, key: tuple[Any, ...], domain: Domain, batch: BatchOutcomes) -> Program:
        """Remember the outcomes of a batch of a program, and return what is known of it now."""
        with self._lock:
            program = self._programs.get(key)
            if program is None:
                while len(self._programs) >= self.max_programs:
                    del self._programs[next(iter(self._programs))]
                program = self._programs[key] = Program()
            program.add(domain, batch)
            return program


def _encoded(inputs: Sequence[tuple[Any, ...]]) -> Domain:
    return Domain(tuple(dict.fromkeys(call_input(tuple(args)) for args in inputs)))


_NONE = Domain(())
