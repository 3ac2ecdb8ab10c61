"""Log-probabilities of given responses, and values at given positions: the trainer's side of the model.

Logits are computed only where a sampled token is predicted: for real vocabularies they are most of the memory of a step.
Batches are padded on the right, so that causal attention alone keeps padding out and no mask is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from codeenv.agents.lm.tokens import TokenConversation
from codeenv.errors import CodeenvError

__all__ = [
    "Batch",
    "Critic",
    "build_batch",
    "check_head",
    "hidden_states",
    "layer_states",
    "logprobs_of_states",
    "response_logprobs",
]


@dataclass(frozen=True, slots=True)
class Batch:
    """Conversations as tensors, padded on the right. N conversations, L positions, M sampled tokens, K turns.

    Attributes:
        ids: (N, L) int64 token ids.
        token_row, token_column: (M,) int64, where each sampled token is predicted (one position before it).
        target: (M,) int64, the sampled token.
        token_turn: (M,) int64, index of the token's turn among the K turns.
        turn_row, turn_column: (K,) int64, the last prompt token of each turn.
        behaviour: (M,) float32, log-probabilities recorded by the sampler.
    """

    ids: Tensor
    token_row: Tensor
    token_column: Tensor
    target: Tensor
    token_turn: Tensor
    turn_row: Tensor
    turn_column: Tensor
    behaviour: Tensor


def build_batch(conversations: Sequence[TokenConversation], pad_id: int, device: torch.device | str = "cpu") -> Batch:
    """Return the batch of some conversations; turns are numbered conversation by conversation."""
    width = max(map(len, conversations))
    ids = torch.full((len(conversations), width), pad_id, dtype=torch.long)
    rows: list[int] = []
    columns: list[int] = []
    targets: list[int] = []
    turns: list[int] = []
    behaviour: list[float] = []
    turn_row: list[int] = []
    turn_column: list[int] = []
    for row, conversation in enumerate(conversations):
        ids[row, : len(conversation)] = torch.tensor(conversation.ids)
        for span in conversation.spans:
            size = span.stop - span.start
            rows += [row] * size
            columns += range(span.start - 1, span.stop - 1)
            targets += conversation.ids[span.start : span.stop]
            turns += [len(turn_row)] * size
            behaviour += conversation.logprobs[span.start : span.stop]
            turn_row.append(row)
            turn_column.append(span.prompt_end)
    whole = [torch.tensor(values, dtype=torch.long) for values in (rows, columns, targets, turns, turn_row, turn_column)]
    tensors = [ids, *whole, torch.tensor(behaviour, dtype=torch.float)]
    return Batch(*(tensor.to(device) for tensor in tensors))


def response_logprobs(model: PreTrainedModel, batch: Batch, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return the log-probability of each sampled token and the entropy of its distribution, both (M,) float32.

    Args:
        model: a causal language model whose head is a linear map of the last hidden state (`check_head` tells).
        batch: the conversations.
        temperature: that of the sampler.
    """
    return logprobs_of_states(model, hidden_states(model, batch), batch, temperature)


def hidden_states(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Return the last hidden state of each position, (N, L, hidden)."""
    states: Tensor = model.base_model(input_ids=batch.ids, use_cache=False).last_hidden_state
    return states


def layer_states(model: PreTrainedModel, batch: Batch, layer: int) -> tuple[Tensor, Tensor]:
    """Return the last hidden states and those behind another layer, (N, L, hidden) each; layer 0 stands for the last."""
    if layer == 0:
        last = hidden_states(model, batch)
        return last, last
    found = model.base_model(input_ids=batch.ids, use_cache=False, output_hidden_states=True)
    return found.last_hidden_state, found.hidden_states[layer]


def logprobs_of_states(model: PreTrainedModel, hidden: Tensor, batch: Batch, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return what `response_logprobs` returns, from hidden states that are at hand."""
    head = model.get_output_embeddings()
    logits = head(hidden[batch.token_row, batch.token_column]).float() / temperature
    logprobs = torch.log_softmax(logits, dim=-1)
    entropy = -(logprobs.detach().exp() * logprobs.detach()).sum(dim=-1)
    return logprobs.gather(1, batch.target[:, None])[:, 0], entropy


@torch.no_grad()
def check_head(model: PreTrainedModel) -> None:
    """Make sure that hidden state and head alone give the model's logits.

    Raises:
        CodeenvError: if the model does more (scales or caps its logits), so that `response_logprobs` would be wrong.
    """
    ids = torch.arange(1, 5, device=model.device)[None] % model.config.vocab_size
    head = model.get_output_embeddings()
    if head is None:
        raise CodeenvError(f"{type(model).__name__} has no language-model head; use a causal language model")
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    whole = model(input_ids=ids, use_cache=False).logits
    if not torch.allclose(head(hidden).float(), whole.float(), atol=1e-3, rtol=1e-2):
        raise CodeenvError(f"{type(model).__name__} changes its logits behind the head, which the trainer does not support")


class Critic(nn.Module):
    """A value network: a language model's trunk and a randomly initialised linear head (arXiv 2410.02089, section 2.3).

    It is a network of its own and is read at the last prompt token of each turn, just before the response begins.

    Args:
        trunk: a model that returns `last_hidden_state`, such as `AutoModel`.
    """

    def __init__(self, trunk: PreTrainedModel) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(int(trunk.config.hidden_size), 1)
        nn.init.normal_(self.head.weight, std=1.0 / (int(trunk.config.hidden_size) + 1) ** 0.5)
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: Batch, level: Literal["turn", "token"] = "turn") -> Tensor:
        """Return one value per turn, (K,) float32, or one before each sampled token, (M,)."""
        hidden = self.trunk(input_ids=batch.ids, use_cache=False).last_hidden_state
        row, column = (batch.turn_row, batch.turn_column) if level == "turn" else (batch.token_row, batch.token_column)
        values: Tensor = self.head(hidden[row, column].to(self.head.weight.dtype))[:, 0]
        return values.float()
