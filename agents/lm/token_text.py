"""Which characters of a response each of its sampled tokens stands for. Nothing is tokenised again, and no offsets are needed."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

__all__ = ["response_spans", "token_texts"]


def token_texts(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    """Return the text of each token by itself, special tokens included."""
    return [str(piece) for piece in tokenizer.batch_decode([[token] for token in ids], skip_special_tokens=False)] if ids else []


def response_spans(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], text: str) -> list[tuple[int, int]]:
    """Return the half-open character span of each token in `text`, the decoded response.

    Tokens behind the end of the text (the end mark) get an empty span there. Where single tokens do not decode to the pieces of
    the text (a character of several tokens), a token's span runs to where the text stands once it is read.

    Args:
        tokenizer: it decodes, nothing more is asked of it.
        ids: the response's token ids.
        text: what the chat format makes of them.
    """
    if not ids:
        return []
    pieces = token_texts(tokenizer, ids)
    joined = "".join(pieces)
    ends: list[int] = []
    if joined.startswith(text):
        position = 0
        for piece in pieces:
            position += len(piece)
            ends.append(position)
    else:
        for count in range(1, len(ids) + 1):
            prefix = str(tokenizer.decode(list(ids[:count]), skip_special_tokens=False))
            ends.append(len(prefix.rstrip("\ufffd")))
    spans = []
    start = 0
    for end in ends:
        stop = max(start, min(end, len(text)))
        spans.append((start, stop))
        start = stop
    return spans
