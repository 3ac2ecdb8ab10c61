"""Groups of private tests and their scores, as contests with partial points have them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["Group", "full_score", "kept", "score"]

MODES = ("min", "first_error", "sum")


@dataclass(frozen=True, slots=True)
class Group:
    """A group of private tests.

    Attributes:
        name: its name, such as `data/secret/subtask1`.
        max_score: what it is worth if every case is accepted; infinite if nothing says it, which counts as 1.
        mode: `min` or `first_error` (all cases must pass for the score), `sum` (each case counts equally).
        cases: indices into the private tests.
        flags: validator flags of the group, where it comes from a contest package.
    """

    name: str
    max_score: float
    mode: str
    cases: tuple[int, ...]
    flags: tuple[str, ...] = ()

    @property
    def worth(self) -> float:
        """The score of the group if every case is accepted."""
        return self.max_score if math.isfinite(self.max_score) else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready row of the group."""
        bound = self.max_score if math.isfinite(self.max_score) else None
        return {"name": self.name, "max_score": bound, "mode": self.mode, "cases": list(self.cases), "flags": list(self.flags)}

    @classmethod
    def from_dict(cls, row: Any, tests: int) -> Group:
        """Return the group of a row; raise `ValueError` with the reason if it is malformed or names a test that there is not."""
        if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not isinstance(row.get("cases"), list):
            raise ValueError("must be an object with name, cases, max_score and mode")
        bound, mode = row.get("max_score"), row.get("mode", "min")
        if isinstance(bound, bool) or not (bound is None or (isinstance(bound, (int, float)) and 0 <= bound < math.inf)):
            raise ValueError(f"has max_score {bound!r}; use a number or null")
        if mode not in MODES:
            raise ValueError(f"has mode {mode!r}; use one of {', '.join(MODES)}")
        for case in row["cases"]:
            if not isinstance(case, int) or isinstance(case, bool) or not 0 <= case < tests:
                raise ValueError(f"has the case {case!r}; there are {tests} private tests")
        return cls(
            row["name"], math.inf if bound is None else float(bound), mode, tuple(row["cases"]), tuple(row.get("flags", ()))
        )


def score(groups: Sequence[Group], passed: Sequence[bool]) -> float:
    """Return the score of a scoring problem from whether each private test passed.

    >>> score([Group("a", 30.0, "min", (0, 1)), Group("b", 70.0, "sum", (2, 3))], [True, True, True, False])
    65.0
    """
    total = 0.0
    for group in groups:
        right = sum(passed[index] for index in group.cases)
        total += group.worth * right / len(group.cases) if group.mode == "sum" else group.worth * (right == len(group.cases))
    return total


def full_score(groups: Sequence[Group]) -> float:
    """Return the score of a submission that passes everything."""
    return sum(group.worth for group in groups)


def kept(groups: Sequence[Group], tests: Sequence[int]) -> tuple[Group, ...]:
    """Return the groups when only these private tests are kept; a group without tests is gone."""
    place = {old: new for new, old in enumerate(tests)}
    left = [replace(group, cases=tuple(place[case] for case in group.cases if case in place)) for group in groups]
    return tuple(group for group in left if group.cases)
