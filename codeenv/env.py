"""The Gymnasium environment: a problem, responses as actions, execution feedback as observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Dict, Discrete

from codeenv.batch import EpisodeBatch
from codeenv.episode import EnvConfig, Episode, Observation
from codeenv.errors import CodeenvError
from codeenv.feedback import Feedback, Prompt
from codeenv.judge import Judge
from codeenv.problems import Problem, ProblemSet, load
from codeenv.reward import Reward
from codeenv.spaces import Unicode

__all__ = ["CodeEnv", "observation_space", "pick_problem", "resolve_problems"]


def observation_space(turn_limit: int) -> Dict:
    """Return the space of `Observation`: three texts and the turn, 0 to `turn_limit` (its value after the last step)."""
    return Dict({"problem": Unicode(), "feedback": Unicode(), "trace": Unicode(), "turn": Discrete(turn_limit + 1)})


def resolve_problems(
    problems: str | Sequence[Problem],
    split: str | None = None,
    limit: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> ProblemSet:
    """Return the problems of a data set's name or path, or the given ones.

    Args:
        problems: a name or path for `codeenv.load_problems`, or the problems themselves.
        split, limit: passed to the loader.
        options: the data set's own options, and `filter`, passed to the loader.
    """
    if isinstance(problems, str):
        return load(problems, split=split, limit=limit, **(options or {}))
    if split is not None or options:
        raise CodeenvError("split and problem_options are for data sets that have a name; these problems are given as they are")
    chosen = problems if limit is None else problems[:limit]
    if not len(chosen):
        raise CodeenvError("the problem set is empty; give at least one problem")
    return chosen if isinstance(chosen, ProblemSet) else ProblemSet(chosen, name="given problems")


def pick_problem(problems: ProblemSet, generator: np.random.Generator, options: Mapping[str, Any]) -> Problem:
    """Return the problem that `options` name (`problem`, `problem_id` or `index`), else a random one."""
    if unknown := sorted(set(options) - {"problem", "problem_id", "index"}):
        raise CodeenvError(f"unknown reset option {unknown[0]!r}; use problem_id, index or problem")
    if "problem" in options:
        problem = options["problem"]
        if not isinstance(problem, Problem):
            raise CodeenvError(f"the reset option 'problem' is a {type(problem).__name__}; pass a codeenv.Problem")
        return problem
    if "problem_id" in options:
        return problems.by_id(options["problem_id"])
    if "index" in options:
        index = options["index"]
        if not isinstance(index, int) or not 0 <= index < len(problems):
            raise CodeenvError(f"the reset option 'index' is {index!r}; use a whole number from 0 to {len(problems) - 1}")
        return problems[index]
    return problems[int(generator.integers(len(problems)))]


class CodeEnv(gymnasium.Env[Observation, str]):
    """An episode is a problem and up to `turn_limit` responses, each judged on the public tests.

    The observation is a dict of `problem` (the first message), `feedback` and `trace` (about the last response; "" at
    first) and `turn`. The
    action is the text of a response. `terminated`: the public tests pass or the turn limit is reached, and the reward has
    been paid. `truncated`: the judge failed even after a retry; the step has reward 0 and must not be learned from;
    `info["judge_error"]` says why.
    `info` holds `report` (the public results), `verdict`, `valid`, `reward_parts`, `isolation`, and at the end `solved` and
    `private_fraction`.

    Args:
        problems: a data set's name or path for `codeenv.load_problems`, or a sequence of problems.
        turn_limit, feedback, prompt, reward, trace, trace_tokens, require_fence, early_stop: see `EnvConfig`.
        sandbox: where programs run; see `codeenv.Judge`.
        judge: a judge to share; by default the environment has its own, with one worker.
        split, limit, problem_options: passed to the loader; `problem_options` are the data set's own, and `filter`.
        render_mode: `ansi` makes `render()` return the episode so far as text.

    Example:
        >>> import codeenv, gymnasium
        >>> env = gymnasium.make("codeenv/Procedural-v0")  # doctest: +SKIP
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012  (gymnasium declares it so)

    def __init__(
        self,
        problems: str | Sequence[Problem] = "humaneval",
        *,
        turn_limit: int = 3,
        feedback: str | Feedback = "rlef",
        prompt: str | Prompt = "rlef",
        reward: str | Reward = "rlef",
        trace: str = "off",
        trace_tokens: int = 512,
        require_fence: bool = True,
        early_stop: bool = True,
        sandbox: str = "local",
        judge: Judge | None = None,
        split: str | None = None,
        limit: int | None = None,
        problem_options: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.config = EnvConfig(turn_limit, feedback, prompt, reward, trace, trace_tokens, require_fence, early_stop)
        if render_mode not in (None, "ansi"):
            raise CodeenvError(f"render_mode is {render_mode!r}; use 'ansi' or None")
        self.render_mode = render_mode
        self.problems = resolve_problems(problems, split, limit, problem_options)
        self.observation_space: Any = observation_space(turn_limit)
        self.action_space = Unicode()
        self._own_judge = judge is None
        self.judge = judge or Judge(sandbox=sandbox, workers=1)
        self._batch = EpisodeBatch([], self.judge, self.config)

    @property
    def episode(self) -> Episode | None:
        """The state of the current episode, `None` before the first `reset`."""
        return self._batch.episodes[0] if self._batch.episodes else None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, dict[str, Any]]:
        """Start an episode on a random problem, or on the one that `options` name: `problem_id`, `index` or `problem`."""
        super().reset(seed=seed)
        problem = pick_problem(self.problems, self.np_random, options or {})
        self._batch.episodes = [Episode(problem, self.config)]
        return self._batch.observations[0], {"problem_id": problem.id}

    def step(self, action: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Judge a response.

        Raises:
            CodeenvError: if the action is not text, or the episode has not begun or has ended.
        """
        if self.episode is None:
            raise CodeenvError("the environment has no episode yet; call reset() before step()")
        step = self._batch.step({0: action})[0]
        return step.observation, step.reward, step.terminated, step.truncated, step.info

    def render(self) -> str | None:
        """Return the episode so far as text, in render mode `ansi`."""
        if self.render_mode != "ansi" or self.episode is None:
            return None
        parts = [self.episode.observation()["problem"]]
        for number, turn in enumerate(self.episode.turns, start=1):
            parts.append(f"--- turn {number}: {turn.outcome.verdict.value}, reward {turn.reward:+g}\n{turn.response}")
            if turn.feedback:
                parts.append(f"--- feedback\n{turn.feedback}")
        return "\n\n".join(parts)

    def close(self) -> None:
        """Stop the judge's workers, unless the judge was given."""
        if self._own_judge:
            self.judge.close()
