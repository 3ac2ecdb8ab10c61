"""A training run in a folder: built from its settings, stopped by its guards, resumed where a kill left it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from codeenv.agents.lm.chat_format import ChatFormat, PlainFormat
from codeenv.agents.lm.load import chat_format, load_critic, load_policy, load_tokenizer
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.lm.scoring import Critic
from codeenv.agents.lm.storage import save_pretrained
from codeenv.agents.rlef.build import build_learner
from codeenv.agents.rlef.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint, save_model
from codeenv.agents.rlef.checks import check_boards, check_models, check_settings
from codeenv.agents.rlef.devices import Devices
from codeenv.agents.rlef.families import FAMILIES
from codeenv.agents.rlef.run_config import GuardConfig, TrainConfig
from codeenv.agents.rlef.serving import write_on_server
from codeenv.agents.rlef.sft import train_supervised
from codeenv.agents.rlef.tracking import open_boards
from codeenv.agents.rlef.trainer import Metrics, TrainingStopped
from codeenv.agents.trace_head.recording import record_predictions
from codeenv.errors import CodeenvError
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems import Problem, ProblemSet, load
from codeenv.rollout.folder import JsonlWriter

__all__ = ["TrainingRun", "check_guards", "open_judge"]

_VALIDATION = 1_000_002
"""Number of the collection that is played to validate; no iteration has it."""
_RECORDED = 64
"""Most episodes that are recorded with the trace head's predictions."""
_BOARDS = ("tensorboard", "wandb", "wandb_project")
_SERVER = ("server.url", "server.folder", "server.parallel", "server.timeout_s", "server.tolerance")


def open_judge(config: TrainConfig) -> Judge:
    """Return the judge of a run: for the miniature, whose programs are deterministic, one that remembers what it ran."""
    if config.problems in FAMILIES:
        return Judge(workers=config.workers, isolation="batch", cache=ExecutionCache(inputs=FAMILIES[config.problems].inputs))
    return Judge(workers=config.workers)


def _devices(config: TrainConfig) -> Devices:
    if not config.accelerate:
        return Devices()
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true":  # so says `accelerate launch`
        from codeenv.agents.rlef.zero import ZeroDevices

        return ZeroDevices()
    from codeenv.agents.rlef.accelerated import AcceleratedDevices

    return AcceleratedDevices(writes=config.rlef.sampling_dtype)


def check_guards(metrics: Metrics, guards: GuardConfig) -> None:
    """Stop a run whose numbers say that it is broken.

    Raises:
        TrainingStopped: with the number and what to change.
    """
    # a number of the trace head is NaN where there is nothing to count, such as lines in programs of one line
    bad = [name for name, value in metrics.items() if not np.isfinite(value) and not name.startswith("head_")]
    iteration = int(metrics["iteration"])
    if bad:
        raise TrainingStopped(f"{bad[0]} is {metrics[bad[0]]} in iteration {iteration}; lower the learning rate")
    if metrics["kl"] > guards.max_kl:
        raise TrainingStopped(
            f"the policy is {metrics['kl']:.2f} nats a token from its start in iteration {iteration}, more than max_kl = "
            f"{guards.max_kl:g}; lower the learning rate or raise kl_coefficient"
        )
    if 0.0 < metrics.get("entropy", 0.0) < guards.min_entropy:
        raise TrainingStopped(
            f"the policy's entropy is {metrics['entropy']:.4f} in iteration {iteration}, less than min_entropy = "
            f"{guards.min_entropy:g}; lower the learning rate"
        )
    share = metrics["judge_errors"] / max(1.0, metrics["judge_errors"] + metrics["episodes"])
    if share > guards.max_judge_errors:
        raise TrainingStopped(
            f"the judge failed on {share:.0%} of the episodes of iteration {iteration}, more than max_judge_errors; "
            "see codeenv doctor"
        )


