"""Sampling responses: batched by turn, finished rows dropped, the key-value cache kept from turn to turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from codeenv.agents.lm.tokens import TokenConversation
from codeenv.errors import CodeenvError

__all__ = ["Sampling", "TurnSampler"]

_COMPACT_BELOW = 0.75
"""Finished rows leave the batch when less than this share of it is still being written."""
_CANDIDATES = 512
"""Tokens that top-p looks at first; sorting a vocabulary of 50,000 takes as long as a small model's forward pass."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How responses are drawn. The defaults are RLEF's for training (arXiv 2410.02089, appendix A): temperature 1, no truncation.

    Attributes:
        temperature: 0.0 takes the likeliest token.
        top_p: smallest probability mass that is kept; 1.0 keeps all.
        max_tokens: most tokens of one response.
        max_context: most tokens of a conversation; a response that has no room left is empty.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 1024
    max_context: int = 8192

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature <= 10.0:
            raise CodeenvError(f"temperature is {self.temperature!r}; use a number from 0.0 to 10.0")
        if not 0.0 < self.top_p <= 1.0:
            raise CodeenvError(f"top_p is {self.top_p!r}; use a number above 0.0 and up to 1.0")
        if self.max_tokens < 1 or self.max_context < 2:
            raise CodeenvError(f"max_tokens is {self.max_tokens}, max_context is {self.max_context}; use at least 1 and 2")


@dataclass(slots=True)
class _Block:
    """A part of the batch with its cache. Slots of the cache that hold no token of a row are masked (0) for that row."""

    rows: list[int]
    cache: DynamicCache
    mask: Tensor

    def select(self, keep: Sequence[int]) -> _Block:
        """Return the block of the rows at these positions."""
        index = torch.tensor(keep, device=self.mask.device)
        cache = DynamicCache()
        for number, layer in enumerate(self.cache.layers):
            keys, values = _states(layer)
            cache.update(keys[index], values[index], number)
        return _Block([self.rows[position] for position in keep], cache, self.mask[index])


