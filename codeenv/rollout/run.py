"""One call from an environment and an agent to recorded episodes."""

from __future__ import annotations

import asyncio
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import gymnasium

from codeenv.env import resolve_problems
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.problems import Problem
from codeenv.rollout.agent import Agent, load_agent
from codeenv.rollout.engine import Progress, RolloutConfig, RolloutResult, run_episodes
from codeenv.rollout.folder import RunFolder

__all__ = ["env_problems", "rollout"]


def env_problems(env: str, split: str | None = None, limit: int | None = None) -> tuple[Sequence[Problem], EnvConfig]:
    """Return the problems and the settings of a registered environment, such as `codeenv/HumanEval-v0`, or of a problem file.

    Raises:
        CodeenvError: if there is no such environment.
    """
    if env.endswith((".jsonl", ".json")):
        return resolve_problems(env, split, limit), EnvConfig()
    try:
        spec = gymnasium.spec(env)
    except gymnasium.error.Error:
        ours = sorted(name for name in gymnasium.registry if name.startswith("codeenv/"))
        raise CodeenvError(f"there is no environment {env!r}; use one of {', '.join(ours)} or a problem file (.jsonl)") from None
    kwargs: dict[str, Any] = dict(spec.kwargs)
    if "problems" not in kwargs:
        raise CodeenvError(
            f"environment {env!r} is not one of codeenv's; rollouts need an environment whose id starts with 'codeenv/'"
        )
    settings = {item.name: kwargs[item.name] for item in fields(EnvConfig) if item.name in kwargs}
    return resolve_problems(kwargs["problems"], split or kwargs.get("split"), limit), EnvConfig(**settings)


def rollout(
    env: str | Sequence[Problem],
    agent: str | Agent,
    episodes: int | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    seed: int = 0,
    config: EnvConfig | None = None,
    concurrency: int = 64,
    agent_timeout_s: float = 600.0,
    judge: Judge | None = None,
    workers: int | None = None,
    split: str | None = None,
    limit: int | None = None,
    on_progress: Progress | None = None,
    history: bool = True,
    env_name: str | None = None,
    header: Mapping[str, Any] | None = None,
    agent_options: Mapping[str, str] | None = None,
    **settings: Any,
) -> RolloutResult:
    """Run an agent in an environment.

    Args:
        env: id of a registered environment, a problem file, or problems.
        agent: an agent, its name, or `module:attribute`.
        episodes: number of episodes; by default one per problem.
        out: folder for the run; without one the rows are returned.
        resume: go on with the run in `out`.
        seed: the run's seed.
        config: the task's settings; by default those of the environment.
        concurrency: most episodes in flight.
        agent_timeout_s: longest wall time of a response.
        judge: the judge to use; by default a local one with `workers` workers (default: the number of cores).
        split, limit: which problems.
        on_progress: called after each episode.
        history: whether the agent sees the conversation; if not, it sees the first message alone in every turn.
        env_name: what the run's header says that `env` is, if it is given as problems.
        header: more facts for the run's header, JSON-ready.
        agent_options: arguments for the class of an agent that is given by name.
        settings: single settings of `EnvConfig`, such as `turn_limit=5`.

    Returns:
        The result; `result.rows` holds the episodes by number unless they went to `out`.

    Example:
        >>> import codeenv
        >>> result = codeenv.rollout("codeenv/Procedural-v0", "oracle", episodes=4)  # doctest: +SKIP
        >>> result.solved  # doctest: +SKIP
        4
    """
    if isinstance(env, str):
        problems, defaults = env_problems(env, split, limit)
    else:
        problems, defaults = resolve_problems(env), EnvConfig()
    if unknown := sorted(set(settings) - {item.name for item in fields(EnvConfig)}):
        raise CodeenvError(
            f"unknown setting {unknown[0]!r}; the settings are {', '.join(item.name for item in fields(EnvConfig))}"
        )
    task = replace(config or defaults, **settings)
    plan = RolloutConfig(len(problems) if episodes is None else episodes, seed, concurrency, agent_timeout_s, history=history)
    name = agent if isinstance(agent, str) else f"{type(agent).__module__}:{type(agent).__qualname__}"
    acting = load_agent(agent, agent_options) if isinstance(agent, str) else agent
    own = judge is None
    judging = judge or Judge(sandbox="local", workers=(os.cpu_count() or 1) if workers is None else workers)
    folder: RunFolder | None = None
    try:
        if out is not None:
            where = env_name or (env if isinstance(env, str) else "problems")
            facts = _header(where, name, task, plan, len(problems), judging)
            folder = RunFolder(
                out,
                _without_passwords(
                    {**facts, "split": split, "limit": limit, "agent_options": dict(agent_options or {}), **(header or {})}
                ),
                resume,
            )
        if folder is not None:
            folder.add_problems(problems[number] for number in sorted({number % len(problems) for number in folder.done}))
        result = asyncio.run(run_episodes(problems, acting, judging, task, plan, folder, on_progress))
        if folder is not None:
            folder.check_there()
        return result
    finally:
        if folder is not None:
            folder.close()
        if own:
            judging.close()


def _header(env: str, agent: str, task: EnvConfig, plan: RolloutConfig, problems: int, judge: Judge) -> dict[str, Any]:
    from codeenv.version import __version__

    def name_of(value: Any) -> Any:
        return getattr(value, "__qualname__", type(value).__qualname__) if callable(value) else value

    return {
        "env": env,
        "agent": agent,
        "settings": {item.name: name_of(getattr(task, item.name)) for item in fields(EnvConfig)},
        "problems": problems,
        "episodes": plan.episodes,
        "seed": plan.seed,
        "history": plan.history,
        "isolation": judge.isolation_level,
        "versions": {"codeenv": __version__, "python": platform.python_version(), "gymnasium": gymnasium.__version__},
    }


def _without_passwords(value: Any) -> Any:
    """Return a header without the user and password of the addresses in it (`https://user:password@host`)."""
    if isinstance(value, Mapping):
        return {key: _without_passwords(item) for key, item in value.items()}
    return re.sub(r"://[^/@\s]+@", "://***@", value) if isinstance(value, str) else value
