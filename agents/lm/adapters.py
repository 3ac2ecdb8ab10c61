"""Adapters: low-rank weights, trained beside frozen ones (LoRA, arXiv 2106.09685), which may have 4 bits (QLoRA, 2305.14314)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from codeenv.errors import MissingExtraError

__all__ = ["add_adapters", "four_bit_settings", "learned_names", "merged_state", "without_quantisation"]

_SCALE = 2.0
"""By which the product of an adapter's two matrices is multiplied (alpha / rank)."""


def four_bit_settings(dtype: str) -> Any:
    """Return transformers' settings for frozen weights in 4 bits (nf4, constants quantised again), computed with in `dtype`.

    Raises:
        MissingExtraError: bitsandbytes is not installed.
    """
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise MissingExtraError("lora_bits", "bitsandbytes", "qlora") from None
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )


def add_adapters(model: PreTrainedModel, rank: int) -> PreTrainedModel:
    """Put adapters into all linear layers but the head; only they stay trainable, in float32 whatever the model's precision.

    Raises:
        MissingExtraError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise MissingExtraError("lora_rank", "peft", "agents") from None
    head = model.get_output_embeddings()
    targets = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head]
    settings = LoraConfig(r=rank, lora_alpha=int(_SCALE * rank), target_modules=targets)
    adapted: PreTrainedModel = inject_adapter_in_model(settings, model)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    modules: Iterator[Any] = adapted.modules()
    for module in modules:
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # On such processors bitsandbytes packs the weights for inference, and no gradient passes through packed ones.
            module.support_avx512bf16_for_cpu = False
    return adapted


def learned_names(model: nn.Module) -> set[str] | None:
    """Return the names of the trained weights of a model whose others are quantised, which no checkpoint needs; else `None`."""
    if all(parameter.is_floating_point() for parameter in model.parameters()):
        return None
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@torch.no_grad()
def merged_state(model: nn.Module, state: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Return the weights of the plain model that computes what a model with adapters does; without adapters, those given.

    Args:
        model: the model, for what its quantised weights stand for.
        state: its weights, whole; by default those that it holds.
    """
    state = model.state_dict() if state is None else state
    quantised = {name: module for name, module in model.named_modules() if hasattr(module, "support_avx512bf16_for_cpu")}
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        place, inside, rest = key.partition(".base_layer.")
        if ".lora_" in key or any(key.startswith(f"{name}.weight.") for name in quantised):
            continue
        if not inside:
            found[key] = value
            continue
        if rest == "weight":
            first, second = state[f"{place}.lora_A.default.weight"], state[f"{place}.lora_B.default.weight"]
            module = quantised.get(f"{place}.base_layer")
            base = value if module is None else _plain(module)
            value = (base.float() + _SCALE * (second.float() @ first.float()).to(base.device)).to(base.dtype)
        found[f"{place}.{rest}"] = value
    return found


@contextmanager
def without_quantisation(model: PreTrainedModel) -> Iterator[None]:
    """Let a model be saved with plain weights: its settings do not say that they are quantised."""
    settings = getattr(model.config, "quantization_config", None)
    if settings is None:
        yield
        return
    quantised: Any = model
    quantiser, quantised.hf_quantizer = quantised.hf_quantizer, None
    del quantised.config.quantization_config
    try:
        yield
    finally:
        quantised.hf_quantizer = quantiser
        quantised.config.quantization_config = settings


def _plain(module: Any) -> Tensor:
    from bitsandbytes.functional import dequantize_4bit

    weight: Tensor = dequantize_4bit(module.weight.data, module.weight.quant_state)
    return weight.to(module.compute_dtype or weight.dtype)
