"""The miniature family as a data set: seeded, by split (`train`, `tune`, `report`) and by rung.

Public tests: 3 inputs of two digits; private: 4 others. A rung names what the statement leaves open: `copy` (the tag, which the
feedback shows), `error` (the input form, which an exception gives away), `offset` and `operator` (which must be inferred from a
wrong value).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

from codeenv.problems.problem import ProblemError
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.procedural import mini
from codeenv.problems.registry import Request

__all__ = ["RUNGS", "load_mini"]

RUNGS = {"copy": "T", "error": "F", "offset": "K", "operator": "O"}
"""Rung to the slot of a program that its statements may leave open."""

_BATCH = 4096


def load_mini(request: Request, seed: int = 0, size: int = 1000, rungs: Sequence[str] | str = tuple(RUNGS)) -> ProblemSet:
    """Return seeded problems of the miniature family.

    Args:
        request: with the split.
        seed: another seed, other problems.
        size: how many problems.
        rungs: what statements may leave open; only problems whose open slots are all among these rungs are drawn.
    """
    if not isinstance(size, int) or size < 1:
        raise ProblemError(f"size is {size!r}; use a whole number of at least 1")
    rungs = (rungs,) if isinstance(rungs, str) else rungs  # as written on a command line: rungs=copy
    if not rungs or not set(rungs) <= set(RUNGS):
        raise ProblemError(f"rungs is {tuple(rungs)!r}; use some of {', '.join(RUNGS)}")
    allowed = {RUNGS[rung] for rung in rungs}
    if not any(set(mask) <= allowed for mask in mini.MASKS):
        raise ProblemError(f"no statement leaves only {', '.join(rungs)} open; add another rung, such as operator")
    tasks: dict[str, mini.MiniTask] = {}
    for batch in itertools.count():
        for task in mini.sample_tasks(cast(mini.Split, request.split), _BATCH, seed * 1_000_003 + batch):
            if set(task.mask) <= allowed:
                tasks.setdefault(task.id, task)
            if len(tasks) >= size:
                return ProblemSet([mini.problem(task) for task in tasks.values()], name="mini", split=request.split)
    raise AssertionError  # the count never ends
