"""Many episodes behind Gymnasium's vector API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from codeenv.batch import EpisodeBatch
from codeenv.env import CodeEnv, observation_space, pick_problem, resolve_problems
from codeenv.episode import EnvConfig, Episode
from codeenv.errors import CodeenvError
from codeenv.feedback import Feedback, Prompt
from codeenv.judge import Judge
from codeenv.problems import Problem
from codeenv.reward import Reward
from codeenv.spaces import Unicode

__all__ = ["CodeVectorEnv"]


class CodeVectorEnv(VectorEnv[dict[str, Any], tuple[str, ...], Any]):
    """A batch of `CodeEnv` episodes behind Gymnasium's vector API, judged in parallel.

    Autoreset is `SAME_STEP` (an ended episode's last observation and info are in `info["final_obs"]` and
    `info["final_info"]`, and its slot holds
    a new problem) or `DISABLED` (call `reset(options={"reset_mask": mask})`). `NEXT_STEP` is refused: it throws a generated
    response away.

    Observations are a dict of `problem`, `feedback`, `trace` (tuples of `num_envs` texts) and `turn` (int64, shape
    `(num_envs,)`). Actions are a
    sequence of `num_envs` texts. Rewards are float64, `terminations` and `truncations` bool, shape `(num_envs,)`.

    Args:
        num_envs: number of episodes.
        autoreset_mode: see above.
        workers: number of judge workers.
        The others are those of `CodeEnv`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        problems: str | Sequence[Problem] = "humaneval",
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        turn_limit: int = 3,
        feedback: str | Feedback = "rlef",
        prompt: str | Prompt = "rlef",
        trace: str = "off",
        trace_tokens: int = 512,
        reward: str | Reward = "rlef",
        require_fence: bool = True,
        early_stop: bool = True,
        sandbox: str = "local",
        workers: int = 2,
        judge: Judge | None = None,
        split: str | None = None,
        limit: int | None = None,
        problem_options: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        if not isinstance(num_envs, int) or num_envs < 1:
            raise CodeenvError(f"num_envs is {num_envs!r}; use a whole number of at least 1")
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            raise CodeenvError("autoreset_mode is NextStep, which throws a response away; use SameStep or Disabled")
        self.num_envs = num_envs
        self.config = EnvConfig(turn_limit, feedback, prompt, reward, trace, trace_tokens, require_fence, early_stop)
        self.metadata = {**CodeEnv.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = render_mode
        self.problems = resolve_problems(problems, split, limit, problem_options)
        self.single_observation_space = observation_space(turn_limit)
        self.single_action_space = Unicode()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._own_judge = judge is None
        self.judge = judge or Judge(sandbox=sandbox, workers=workers)
        self._batch: EpisodeBatch | None = None
        self._generators = [np.random.default_rng() for _ in range(num_envs)]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start new episodes.

        Args:
            seed: one seed (slot `i` gets `seed + i`) or one per slot.
            options: `problem_ids` or `problems`: one per slot; `reset_mask`: bool array, which slots start anew (the others
                keep their state).
        """
        options = dict(options or {})
        mask = np.asarray(options.pop("reset_mask", np.ones(self.num_envs, dtype=bool)), dtype=bool)
        if mask.shape != (self.num_envs,):
            raise CodeenvError(f"reset_mask has shape {mask.shape}; use one bool for each of the {self.num_envs} environments")
        if self._batch is None and not mask.all():
            raise CodeenvError("the first reset() must start every environment; leave reset_mask out")
        seeds = (
            [None] * self.num_envs
            if seed is None
            else [seed + i for i in range(self.num_envs)]
            if isinstance(seed, int)
            else list(seed)
        )
        if len(seeds) != self.num_envs:
            raise CodeenvError(f"there are {len(seeds)} seeds for {self.num_envs} environments; give one each")
        ids, given = options.pop("problem_ids", None), options.pop("problems", None)
        if options:
            raise CodeenvError(f"unknown reset option {next(iter(options))!r}; use problem_ids, problems or reset_mask")
        started = []
        for index, one in enumerate(seeds):
            if one is not None:
                self._generators[index] = np.random.default_rng(one)
            choice = {"problem": given[index]} if given is not None else {"problem_id": ids[index]} if ids is not None else {}
            started.append(self._new_episode(index, choice) if mask[index] else None)
        if self._batch is None:
            self._batch = EpisodeBatch([], self.judge, self.config)
            self._batch.episodes = [episode for episode in started if episode is not None]
        else:
            self._batch.episodes = [new or old for new, old in zip(started, self._batch.episodes, strict=True)]
        infos: dict[str, Any] = {}
        for index, episode in enumerate(started):
            if episode is not None:
                infos = self._add_info(infos, {"problem_id": episode.problem.id}, index)
        return self._observe(), infos

    def step(self, actions: Sequence[str]) -> tuple[dict[str, Any], Any, Any, Any, dict[str, Any]]:
        """Do one turn of every episode. In `DISABLED` mode, the actions of ended episodes must be ""; their slots do not move."""
        if self._batch is None:
            raise CodeenvError("call reset() before step()")
        if isinstance(actions, str) or not isinstance(actions, Iterable):
            raise CodeenvError(f"the actions are one {type(actions).__name__}; pass a sequence of {self.num_envs} texts")
        actions = list(actions)
        if len(actions) != self.num_envs:
            raise CodeenvError(f"there are {len(actions)} actions for {self.num_envs} environments; give one each")
        live = set(self._batch.live)
        if lost := [index for index, action in enumerate(actions) if index not in live and action != ""]:
            raise CodeenvError(f"episode {lost[0]} has ended; reset it (reset_mask) or give it the action ''")
        steps = self._batch.step({index: actions[index] for index in sorted(live)})
        rewards = np.zeros(self.num_envs, dtype=np.float64)
        terminations = np.zeros(self.num_envs, dtype=bool)
        truncations = np.zeros(self.num_envs, dtype=bool)
        infos: dict[str, Any] = {}
        for index in range(self.num_envs):
            step = steps.get(index)
            if step is None:
                episode = self._batch.episodes[index]
                terminations[index], truncations[index] = episode.terminated, episode.truncated
                continue
            rewards[index], terminations[index], truncations[index] = step.reward, step.terminated, step.truncated
            info = step.info
            if (step.terminated or step.truncated) and self.autoreset_mode is AutoresetMode.SAME_STEP:
                self._batch.episodes[index] = self._new_episode(index, {})
                info = {
                    "final_obs": step.observation,
                    "final_info": step.info,
                    "problem_id": self._batch.episodes[index].problem.id,
                }
            for key, value in info.items():
                infos.setdefault(key, np.full(self.num_envs, None, dtype=object))[index] = value
                infos.setdefault(f"_{key}", np.zeros(self.num_envs, dtype=bool))[index] = True
        return self._observe(), rewards, terminations, truncations, infos

    def close_extras(self, **kwargs: Any) -> None:
        """Stop the judge's workers."""
        if self._own_judge:
            self.judge.close()

    def _new_episode(self, index: int, choice: Mapping[str, Any]) -> Episode:
        return Episode(pick_problem(self.problems, self._generators[index], choice), self.config)

    def _observe(self) -> dict[str, Any]:
        assert self._batch is not None
        rows = self._batch.observations
        batched: dict[str, Any] = {key: tuple(row[key] for row in rows) for key in ("problem", "feedback", "trace")}
        batched["turn"] = np.array([row["turn"] for row in rows], dtype=np.int64)
        return {key: batched[key] for key in ("feedback", "problem", "trace", "turn")}
