"""Supervised warm start: next-token prediction on the responses of given conversations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from codeenv.agents.lm.scoring import build_batch, response_logprobs
from codeenv.agents.lm.tokens import TokenConversation

__all__ = ["SFTConfig", "mined_conversations", "train_supervised"]


@dataclass(frozen=True, slots=True)
class SFTConfig:
    """Settings of the warm start; the defaults are the miniature's.

    Attributes:
        steps: gradient steps.
        batch: conversations of one step.
        learning_rate: peak of a cosine that falls to `final_share` of it, after `warmup` steps.
        bucket: steps whose conversations are sorted by length together, to save padding.
    """

    steps: int = 400
    batch: int = 96
    learning_rate: float = 4e-3
    warmup: int = 50
    final_share: float = 0.05
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.98
    max_grad_norm: float = 1.0
    bucket: int = 8

    def rate(self, step: int) -> float:
        """Return the learning rate of a 0-based step."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        fall = self.final_share + (1 - self.final_share) * 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * rise * fall


def train_supervised(
    model: PreTrainedModel,
    documents: Callable[[int], Sequence[TokenConversation]],
    config: SFTConfig,
    seed: int,
    on_step: Callable[[int, float], None] | None = None,
) -> None:
    """Train on fresh documents; loss on sampled tokens alone.

    Args:
        model: trained in place.
        documents: returns that many new conversations, in which the tokens to learn are marked as sampled.
        config: the settings.
        seed: of the order of the batches.
        on_step: called with the number of finished steps and the mean loss per token.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=(config.beta1, config.beta2), weight_decay=config.weight_decay
    )
    model.train()
    device = model.device
    for step, batch in enumerate(_batches(documents, config, seed)):
        logprobs, _ = response_logprobs(model, build_batch(batch, pad_id=0, device=device))
        loss = -logprobs.mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        for group in optimizer.param_groups:
            group["lr"] = config.rate(step)
        optimizer.step()
        if on_step is not None:
            on_step(step + 1, float(loss.detach()))


def mined_conversations(conversations: Sequence[TokenConversation], last_only: bool = True) -> list[TokenConversation]:
    """Return successful conversations as documents for `train_supervised`: the paper's SFT baseline (RLEF, appendix A.2).

    Args:
        conversations: those of solved episodes.
        last_only: learn the last response alone, which the paper found slightly better; earlier ones become part of the prompt.
    """
    mined = []
    for conversation in conversations:
        document = conversation
        if last_only and conversation.spans:
            span = conversation.spans[-1]
            document = TokenConversation()
            document.add_environment(conversation.ids[: span.start])
            document.add_response(conversation.ids[span.start : span.stop], conversation.logprobs[span.start : span.stop], "stop")
        mined.append(document)
    return mined


def _batches(
    documents: Callable[[int], Sequence[TokenConversation]], config: SFTConfig, seed: int
) -> Iterator[list[TokenConversation]]:
    order = torch.Generator().manual_seed(seed)
    done = 0
    while done < config.steps:
        count = min(config.bucket, config.steps - done)
        pool = sorted(documents(count * config.batch), key=len)
        for index in torch.randperm(count, generator=order).tolist():
            yield pool[index * config.batch : (index + 1) * config.batch]
        done += count
