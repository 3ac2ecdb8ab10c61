"""One seed of RLEF in miniature: warm start, evaluation, learning through environment and judge, evaluation."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from codeenv.agents.lm.chat_format import ChatFormat, PlainFormat
from codeenv.agents.lm.generation import Sampling
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.lm.storage import save_pretrained
from codeenv.agents.lm.token_text import token_texts
from codeenv.agents.rlef.collect import Collection, collect
from codeenv.agents.rlef.config import MINI, RLEFConfig
from codeenv.agents.rlef.miniature import MiniDocuments, bare_feedback, build_tokenizer, env_config, random_feedback
from codeenv.agents.rlef.sft import SFTConfig, train_supervised
from codeenv.agents.rlef.trainer import Learner, Metrics
from codeenv.episode import EnvConfig
from codeenv.evaluation.intervals import Estimate, bootstrap_mean
from codeenv.feedback import Feedback, FeedbackContext
from codeenv.judge import Judge
from codeenv.problems import Problem
from codeenv.problems.procedural.mini import Split, bayes_solve_rate, blind_ceiling, problem, sample_tasks
from codeenv.rollout.folder import RunFolder
from codeenv.rollout.trajectory import episode_row

__all__ = ["ARMS", "ArmResult", "MiniRun", "MiniSettings", "Progress", "SeedResult", "arm_config", "play_arm"]

ARMS = ("independent", "true", "random", "none")
"""What the policy is told after a failed turn; every arm has the same number of samples, early stop and reward."""


@dataclass(frozen=True, slots=True)
class MiniSettings:
    """Sizes of one run. The defaults are those of the demo."""

    policy: MiniShape = field(default_factory=MiniShape)
    critic: MiniShape = field(default_factory=lambda: MiniShape(hidden=32, feed_forward=88, layers=2, heads=2))
    sft: SFTConfig = field(default_factory=SFTConfig)
    rlef: RLEFConfig = MINI
    evaluation_episodes: int = 1000
    split: Split = "report"


@dataclass(frozen=True, slots=True)
class ArmResult:
    """The outcome of one arm: `solved` with its 95 % interval over problems, the number of episodes and of samples used."""

    solved: Estimate
    episodes: int
    samples: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "solve_rate": round(self.solved.value, 4),
            "interval": [round(self.solved.low, 4), round(self.solved.high, 4)],
            "episodes": self.episodes,
            "samples": self.samples,
        }


@dataclass(slots=True)
class SeedResult:
    """What one seed gave; fields are filled as the run goes on, so that a run that is cut short still has its part.

    Attributes:
        arms: `before` and `after` RL, the result of each arm.
        references: `blind_ceiling` and `bayes` on the same problems.
        curve: the metrics of each iteration.
        wall_s, cpu_s: seconds of each phase; CPU seconds are this process's.
        judge: the judge's share: CPU seconds of judging in this process and in its workers, and wall seconds waited for it.
    """

    seed: int
    arms: dict[str, dict[str, ArmResult]] = field(default_factory=lambda: {"before": {}, "after": {}})
    references: dict[str, float] = field(default_factory=dict)
    curve: list[Metrics] = field(default_factory=list)
    wall_s: dict[str, float] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    judge: dict[str, float] = field(default_factory=dict)
    complete: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "complete": self.complete,
            "arms": {when: {arm: result.to_dict() for arm, result in arms.items()} for when, arms in self.arms.items()},
            "references": {name: round(value, 4) for name, value in self.references.items()},
            "wall_s": {name: round(value, 2) for name, value in self.wall_s.items()},
            "cpu_s": {name: round(value, 2) for name, value in self.cpu_s.items()},
            "judge": {name: round(value, 4) for name, value in self.judge.items()},
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: `done` of `total` units of the phase, episodes played so far, the solve rate seen last."""

    seed: int
    phase: str
    done: int
    total: int
    episodes: int
    solve_rate: float | None


