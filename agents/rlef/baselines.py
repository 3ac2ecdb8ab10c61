"""The baselines that RLEF is compared with, in the miniature: dialogues to show, mined documents, and a model for repairs.

RLEF, arXiv 2410.02089, appendix A.2: few-shot prompting with solved episodes of 2 and 3 attempts; supervised learning on the
last response of solved episodes; a model that repairs what a single-turn policy got wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from codeenv.agents.lm.chat_format import ChatFormat, PlainFormat
from codeenv.agents.lm.generation import Sampling, TurnSampler
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.collect import Collection, Played
from codeenv.agents.rlef.miniature import true_feedback
from codeenv.batch import EpisodeBatch
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError
from codeenv.feedback import FeedbackContext, compact
from codeenv.judge import Judge
from codeenv.problems import Problem
from codeenv.problems.procedural.mini import candidates, first_failure, parse, program_split, sample_tasks

__all__ = ["Documents", "collect_with_repairs", "dialogue_tokens", "family_dialogues", "repair_documents"]


class Documents:
    """Draws supervised documents from a fixed set, each pass in a new order.

    Args:
        conversations: the set; the tokens to learn are those marked as sampled.
        seed: of the orders.
    """

    def __init__(self, conversations: Sequence[TokenConversation], seed: int) -> None:
        if not conversations:
            raise CodeenvError("there is no document to learn from; play more episodes, or start from a policy that solves some")
        self._conversations = conversations
        self._generator = np.random.default_rng([seed, 2])
        self._left: list[int] = []

    def __call__(self, count: int) -> list[TokenConversation]:
        while len(self._left) < count:
            self._left += self._generator.permutation(len(self._conversations)).tolist()
        chosen, self._left = self._left[:count], self._left[count:]
        return [self._conversations[index] for index in chosen]


def family_dialogues(attempts: Sequence[int] = (2, 3), seed: int = 0) -> list[list[str]]:
    """Return solved dialogues on train problems: statement, wrong program, feedback, ..., right program.

    Args:
        attempts: programs of each dialogue; the last is right, the others are other train programs that fit the statement.
        seed: of the choice.
    """
    generator = np.random.default_rng([seed, 3])
    dialogues = []
    for number, count in enumerate(attempts):
        (task,) = sample_tasks("train", 1, seed=50_000_000 + 1000 * seed + number)
        fitting = [other for other in candidates(task.program, task.mask) if program_split(other) == "train"]
        wrong = [other for other in fitting if first_failure(other, task) is not None]
        texts = [task.statement]
        for place in generator.permutation(len(wrong))[: count - 1].tolist():
            texts += [wrong[place].source, true_feedback(wrong[place], task)]
        dialogues.append([*texts, task.program.source])
    return dialogues


def dialogue_tokens(chat: ChatFormat, dialogues: Sequence[Sequence[str]]) -> list[int]:
    """Return dialogues as the beginning of a prompt, for `collect(shown=...)`."""
    ids: list[int] = []
    for dialogue in dialogues:
        for place, text in enumerate(dialogue):
            if place % 2:
                ids += chat.response(text)
            else:
                ids += chat.follow_up(text, stopped=True) if ids else chat.opening(text)
    return ids


def repair_documents(chat: PlainFormat, played: Sequence[Played]) -> list[TokenConversation]:
    """Return a document for each failed first attempt at a problem of the miniature: behind the feedback, its right program."""
    documents = []
    for one in played:
        first = one.episode.turns[0]
        if not first.public.accepted:
            task = parse(one.episode.problem.id)
            span = one.conversation.spans[0]
            document = TokenConversation()
            document.add_environment(one.conversation.ids[: span.stop])
            document.add_environment(chat.follow_up(_first_feedback(one), stopped=span.finish == "stop"))
            ids = chat.response(task.program.source)
            document.add_response(ids, [0.0] * len(ids), "stop")
            documents.append(document)
    return documents


def _first_feedback(one: Played) -> str:
    """Return the feedback that the first attempt of an episode gets; an episode of one turn was never shown it."""
    turn = one.episode.turns[0]
    return turn.feedback or compact(FeedbackContext(one.episode.problem, turn.source, turn.public, 0))


def collect_with_repairs(
    first: PreTrainedModel,
    repair: PreTrainedModel,
    chat: ChatFormat,
    problems: Sequence[Problem],
    judge: Judge,
    env: EnvConfig,
    sampling: Sampling,
    generator: torch.Generator,
) -> Collection:
    """Play one episode on each problem: the first attempt from one policy, each repair from another.

    A repair sees the statement, the first attempt and its feedback alone, so that repairs are independent of each other.
    """
    collection = Collection()
    batch = EpisodeBatch(problems, judge, env)
    conversations = [TokenConversation() for _ in problems]
    for conversation, observation in zip(conversations, batch.observations, strict=True):
        conversation.add_environment(chat.opening(observation["problem"]))
    TurnSampler(first, conversations, chat.stop_ids, sampling, generator).respond(batch.live)
    asked: dict[int, TokenConversation] = {}
    while live := batch.live:
        steps = batch.step({index: chat.text(conversations[index].response(-1)) for index in live})
        for index in batch.live:
            if index not in asked:
                asked[index] = TokenConversation()
                asked[index].add_environment(conversations[index].ids)
                stopped = conversations[index].spans[-1].finish == "stop"
                asked[index].add_environment(chat.follow_up(steps[index].observation["feedback"], stopped))
            conversations[index] = TokenConversation()
            conversations[index].add_environment(asked[index].ids)
        TurnSampler(repair, conversations, chat.stop_ids, sampling, generator).respond(batch.live)
    for episode, conversation in zip(batch.episodes, conversations, strict=True):
        if episode.truncated:
            collection.judge_errors += 1
        else:
            collection.played.append(Played(episode, conversation))
    return collection
