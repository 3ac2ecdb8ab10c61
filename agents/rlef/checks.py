"""What makes a training run impossible and can be told from names and small files: said before weights are read or written."""

from __future__ import annotations

import importlib.util
from typing import Any

from transformers import AutoConfig, PreTrainedTokenizerBase

from codeenv.agents.lm.fetch import resolve_model
from codeenv.agents.lm.load import chat_format, check_folder, load_tokenizer
from codeenv.agents.rlef.algorithms import ALGORITHMS
from codeenv.agents.rlef.families import FAMILIES
from codeenv.agents.rlef.run_config import TrainConfig
from codeenv.errors import CodeenvError

__all__ = ["check_boards", "check_models", "check_settings"]

ALONE = (
    "a server writes for a learner of one process without alignment, trace_head, mask, curriculum or rlef.staleness; "
    "switch them off, or write in this process (no server.url)"
)


def check_boards(config: TrainConfig) -> None:
    """Make sure that the trackers which the settings ask for are installed.

    Raises:
        CodeenvError: one is not.
    """
    for name, wanted in (("tensorboard", config.tensorboard), ("wandb", config.wandb)):
        if wanted and importlib.util.find_spec(name) is None:
            raise CodeenvError(f"{name} is not installed; install it with: pip install {name}")


def check_settings(config: TrainConfig) -> None:
    """Make sure that the settings go together.

    Raises:
        CodeenvError: they do not.
    """
    if config.problems in FAMILIES:
        for name, value in (("split", config.split), ("validation_split", config.validation_split)):
            if value:
                raise CodeenvError(f"{name} is {value!r}, and the generated problems {config.problems!r} have none; leave it out")
    rlef, aligned = config.rlef, config.alignment.fraction > 0
    for name, on in (("alignment", aligned), ("the curriculum", config.curriculum.mode != "off")):
        if on and rlef.staleness:
            raise CodeenvError(f"{name} needs what became of each collection before the next begins; set rlef.staleness to 0")
    if aligned and config.alignment.samples == 1 and ALGORITHMS[rlef.algorithm].grouped:
        raise CodeenvError(
            f"alignment.samples is 1, and algorithm {rlef.algorithm!r} compares the answers to one item; leave it out"
        )
    if config.server.url:
        _check_server(config)


def _check_server(config: TrainConfig) -> None:
    rlef = config.rlef
    # The server's log-probabilities are those before temperature and top-p (vLLM's logprobs_mode raw_logprobs).
    if rlef.temperature != 1.0 or rlef.top_p != 1.0:
        raise CodeenvError(
            f"rlef.temperature is {rlef.temperature:g} and rlef.top_p {rlef.top_p:g}; a server's log-probabilities "
            "are exact at 1.0 alone, so set both to 1.0, or write in this process (no server.url)"
        )
    if not rlef.recompute_logprobs:
        raise CodeenvError(
            "rlef.recompute_logprobs is false, and a server's log-probabilities differ from the trainer's by rounding; "
            "set it to true"
        )
    mixed = (config.alignment.fraction > 0, config.trace_head.mode != "off", config.mask.mode != "off")
    if rlef.staleness or any(mixed) or config.curriculum.mode != "off":
        raise CodeenvError(ALONE)


def check_models(config: TrainConfig) -> None:
    """Make sure that policy, tokenizer and critic belong together, from their configurations alone.

    Raises:
        CodeenvError: a folder holds no model, the tokenizer has no usable chat template or no end token, a vocabulary or a
            context is too small, or the critic counts its tokens in another way.
    """
    name, critic = config.model.name, config.model.critic
    if name == "mini":
        family = FAMILIES.get(config.problems, FAMILIES["mini"])
        tokenizer: PreTrainedTokenizerBase = family.tokenizer()
        layers = family.shape.layers
    else:
        check_folder(name)
        tokenizer = load_tokenizer(name)
        chat_format(tokenizer)
        settings = _text_settings(name)
        _check_size("policy", name, settings, tokenizer)
        _check_context(config, name, settings)
        layers = int(settings.num_hidden_layers)
    if config.trace_head.mode != "off":
        config.trace_head.check_layer(layers)
    if critic:
        check_folder(critic)
        _check_same_tokens(critic, name, tokenizer)
        _check_size("critic", critic, _text_settings(critic), tokenizer)


def _text_settings(name: str) -> Any:
    """Return the configuration of a model, of its text part if it has several."""
    try:
        return AutoConfig.from_pretrained(resolve_model(name)).get_text_config()
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CodeenvError(f"cannot load a model from {name!r}: {reason[0]}") from None


def _check_size(kind: str, name: str, settings: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    known = int(settings.vocab_size)
    if known < len(tokenizer):
        raise CodeenvError(
            f"the {kind} {name!r} knows {known} tokens and the tokenizer has {len(tokenizer)}; choose a model and a tokenizer "
            "that belong together"
        )


def _check_context(config: TrainConfig, name: str, settings: Any) -> None:
    room, asked = getattr(settings, "max_position_embeddings", None), config.rlef.max_context_tokens
    if room is not None and asked > room:
        raise CodeenvError(
            f"rlef.max_context_tokens is {asked}, and the policy {name!r} has {room} positions; set it to {room} or less"
        )


def _check_same_tokens(critic: str, policy: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a critic whose folder holds another tokenizer: the same number would be another token to it."""
    try:
        other = load_tokenizer(critic)
    except CodeenvError:
        return  # it has none of its own
    if other.get_vocab() != tokenizer.get_vocab():
        raise CodeenvError(
            f"the critic {critic!r} has another vocabulary ({len(other)} tokens) than the policy {policy!r} ({len(tokenizer)}); "
            "choose a critic of the policy's family, or leave model.critic empty"
        )
