"""A tokenizer made from a list of pieces: greedy longest match, as a Hugging Face fast tokenizer.

For miniature policies whose vocabulary is known beforehand. Environment text can never produce a special token: it is
encoded with `split_special_tokens=True`, and the normalizer replaces every character outside the alphabet, among them those
of the special tokens.
"""

from __future__ import annotations

import string
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, normalizers
from tokenizers.models import WordPiece
from transformers import PreTrainedTokenizerFast

__all__ = ["ACT", "END", "PAD", "build_piece_tokenizer"]

PAD, END, ACT = "⟦pad⟧", "⟦end⟧", "⟦act⟧"
"""Padding, the end of a response, and the mark after which the policy writes."""

_UNKNOWN = "\ufffd"
_ALPHABET = sorted(set(string.printable) - set("\r\t\x0b\x0c"))


def build_piece_tokenizer(pieces: Iterable[str], max_length: int = 512) -> PreTrainedTokenizerFast:
    """Return a tokenizer that always takes the longest piece that fits, else a printable ASCII character.

    Every text over printable ASCII and newline decodes to itself; other characters become one replacement token each.

    Args:
        pieces: texts that get a token of their own; order and repetition do not matter for the segmentation.
        max_length: the `model_max_length` of the tokenizer.
    """
    words = [PAD, END, ACT, _UNKNOWN, *_ALPHABET]
    words += sorted(set(pieces) - set(words))
    core = Tokenizer(
        WordPiece(
            {word: index for index, word in enumerate(words)},
            unk_token=_UNKNOWN,
            continuing_subword_prefix="",
            max_input_chars_per_word=1_000_000,
        )
    )
    core.normalizer = normalizers.Replace(Regex(r"[^\n\x20-\x7e]"), _UNKNOWN)
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        unk_token=_UNKNOWN,
        additional_special_tokens=[ACT],
        model_max_length=max_length,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
