"""A named sequence of problems: what `load` returns and what an environment draws from.

A set may hold its problems or make each one when it is asked for (an index over a file, a seeded generator); readers cannot tell.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from codeenv.problems.problem import Problem, ProblemError

__all__ = ["ProblemSet"]


class ProblemSet(Sequence[Problem]):
    """An immutable sequence of problems with unique ids.

    Args:
        rows: the problems; any sequence, lazy or not.
        name: the data set or file they come from.
        split: the part of it, empty if it has no parts.
        find: a fast way from an id to a position (`None` if there is no such id); without it the ids are read once.

    >>> from codeenv.problems import CallTest, Problem
    >>> one = Problem("demo/one", "Return 1.", "call", "f", public_tests=(CallTest((), {}, 1),))
    >>> problems = ProblemSet([one], name="demo")
    >>> len(problems), problems[0].id, problems.by_id("demo/one") is one, "demo/two" in problems.ids()
    (1, 'demo/one', True, False)
    """

    def __init__(
        self,
        rows: Sequence[Problem],
        *,
        name: str,
        split: str = "",
        find: Callable[[str], int | None] | None = None,
    ) -> None:
        self._rows = rows
        self._find = find
        self._positions: dict[str, int] | None = None
        self._again: Callable[[], ProblemSet] | None = None
        self.name = name
        self.split = split

    def loaded_by(self, again: Callable[[], ProblemSet]) -> ProblemSet:
        """Remember how this set was loaded, so that a copy in another process is loaded there and not carried over."""
        self._again = again
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._again is not None:
            return self._again, ()
        return copyreg.__newobj__, (type(self),), self.__dict__  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> ProblemSet: ...
    def __getitem__(self, index: int | slice) -> Problem | ProblemSet:
        if isinstance(index, slice):
            return self.select(range(*index.indices(len(self))))
        return self._rows[index]

    def __iter__(self) -> Iterator[Problem]:
        for index in range(len(self._rows)):
            yield self._rows[index]

    def __repr__(self) -> str:
        part = f", split {self.split!r}" if self.split else ""
        return f"<ProblemSet {self.name!r}{part}: {len(self)} problems>"

    def ids(self) -> list[str]:
        """Return the ids in order."""
        return list(self._by_id()) if self._find is None else [problem.id for problem in self]

    def by_id(self, problem_id: str) -> Problem:
        """Return the problem with this id.

        Raises:
            ProblemError: if there is none.
        """
        return self._rows[self.position(problem_id)]

    def position(self, problem_id: str) -> int:
        """Return the position of the problem with this id; raise `ProblemError` if there is none."""
        found = self._find(problem_id) if self._find else self._by_id().get(problem_id)
        if found is None:
            examples = ", ".join(repr(problem.id) for problem, _ in zip(self, range(3), strict=False))
            raise ProblemError(f"there is no problem {problem_id!r} in {self.name!r}; it has {len(self)}, such as {examples}")
        return found

    def select(self, indices: Sequence[int]) -> ProblemSet:
        """Return the problems at these positions, in this order, without reading them."""
        return ProblemSet(_View(self._rows, indices), name=self.name, split=self.split)

    def where(self, predicate: Callable[[Problem], bool], limit: int | None = None) -> ProblemSet:
        """Return the problems that satisfy a predicate, the first `limit` of them; reads each problem once."""
        chosen: list[int] = []
        for index, problem in enumerate(self):
            if limit is not None and len(chosen) >= limit:
                break
            if predicate(problem):
                chosen.append(index)
        return self.select(chosen)

    def _by_id(self) -> dict[str, int]:
        if self._positions is None:
            positions: dict[str, int] = {}
            for index, problem in enumerate(self):
                if positions.setdefault(problem.id, index) != index:
                    raise ProblemError(
                        f"{self.name}: rows {positions[problem.id]} and {index} share the id {problem.id!r}; ids must be unique"
                    )
            self._positions = positions
        return self._positions


class _View(Sequence[Problem]):
    """Some positions of another sequence, in an order of their own."""

    def __init__(self, rows: Sequence[Problem], indices: Sequence[int]) -> None:
        self._rows = rows
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Problem]: ...
    def __getitem__(self, index: int | slice) -> Problem | Sequence[Problem]:
        if isinstance(index, slice):
            return _View(self._rows, self._indices[index])
        return self._rows[self._indices[index]]
