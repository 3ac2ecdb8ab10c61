"""The chat format of a tokenizer that has a chat template, such as SmolLM2's or Qwen's."""

from __future__ import annotations

import re

from transformers import PreTrainedTokenizerBase

from codeenv.errors import CodeenvError

__all__ = ["TemplateFormat"]

_MARKS = ("@first-message@", "@a-response@", "@later-message@")


class TemplateFormat:
    """Renders the template once around marks and puts texts in their place, so that no text can become a special token.

    The ids equal those of tokenising the rendered conversation, for texts without special tokens; `tests/test_template_format.py`
    holds that.

    Args:
        tokenizer: a fast tokenizer with a chat template.

    Raises:
        CodeenvError: there is no template, or it does not keep the messages in their order.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise CodeenvError(
                "the tokenizer has no chat template, which says how a dialogue is written; take the model's instruct variant, or "
                "set tokenizer.chat_template and save the tokenizer"
            )
        if tokenizer.eos_token_id is None:
            raise CodeenvError("the tokenizer has no end token, at which a response ends; set tokenizer.eos_token and save it")
        self.tokenizer = tokenizer
        roles = ("user", "assistant", "user")
        messages = [{"role": role, "content": mark} for role, mark in zip(roles, _MARKS, strict=True)]
        self._opening = self._parts(self._render(messages[:1]), _MARKS[0])
        before, self._follow_up_end = self._parts(self._render(messages), _MARKS[2])
        self._follow_up_start = self._parts(before, _MARKS[1])[1]
        if not before.startswith(_MARKS[0].join(self._opening)):
            raise CodeenvError("the chat template changes earlier messages when later ones come; use one that only appends")
        eos = tokenizer.eos_token
        if not self._follow_up_start.startswith(str(eos)):
            raise CodeenvError(
                f"the chat template does not end a response with the end token {eos!r}; set tokenizer.eos_token to its own"
            )
        self._eos = str(eos)
        self.stop_ids = frozenset({int(tokenizer.eos_token_id)})
        specials = sorted(tokenizer.all_special_tokens, key=len, reverse=True)
        self._special = re.compile("(" + "|".join(map(re.escape, specials)) + ")")

    def opening(self, text: str) -> list[int]:
        """Return the tokens of the first message, up to the start of the first response."""
        return self._encode(self._opening[0], text, self._opening[1])

    def follow_up(self, text: str, stopped: bool) -> list[int]:
        """Return the tokens of a later message; `stopped` says whether the response before it holds its own end token."""
        start = self._follow_up_start
        return self._encode(start.removeprefix(self._eos) if stopped else start, text, self._follow_up_end)

    def response(self, text: str) -> list[int]:
        """Return the tokens of a response that somebody else wrote, with its end token."""
        return [*self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True), *self.stop_ids]

    def text(self, ids: list[int]) -> str:
        """Return a response as text, without the token that ended it."""
        if ids and ids[-1] in self.stop_ids:
            ids = ids[:-1]
        return str(self.tokenizer.decode(ids, skip_special_tokens=False))

    def _render(self, messages: list[dict[str, str]]) -> str:
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def _parts(self, rendered: str, mark: str) -> tuple[str, str]:
        if rendered.count(mark) != 1:
            raise CodeenvError("the chat template does not render each message once; use a tokenizer with a plain chat template")
        before, _, after = rendered.partition(mark)
        return before, after

    def _encode(self, before: str, text: str, after: str) -> list[int]:
        """Encode the template's special tokens as such, and everything between two of them as one plain text."""
        head, tail = self._special.split(before), self._special.split(after)
        pieces = [*head[:-1], head[-1] + text + tail[0], *tail[1:]]
        ids: list[int] = []
        for position, piece in enumerate(pieces):
            if position % 2:  # `split` with a group puts the specials at odd places
                ids.append(int(self.tokenizer.convert_tokens_to_ids(piece)))  # type: ignore[arg-type]
            elif piece:
                ids += self.tokenizer.encode(piece, add_special_tokens=False, split_special_tokens=True)
        return ids
