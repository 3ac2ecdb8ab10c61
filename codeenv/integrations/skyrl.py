"""SkyRL: our episodes as a `BaseTextEnv`, registered with skyrl-gym as `codeenv`.

    import codeenv.integrations.skyrl                       # registers "codeenv"
    env = skyrl_gym.make("codeenv", env_config={"turn_limit": 3}, extras={"problem": problem.to_dict()})

`dataset_rows(problems)` gives the rows of SkyRL's parquet data set: the prompt, `env_class` and the problem.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError, MissingExtraError
from codeenv.feedback import get_prompt
from codeenv.integrations.session import EpisodeSession, problem_of
from codeenv.judge import Judge
from codeenv.problems import Problem

try:
    import skyrl_gym
    from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput
except ModuleNotFoundError as error:
    raise MissingExtraError("the SkyRL adapter", error.name or "skyrl-gym", "skyrl") from error

__all__ = ["CodeTextEnv", "dataset_rows"]


class CodeTextEnv(BaseTextEnv):  # type: ignore[misc]
    """One episode. A judge failure raises, so that it can never become a reward.

    Args:
        env_config: settings of `EnvConfig` by name.
        extras: the data row; `problem`, or `problems` and `problem_id`.
        judge: the judge; this process's own by default.
    """

    def __init__(self, env_config: Any = None, extras: Mapping[str, Any] | None = None, judge: Judge | None = None) -> None:
        super().__init__()
        given = dict(env_config or {})
        known = {item.name for item in fields(EnvConfig)}
        if unknown := sorted(set(map(str, given)) - known):
            raise CodeenvError(f"unknown setting {unknown[0]!r} in env_config; the settings are {', '.join(sorted(known))}")
        config = EnvConfig(**given)
        self.max_turns = config.turn_limit
        self._session = EpisodeSession(problem_of(extras or {}), judge, config)

    def init(self, prompt: list[dict[str, str]]) -> tuple[list[dict[str, str]], dict[str, Any]]:
        """Return the first prompt: the given one, or ours if it is empty."""
        return list(prompt) or [{"role": "user", "content": self._session.messages[0]["content"]}], {}

    def step(self, action: str) -> BaseTextEnvStepOutput:
        """Judge a response; the observation is the feedback as a user message, nothing at the end."""
        self.turns += 1
        reply = self._session.step(action)
        messages = [{"role": "user", "content": reply.message}] if reply.message else []
        return BaseTextEnvStepOutput(observations=messages, reward=reply.reward, done=reply.done, metadata=reply.facts)

    def get_metrics(self) -> dict[str, Any]:
        """Return the numbers that SkyRL averages over episodes."""
        turns = self._session.episode.turns
        return {"solved": float(bool(turns and turns[-1].outcome.solved)), "turns": float(len(turns))}


def dataset_rows(problems: Sequence[Problem], config: EnvConfig | None = None) -> Iterator[dict[str, Any]]:
    """Yield SkyRL's data rows; write them with any parquet writer."""
    prompt = get_prompt((config or EnvConfig()).prompt)
    for problem in problems:
        yield {
            "prompt": [{"role": "user", "content": prompt(problem)}],
            "env_class": "codeenv",
            "problem": json.dumps(problem.to_dict()),
        }


if "codeenv" not in skyrl_gym.envs.registration.registry:
    skyrl_gym.register(id="codeenv", entry_point="codeenv.integrations.skyrl:CodeTextEnv")
