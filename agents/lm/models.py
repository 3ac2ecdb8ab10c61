"""Models: the miniature policy and critic, built from scratch. A policy is any Hugging Face causal language model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel, PreTrainedTokenizerBase

from codeenv.agents.lm.scoring import Critic

__all__ = ["MiniShape", "build_mini_critic", "build_mini_policy"]


@dataclass(frozen=True, slots=True)
class MiniShape:
    """The size of a small Llama-architecture model, and the standard deviation of its first weights."""

    hidden: int = 64
    feed_forward: int = 176
    layers: int = 3
    heads: int = 4
    context: int = 128
    spread: float = 0.02

    def config(self, tokenizer: PreTrainedTokenizerBase) -> LlamaConfig:
        return LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.hidden,
            intermediate_size=self.feed_forward,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            max_position_embeddings=self.context,
            tie_word_embeddings=True,
            initializer_range=self.spread,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )


def build_mini_policy(tokenizer: PreTrainedTokenizerBase, shape: MiniShape, seed: int) -> LlamaForCausalLM:
    """Return a randomly initialised policy; the seed alone decides its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(shape.config(tokenizer))


def build_mini_critic(tokenizer: PreTrainedTokenizerBase, shape: MiniShape, seed: int) -> Critic:
    """Return a randomly initialised critic, a network of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Critic(LlamaModel(shape.config(tokenizer)))
