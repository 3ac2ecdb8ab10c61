"""verifiers (its v1 API): a taskset, the env that plays our episodes, and a chat harness that runs in the same process.

verifiers finds a taskset by the name of a top-level module, so a plug-in is one line in a module of yours
(`examples/codeenv_verifiers.py`):

    from codeenv.integrations.verifiers_v1 import *

    PYTHONPATH=examples vf-eval codeenv-verifiers --env.taskset.problems humaneval --model ... --no-push

The policy only writes text; its programs run in codeenv's sandbox, so the agent needs no container.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator, Sequence
from typing import Any

from codeenv.env import resolve_problems
from codeenv.episode import EnvConfig
from codeenv.errors import MissingExtraError
from codeenv.feedback import get_prompt
from codeenv.integrations.session import EpisodeSession, problem_of
from codeenv.problems import Problem

try:
    import httpx
    import verifiers.v1 as vf
    from verifiers.v1.dialects.chat import message_to_wire
    from verifiers.v1.runtimes import ProgramResult, SubprocessConfig
    from verifiers.v1.types import AssistantMessage
except ModuleNotFoundError as error:
    raise MissingExtraError("the verifiers adapter", error.name or "verifiers", "verifiers") from error

__all__ = ["ChatHarness", "CodeTaskset", "EpisodeEnv"]


class CodeTasksetConfig(vf.TasksetConfig):  # type: ignore[misc]
    """The problems and the task's settings; see `codeenv.episode.EnvConfig`."""

    problems: str = "humaneval"
    """Name of a data set, or a problem file."""
    turn_limit: int = 3
    feedback: str = "rlef"
    reward: str = "rlef"
    trace: str = "off"

    def settings(self) -> EnvConfig:
        return EnvConfig(self.turn_limit, feedback=self.feedback, reward=self.reward, trace=self.trace)


class CodeData(vf.TaskData):  # type: ignore[misc]
    """A task on the wire: the problem's name, never its tests."""

    problems: str
    problem_id: str
    settings: dict[str, Any]


class CodeTask(vf.Task[CodeData]):  # type: ignore[misc]
    """The behaviour is the env's; the reward is recorded there."""


class CodeTaskset(vf.Taskset[CodeTask, CodeTasksetConfig]):  # type: ignore[misc]
    """One task per problem."""

    def load(self) -> Iterator[CodeTask]:
        config = self.config
        settings = config.settings()
        prompt = get_prompt(settings.prompt)
        chosen = {name: getattr(config, name) for name in ("turn_limit", "feedback", "reward", "trace")}
        for problem in _problems(config.problems):
            data = CodeData(
                id=problem.id,
                name=problem.id,
                prompt=prompt(problem),
                problems=config.problems,
                problem_id=problem.id,
                settings=chosen,
            )
            yield CodeTask(data, config.task)


class ChatHarnessConfig(vf.HarnessConfig):  # type: ignore[misc]
    """Nothing to set."""


class ChatHarness(vf.Harness[ChatHarnessConfig]):  # type: ignore[misc]
    """A plain chat: one model call per turn, in this process, through verifiers' interception like any other harness."""

    APPENDS_SYSTEM_PROMPT = True
    SUPPORTS_RESUME = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self, ctx: Any, trace: Any, runtime: Any, endpoint: str, secret: str, mcp_urls: dict[str, str], data: Any
    ) -> ProgramResult:
        system, prompt = self.resolve_prompt(data)
        messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
        if isinstance(prompt, str):
            messages.append({"role": "user", "content": prompt})
        else:
            messages += [message_to_wire(message) for message in prompt or []]
        async with httpx.AsyncClient(timeout=None) as client:
            response = await client.post(
                f"{endpoint.rstrip('/')}/chat/completions",
                headers={"Authorization": f"Bearer {secret}"},
                json={"model": ctx.model, "messages": messages},
            )
        refused = trace.stop_condition is not None
        ok = response.is_success or refused
        return ProgramResult(exit_code=0 if ok else 1, stdout="", stderr="" if ok else response.text[-2000:])


class EpisodeEnvConfig(vf.EnvConfig):  # type: ignore[misc]
    """The one role: the policy that writes programs."""

    player: vf.AgentConfig = vf.AgentConfig(runtime=SubprocessConfig())


class EpisodeEnv(vf.Env[EpisodeEnvConfig]):  # type: ignore[misc]
    """Our episode as the user of the conversation. A judge failure fails the episode, which verifiers retries or leaves out."""

    async def run(self, task: CodeTask, agents: Any) -> None:
        data = task.data
        session = EpisodeSession(
            problem_of({"problems": data.problems, "problem_id": data.problem_id}), None, EnvConfig(**data.settings)
        )
        facts: list[dict[str, Any]] = []
        async with agents.player.interaction(task) as interaction:
            segment = await interaction.turn()
            while not segment.terminated:
                reply = await asyncio.to_thread(session.step, _text(segment.messages))
                facts.append(reply.facts)
                if reply.done:
                    break
                segment = await interaction.turn(reply.message)
        trace = interaction.trace
        trace.record_reward("codeenv_reward", session.total_reward)
        trace.record_metric("solved", float(bool(facts and facts[-1].get("solved"))))
        trace.record_metric("turns", float(len(facts)))
        trace.info["codeenv_turns"] = facts


@functools.lru_cache(maxsize=8)
def _problems(name: str) -> Sequence[Problem]:
    return resolve_problems(name)


def _text(messages: Sequence[Any]) -> str:
    return next((message.content or "" for message in reversed(messages) if isinstance(message, AssistantMessage)), "")
