"""Collecting episodes: the policy writes, the environment judges, both turn by turn for a whole batch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel

from codeenv.agents.lm.chat_format import ChatFormat
from codeenv.agents.lm.generation import Sampling, TurnSampler
from codeenv.agents.lm.served import ServedPolicy, ServedSampler
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.stepcoder.completion import joined, with_beginning
from codeenv.batch import EpisodeBatch
from codeenv.episode import EnvConfig, Episode
from codeenv.judge import Judge
from codeenv.problems import Problem
from codeenv.rollout.conversation import feedback_message

__all__ = ["Collection", "Played", "PlayedRecord", "collect"]


@dataclass(slots=True)
class Played:
    """One episode as the learner sees it.

    Attributes:
        episode: the environment's record.
        conversation: the tokens; in independent sampling those of the last attempt.
        given: the lines that the program was given to begin with, see `codeenv.agents.stepcoder.completion`.
        notes: what else a learner has to know of the episode, made where it was played; plain data.
    """

    episode: Episode
    conversation: TokenConversation
    given: str = ""
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def rewards(self) -> list[float]:
        """The task's reward of each turn."""
        return [turn.reward for turn in self.episode.turns]

    @property
    def solved(self) -> bool:
        return bool(self.episode.turns and self.episode.turns[-1].outcome.solved)

    @property
    def problem_id(self) -> str:
        return self.episode.problem.id

    @property
    def valid(self) -> list[bool]:
        """Whether the program of each turn compiled."""
        return [turn.outcome.valid for turn in self.episode.turns]


@dataclass(slots=True)
class PlayedRecord:
    """What a learner needs of an episode that another process played."""

    conversation: TokenConversation
    rewards: list[float]
    solved: bool
    problem_id: str
    valid: list[bool]
    given: str = ""
    notes: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, one: Played | PlayedRecord) -> PlayedRecord:
        """Return the record of an episode."""
        return cls(one.conversation, one.rewards, one.solved, one.problem_id, one.valid, one.given, one.notes)


@dataclass(slots=True)
class Collection:
    """Episodes of one collection, and where the time went.

    Attributes:
        played: the finished episodes; those of other processes are records without the environment's part.
        places: the place of each among the problems that were asked.
        judge_errors: episodes that the judge could not judge; they are left out of `played`.
        generation_s, judge_s: wall seconds.
        generation_cpu_s, judge_cpu_s: CPU seconds of this process.
    """

    played: list[Any] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    judge_errors: int = 0
    generation_s: float = 0.0
    judge_s: float = 0.0
    generation_cpu_s: float = 0.0
    judge_cpu_s: float = 0.0

    @property
    def solve_rate(self) -> float:
        return float(sum(one.solved for one in self.played) / max(1, len(self.played)))

    @property
    def samples(self) -> int:
        """Number of responses."""
        return sum(len(one.rewards) for one in self.played)


def collect(
    policy: PreTrainedModel | ServedPolicy,
    chat: ChatFormat,
    problems: Sequence[Problem],
    judge: Judge,
    env: EnvConfig,
    sampling: Sampling,
    generator: torch.Generator,
    independent: bool = False,
    shown: Sequence[int] = (),
    seeds: Sequence[int] | None = None,
    begins: Sequence[str] = (),
) -> Collection:
    """Play one episode on each problem.

    Args:
        policy: what writes: a model in this process, or one on a server.
        independent: every turn begins a new conversation that holds the problem alone: independent attempts at the same
            budget, of which the first that passes the public tests is the answer.
        seeds: of each episode's own generator; `None` draws all tokens of a step from `generator`, which is faster.
        begins: the lines that each program is given to begin with; none if empty.
        shown: tokens of solved dialogues to put before each problem (few-shot prompting).
    """
    collection = Collection()
    batch = EpisodeBatch(problems, judge, env)
    begins = begins or [""] * len(problems)
    texts = [with_beginning(seen["problem"], given) for seen, given in zip(batch.observations, begins, strict=True)]
    openings = [[*shown, *chat.follow_up(text, stopped=True)] if shown else chat.opening(text) for text in texts]
    conversations = [_opened(opening) for opening in openings]
    streams = None if seeds is None else [torch.Generator().manual_seed(seed) for seed in seeds]
    sampler = _sampler(policy, conversations, chat.stop_ids, sampling, generator, streams)
    while live := batch.live:
        wall, cpu = time.perf_counter(), time.process_time()
        sampler.respond(live)
        responses = {
            index: joined(chat.text(conversations[index].response(-1)), begins[index], env.require_fence) for index in live
        }
        collection.generation_s += time.perf_counter() - wall
        collection.generation_cpu_s += time.process_time() - cpu
        wall, cpu = time.perf_counter(), time.process_time()
        steps = batch.step(responses)
        collection.judge_s += time.perf_counter() - wall
        collection.judge_cpu_s += time.process_time() - cpu
        if independent:
            for index in batch.live:
                conversations[index] = _opened(openings[index])
            sampler = _sampler(policy, conversations, chat.stop_ids, sampling, generator, streams)
            continue
        for index in batch.live:
            seen = steps[index].observation
            stopped = conversations[index].spans[-1].finish == "stop"
            conversations[index].add_environment(chat.follow_up(feedback_message(seen["feedback"], seen["trace"]), stopped))
    for place, (episode, conversation) in enumerate(zip(batch.episodes, conversations, strict=True)):
        if episode.truncated:
            collection.judge_errors += 1
        else:
            collection.places.append(place)
            collection.played.append(Played(episode, conversation, begins[place]))
    return collection


def _sampler(policy: PreTrainedModel | ServedPolicy, *settings: Any) -> TurnSampler | ServedSampler:
    return ServedSampler(policy, *settings) if isinstance(policy, ServedPolicy) else TurnSampler(policy, *settings)


def _opened(ids: Sequence[int]) -> TokenConversation:
    conversation = TokenConversation()
    conversation.add_environment(ids)
    return conversation
