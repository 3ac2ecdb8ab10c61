"""Collecting answers to prediction items, and items from the episodes that were played."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from codeenv.agents.lm.chat_format import ChatFormat
from codeenv.agents.lm.generation import Sampling, TurnSampler
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.collect import Played
from codeenv.judge.verdict import Verdict
from codeenv.prediction import Attempt, PredictionItem, PredictionScorer, Score, prompt_of
from codeenv.prediction.repair import mutate

__all__ = ["Answered", "answer_items", "mutated", "tried"]


@dataclass(slots=True)
class Answered:
    """One answer as the learner sees it: an episode of one turn."""

    item: PredictionItem
    conversation: TokenConversation
    score: Score

    @property
    def rewards(self) -> list[float]:
        """The reward of its only turn."""
        return [self.score.reward]


def answer_items(
    policy: PreTrainedModel,
    chat: ChatFormat,
    items: Sequence[PredictionItem],
    style: str,
    scorer: PredictionScorer,
    sampling: Sampling,
    generator: torch.Generator,
    seeds: Sequence[int] | None = None,
) -> list[Answered]:
    """Ask the policy each item once and score its answers; items whose prompt leaves no room for an answer are left out.

    `seeds` are those of each item's own generator, where they have one; then every prompt must leave room.
    """
    conversations: list[TokenConversation] = []
    asked: list[PredictionItem] = []
    for item in items:
        ids = chat.opening(prompt_of(item, style))  # type: ignore[arg-type]
        if len(ids) < sampling.max_context:
            conversation = TokenConversation()
            conversation.add_environment(ids)
            conversations.append(conversation)
            asked.append(item)
    if not asked:
        return []
    streams = None if seeds is None else [torch.Generator().manual_seed(seed) for seed in seeds]
    TurnSampler(policy, conversations, chat.stop_ids, sampling, generator, streams).respond(range(len(asked)))
    scores = scorer.score(asked, [chat.text(conversation.response(0)) for conversation in conversations])
    return [Answered(*row) for row in zip(asked, conversations, scores, strict=True)]


def tried(one: Played) -> list[tuple[str, bool, int, float]]:
    """Return every program that an episode submitted, in any turn, as the fields of `Attempt` behind the problem: the program,
    whether it passed the public tests, the first that it failed, the reward.
    """
    rows = []
    for turn in one.episode.turns:
        if turn.source is None or turn.public.verdict is Verdict.COMPILE_ERROR:
            continue
        failed = turn.public.failed
        rows.append((turn.source, not failed, failed[0].index if failed else 0, turn.reward))
    return rows


def mutated(attempts: Sequence[Attempt], seed: int) -> list[Attempt]:
    """Return a copy of each attempt with one number or comparison changed, as far as it has one (CodeBoost, arXiv 2508.05242).

    Whether a copy fails its tests is not known before it runs; all count as failed.
    """
    found = []
    for number, attempt in enumerate(attempts):
        source = mutate(attempt.source, seed + number)
        if source is not None and source != attempt.source:
            found.append(dataclasses.replace(attempt, source=source, passed=False))
    return found
