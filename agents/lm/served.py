"""A policy that writes on a server: its weights go there before each collection, and its responses come back as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from codeenv.agents.lm.adapters import merged_state, without_quantisation
from codeenv.agents.lm.generation import Sampling
from codeenv.agents.lm.scoring import build_batch, response_logprobs
from codeenv.agents.lm.storage import save_pretrained
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.lm.vllm_server import Response, VllmServer
from codeenv.errors import CodeenvError

__all__ = ["ServedPolicy", "ServedSampler"]

_PROBE_TOKENS = 32
_SEEDS = 1 << 31


class ServedPolicy:
    """Stands where the model that writes would stand, see `codeenv.agents.lm.writer`.

    Args:
        server: writes the responses.
        tokenizer: of the policy; goes into the folder with it.
        folder: where the weights are put for the server.
        dtype: of the weights in the folder; `same` is the policy's.
        temperature: of the responses, for the check behind a hand-over.

    Attributes:
        difference: mean difference, in nats a token, between the server's log-probabilities and the trainer's after the last
            hand-over.
    """

    def __init__(
        self,
        server: VllmServer,
        tokenizer: PreTrainedTokenizerBase,
        folder: Path,
        dtype: str = "same",
        temperature: float = 1.0,
    ) -> None:
        self.server = server
        self.difference = 0.0
        self._tokenizer = tokenizer
        self._folder = folder
        self._dtype = None if dtype == "same" else getattr(torch, dtype)
        self._temperature = temperature

    def refreshed(self, policy: PreTrainedModel) -> ServedPolicy:
        """Give the server the weights that the policy has now, and make sure that it writes with them.

        Raises:
            CodeenvError: the server cannot take them, or its log-probabilities are not the policy's afterwards.
        """
        whole = merged_state(policy)
        state = {name: value if self._dtype is None else value.to(self._dtype) for name, value in whole.items()}
        with without_quantisation(policy):
            save_pretrained(policy, self._tokenizer, self._folder, state)
        self.server.load(self._folder)
        self.difference = self._probe(policy)
        if not self.difference <= self.server.config.tolerance:
            raise CodeenvError(
                f"the server's log-probabilities differ from the trainer's by {self.difference:.3g} nats a token after the "
                f"hand-over, more than server.tolerance = {self.server.config.tolerance:g}; does it serve this model?"
            )
        return self

    def close(self) -> None:
        """End the connections to the server."""
        self.server.close()

    @torch.no_grad()
    def _probe(self, policy: PreTrainedModel) -> float:
        """Let the server write a few tokens and return how far its log-probabilities are from the policy's."""
        first = [int(self._tokenizer.eos_token_id or 0)]
        sampling = Sampling(self._temperature, 1.0, _PROBE_TOKENS)
        conversation = TokenConversation()
        conversation.add_environment(first)
        written = self.server.complete(first, sampling, frozenset(), _PROBE_TOKENS, seed=0)
        conversation.add_response(written.ids, written.logprobs, written.finish)
        batch = build_batch([conversation], first[0], policy.device)
        policy.eval()
        ours, _ = response_logprobs(policy, batch, self._temperature)
        return float((ours - batch.behaviour).abs().mean())


class ServedSampler:
    """Writes the next response of some conversations on the server; stands where a `TurnSampler` would stand.

    Args:
        policy: what writes.
        conversations: the batch.
        stop_ids: tokens that end a response.
        sampling: how tokens are drawn.
        generator: the source of seeds, one for each response.
        streams: a source for each conversation, instead.
    """

    def __init__(
        self,
        policy: ServedPolicy,
        conversations: Sequence[TokenConversation],
        stop_ids: frozenset[int],
        sampling: Sampling,
        generator: torch.Generator,
        streams: Sequence[torch.Generator] | None = None,
    ) -> None:
        self._server = policy.server
        self._conversations = conversations
        self._stop = stop_ids
        self._sampling = sampling
        self._generator = generator
        self._streams = streams

    def respond(self, indices: Sequence[int]) -> None:
        """Append one response to each conversation of these indices.

        Raises:
            CodeenvError: the server fails; no conversation is changed then.
        """
        limit, most = self._sampling.max_context, self._sampling.max_tokens
        room = [index for index in indices if len(self._conversations[index]) < limit]
        budgets = [min(most, limit - len(self._conversations[index])) for index in room]
        seeds = [self._seed(index) for index in room]
        with ThreadPoolExecutor(max(1, min(len(room), self._server.config.parallel))) as threads:
            found = list(threads.map(self._complete, room, budgets, seeds))
        for index, budget, response in zip(room, budgets, found, strict=True):
            short = response.finish == "length" and budget < most
            self._conversations[index].add_response(response.ids, response.logprobs, "context" if short else response.finish)
        for index in set(indices) - set(room):
            self._conversations[index].add_response([], [], "context")

    def _seed(self, index: int) -> int:
        generator = self._generator if self._streams is None else self._streams[index]
        return int(torch.randint(_SEEDS, (1,), generator=generator, device=generator.device))

    def _complete(self, index: int, budget: int, seed: int) -> Response:
        return self._server.complete(self._conversations[index].ids, self._sampling, self._stop, budget, seed)
