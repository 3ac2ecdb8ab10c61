"""A run in numbers: solve rates by turn and budget, and how the agent behaves between turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codeenv.errors import MissingExtraError
from codeenv.evaluation.behaviour import StepFacts, error_flow, facts_of
from codeenv.evaluation.estimators import n_at_k, pass_at_k
from codeenv.evaluation.intervals import NOTHING, Estimate, bootstrap_mean, bootstrap_ratio
from codeenv.evaluation.records import EpisodeRecord, RunRecord

__all__ = ["Summary", "budget_curve", "per_problem", "solved_by_turn", "summarise"]

ERROR_CLASSES = (
    "wrong_answer", "runtime_error", "time_limit", "memory_limit", "output_limit", "compile_error", "no_code",
    "security_violation",
)  # fmt: skip
"""Public verdicts a turn can fail with, in the order in which tables list them."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers of one run; every rate has a 95 % interval over problems.

    Attributes:
        name: of the run.
        problems, episodes, responses: counts.
        turn_limit: most responses in an episode.
        solve_rate: share of episodes solved (`1@turn_limit` when every problem has the same number of rollouts).
        solved_at: share of episodes solved within 1, 2, ... turns.
        public_rate: share of episodes whose last program passes the public tests.
        reward: mean reward of an episode.
        budgets: `n@k` and `pass@k` by name, such as `1@3`.
        repair: by error class of the turn before: share of steps after which all public tests pass.
        first_errors: by public verdict: share of first responses.
        identical: share of steps that submit the same program again.
        regressions: share of steps that break a public test which passed before, of the steps where one passed before.
        newly_passed, newly_broken: public tests per step.
        edit: mean `1 - chrF` between successive programs.
        type_right, value_right: share of steps whose next program returns the wanted type, the wanted value, on the test that
            the feedback was about.
        groups: solve rate by difficulty and by source.
        flow: error flow, see `error_flow`.
        edits: the edit distances, for the histogram.
    """

    name: str
    problems: int
    episodes: int
    responses: int
    turn_limit: int
    solve_rate: Estimate
    solved_at: tuple[Estimate, ...]
    public_rate: Estimate
    reward: Estimate
    budgets: Mapping[str, Estimate]
    repair: Mapping[str, Estimate]
    first_errors: Mapping[str, float]
    identical: Estimate
    regressions: Estimate
    newly_passed: Estimate
    newly_broken: Estimate
    edit: Estimate
    type_right: Estimate
    value_right: Estimate
    groups: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    flow: tuple[Mapping[tuple[str, str], int], ...] = ()
    edits: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""

        def plain(value: Any) -> Any:
            if isinstance(value, Estimate):
                return value.to_dict()
            if isinstance(value, Mapping):
                return {key if isinstance(key, str) else " > ".join(key): plain(item) for key, item in value.items()}
            if isinstance(value, tuple):
                return [plain(item) for item in value]
            return value

        return {name: plain(getattr(self, name)) for name in self.__slots__ if name != "edits"}


def per_problem(run: RunRecord, value: Callable[[EpisodeRecord], float]) -> dict[str, float]:
    """Return the mean of `value` over the episodes of each problem."""
    return {
        name: sum(value(episode) for episode in episodes) / len(episodes) for name, episodes in sorted(run.by_problem().items())
    }


def solved_by_turn(episode: EpisodeRecord, turn: int) -> bool:
    """Return whether an episode was solved with at most `turn` responses."""
    return episode.solved and len(episode.turns) <= turn


def budget_curve(run: RunRecord, submissions: int = 1) -> list[tuple[int, float]]:
    """Return `n@k` for each budget that the recorded rollouts cover: `(k, mean over problems)`."""
    turns = run.turn_limit
    groups = run.by_problem()
    most = min(len(episodes) for episodes in groups.values())
    curve = []
    for drawn in _spread(most):
        values = [n_at_k(*_counts(episodes), n=submissions, k=drawn * turns, turns=turns) for episodes in groups.values()]
        curve.append((drawn * turns, sum(values) / len(values)))
    return curve


def summarise(run: RunRecord, budgets: Sequence[tuple[int, int]] = ((1, 3), (10, 100)), seed: int = 0) -> Summary:
    """Return a run's numbers.

    Args:
        run: the run.
        budgets: `(n, k)` pairs; those that the recorded rollouts do not cover are left out.
        seed: of the bootstrap.
    """

    def mean(value: Callable[[EpisodeRecord], float]) -> Estimate:
        return bootstrap_mean(list(per_problem(run, value).values()), seed)

    try:
        facts = facts_of(run.episodes, run.problems)
    except MissingExtraError:  # without sacrebleu there are no edit distances; all else holds
        facts = facts_of(run.episodes, run.problems, edits=0)

    def rate(hit: Callable[[StepFacts], float], chance: Callable[[StepFacts], float] = lambda fact: 1.0) -> Estimate:
        return _step_ratio(facts, hit, chance, seed)

    turns = run.turn_limit
    first = Counter(episode.turns[0].verdict for episode in run.episodes if episode.turns)
    classes = [name for name in ERROR_CLASSES if any(fact.before == name for fact in facts)]
    return Summary(
        name=run.name,
        problems=len(run.by_problem()),
        episodes=len(run.episodes),
        responses=sum(len(episode.turns) for episode in run.episodes),
        turn_limit=turns,
        solve_rate=mean(lambda episode: episode.solved),
        solved_at=tuple(mean(lambda episode, turn=turn: solved_by_turn(episode, turn)) for turn in range(1, turns + 1)),  # type: ignore[misc]
        public_rate=mean(lambda episode: episode.public_passed),
        reward=mean(lambda episode: episode.reward),
        budgets=_budgets(run, budgets, seed),
        repair={
            name: rate(lambda fact: fact.repaired, lambda fact, name=name: fact.before == name)  # type: ignore[misc]
            for name in classes
        },
        first_errors={name: count / len(run.episodes) for name, count in sorted(first.items())},
        identical=rate(lambda fact: fact.identical),
        regressions=rate(lambda fact: fact.newly_broken > 0, lambda fact: fact.passing_before > 0),
        newly_passed=rate(lambda fact: fact.newly_passed),
        newly_broken=rate(lambda fact: fact.newly_broken),
        edit=rate(lambda fact: fact.edit or 0.0, lambda fact: fact.edit is not None),
        type_right=rate(lambda fact: bool(fact.type_right), lambda fact: fact.type_right is not None),
        value_right=rate(lambda fact: bool(fact.value_right), lambda fact: fact.value_right is not None),
        groups=_groups(run, seed),
        flow=tuple(error_flow(run.episodes, turns)),
        edits=tuple(fact.edit for fact in facts if fact.edit is not None),
    )


def _step_ratio(
    facts: Sequence[StepFacts], hit: Callable[[StepFacts], float], chance: Callable[[StepFacts], float], seed: int
) -> Estimate:
    """Return hits per chance over steps; the interval draws problems."""
    hits: Counter[str] = Counter()
    chances: Counter[str] = Counter()
    for fact in facts:
        if share := chance(fact):
            chances[fact.problem_id] += share  # type: ignore[assignment]
            hits[fact.problem_id] += hit(fact)  # type: ignore[assignment]
    names = sorted(chances)
    return bootstrap_ratio([hits[name] for name in names], [chances[name] for name in names], seed) if names else NOTHING


def _counts(episodes: Sequence[EpisodeRecord]) -> tuple[int, int, int]:
    passed = [episode for episode in episodes if episode.public_passed]
    return len(episodes), len(passed), sum(episode.solved for episode in passed)


def _budgets(run: RunRecord, budgets: Sequence[tuple[int, int]], seed: int) -> dict[str, Estimate]:
    groups = [episodes for _, episodes in sorted(run.by_problem().items())]
    least = min(len(episodes) for episodes in groups)
    found = {}
    for n, k in budgets:
        if 1 <= k // run.turn_limit <= least:
            values = [n_at_k(*_counts(episodes), n=n, k=k, turns=run.turn_limit) for episodes in groups]
            found[f"{n}@{k}"] = bootstrap_mean(values, seed)
    for k in (1, 10, 100):
        if k <= least:
            values = [pass_at_k(len(episodes), sum(episode.solved for episode in episodes), k) for episodes in groups]
            found[f"pass@{k}"] = bootstrap_mean(values, seed)
    return found


def _groups(run: RunRecord, seed: int) -> dict[str, dict[str, Estimate]]:
    rates = per_problem(run, lambda episode: episode.solved)
    found: dict[str, dict[str, Estimate]] = {}
    for title, name_of in (("difficulty", _difficulty), ("source", _source)):
        members: dict[str, list[float]] = {}
        for problem_id, value in rates.items():
            members.setdefault(name_of(run, problem_id), []).append(value)
        if len(members) > 1:
            found[title] = {name: bootstrap_mean(values, seed) for name, values in sorted(members.items())}
    return found


def _difficulty(run: RunRecord, problem_id: str) -> str:
    card = run.problems.get(problem_id)
    if card is None or card.difficulty is None:
        return "unknown"
    return ("0.0-0.2", "0.2-0.4", "0.4-0.6", "0.6-0.8", "0.8-1.0")[min(4, int(card.difficulty * 5))]


def _source(run: RunRecord, problem_id: str) -> str:
    card = run.problems.get(problem_id)
    return (card.source if card else "") or "unknown"


def _spread(most: int) -> list[int]:
    """Return up to about 40 whole numbers from 1 to `most`, denser where they are small."""
    numbers = {1, most}
    value = 1.0
    while value < most:
        numbers.add(round(value))
        value = max(value + 1, value * 1.15)
    return sorted(number for number in numbers if number <= most)
