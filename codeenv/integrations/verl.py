"""verl: a reward function for single answers, and an agent loop that plays whole episodes.

    custom_reward_function.path=pkg://codeenv.integrations.verl  custom_reward_function.name=compute_score
    actor_rollout_ref.rollout.agent.agent_loop_config_path=examples/verl_agent_loop.yaml      # names CodeAgentLoop "codeenv"

`dataset_rows(problems)` gives the rows of the parquet data set. The loop keeps token ids as verl's server gave them, masks the
environment's, and sets `reward_score`, so that no reward function is asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from codeenv.episode import EnvConfig
from codeenv.errors import MissingExtraError
from codeenv.feedback import get_prompt
from codeenv.integrations.session import EpisodeSession, problem_of
from codeenv.problems import Problem

try:
    from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopMetrics, AgentLoopOutput, register
except ModuleNotFoundError as error:
    raise MissingExtraError("the verl adapter", error.name or "verl", "verl") from error

__all__ = ["CodeAgentLoop", "compute_score", "dataset_rows"]


def dataset_rows(
    problems: Sequence[Problem], config: EnvConfig | None = None, agent: str = "codeenv"
) -> Iterator[dict[str, Any]]:
    """Yield verl's data rows; write them with any parquet writer. `agent="single_turn_agent"` for `compute_score`."""
    prompt = get_prompt((config or EnvConfig()).prompt)
    for problem in problems:
        yield {
            "data_source": "codeenv",
            "prompt": [{"role": "user", "content": prompt(problem)}],
            "agent_name": agent,
            "reward_model": {"style": "rule", "ground_truth": json.dumps(problem.to_dict())},
            "extra_info": {"problem": json.dumps(problem.to_dict())},
        }


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Mapping[str, Any] | None = None, **_: Any
) -> dict[str, Any]:
    """Score one answer: an episode of a single turn. A judge failure raises `JudgeFailedError` and never becomes a score.

    Args:
        data_source: the data set's name; it does not matter here.
        solution_str: the model's answer.
        ground_truth: the problem's JSON row.
        extra_info: the row's further fields; `settings` may hold settings of `EnvConfig`.
    """
    settings = dict((extra_info or {}).get("settings") or {})
    session = EpisodeSession(problem_of({"problem": ground_truth}), None, EnvConfig(**{**settings, "turn_limit": 1}))
    reply = session.step(solution_str)
    return {"score": reply.reward, "acc": float(reply.facts["solved"]), "verdict": reply.facts["verdict"]}


@register("codeenv")
class CodeAgentLoop(AgentLoopBase):  # type: ignore[misc]
    """One episode per call of `run`.

    Args:
        settings: settings of `EnvConfig`, from the agent loop's configuration file.
    """

    def __init__(self, *args: Any, settings: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._env = EnvConfig(**dict(settings or {}))

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        """Play an episode on the problem in the row's `extra_info`."""
        session = EpisodeSession(problem_of(kwargs.get("extra_info") or {}), None, self._env)
        messages = [dict(message) for message in kwargs["raw_prompt"]]
        ids = await self.ct_build_initial_tokens(messages)
        mask: list[int] = []
        logprobs: list[float] | None = None
        rewards: list[float] = []
        facts: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        room = int(self.rollout_config.response_length)
        request_id = uuid4().hex  # one id per episode keeps it on the server that has its cache
        while len(mask) < room:
            output = await self.server_manager.generate(request_id=request_id, prompt_ids=ids, sampling_params=sampling_params)
            given = output.log_probs or None
            if given is not None and logprobs is None and not mask:
                logprobs = []
            merged, mask, logprobs = await self.ct_merge_assistant_token(
                ids, output.token_ids, mask, logprobs, assistant_logprobs=given
            )
            ids = merged.token_ids
            extra = {**output.extra_fields, **extra}
            text = self.tokenizer.decode(output.token_ids, skip_special_tokens=True)
            reply = await asyncio.to_thread(session.step, text)
            rewards.append(reply.reward)
            facts = reply.facts
            if reply.done:
                break
            before = [*messages, {"role": "assistant", "content": text}]
            messages = [*before, {"role": "user", "content": reply.message}]
            merged, mask, logprobs = await self.ct_merge_context_msg(before, messages, ids, mask, logprobs)
            ids = merged.token_ids
        extra.update(turn_scores=rewards, tool_rewards=[], solved=bool(facts.get("solved")))
        return AgentLoopOutput(
            prompt_ids=ids[: len(ids) - len(mask)],
            response_ids=ids[len(ids) - len(mask) :][:room],
            response_mask=mask[:room],
            response_logprobs=logprobs[:room] if logprobs else None,
            reward_score=session.total_reward,
            num_turns=2 * len(rewards),
            metrics=AgentLoopMetrics(),
            extra_fields=extra,
        )
