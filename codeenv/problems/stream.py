"""A stream of problems for training: shuffled, weighted by source, with a curriculum, resumable at an exact position.

The state is a small JSON object. Nothing but positions and solve rates is kept: problems are read when they are drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from codeenv.problems.problem import Problem, ProblemError
from codeenv.problems.problem_set import ProblemSet

__all__ = ["Curriculum", "ProblemStream"]

Curriculum = Literal["none", "difficulty", "solve_rate"]

_SMOOTHING = 0.3
_FLOOR = 0.1
_SKIP_LIMIT = 10_000


class ProblemStream(Iterator[Problem]):
    """An endless iterator over one or more problem sets.

    Each set is walked in a fresh random order each epoch. Sets are mixed so that the drawn counts follow the weights as closely
    as whole numbers can, without chance.

    Args:
        sources: a problem set, or sets by name.
        seed: of all orders.
        weights: share of each set by name; proportional to the sets' sizes if not given.
        curriculum: `none`; `difficulty` draws only problems up to a difficulty that grows over `ramp` epochs from the easiest
            fifth to all (unknown difficulty counts as 0.5); `solve_rate` prefers problems that are solved about
            half of the time, by what `record` was told: a problem is drawn with probability 4 r (1 - r), at least 0.1.
        ramp: epochs until the curriculum `difficulty` offers all problems.

    Raises:
        ProblemError: for an empty set, a weight without a set, or weights that are not positive.

    >>> from codeenv.problems import load
    >>> stream = ProblemStream(load("procedural", size=3), seed=1)
    >>> first = [next(stream).id for _ in range(4)]
    >>> state = stream.state()
    >>> following = next(stream).id
    >>> stream.restore(state)
    >>> next(stream).id == following, len(set(first[:3]))
    (True, 3)
    """

    def __init__(
        self,
        sources: ProblemSet | Mapping[str, ProblemSet],
        *,
        seed: int = 0,
        weights: Mapping[str, float] | None = None,
        curriculum: Curriculum = "none",
        ramp: int = 3,
    ) -> None:
        self._sets = {sources.name: sources} if isinstance(sources, ProblemSet) else dict(sources)
        if curriculum not in ("none", "difficulty", "solve_rate"):
            raise ProblemError(f"curriculum is {curriculum!r}; use 'none', 'difficulty' or 'solve_rate'")
        if not self._sets or (empty := [name for name, problems in self._sets.items() if not len(problems)]):
            raise ProblemError(
                f"the problem set {empty[0]!r} is empty" if self._sets else "a stream needs at least one problem set"
            )
        self._weights = self._normalised(weights)
        self._seed, self._curriculum, self._ramp = seed, curriculum, max(1, ramp)
        self._drawn = dict.fromkeys(self._sets, 0)
        self._positions = dict.fromkeys(self._sets, 0)
        self._rates: dict[str, float] = {}
        self._orders: dict[str, tuple[int, npt.NDArray[np.int64]]] = {}
        self._difficulties: dict[str, npt.NDArray[np.float32]] = {}

    def __next__(self) -> Problem:
        total = sum(self._drawn.values()) + 1
        name = max(self._sets, key=lambda source: self._weights[source] * total - self._drawn[source])
        self._drawn[name] += 1
        problems = self._sets[name]
        for _ in range(_SKIP_LIMIT):
            epoch, offset = divmod(self._positions[name], len(problems))
            index = int(self._order(name, epoch)[offset])
            self._positions[name] += 1
            if self._curriculum == "difficulty" and not self._easy_enough(name, index, epoch):
                continue
            problem = problems[index]
            if self._curriculum == "solve_rate" and self._chance(name, epoch, offset) >= self._interest(problem.id):
                continue
            return problem
        raise ProblemError(f"the curriculum {self._curriculum!r} passed over {_SKIP_LIMIT} problems of {name!r} in a row")

    def batch(self, count: int) -> list[Problem]:
        """Return the next `count` problems."""
        return [next(self) for _ in range(count)]

    def epoch(self, name: str | None = None) -> int:
        """Return how many times a set (the first, if not named) was walked completely."""
        source = next(iter(self._sets)) if name is None else name
        return self._positions[source] // len(self._sets[source])

    def record(self, problem_id: str, solved: bool) -> None:
        """Tell the outcome of an episode; only the curriculum `solve_rate` uses it."""
        before = self._rates.get(problem_id, 0.5)
        self._rates[problem_id] = round(before + _SMOOTHING * (float(solved) - before), 4)

    def state(self) -> dict[str, Any]:
        """Return the exact position as a JSON object."""
        sizes = {name: len(problems) for name, problems in self._sets.items()}
        settings = {"seed": self._seed, "curriculum": self._curriculum, "ramp": self._ramp, "sizes": sizes}
        return {**settings, "drawn": dict(self._drawn), "positions": dict(self._positions), "solve_rates": dict(self._rates)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go to the position of a state that a stream over the same sets with the same settings returned.

        Raises:
            ProblemError: if the sets or settings differ.
        """
        mine = self.state()
        for name in ("seed", "curriculum", "ramp", "sizes"):
            if state.get(name) != mine[name]:
                raise ProblemError(f"the stream's {name} is {mine[name]!r}, but the state was made with {state.get(name)!r}")
        self._drawn = {name: int(count) for name, count in state["drawn"].items()}
        self._positions = {name: int(count) for name, count in state["positions"].items()}
        self._rates = {name: float(rate) for name, rate in state["solve_rates"].items()}

    def _normalised(self, weights: Mapping[str, float] | None) -> dict[str, float]:
        given = dict(weights) if weights is not None else {name: float(len(problems)) for name, problems in self._sets.items()}
        if unknown := sorted(set(given) ^ set(self._sets)):
            raise ProblemError(f"weights and problem sets must have the same names; {unknown[0]!r} is in one of them only")
        if bad := [name for name, weight in given.items() if not weight > 0]:
            raise ProblemError(f"the weight of {bad[0]!r} is {given[bad[0]]!r}; use a positive number")
        total = sum(given.values())
        return {name: given[name] / total for name in self._sets}

    def _order(self, name: str, epoch: int) -> npt.NDArray[np.int64]:
        if name not in self._orders or self._orders[name][0] != epoch:
            generator = np.random.default_rng([self._seed, _number(name), epoch])
            self._orders[name] = (epoch, generator.permutation(len(self._sets[name])))
        return self._orders[name][1]

    def _easy_enough(self, name: str, index: int, epoch: int) -> bool:
        if epoch >= self._ramp:
            return True
        if name not in self._difficulties:
            values = (0.5 if problem.difficulty is None else problem.difficulty for problem in self._sets[name])
            self._difficulties[name] = np.fromiter(values, dtype=np.float32, count=len(self._sets[name]))
        share = 0.2 + 0.8 * epoch / self._ramp
        return bool(self._difficulties[name][index] <= np.quantile(self._difficulties[name], share))

    def _interest(self, problem_id: str) -> float:
        rate = self._rates.get(problem_id, 0.5)
        return max(_FLOOR, 4 * rate * (1 - rate))

    def _chance(self, name: str, epoch: int, offset: int) -> float:
        return _number(f"{self._seed} {name} {epoch} {offset}") / 2**32


def _number(text: str) -> int:
    """Return 32 bits that depend on a text only."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
