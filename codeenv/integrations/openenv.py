"""OpenEnv: our episodes behind OpenEnv's server, and a typed client.

uvicorn.run(create_code_app(problems))                               # server; or: python examples/openenv_server.py
with CodeClient(base_url="http://127.0.0.1:8000").sync() as env:     # client
    result = env.reset(problem_id="HumanEval/0")
    result = env.step(CodeAction(response="```python ...```"))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import numpy as np

from codeenv.env import pick_problem, resolve_problems
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError, MissingExtraError
from codeenv.integrations.session import EpisodeSession, shared_judge
from codeenv.judge import Judge
from codeenv.problems import Problem

try:
    from openenv.core.client_types import StepResult
    from openenv.core.env_client import EnvClient
    from openenv.core.env_server import Action, Environment, Observation, State, create_app
    from pydantic import Field
except ModuleNotFoundError as error:
    raise MissingExtraError("the OpenEnv adapter", error.name or "openenv", "openenv") from error

__all__ = ["CodeAction", "CodeClient", "CodeEnvironment", "CodeObservation", "CodeState", "create_code_app"]


class CodeAction(Action):  # type: ignore[misc]
    """A response of the agent."""

    response: str = Field(description="the text of the response; the program stands in its last fenced block")


class CodeObservation(Observation):  # type: ignore[misc]
    """The next message for the agent; `reward` and `done` are OpenEnv's own fields, facts stand in `metadata`."""

    message: str = Field(default="", description="the next user message; empty when the episode has ended")
    turn: int = Field(default=0, ge=0, description="number of responses judged so far")


class CodeState(State):  # type: ignore[misc]
    """The episode in a few words."""

    problem_id: str = ""
    solved: bool | None = None


class CodeEnvironment(Environment[CodeAction, CodeObservation, CodeState]):  # type: ignore[misc]
    """One client's episodes, one after the other.

    Args:
        problems: a data set's name or path, or problems.
        config: the task's settings.
        judge: shared by all sessions; this process's own by default.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, problems: str | Sequence[Problem], config: EnvConfig | None = None, judge: Judge | None = None) -> None:
        super().__init__()
        self._problems = resolve_problems(problems)
        self._config = config or EnvConfig()
        self._judge = judge or shared_judge()
        self._generator = np.random.default_rng()
        self._session: EpisodeSession | None = None
        self._state = CodeState()

    def reset(self, seed: int | None = None, episode_id: str | None = None, **options: Any) -> CodeObservation:
        """Start an episode on a random problem, or on the one of `problem_id`, `index` or `problem` (its JSON row)."""
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        if isinstance(options.get("problem"), dict):
            options["problem"] = Problem.from_dict(options["problem"])
        problem = pick_problem(self._problems, self._generator, options)
        self._session = EpisodeSession(problem, self._judge, self._config)
        self._state = CodeState(episode_id=episode_id or str(uuid4()), step_count=0, problem_id=problem.id)
        return CodeObservation(message=self._session.messages[-1]["content"], metadata={"problem_id": problem.id})

    def step(self, action: CodeAction, timeout_s: float | None = None, **_: Any) -> CodeObservation:
        """Judge a response. The problem's own limits bound the time, so `timeout_s` is not needed."""
        if self._session is None:
            raise CodeenvError("there is no episode yet; call reset() before step()")
        reply = self._session.step(action.response)
        self._state.step_count += 1
        self._state.solved = reply.facts.get("solved")
        return CodeObservation(
            message=reply.message, turn=self._state.step_count, reward=reply.reward, done=reply.done, metadata=reply.facts
        )

    @property
    def state(self) -> CodeState:
        return self._state


class CodeClient(EnvClient[CodeAction, CodeObservation, CodeState]):  # type: ignore[misc]
    """The typed client."""

    def _step_payload(self, action: CodeAction) -> dict[str, Any]:
        return {"response": action.response}

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[CodeObservation]:
        fields = payload.get("observation", payload)
        reward, done = payload.get("reward"), bool(payload.get("done", False))
        metadata = fields.get("metadata") or payload.get("metadata") or {}
        observation = CodeObservation(
            message=fields.get("message", ""), turn=fields.get("turn", 0), reward=reward, done=done, metadata=metadata
        )
        return StepResult(observation=observation, reward=reward, done=done)

    def _parse_state(self, payload: dict[str, Any]) -> CodeState:
        return CodeState(**payload)


def create_code_app(
    problems: str | Sequence[Problem], config: EnvConfig | None = None, judge: Judge | None = None, sessions: int = 64
) -> Any:
    """Return the FastAPI application of an OpenEnv server on these problems, for at most `sessions` clients at a time."""
    chosen = judge or shared_judge()
    make: Callable[[], CodeEnvironment] = lambda: CodeEnvironment(problems, config, chosen)  # noqa: E731
    return create_app(make, CodeAction, CodeObservation, env_name="codeenv", max_concurrent_envs=sessions, state_cls=CodeState)