class TrainingRun:
    """A run in its folder.

    Args:
        config: the settings.
        folder: where it lives; see `codeenv.agents.rlef.checkpoint` for what is in it.
        judge: judges what the policy writes.
        resume: go on from the newest checkpoint of the folder; the settings must be the same, but for `iterations`.
        on_event: called with a sentence at the start of each phase.

    Attributes:
        learner: the learner.
        metrics: the rows of `metrics.jsonl`.
        best: the best validation solve rate so far.

    Raises:
        CodeenvError: the folder holds another run, or none to resume, or the settings cannot be met.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        judge: Judge,
        resume: bool = False,
        on_event: Callable[[str], None] | None = None,
    ) -> None:
        self.config = config
        self.folder = folder
        self.judge = judge
        self.metrics: list[Metrics] = []
        self.best = -1.0
        say = on_event or (lambda sentence: None)
        torch.set_num_threads(config.threads)
        check_settings(config)
        check_boards(config)
        self._train, self._validation = self._problem_sets()
        if not (folder / "reference").exists():
            check_models(config)
        devices = _devices(config)
        self.main = devices.rank == 0
        if self.main:
            self._prepare(resume)
            if not (folder / "reference").exists():
                say("building the policy")
                policy, chat = self._initial_policy(say)
                save_pretrained(policy, chat.tokenizer, self.folder / "reference")
        devices.wait()
        checkpoint = latest_checkpoint(folder) if resume else None
        chat = chat_format(load_tokenizer(str(folder / "reference")))
        policy = load_policy(str(folder / "reference"), config.model.dtype)
        if config.model.lora_rank or config.model.gradient_checkpointing:
            settings = (config.model.lora_rank, config.model.gradient_checkpointing, config.model.lora_bits)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                policy = load_policy(str(folder / "reference"), config.model.dtype, *settings)
        critic = self._critic(chat)
        self.learner = build_learner(config, policy, critic, chat, judge, devices)
        write_on_server(config, self.learner, folder)
        if checkpoint is not None:
            self.best = float(load_checkpoint(self.learner, checkpoint)["best"])
            say(f"resuming after iteration {self.learner.iteration}")
        self._rewind_metrics()
        self._rows = JsonlWriter(folder / "metrics.jsonl") if self.main else None
        named = (dataclasses.asdict(config), config.tensorboard, config.wandb, config.wandb_project, self.learner.iteration)
        self._boards = open_boards(folder, *named) if self.main else []

    def train(self, on_iteration: Callable[[Metrics], None] | None = None) -> None:
        """Train to the last iteration. However it ends, the state between two iterations is kept.

        Raises:
            TrainingStopped: a guard stopped it.
        """
        config, learner = self.config, self.learner
        try:
            while learner.iteration < config.rlef.iterations:
                metrics = learner.step(self._problems, self.judge)
                done = learner.iteration
                if config.validate_every and done % config.validate_every == 0:
                    metrics["validation_solve_rate"] = self._validate()
                self._write(metrics)
                check_guards(metrics, config.guards)
                if done % config.checkpoint_every == 0 or done == config.rlef.iterations:
                    self.checkpoint()
                if on_iteration is not None:
                    on_iteration(metrics)
        except TrainingStopped:
            if self.metrics and self.metrics[-1]["iteration"] + 1 == learner.iteration:
                self.checkpoint()
            raise
        save_model(learner, self.folder / "final")
        self._record_predictions()

    def interrupted(self) -> bool:
        """Keep what an interrupted run has: a checkpoint if it is between two iterations, and the policy in `final/`.

        Returns:
            Whether a checkpoint was written; if not, the newest one there is is older.
        """
        whole = self.learner.rewind() and self.learner.devices.count == 1  # others may be somewhere else
        saved = whole and len(self.metrics) == self.learner.iteration
        if saved:
            self.checkpoint()
        if whole:  # else half of an update may be in the weights
            save_model(self.learner, self.folder / "final")
        return saved

    def checkpoint(self) -> Path:
        """Write a checkpoint of the state between two iterations."""
        return save_checkpoint(self.learner, self.folder, {"best": self.best}, self.config.keep)

    def close(self) -> None:
        """Close the metrics, and stop what is played ahead."""
        self.learner.close()
        if self._rows is not None:
            self._rows.close()
        for board in self._boards:
            board.close()

    # Problems

    def _problem_sets(self) -> tuple[ProblemSet | None, ProblemSet | None]:
        config = self.config
        if config.problems in FAMILIES:
            return None, None
        train = load(config.problems, split=config.split or None)
        validation = load(config.problems, split=config.validation_split or None) if config.validate_every else None
        for name, found in (("training", train), ("validation", validation)):
            if found is not None and not len(found):
                raise CodeenvError(f"the {name} set {config.problems!r} is empty; choose another data set or split")
        return train, validation

    def _problems(self, iteration: int, count: int) -> Sequence[Problem]:
        """Return the problems of an iteration: fresh ones of the miniature, else a shuffled pass over the data set at a time."""
        if self._train is None:
            return FAMILIES[self.config.problems].sample(0, count, self.config.seed * 1_000_003 + iteration)
        size = len(self._train)
        places = range(iteration * count, (iteration + 1) * count)
        orders = {
            number: np.random.default_rng([self.config.seed, number]).permutation(size) for number in {p // size for p in places}
        }
        return [self._train[int(orders[place // size][place % size])] for place in places]

    def _validate(self) -> float:
        """Play the validation problems, keep the policy if it is the best so far, and return its solve rate."""
        config, learner, problems = self.config, self.learner, self._validation_problems()
        generator = torch.Generator(learner.device).manual_seed(config.seed)
        found = learner.play(problems, self.judge, generator, _VALIDATION)
        if found.solve_rate > self.best:
            self.best = found.solve_rate
            save_model(learner, self.folder / "best")
        return found.solve_rate

    def _validation_problems(self) -> Sequence[Problem]:
        config = self.config
        if self._validation is None:
            return FAMILIES[config.problems].sample(1, config.validation_episodes, config.seed)
        return [self._validation[index] for index in range(min(len(self._validation), config.validation_episodes))]

    def _record_predictions(self) -> None:
        """With a trace head: play problems once more and record in `predictions/` what the head says of the programs."""
        config, auxiliary = self.config, getattr(self.learner, "auxiliary", None)
        if auxiliary is None or not self.main:
            return
        problems = self._validation_problems() if config.validate_every or self._train is None else self._problems(0, _RECORDED)
        place, seed = self.folder / "predictions", config.seed
        record_predictions(self.learner, auxiliary, problems[:_RECORDED], self.judge, place, seed, config.problems)

    # Models

    def _initial_policy(self, say: Callable[[str], None]) -> tuple[PreTrainedModel, ChatFormat]:
        config = self.config
        if config.model.name != "mini":
            return load_policy(config.model.name, config.model.dtype), chat_format(load_tokenizer(config.model.name))
        family = FAMILIES.get(config.problems, FAMILIES["mini"])
        chat = PlainFormat(family.tokenizer())
        room = max(family.shape.context, config.rlef.max_context_tokens)  # positions are rotations: more cost nothing
        policy = build_mini_policy(chat.tokenizer, dataclasses.replace(family.shape, context=room), config.seed)
        if config.sft_steps:
            say(f"warm start: {config.sft_steps} supervised steps")
            train_supervised(policy, family.documents(chat, config.seed), config.sft(), config.seed)
        return policy, chat

    def _critic(self, chat: ChatFormat) -> Critic:
        config = self.config
        if config.model.name == "mini" and not config.model.critic:
            shape = MiniShape(hidden=32, feed_forward=88, layers=2, heads=2)
            return build_mini_critic(chat.tokenizer, shape, config.seed + 1)
        name = config.model.critic or str(self.folder / "reference")
        return load_critic(name, config.model.dtype, config.seed + 1, config.model.lora_rank, config.model.lora_bits)

    # The folder

    def _prepare(self, resume: bool) -> None:
        """Make or check the folder."""
        settings = json.loads(json.dumps(dataclasses.asdict(self.config)))
        path = self.folder / "config.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                if resume and any(self.folder.iterdir()):
                    raise CodeenvError(f"{str(self.folder)!r} holds no training run; leave --resume out to start one elsewhere")
                part = path.with_suffix(".part")
                part.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
                part.replace(path)
                return
            old = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise CodeenvError(f"cannot write the run {str(self.folder)!r}: {error.strerror}; choose another --out") from None
        if not resume:
            raise CodeenvError(f"{str(self.folder)!r} already holds a training run; use --resume, or choose another --out")
        if difference := _first_difference(old, settings):
            raise CodeenvError(f"the run in {str(self.folder)!r} has {difference}; resume it with the same settings")

    def _rewind_metrics(self) -> None:
        """Keep the rows of `metrics.jsonl` up to the state at hand; later ones are made again."""
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return
        lines = path.read_text(encoding="utf-8").splitlines()[: self.learner.iteration]
        self.metrics = [json.loads(line) for line in lines]
        if not self.main:
            return
        part = path.with_suffix(".part")
        part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        part.replace(path)

    def _write(self, metrics: Metrics) -> None:
        self.metrics.append(metrics)
        finite = {name: value if np.isfinite(value) else None for name, value in metrics.items()}
        if self._rows is not None:
            self._rows.append(finite)
        for board in self._boards:
            board.write(metrics)


def _first_difference(old: Any, new: Any, name: str = "") -> str:
    """Return the first setting in which two runs differ, as words; numbers of iterations and threads may differ, and the server.

    A setting that the older run does not know had no effect then; it counts as equal.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(set(old)):
            found = _first_difference(old.get(key), new.get(key), f"{name}.{key}" if name else key)
            if found:
                return found
        return ""
    if old == new or name in ("rlef.iterations", "threads", "workers", "keep", "checkpoint_every", *_BOARDS, *_SERVER):
        return ""
    return f"{name} = {old!r}, not {new!r}"
