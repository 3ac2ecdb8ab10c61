"""Inspect AI: a task whose samples are our problems, a solver that plays the episode, a scorer that reads its outcome.

inspect eval examples/inspect_task.py --model openai/gpt-5 -T problems=humaneval
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from codeenv.env import resolve_problems
from codeenv.episode import EnvConfig
from codeenv.errors import MissingExtraError
from codeenv.feedback import get_prompt
from codeenv.integrations.session import EpisodeSession, problem_of, shared_judge
from codeenv.judge import Judge
from codeenv.problems import Problem

try:
    from inspect_ai import Task
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ChatMessageUser
    from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
    from inspect_ai.solver import Generate, Solver, TaskState, solver
except ModuleNotFoundError as error:
    raise MissingExtraError("the Inspect adapter", error.name or "inspect-ai", "inspect") from error

__all__ = ["code_dataset", "code_task", "play_episode", "solved_and_reward"]


def code_dataset(problems: str | Sequence[Problem], config: EnvConfig | None = None) -> MemoryDataset:
    """Return the problems as samples; the input is the episode's first message."""
    prompt = get_prompt((config or EnvConfig()).prompt)
    samples = [
        Sample(input=prompt(problem), id=problem.id, metadata={"problem": json.dumps(problem.to_dict())})
        for problem in resolve_problems(problems)
    ]
    return MemoryDataset(samples, name="codeenv")


@solver  # type: ignore[untyped-decorator]
def play_episode(config: EnvConfig | None = None, judge: Judge | None = None) -> Solver:
    """Play an episode: generate, judge, and answer with feedback, until it ends. A judge failure is an error of the sample."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        session = EpisodeSession(problem_of(state.metadata), judge or shared_judge(), config)
        replies = []
        while not session.episode.done:
            state = await generate(state)
            reply = await asyncio.to_thread(session.step, state.output.completion)
            replies.append(reply)
            if reply.message:
                state.messages.append(ChatMessageUser(content=reply.message))
            if state.completed and not reply.done:
                break  # one of Inspect's own limits
        state.store.set("codeenv_reward", session.total_reward)
        state.store.set("codeenv_facts", [reply.facts for reply in replies])
        state.completed = True
        return state

    return solve


@scorer(metrics={"solved": [mean(), stderr()], "reward": [mean(), stderr()], "turns": [mean()]})  # type: ignore[untyped-decorator]
def solved_and_reward() -> Scorer:
    """Score a played episode: whether it was solved, its reward, and its number of turns."""

    async def score(state: TaskState, target: Target) -> Score:
        facts: list[dict[str, Any]] = state.store.get("codeenv_facts", [])
        solved = bool(facts and facts[-1].get("solved"))
        value = {"solved": float(solved), "reward": state.store.get("codeenv_reward"), "turns": len(facts)}
        return Score(value=value, answer=state.output.completion, metadata={"turns": facts})

    return score


def code_task(
    problems: str | Sequence[Problem] = "humaneval", config: EnvConfig | None = None, judge: Judge | None = None
) -> Task:
    """Return the whole task."""
    return Task(
        dataset=code_dataset(problems, config), solver=play_episode(config, judge), scorer=solved_and_reward(), name="codeenv"
    )
