"""The benchmark of feedback use: one agent, several feedback arms, the same budget; and the agents whose result is known."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError, MissingExtraError
from codeenv.evaluation.arms import check_arms, make_arm
from codeenv.evaluation.intervals import (
    Estimate,
    McNemar,
    binomial_test,
    bootstrap_share,
    mcnemar,
    paired_bootstrap,
    sign_flip_test,
)
from codeenv.evaluation.records import RunRecord, load_run
from codeenv.evaluation.summary import Summary, per_problem, summarise
from codeenv.judge import Judge
from codeenv.problems import Problem
from codeenv.rollout import Agent, AgentError, RolloutResult, rollout

__all__ = ["KNOWN_POINTS", "BenchResult", "Comparison", "KnownPoint", "compare_runs", "run_bench"]

KNOWN_POINTS = ("oracle", "repairs-on-feedback", "ignores-feedback")
"""Scripted agents that every benchmark runs beside the agent in question."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms over the problems they share.

    Attributes:
        difference: solve rate of the first minus that of the second; paired bootstrap over problems.
        share: the difference as a share of the gain that was possible over the second arm.
        p_value: paired sign-flip test on per-problem solve rates.
        mcnemar: McNemar's exact test on the first rollout of each problem.
    """

    first: str
    second: str
    difference: Estimate
    share: Estimate
    p_value: float
    mcnemar: McNemar

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        test = {"only_first": self.mcnemar.only_a, "only_second": self.mcnemar.only_b, "p_value": self.mcnemar.p_value}
        rest = {"difference": self.difference.to_dict(), "share": self.share.to_dict(), "p_value": self.p_value, "mcnemar": test}
        return {"first": self.first, "second": self.second, **rest}


@dataclass(frozen=True, slots=True)
class KnownPoint:
    """A scripted agent's solve rate in an arm, and where theory puts it.

    Attributes:
        p_value: chance of a result at least this far from theory if theory holds (exact binomial test over episodes).
    """

    agent: str
    arm: str
    rate: Estimate
    theory: float
    p_value: float

    @property
    def lands(self) -> bool:
        """Whether the measurement is compatible with theory, with one false alarm in a thousand."""
        return self.p_value >= 1e-3


@dataclass(slots=True)
class BenchResult:
    """What a benchmark found.

    Attributes:
        runs: the recorded run of each arm.
        summaries: its numbers.
        comparisons: the true arm against each other arm.
        known: the scripted agents.
        failures: one sentence per episode that could not be finished.
    """

    runs: dict[str, Path] = field(default_factory=dict)
    summaries: dict[str, Summary] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    known: list[KnownPoint] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def utilisation(self) -> Comparison | None:
        """Feedback utilisation: the true arm against the random one."""
        return next((item for item in self.comparisons if item.second in ("random", "random_same")), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        used = self.utilisation
        return {
            "schema": 1,
            "arms": {name: summary.to_dict() for name, summary in self.summaries.items()},
            "feedback_utilisation": used.to_dict() if used else None,
            "comparisons": [item.to_dict() for item in self.comparisons],
            "known_points": [
                {
                    "agent": item.agent,
                    "arm": item.arm,
                    "rate": item.rate.to_dict(),
                    "theory": item.theory,
                    "p_value": item.p_value,
                    "lands": item.lands,
                }
                for item in self.known
            ],
            "failures": self.failures,
        }


Progress = Callable[[str, RolloutResult], None]
"""Called with what is running and how far it is."""


def compare_runs(first: RunRecord, second: RunRecord, seed: int = 0) -> Comparison:
    """Return the paired comparison of two runs over the problems they share.

    Raises:
        CodeenvError: if they share no problem.
    """
    rates_a, rates_b = (per_problem(run, lambda episode: episode.solved) for run in (first, second))
    shared = sorted(rates_a.keys() & rates_b.keys())
    if not shared:
        raise CodeenvError(f"the runs {first.name!r} and {second.name!r} share no problem; compare runs of the same problems")
    a, b = [rates_a[name] for name in shared], [rates_b[name] for name in shared]
    once_a, once_b = ({e.problem_id: e.solved for e in run.episodes if e.rollout == 0} for run in (first, second))
    pairs = [name for name in shared if name in once_a and name in once_b]
    test = mcnemar([once_a[name] for name in pairs], [once_b[name] for name in pairs])
    return Comparison(
        first.name, second.name, paired_bootstrap(a, b, seed), bootstrap_share(a, b, seed), sign_flip_test(a, b, seed), test
    )


def run_bench(
    problems: Sequence[Problem],
    agent: str | Agent,
    out: str | os.PathLike[str],
    *,
    config: EnvConfig | None = None,
    arms: Sequence[str] = ("true", "random", "none", "independent"),
    rollouts: int = 20,
    judge: Judge,
    seed: int = 0,
    resume: bool = False,
    known_points: bool = True,
    concurrency: int = 64,
    agent_timeout_s: float = 600.0,
    env: str = "problems",
    header: Mapping[str, Any] | None = None,
    more: Sequence[Problem] = (),
    on_progress: Progress | None = None,
) -> BenchResult:
    """Run an agent in feedback arms and compare them.

    Args:
        problems: the problems.
        agent: an agent, its name, or `module:attribute`.
        out: folder of the runs, one per arm, and of `results.json`.
        config: the environment's settings; its feedback is the true one.
        arms: names in `ARMS`; `true` is added if it is missing.
        rollouts: episodes per problem and arm.
        judge: judges everything.
        seed: episode `i` has the seed `seed + i` in every arm.
        resume: go on with what is in `out`.
        known_points: whether to run the scripted agents too.
        concurrency, agent_timeout_s: see `RolloutConfig`.
        env, header: recorded with the runs.
        more: further problems, from which the arm `random_same` draws too.
        on_progress: called after each episode.

    Raises:
        CodeenvError: if no arm is named, one is unknown or given twice, or the problems do not allow it.
        AgentError: if every episode of an arm fails.
    """
    for package in ("sacrebleu", "scipy"):  # said before anything runs, not after the first arm
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("the benchmark", package, "bench")
    if rollouts < 1:
        raise CodeenvError(f"rollouts is {rollouts}; use a whole number of at least 1")
    names = check_arms(arms)
    task = config or EnvConfig()
    folder = Path(out)
    made = {name: make_arm(name, problems, judge, task, seed, more) for name in names}
    result = BenchResult()

    def run_arm(label: str, who: str | Agent, arm_name: str, path: Path, count: int) -> RunRecord:
        arm = made[arm_name]
        played = arm.problems or problems
        done = rollout(
            played, who, len(played) * count, out=path, resume=resume and (path / "run.json").exists(), seed=seed,
            config=task, concurrency=concurrency, agent_timeout_s=agent_timeout_s, judge=judge, history=arm.history,
            env_name=env, header={"arm": arm_name, **(header or {}), **({"agent": who} if isinstance(who, str) else {})},
            on_progress=(lambda progress: on_progress(label, progress)) if on_progress else None, **arm.settings,
        )  # fmt: skip
        result.failures += [f"{label}, {sentence}" for sentence in done.failures]
        if not done.episodes:
            raise AgentError(f"no episode of {label} could be finished; the first failure: {done.failures[0]}")
        return load_run(path, arm_name)

    records = {}
    for name in names:
        result.runs[name] = folder / "arms" / name
        records[name] = run_arm(name, agent, name, result.runs[name], rollouts)
        result.summaries[name] = summarise(records[name], seed=seed)
    result.comparisons = [compare_runs(records["true"], records[name], seed) for name in names if name != "true"]
    if known_points and all(problem.correct_solutions for problem in problems):
        for scripted in KNOWN_POINTS:
            for name in [name for name in ("true", "random") if name in names]:
                path = folder / "known" / f"{scripted}-{name}"
                record = run_arm(f"{scripted}, {name}", scripted, name, path, min(rollouts, 5))
                result.known.append(_known_point(scripted, record, problems, seed))
    (folder / "results.json").write_text(json.dumps(result.to_dict(), indent=2) + "\n", encoding="utf-8")
    return result


def _known_point(agent: str, run: RunRecord, problems: Sequence[Problem], seed: int) -> KnownPoint:
    theory = _theory(agent, run.name, run.turn_limit, problems)
    solved = sum(episode.solved for episode in run.episodes)
    rate = summarise(run, seed=seed).solve_rate
    return KnownPoint(agent, run.name, rate, theory, binomial_test(solved, len(run.episodes), theory))


def _theory(agent: str, arm: str, turns: int, problems: Sequence[Problem]) -> float:
    """Return the solve rate that a scripted agent must have; see `codeenv.agents.scripted`."""
    if agent == "oracle":
        return 1.0
    if agent == "repairs-on-feedback":
        told = sum(bool(problem.public_tests) for problem in problems) / len(problems)
        return told if arm == "true" and turns > 1 else 0.0
    return 1.0 - 0.75**turns
