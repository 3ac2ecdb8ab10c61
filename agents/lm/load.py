"""Policies and critics by path or name: any Hugging Face causal language model, with adapters if asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from codeenv.agents.lm.adapters import add_adapters, four_bit_settings
from codeenv.agents.lm.chat_format import ChatFormat, PlainFormat
from codeenv.agents.lm.fetch import resolve_model
from codeenv.agents.lm.scoring import Critic
from codeenv.agents.lm.template_format import TemplateFormat
from codeenv.agents.lm.tokenizer import ACT
from codeenv.errors import CodeenvError

__all__ = ["add_adapters", "chat_format", "check_folder", "load_critic", "load_policy", "load_tokenizer"]


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a model by path or name.

    Raises:
        CodeenvError: it cannot be loaded.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(resolve_model(name))
    except (OSError, ValueError) as error:
        raise CodeenvError(f"cannot load a tokenizer from {name!r}: {_first_line(error)}") from None
    return tokenizer


def load_policy(
    name: str, dtype: str = "float32", lora_rank: int = 0, gradient_checkpointing: bool = False, lora_bits: int = 0
) -> PreTrainedModel:
    """Return a causal language model by path or name.

    Args:
        name: a folder, a name on the Hub, or one of `codeenv models`.
        dtype: of the weights.
        lora_rank: rank of trainable adapters; 0 leaves all weights trainable.
        gradient_checkpointing: recompute activations in the backward pass.
        lora_bits: 4 keeps the weights beside the adapters in 4 bits; 0 keeps them as they are.

    Raises:
        CodeenvError: it cannot be loaded, or is no causal language model.
    """
    model: PreTrainedModel = _load(AutoModelForCausalLM, name, dtype, lora_bits)
    if gradient_checkpointing:
        model.gradient_checkpointing_enable()
    return add_adapters(model, lora_rank) if lora_rank else model


def load_critic(name: str, dtype: str, seed: int, lora_rank: int = 0, lora_bits: int = 0) -> Critic:
    """Return a critic whose trunk is a language model; the seed decides its head."""
    trunk: PreTrainedModel = _load(AutoModel, name, dtype, lora_bits)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Critic(add_adapters(trunk, lora_rank) if lora_rank else trunk)


def chat_format(tokenizer: PreTrainedTokenizerBase) -> ChatFormat:
    """Return the format of a tokenizer: the miniature's, or that of its chat template.

    Raises:
        CodeenvError: it has no usable chat template.
    """
    return PlainFormat(tokenizer) if ACT in tokenizer.get_vocab() else TemplateFormat(tokenizer)


def check_folder(name: str) -> None:
    """Make sure that a name that is a folder holds a model.

    Raises:
        CodeenvError: it does not.
    """
    name = resolve_model(name)
    if Path(name).exists() and not (Path(name) / "config.json").exists():
        raise CodeenvError(f"the folder {name!r} holds no model (no config.json)")


def _load(kind: Any, name: str, dtype: str, bits: int) -> Any:
    check_folder(name)
    name = resolve_model(name)
    settings = {"quantization_config": four_bit_settings(dtype)} if bits else {}
    try:
        model = kind.from_pretrained(name, dtype=getattr(torch, dtype), **settings)
    except (OSError, ValueError) as error:
        raise CodeenvError(f"cannot load a model from {name!r}: {_first_line(error)}") from None
    embedding = model.get_input_embeddings()
    if isinstance(embedding, torch.nn.Embedding):
        embedding.padding_idx = None  # it would keep the end token from learning where that is the padding too
    return model


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
