"""Conversations in tokens: append-only ids, and for each token who wrote it, in which turn and with which log-probability.

Ids are the truth: a response is kept as it was sampled, and text is never tokenised again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["TokenConversation", "TurnSpan"]


@dataclass(frozen=True, slots=True)
class TurnSpan:
    """The half-open range of a response's token positions; the token before it is the last prompt token of the turn.

    Attributes:
        start: position of the first token of the response.
        stop: position behind the last one. `start == stop` is a response without a token (no room was left).
        finish: why it ended: `stop` (the policy ended it), `length` (the turn's limit) or `context` (the model's limit).
    """

    start: int
    stop: int
    finish: str

    @property
    def prompt_end(self) -> int:
        """Position of the last prompt token, where the critic is read."""
        return self.start - 1


@dataclass(slots=True)
class TokenConversation:
    """One conversation. Only `add_environment` and `add_response` change it, and both only append.

    Attributes:
        ids: token ids.
        sampled: per token, whether the policy sampled it (policy loss has weight there alone).
        turn: per token, the 0-based turn; the environment's tokens belong to the turn that they open.
        logprobs: per token, the log-probability with which the sampler drew it; 0.0 for the environment's tokens.
        spans: one per response.
    """

    ids: list[int] = field(default_factory=list)
    sampled: list[bool] = field(default_factory=list)
    turn: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    spans: list[TurnSpan] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    def add_environment(self, ids: Sequence[int]) -> None:
        """Append tokens that the environment wrote; they open the next turn."""
        self._add(ids, [0.0] * len(ids), sampled=False)

    def add_response(self, ids: Sequence[int], logprobs: Sequence[float], finish: str) -> None:
        """Append a sampled response and close its turn.

        Raises:
            ValueError: if nothing was said before, or ids and log-probabilities differ in number.
        """
        if not self.ids:
            raise ValueError("a response needs a prompt; call add_environment first")
        if len(ids) != len(logprobs):
            raise ValueError(f"there are {len(ids)} tokens and {len(logprobs)} log-probabilities; give one each")
        start = len(self.ids)
        self._add(ids, logprobs, sampled=True)
        self.spans.append(TurnSpan(start, len(self.ids), finish))

    def response(self, turn: int) -> list[int]:
        """Return the token ids of the response of a turn."""
        return self.ids[self.spans[turn].start : self.spans[turn].stop]

    def _add(self, ids: Sequence[int], logprobs: Sequence[float], sampled: bool) -> None:
        self.ids.extend(ids)
        self.sampled.extend([sampled] * len(ids))
        self.turn.extend([len(self.spans)] * len(ids))
        self.logprobs.extend(logprobs)