class TurnSampler:
    """Writes the next response of some conversations of a batch, turn after turn.

    Each call reads only the tokens that were added since the last one; a conversation that is left out of a call is left
    out for good. The recorded log-probabilities are those of the distribution drawn from, at its temperature and top-p.

    Args:
        model: a causal language model; it is used in evaluation mode.
        conversations: the batch.
        stop_ids: tokens that end a response.
        sampling: how tokens are drawn.
        generator: the source of randomness, on the model's device.
        streams: a generator of its own for each conversation, so that what it is told does not depend on the others of its
            batch; `None` draws from `generator`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        conversations: Sequence[TokenConversation],
        stop_ids: frozenset[int],
        sampling: Sampling,
        generator: torch.Generator,
        streams: Sequence[torch.Generator] | None = None,
    ) -> None:
        self._model = model
        self._conversations = conversations
        self._stop = stop_ids
        self._sampling = sampling
        self._generator = generator
        self._streams = streams
        self._blocks: list[_Block] = []
        self._seen = [0] * len(conversations)
        self._begun = False

    @torch.inference_mode()
    def respond(self, indices: Sequence[int]) -> None:
        """Append one response to each conversation of these indices."""
        self._model.eval()
        limit = self._sampling.max_context
        room = [index for index in indices if len(self._conversations[index]) < limit]
        for index in set(indices) - set(room):
            self._conversations[index].add_response([], [], "context")
        if not room:
            return
        block = self._gather(room)
        self._begun = True
        written: dict[int, tuple[list[int], list[float]]] = {index: ([], []) for index in room}
        budget = {index: min(self._sampling.max_tokens, limit - len(self._conversations[index])) for index in room}
        finish: dict[int, str] = {}
        parked: list[_Block] = []
        pending = [self._conversations[index].ids[self._seen[index] :] for index in room]
        drawn = {} if self._streams is None else {
            index: torch.rand(budget[index], generator=self._streams[index]).tolist() for index in room
        }  # fmt: skip
        while True:
            logits = self._forward(block, pending)
            places = [drawn[index][min(len(written[index][0]), budget[index] - 1)] for index in block.rows] if drawn else None
            tokens, logprobs = self._draw(logits, places)
            pending = []
            live: list[int] = []
            for position, (index, token, logprob) in enumerate(zip(block.rows, tokens.tolist(), logprobs.tolist(), strict=True)):
                if index in finish:
                    pending.append([])
                    continue
                ids, values = written[index]
                ids.append(token)
                values.append(logprob)
                if token in self._stop:
                    finish[index] = "stop"
                elif len(ids) >= budget[index]:
                    finish[index] = "length" if budget[index] == self._sampling.max_tokens else "context"
                pending.append([] if index in finish else [token])
                if index not in finish:
                    live.append(position)
            if not live:
                break
            if len(live) < _COMPACT_BELOW * len(block.rows):
                done = sorted(set(range(len(block.rows))) - set(live))
                parked.append(block.select(done))
                pending = [pending[position] for position in live]
                block = block.select(live)
        self._blocks = [*parked, block]
        for index in room:
            self._conversations[index].add_response(*written[index], finish[index])

    def _gather(self, indices: Sequence[int]) -> _Block:
        """Return one block of exactly these rows, made from the blocks at hand."""
        device = self._model.device
        if not self._begun:
            return _Block(list(indices), DynamicCache(), torch.zeros(len(indices), 0, dtype=torch.long, device=device))
        wanted = set(indices)
        parts = [
            block if len(keep) == len(block.rows) else block.select(keep)
            for block in self._blocks
            if (keep := [position for position, row in enumerate(block.rows) if row in wanted])
        ]
        if len(parts) == 1:
            merged = parts[0]
        else:
            width = max(part.mask.shape[1] for part in parts)
            cache = DynamicCache()
            for number in range(len(parts[0].cache.layers)):
                states = [_states(part.cache.layers[number]) for part in parts]
                keys, values = (torch.cat([_pad_left(pair[kind], width) for pair in states]) for kind in (0, 1))
                cache.update(keys, values, number)
            mask = torch.cat([torch.nn.functional.pad(part.mask, (width - part.mask.shape[1], 0)) for part in parts])
            merged = _Block([row for part in parts for row in part.rows], cache, mask)
        place = {row: position for position, row in enumerate(merged.rows)}
        order = [place[index] for index in indices]
        return merged if order == list(range(len(order))) else merged.select(order)

    def _forward(self, block: _Block, pending: Sequence[Sequence[int]]) -> Tensor:
        """Feed the pending tokens of each row and return the logits behind the last one; rows without a token get padding."""
        device = block.mask.device
        width = max(map(len, pending))
        rows = [[0] * (width - len(ids)) + list(ids) for ids in pending]
        places = [
            [0] * (width - len(ids)) + list(range(self._seen[row], self._seen[row] + len(ids)))
            for row, ids in zip(block.rows, pending, strict=True)
        ]
        fresh = [[0] * (width - len(ids)) + [1] * len(ids) for ids in pending]
        block.mask = torch.cat([block.mask, torch.tensor(fresh, device=device)], dim=1)
        output = self._model(
            input_ids=torch.tensor(rows, device=device),
            attention_mask=block.mask,
            position_ids=torch.tensor(places, device=device),
            past_key_values=block.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        for row, ids in zip(block.rows, pending, strict=True):
            self._seen[row] += len(ids)
        logits: Tensor = output.logits[:, -1].float()
        return logits

    def _draw(self, logits: Tensor, places: Sequence[float] | None = None) -> tuple[Tensor, Tensor]:
        """Draw one token per row; return the tokens and their log-probabilities under the distribution drawn from.

        Args:
            logits: (rows, vocabulary).
            places: where in the cumulative distribution of each row its token is, 0.0 to 1.0; `None` draws at random.
        """
        if self._sampling.temperature == 0.0:
            tokens = logits.argmax(dim=-1)
            return tokens, torch.zeros_like(tokens, dtype=torch.float)
        scores, top_p = logits / self._sampling.temperature, self._sampling.top_p
        if top_p < 1.0 and (likeliest := _likeliest(scores, top_p)) is not None:
            values, ids = likeliest
            logprobs = _truncated(values, values.exp().cumsum(dim=-1) - values.exp(), top_p)
            choice = self._choose(logprobs, places)
            return ids.gather(1, choice)[:, 0], logprobs.gather(1, choice)[:, 0]
        logprobs = torch.log_softmax(scores, dim=-1)
        if top_p < 1.0:
            ordered, order = logprobs.sort(dim=-1, descending=True)
            before = torch.zeros_like(logprobs).scatter(1, order, ordered.exp().cumsum(dim=-1) - ordered.exp())
            logprobs = _truncated(logprobs, before, top_p)
        tokens = self._choose(logprobs, places)
        return tokens[:, 0], logprobs.gather(1, tokens)[:, 0]

    def _choose(self, logprobs: Tensor, places: Sequence[float] | None) -> Tensor:
        """Return the position of one entry of each row, (rows, 1), drawn by its log-probability or at its place."""
        if places is None:
            return torch.multinomial(logprobs.exp(), 1, generator=self._generator)
        mass = logprobs.double().exp().cumsum(dim=-1)
        wanted = torch.tensor(places, dtype=torch.double, device=mass.device)[:, None] * mass[:, -1:]
        return torch.searchsorted(mass, wanted, right=True).clamp(max=mass.shape[1] - 1)


def _likeliest(scores: Tensor, top_p: float) -> tuple[Tensor, Tensor] | None:
    """Return the log-probabilities and ids of the likeliest tokens, falling; `None` if they may not hold the whole of top-p."""
    if scores.shape[-1] <= _CANDIDATES:
        return None
    values, ids = scores.topk(_CANDIDATES, dim=-1)
    values = values - scores.logsumexp(dim=-1, keepdim=True)
    return (values, ids) if bool((values.exp().sum(dim=-1) > top_p).all()) else None


def _truncated(logprobs: Tensor, before: Tensor, top_p: float) -> Tensor:
    """Return log-probabilities without the tokens before which there is `top_p` of the mass already, normalised."""
    return torch.log_softmax(logprobs.masked_fill(before >= top_p, -torch.inf), dim=-1)


def _states(layer: Any) -> tuple[Tensor, Tensor]:
    """Return the keys and values of a cache layer, each (rows, heads, slots, size)."""
    return layer.keys, layer.values


def _pad_left(states: Tensor, width: int) -> Tensor:
    """Pad keys or values of shape (rows, heads, slots, size) to `width` slots."""
    return torch.nn.functional.pad(states, (0, 0, width - states.shape[2], 0))
