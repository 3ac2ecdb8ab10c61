"""A model on disk: the folder is there when it is whole, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from codeenv.errors import CodeenvError

__all__ = ["publish", "save_pretrained"]


def save_pretrained(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, state: dict[str, Any] | None = None
) -> None:
    """Write a model and its tokenizer in Hugging Face form; a folder that is there is replaced.

    Args:
        model: the model.
        tokenizer: its tokenizer.
        folder: where to; made with its parents.
        state: the weights, if not those that the model holds now.

    Raises:
        CodeenvError: it cannot be written; what was there before is untouched.
    """
    part = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        model.save_pretrained(part, state_dict=state)
        tokenizer.save_pretrained(part)
        publish(part, folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise CodeenvError(
            f"cannot write the model {str(folder)!r}: {reason}; make room there or choose another folder"
        ) from None


def publish(part: Path, folder: Path) -> None:
    """Give a finished folder its name, in place of an older one of that name."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
