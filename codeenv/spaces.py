"""The space of texts. `gymnasium.spaces.Text` lists its characters, which no one can do for Unicode."""

from __future__ import annotations

from typing import Any

from gymnasium.spaces import Space

__all__ = ["Unicode"]

_SAMPLE_ALPHABET = "abcdefghijklmnopqrstuvwxyz ABC 0123456789 \n\t.,:;()[]{}=+-*/_'\"#é漢🙂"


class Unicode(Space[str]):
    """All texts of at most `max_length` characters.

    Args:
        max_length: most characters (code points) in a text, or `None` for no limit.
        seed: seed of `sample`.

    >>> "déjà vu\\n" in Unicode(), 3 in Unicode(), "abc" in Unicode(max_length=2)
    (True, False, False)
    """

    def __init__(self, max_length: int | None = None, seed: int | None = None) -> None:
        if max_length is not None and (not isinstance(max_length, int) or max_length < 0):
            raise ValueError(f"max_length is {max_length!r}; use a whole number >= 0 or None")
        self.max_length = max_length
        super().__init__(shape=None, dtype=None, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """Texts have no fixed size, so they cannot be flattened into an array."""
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Return a random short text."""
        if mask is not None or probability is not None:
            raise ValueError("Unicode.sample takes no mask and no probability")
        longest = 40 if self.max_length is None else min(40, self.max_length)
        length = int(self.np_random.integers(longest + 1))
        picks = self.np_random.integers(len(_SAMPLE_ALPHABET), size=length)
        return "".join(_SAMPLE_ALPHABET[pick] for pick in picks)

    def contains(self, x: Any) -> bool:
        """Return whether `x` is a text within the length limit."""
        return isinstance(x, str) and (self.max_length is None or len(x) <= self.max_length)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unicode) and self.max_length == other.max_length

    def __hash__(self) -> int:
        return hash((Unicode, self.max_length))

    def __repr__(self) -> str:
        return f"Unicode(max_length={self.max_length})"
