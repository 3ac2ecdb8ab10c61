"""Bounded text: the one way to shorten what is shown to a person or a model."""

from __future__ import annotations

__all__ = ["shorten"]


def shorten(text: str, limit: int, keep_tail: float = 0.5) -> str:
    """Return `text` within about `limit` characters: its head and its tail, with a mark that says how much is left out.

    Args:
        text: any text.
        limit: most characters kept of the text itself, at least 0; the mark comes on top.
        keep_tail: share of the kept characters that come from the end, 0.0 to 1.0.

    >>> shorten("abcdefghij", 4)
    'ab ...[6 characters left out]... ij'
    """
    if len(text) <= limit:
        return text
    tail = int(limit * keep_tail)
    head = limit - tail
    mark = f" ...[{len(text) - limit:,} characters left out]... "
    return text[:head] + mark + (text[-tail:] if tail else "")
