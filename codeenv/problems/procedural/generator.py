"""Problems without end: problem number i of a seed and a split, made when it is asked for, always the same.

A program belongs to one split by the hash of its reference source: whole programs are held out, not only their inputs.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from random import Random
from typing import overload

from codeenv.problems.problem import Problem, ProblemError
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.procedural.functions import LEVELS, draw_function, function_problem
from codeenv.problems.procedural.programs import draw_program, program_problem
from codeenv.problems.registry import Request

__all__ = ["FAMILIES", "Generated", "load_procedural", "split_of"]

FAMILIES = ("mixed", "functions", "stdio")
"""`mixed` draws 70 % functions and 30 % stdio programs."""

_STDIO_SHARE = 0.3
_SIZES = {"train": 10_000, "valid": 1_000, "test": 1_000}
_BOUNDS = {"train": range(70), "valid": range(70, 85), "test": range(85, 100)}


def load_procedural(
    request: Request,
    family: str = "mixed",
    seed: int = 0,
    levels: Sequence[int] | int = (1, 2, 3),
    vague: float = 0.15,
    size: int | None = None,
) -> ProblemSet:
    """Return seeded problems.

    Args:
        request: with the split, `train`, `valid` or `test`.
        family: `mixed`, `functions` (small functions) or `stdio` (programs); the family `mini` is the data set `mini`.
        seed: another seed, other problems; the programs of a split stay in it.
        levels: numbers of steps to draw from, of 1 (trivial) to 4.
        vague: the probability that the statement leaves a step open, which only feedback settles.
        size: how many problems; 10,000 for `train` and 1,000 for the others if not given. It changes no problem.
    """
    if family not in FAMILIES:
        raise ProblemError(f"family is {family!r}; use one of {', '.join(FAMILIES)}, or the data set 'mini'")
    levels = (levels,) if isinstance(levels, int) else levels  # as written on a command line: levels=1
    if not levels or isinstance(levels, str) or not set(levels) <= set(LEVELS):
        raise ProblemError(f"levels is {levels!r}; use some of {', '.join(map(str, LEVELS))}")
    if not 0.0 <= vague <= 1.0:
        raise ProblemError(f"vague is {vague!r}; use a probability")
    if request.path is not None:
        raise ProblemError(f"the data set 'procedural' reads no file, but was given {str(request.path)!r}")
    count = _SIZES[request.split] if size is None else size
    if not isinstance(count, int) or count < 1:
        raise ProblemError(f"size is {size!r}; use a whole number of at least 1")
    rows = Generated(family, seed, request.split, tuple(levels), vague, count)
    return ProblemSet(rows, name="procedural", split=request.split, find=rows.find)


def split_of(source: str) -> str:
    """Return the split of a program: 70 % of all are in `train`, 15 % each in `valid` and `test`."""
    bucket = int(hashlib.md5(source.encode(), usedforsecurity=False).hexdigest(), 16) % 100
    return next(split for split, bounds in _BOUNDS.items() if bucket in bounds)


class Generated(Sequence[Problem]):
    """The problems of a seed, split and settings; see `load_procedural`."""

    def __init__(self, family: str, seed: int, split: str, levels: tuple[int, ...], vague: float, size: int) -> None:
        self._settings = (family, seed, split, levels, vague)
        self._size = size
        self._cached = functools.lru_cache(maxsize=1024)(self._make)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> list[Problem]: ...
    def __getitem__(self, index: int | slice) -> Problem | list[Problem]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(self._size))]
        if not -self._size <= index < self._size:
            raise IndexError(index)
        return self._cached(index % self._size)

    def find(self, problem_id: str) -> int | None:
        """Return the position of an id, which ends in it; `None` if the problem there has another id."""
        index = problem_id.rpartition("/")[2]
        if not index.isdecimal() or int(index) >= self._size or self[int(index)].id != problem_id:
            return None
        return int(index)

    def __getstate__(self) -> tuple[tuple[str, int, str, tuple[int, ...], float], int]:
        return self._settings, self._size

    def __setstate__(self, state: tuple[tuple[str, int, str, tuple[int, ...], float], int]) -> None:
        self.__init__(*state[0], state[1])  # type: ignore[misc]

    def _make(self, index: int) -> Problem:
        family, seed, split, levels, vague = self._settings
        random = Random(f"{family} {seed} {split} {levels} {vague} {index}")
        stdio = family == "stdio" or (family == "mixed" and random.random() < _STDIO_SHARE)
        key = hashlib.md5(f"{family} {levels} {vague}".encode(), usedforsecurity=False).hexdigest()[:6]
        problem_id = f"procedural/{'stdio' if stdio else 'functions'}-{key}/{seed}/{split}/{index}"
        level = random.choice(levels)  # fixed first: harder programs are not under-represented by the draws that fail
        while True:
            problem: Problem | None = None
            if stdio:
                program = draw_program(random, level)
                if split_of(program.source()) == split:
                    problem = program_problem(problem_id, program, random, vague)
            else:
                chain = draw_function(random, level)
                if split_of(chain.source("solve")) == split:
                    problem = function_problem(problem_id, chain, random, vague)
            if problem is not None:
                return problem
