"""How the two voices of a conversation become tokens."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol

from transformers import PreTrainedTokenizerBase

from codeenv.agents.lm.tokenizer import ACT

__all__ = ["ChatFormat", "PlainFormat"]


class ChatFormat(Protocol):
    """Turns the environment's texts into token ids that end where the policy begins to write."""

    tokenizer: PreTrainedTokenizerBase
    stop_ids: frozenset[int]
    """A response ends with the first of these tokens."""

    def opening(self, text: str) -> list[int]:
        """Return the tokens of the first message, up to the start of the first response."""
        ...

    def follow_up(self, text: str, stopped: bool) -> list[int]:
        """Return the tokens of a later message; `stopped` says whether the response before it holds its own end token."""
        ...

    def response(self, text: str) -> list[int]:
        """Return the tokens of a response that somebody else wrote, with its end token."""
        ...

    def text(self, ids: list[int]) -> str:
        """Return a response as text, without the token that ended it."""
        ...


class PlainFormat:
    """Message, mark, response, end, message, mark, ...: the format of the miniature policy."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self._act = int(tokenizer.convert_tokens_to_ids(ACT))  # type: ignore[arg-type]
        self._end = int(tokenizer.eos_token_id)
        self.stop_ids = frozenset({self._end})
        # Feedback texts repeat a lot in the miniature; one encoding costs 20 microseconds.
        self._encode: Callable[[str], tuple[int, ...]] = functools.lru_cache(maxsize=1 << 16)(self._encode_once)

    def opening(self, text: str) -> list[int]:
        return [*self._encode(text), self._act]

    def follow_up(self, text: str, stopped: bool) -> list[int]:
        return [*(() if stopped else (self._end,)), *self._encode(text), self._act]

    def response(self, text: str) -> list[int]:
        """Return the tokens of a response that somebody else wrote, for supervised learning."""
        return [*self._encode(text), self._end]

    def text(self, ids: list[int]) -> str:
        if ids and ids[-1] in self.stop_ids:
            ids = ids[:-1]
        return str(self.tokenizer.decode(ids, skip_special_tokens=False))

    def _encode_once(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))
