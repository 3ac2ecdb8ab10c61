"""A stream of problems for training: shuffled, weighted by source, with a curriculum, resumable at an exact position.

The state is a small JSON object. Nothing but positions and solve rates is kept: problems are read when they are drawn.
"""

from __future__ import annotations

import hashlib
import reprlib
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
_SAMPLED = 32
"""So many ids, spread evenly, stand for a set in a state."""


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
        if isinstance(ramp, bool) or not isinstance(ramp, int) or ramp < 1:
            raise ProblemError(f"ramp is {ramp!r}; use a whole number of epochs of at least 1")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ProblemError(f"seed is {seed!r}; use a whole number of at least 0")
        if not self._sets or (empty := [name for name, problems in self._sets.items() if not len(problems)]):
            raise ProblemError(
                f"the problem set {empty[0]!r} is empty" if self._sets else "a stream needs at least one problem set"
            )
        self._weights = self._normalised(weights)
        self._seed, self._curriculum, self._ramp = seed, curriculum, ramp
        self._drawn = dict.fromkeys(self._sets, 0)
        self._positions = dict.fromkeys(self._sets, 0)
        self._rates: dict[str, float] = {}
        self._orders: dict[str, tuple[int, npt.NDArray[np.int64]]] = {}
        self._difficulties: dict[str, npt.NDArray[np.float32]] = {}
        self._identities: dict[str, str] = {}

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
        """Tell the outcome of an episode; only the curriculum `solve_rate` uses it.

        Raises:
            ProblemError: if the id is no text, or the outcome neither true nor false.
        """
        if not isinstance(problem_id, str) or solved not in (False, True):
            raise ProblemError(f"record({problem_id!r}, {solved!r}): use a problem's id and whether it was solved")
        before = self._rates.get(problem_id, 0.5)
        self._rates[problem_id] = round(before + _SMOOTHING * (float(solved) - before), 4)

    def state(self) -> dict[str, Any]:
        """Return the exact position as a JSON object, with the settings and the identity of the sets that it belongs to."""
        return {
            "seed": self._seed,
            "curriculum": self._curriculum,
            "ramp": self._ramp,
            "sets": {name: [len(problems), self._identity(name)] for name, problems in self._sets.items()},
            "weights": {name: round(weight, 12) for name, weight in self._weights.items()},
            "drawn": dict(self._drawn),
            "positions": dict(self._positions),
            "solve_rates": dict(self._rates),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go to the position of a state that a stream over the same sets with the same settings returned.

        Raises:
            ProblemError: if the sets or settings differ, or it is no such state; the stream stays where it is then.
        """
        mine = self.state()
        if not isinstance(state, Mapping):
            raise ProblemError(f"the stream's state is {reprlib.repr(state)}; it must be what state() returned")
        if missing := [name for name in mine if name not in state]:
            raise ProblemError(f"the stream's state has no field {missing[0]!r}; use what state() returned")
        for name in ("seed", "curriculum", "ramp", "weights"):
            if state[name] != mine[name]:
                raise ProblemError(f"the stream's {name} is {mine[name]!r}, but the state was made with {state[name]!r}")
        if not isinstance(state["sets"], Mapping) or set(state["sets"]) != set(self._sets):
            raise ProblemError(f"the stream's sets are {', '.join(self._sets)}, but the state is of {_names(state['sets'])}")
        for name, (size, identity) in mine["sets"].items():
            other = state["sets"][name]
            if other != [size, identity]:
                same = isinstance(other, (list, tuple)) and len(other) == 2 and other[0] == size
                what = "other problems" if same else f"{size} problems, not those that the state counts ({reprlib.repr(other)})"
                raise ProblemError(f"the state is of another set {name!r}: the stream's has {what}")
        drawn, positions = (self._counts(state, field) for field in ("drawn", "positions"))
        rates = state["solve_rates"]
        if not isinstance(rates, Mapping) or not all(_is_number(rate) and 0 <= rate <= 1 for rate in rates.values()):
            raise ProblemError("the stream's state: field 'solve_rates' must hold a number from 0 to 1 for each problem id")
        self._drawn, self._positions, self._rates = drawn, positions, {str(key): float(rate) for key, rate in rates.items()}

    def _counts(self, state: Mapping[str, Any], field: str) -> dict[str, int]:
        counts = state[field]
        if not isinstance(counts, Mapping) or set(counts) != set(self._sets):
            raise ProblemError(f"the stream's state: field {field!r} must hold a number for each of {', '.join(self._sets)}")
        for name, count in counts.items():
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise ProblemError(f"the stream's state: field '{field}.{name}' is {reprlib.repr(count)}; it must be a count")
        return {name: counts[name] for name in self._sets}

    def _identity(self, name: str) -> str:
        """Return a text that depends on the ids of problems spread over a set: the same on every machine, quick for every set."""
        if name not in self._identities:
            problems = self._sets[name]
            places = sorted({number * (len(problems) - 1) // (_SAMPLED - 1) for number in range(_SAMPLED)})
            text = "\n".join(problems[place].id for place in places)
            self._identities[name] = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        return self._identities[name]

    def _normalised(self, weights: Mapping[str, float] | None) -> dict[str, float]:
        given = dict(weights) if weights is not None else {name: float(len(problems)) for name, problems in self._sets.items()}
        if unknown := sorted(set(given) ^ set(self._sets)):
            raise ProblemError(f"weights and problem sets must have the same names; {unknown[0]!r} is in one of them only")
        if bad := [name for name, weight in given.items() if not _is_number(weight) or not 0 < weight < float("inf")]:
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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _names(sets: Any) -> str:
    return ", ".join(map(str, sets)) if isinstance(sets, Mapping) else reprlib.repr(sets)


def _number(text: str) -> int:
    """Return 32 bits that depend on a text only."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
