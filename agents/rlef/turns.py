"""A collection of episodes as flat tensors over turns and tokens, and minibatches of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from codeenv.agents.lm.scoring import Batch, build_batch
from codeenv.agents.lm.tokens import TokenConversation

__all__ = ["Chunk", "Learnable", "TurnTable", "build_turns"]


class Learnable(Protocol):
    """What a policy can learn from: a conversation and the reward of each of its responses."""

    conversation: TokenConversation

    @property
    def rewards(self) -> list[float]: ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some episodes of a collection as one forward pass.

    Attributes:
        batch: their tokens.
        tokens: (m,) int64, where its tokens are in the collection's flat token order.
        turns: (k,) int64, where its turns are in the collection's flat turn order.
    """

    batch: Batch
    tokens: Tensor
    turns: Tensor


@dataclass(frozen=True, slots=True)
class TurnTable:
    """N episodes, K turns in the order of the episodes, M sampled tokens in the order of the turns.

    Attributes:
        conversations: one per episode.
        rewards: (K,) float32, the task's reward of each turn.
        episode: (K,) int64, the episode of each turn.
        token_turn: (M,) int64, the turn of each token.
        behaviour: (M,) float32, the sampler's log-probabilities.
        token_start, turn_start: (N + 1,) where each episode's tokens and turns begin.
    """

    conversations: Sequence[TokenConversation]
    rewards: Tensor
    episode: Tensor
    token_turn: Tensor
    behaviour: Tensor
    token_start: Sequence[int]
    turn_start: Sequence[int]
    device: torch.device

    @property
    def turns(self) -> int:
        return len(self.rewards)

    @property
    def tokens(self) -> int:
        return len(self.token_turn)

    def chunks(self, episodes: Sequence[int], size: int) -> Iterator[Chunk]:
        """Yield the episodes in chunks of at most `size`, of similar length each."""
        ordered = sorted(episodes, key=lambda index: len(self.conversations[index]))
        for start in range(0, len(ordered), size):
            chosen = ordered[start : start + size]
            batch = build_batch([self.conversations[index] for index in chosen], pad_id=0, device=self.device)
            tokens = [torch.arange(self.token_start[index], self.token_start[index + 1]) for index in chosen]
            turns = [torch.arange(self.turn_start[index], self.turn_start[index + 1]) for index in chosen]
            yield Chunk(batch, torch.cat(tokens).to(self.device), torch.cat(turns).to(self.device))


def build_turns(played: Sequence[Learnable], device: torch.device | str = "cpu") -> TurnTable:
    """Return the table of some episodes; every episode has as many rewards as responses."""
    rewards: list[float] = []
    episode: list[int] = []
    token_turn: list[int] = []
    behaviour: list[float] = []
    token_start, turn_start = [0], [0]
    for index, one in enumerate(played):
        for reward, span in zip(one.rewards, one.conversation.spans, strict=True):
            token_turn += [len(rewards)] * (span.stop - span.start)
            behaviour += one.conversation.logprobs[span.start : span.stop]
            rewards.append(reward)
            episode.append(index)
        token_start.append(len(token_turn))
        turn_start.append(len(rewards))
    return TurnTable(
        [one.conversation for one in played],
        torch.tensor(rewards, dtype=torch.float, device=device),
        torch.tensor(episode, dtype=torch.long, device=device),
        torch.tensor(token_turn, dtype=torch.long, device=device),
        torch.tensor(behaviour, dtype=torch.float, device=device),
        token_start,
        turn_start,
        torch.device(device),
    )
