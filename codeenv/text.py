"""Bounded text: the one way to shorten what is shown to a person or a model; and the lines of a program."""

from __future__ import annotations

import re

__all__ = ["one_line", "program_lines", "shorten"]


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


def one_line(text: str, limit: int = 400) -> str:
    """Return `text` as one line of at most `limit` characters: runs of white space become a blank, what cannot be printed is
    escaped, and the middle of a long text is left out, with a mark that says how much.

    >>> one_line("no\\n  idea \\x1b[31m")
    'no idea \\\\x1b[31m'
    """
    if len(text) <= 4 * limit:
        line = _printable(text)
        return line if len(line) <= limit else shorten(line, limit - _MARK)
    half = (limit - _MARK) // 2  # of a text of megabytes, only the ends are looked at
    head, tail = _printable(text[: 2 * limit])[:half], _printable(text[-2 * limit :])[-half:]
    return f"{head} ...[{len(text) - 2 * half:,} characters left out]... {tail}"


_BREAK = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")


def program_lines(source: str) -> list[str]:
    """Return the lines of a program as Python counts them, with their ends: `\\n`, `\\r\\n` and `\\r`, not form feeds.

    Joined they are the program again; behind the last end there is one more line, which may be empty.

    >>> program_lines("a\\rb\\r\\nc\\n")
    ['a\\r', 'b\\r\\n', 'c\\n', '']
    """
    return _BREAK.split(source)


_MARK = 50
"""Room for the mark of what is left out."""


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))
