"""What an agent does between two responses: repairs, regressions, repetitions, edits.

A step is a pair of successive turns of one episode. Every function here is pure and works on records.
"""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from codeenv.errors import MissingExtraError
from codeenv.evaluation.records import EpisodeRecord, ProblemCard, TurnRecord
from codeenv.problems import CallTest, Problem
from codeenv.problems.plain import PlainDataError

__all__ = ["StepFacts", "edit_distance", "error_flow", "facts_of", "shape_of", "steps"]


@dataclass(frozen=True, slots=True)
class StepFacts:
    """What happened from one turn to the next.

    Attributes:
        number: episode.
        turn: 0-based number of the first of the two turns.
        before, after: public verdicts.
        identical: whether the same program was submitted again.
        edit: `edit_distance` of the two programs, `None` if one is missing or distances were not asked for.
        passing_before: public tests that passed before.
        newly_passed, newly_broken: public tests whose outcome changed.
        type_right: whether the next program, on the first failing test, returned a value of the wanted type; `None` unless
            that test is a call test and the expected value is known.
        value_right: whether it passed that test; `None` if the next turn did not run it.
    """

    number: int
    problem_id: str
    turn: int
    before: str
    after: str
    identical: bool
    edit: float | None
    passing_before: int
    newly_passed: int
    newly_broken: int
    type_right: bool | None
    value_right: bool | None

    @property
    def repaired(self) -> bool:
        return self.after == "accepted"


def steps(episode: EpisodeRecord) -> Iterator[tuple[int, TurnRecord, TurnRecord]]:
    """Yield the steps of an episode with the 0-based number of their first turn."""
    for number, (before, after) in enumerate(zip(episode.turns, episode.turns[1:], strict=False)):
        yield number, before, after


def facts_of(episodes: Iterable[EpisodeRecord], problems: Mapping[str, ProblemCard], edits: int | None = 4000) -> list[StepFacts]:
    """Return the facts of every step.

    Args:
        episodes: recorded episodes.
        problems: their problems by id; without a problem's tests, `type_right` is `None`.
        edits: most edit distances computed, from evenly spread steps; `None` computes all.
    """
    found = [(episode, *step) for episode in episodes for step in steps(episode)]
    stride = 1 if edits is None or edits <= 0 else max(1, -(-len(found) // edits))
    facts = []
    for index, (episode, turn, before, after) in enumerate(found):
        wanted = edits != 0 and index % stride == 0
        facts.append(_facts(episode, turn, before, after, problems.get(episode.problem_id), wanted))
    return facts


def _facts(
    episode: EpisodeRecord, turn: int, before: TurnRecord, after: TurnRecord, problem: ProblemCard | None, edit: bool
) -> StepFacts:
    first = next((index for index, verdict in sorted(before.public.items()) if verdict != "accepted"), None)
    shared = before.public.keys() & after.public.keys()
    passed = {index for index in shared if after.public[index] == "accepted"}
    had = {index for index in shared if before.public[index] == "accepted"}
    value_right = None if first is None or first not in after.public else after.public[first] == "accepted"
    type_right = None
    if value_right is not None and problem is not None and first is not None:
        type_right = _type_right(problem, first, after.outputs.get(first, ""), value_right)
    both = before.source is not None and after.source is not None
    return StepFacts(
        number=episode.number,
        problem_id=episode.problem_id,
        turn=turn,
        before=before.verdict,
        after=after.verdict,
        identical=both and before.source == after.source,
        edit=edit_distance(before.source or "", after.source or "") if both and edit else None,
        passing_before=len(had),
        newly_passed=len(passed - had),
        newly_broken=len(had - passed),
        type_right=type_right,
        value_right=value_right,
    )


def _type_right(problem: ProblemCard, index: int, output: str, passed: bool) -> bool | None:
    if index >= len(problem.public_tests) or "expected" not in problem.public_tests[index]:
        return None
    try:
        row = {"id": problem.id, "statement": "", "mode": "call", "entry_point": problem.entry_point or "f"}
        test = Problem.from_dict({**row, "public_tests": [problem.public_tests[index]]}).public_tests[0]
    except PlainDataError:
        return None
    if passed or not isinstance(test, CallTest):
        return passed or None
    try:
        value = ast.literal_eval(output)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return bool(shape_of(value) == shape_of(test.expected))


def shape_of(value: Any) -> Any:
    """Return the type of a plain value: of a tuple the types of its items, of a list or set the set of them.

    >>> shape_of((1, "a")) == shape_of((2, "b")), shape_of([1]) == shape_of(["a"])
    (True, False)
    """
    if isinstance(value, tuple):
        return ("tuple", *(shape_of(item) for item in value))
    if isinstance(value, (list, set, frozenset)):
        return (type(value).__name__, frozenset(shape_of(item) for item in value))
    if isinstance(value, dict):
        return ("dict", frozenset((shape_of(key), shape_of(item)) for key, item in value.items()))
    return type(value).__name__


def edit_distance(before: str, after: str) -> float:
    """Return `1 - chrF` between two programs, 0.0 (equal) to 1.0 (RLEF, arXiv 2410.02089, section 3.4).

    chrF with character 6-grams, beta 2 and no word n-grams, the metric's usual settings; the earlier program is the reference.

    Raises:
        MissingExtraError: if sacrebleu is not installed.
    """
    if before == after:
        return 0.0
    if not before.strip() or not after.strip():
        return 1.0
    return 1.0 - float(_chrf().sentence_score(after, [before]).score) / 100.0


def error_flow(episodes: Iterable[EpisodeRecord], turn_limit: int) -> list[Counter[tuple[str, str]]]:
    """Count, for each turn, from which public verdict to which the episodes went.

    Returns:
        One counter per turn after the first, of `(before, after)`; an episode that has ended in `accepted` stays there, and
        one that passed the public tests but is not solved counts as `accepted` here.
    """
    flows: list[Counter[tuple[str, str]]] = [Counter() for _ in range(turn_limit - 1)]
    for episode in episodes:
        verdicts = [turn.verdict for turn in episode.turns][:turn_limit]
        verdicts += [verdicts[-1]] * (turn_limit - len(verdicts)) if verdicts else []
        for flow, before, after in zip(flows, verdicts, verdicts[1:], strict=False):
            flow[before, after] += 1
    return flows


@functools.cache
def _chrf() -> Any:
    try:
        from sacrebleu.metrics import CHRF
    except ImportError:
        raise MissingExtraError("the edit distance between programs", "sacrebleu", "bench") from None
    return CHRF(char_order=6, word_order=0, beta=2)