class MiniRun:
    """One seed.

    Args:
        seed: decides everything but times.
        judge: judges what the policy writes.
        settings: sizes.
        folder: where trajectories, metrics and the policy go; `None` keeps nothing.
        on_progress: called often.
    """

    def __init__(
        self,
        seed: int,
        judge: Judge,
        settings: MiniSettings | None = None,
        folder: Path | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.settings = settings or MiniSettings()
        self.result = SeedResult(seed)
        self.recorded: list[tuple[str, str]] = []
        self.chat = PlainFormat(build_tokenizer())
        self.policy: PreTrainedModel = build_mini_policy(self.chat.tokenizer, self.settings.policy, seed)
        self._seed = seed
        self._judge = judge
        self.folder = folder
        self._report = on_progress or (lambda progress: None)
        self._played = 0
        tasks = sample_tasks(self.settings.split, self.settings.evaluation_episodes, seed=1_000_000 + seed)
        self._tasks = tasks
        self._held_out = [problem(task) for task in tasks]

    def run(self) -> SeedResult:
        """Do all phases and return the result; `self.result` holds it while it grows."""
        result = self.result
        before = self._judge.stats
        start, start_cpu = time.perf_counter(), time.process_time()
        result.references = {"blind_ceiling": blind_ceiling(self._tasks), "bayes": bayes_solve_rate(self._tasks)}
        try:
            with self._phase("warm start"):
                self._warm_start()
            with self._phase("before RL"):
                self._evaluate("before")
            with self._phase("RL"):
                self._learn()
            with self._phase("after RL"):
                self._evaluate("after")
        finally:
            self._save_policy()
        stats = self._judge.stats
        wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
        workers = stats.worker_cpu_s - before.worker_cpu_s
        inside = stats.judge_cpu_s - before.judge_cpu_s
        result.judge |= {
            "cpu_s": inside + workers,
            "cpu_share": (inside + workers) / (cpu + workers),
            "wall_share": result.judge["wall_s"] / wall,
            "requests": float(stats.requests - before.requests),
            "executions": float(stats.executions - before.executions),
        }
        result.wall_s["total"], result.cpu_s["total"] = wall, cpu + workers
        result.complete = True
        return result

    def _save_policy(self) -> None:
        if self.folder is not None:
            save_pretrained(self.policy, self.chat.tokenizer, self.folder / "policy")

    def _warm_start(self) -> None:
        sft = self.settings.sft
        documents = MiniDocuments(self.chat, self._seed)
        train_supervised(
            self.policy, documents, sft, self._seed, lambda step, loss: self._tell("warm start", step, sft.steps, None)
        )

    def _learn(self) -> None:
        rlef = self.settings.rlef
        critic = build_mini_critic(self.chat.tokenizer, self.settings.critic, self._seed + 1)
        learner = Learner(self.policy, critic, self.chat, env_config(), rlef, self._seed)
        metrics_file = None if self.folder is None else (self.folder / "metrics.jsonl").open("w", encoding="utf-8")
        try:
            for iteration in range(rlef.iterations):
                metrics = learner.step(self._train_problems, self._judge)
                self.result.curve.append(metrics)
                self.result.judge["wall_s"] = self.result.judge.get("wall_s", 0.0) + metrics["judge_s"]
                if metrics_file is not None:
                    metrics_file.write(json.dumps(metrics) + "\n")
                    metrics_file.flush()
                self._played += int(metrics["episodes"])
                self._tell("RL", iteration + 1, rlef.iterations, metrics["solve_rate"])
        finally:
            if metrics_file is not None:
                metrics_file.close()

    def _train_problems(self, iteration: int, count: int) -> Sequence[Problem]:
        return [problem(task) for task in sample_tasks("train", count, seed=self._seed * 1_000_003 + iteration)]

    def _evaluate(self, when: str) -> None:
        for number, arm in enumerate(ARMS):
            phase = f"{when} RL"
            self._tell(phase, number, len(ARMS), None)
            sampling, env = self.settings.rlef.sampling(), arm_config(arm)
            collection = play_arm(self.policy, self.chat, self._held_out, self._judge, arm, sampling, self._seed)
            self.result.judge["wall_s"] = self.result.judge.get("wall_s", 0.0) + collection.judge_s
            solved = bootstrap_mean([float(one.solved) for one in collection.played])
            self.result.arms[when][arm] = ArmResult(solved, len(collection.played), collection.samples)
            self._played += len(collection.played)
            self._record(when, arm, env, collection)
            self._tell(phase, number + 1, len(ARMS), solved.value)

    def _record(self, when: str, arm: str, env: EnvConfig, collection: Collection) -> None:
        if self.folder is None:
            return
        header = {
            "env": "codeenv miniature family",
            "agent": f"miniature policy, seed {self._seed}, {when} RL",
            "settings": {"turn_limit": env.turn_limit, "feedback": arm, "split": self.settings.split},
            "problems": len(self._held_out),
            "episodes": len(collection.played),
            "seed": self._seed,
            "isolation": self._judge.isolation_level,
        }
        with RunFolder(self.folder / f"{when}-{arm}", header) as run:
            for number, one in enumerate(collection.played):
                extras: list[Mapping[str, Any]] = [{} for _ in one.episode.turns]
                if arm != "independent":
                    tokens = [one.conversation.response(turn) for turn in range(len(one.episode.turns))]
                    extras = [{"tokens": ids, "pieces": token_texts(self.chat.tokenizer, ids)} for ids in tokens]
                run.append(episode_row(number, 0, self._seed, one.episode, extras, {}), one.episode.problem)
        self.recorded.append((when, arm))

    def _tell(self, phase: str, done: int, total: int, solve_rate: float | None) -> None:
        self._report(Progress(self._seed, phase, done, total, self._played, solve_rate))

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        start, start_cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.result.wall_s[name] = time.perf_counter() - start
            self.result.cpu_s[name] = time.process_time() - start_cpu


def play_arm(
    policy: PreTrainedModel,
    chat: ChatFormat,
    problems: Sequence[Problem],
    judge: Judge,
    arm: str,
    sampling: Sampling,
    seed: int,
) -> Collection:
    """Play one episode on each problem in one of `ARMS`."""
    generator = torch.Generator(policy.device).manual_seed(seed)
    return collect(policy, chat, problems, judge, arm_config(arm), sampling, generator, independent=arm == "independent")


def arm_config(arm: str) -> EnvConfig:
    """Return the task's settings of one of `ARMS`."""
    if arm == "independent":
        return env_config(_silence)
    feedback: dict[str, str | Feedback] = {"true": "compact", "random": random_feedback, "none": bare_feedback}
    return env_config(feedback[arm])


def _silence(context: FeedbackContext) -> str:
    return ""
