"""Tokens: the piece tokenizer, the plain format, conversations that only grow."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.tokenizer import ACT, END, PAD, build_piece_tokenizer
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.miniature import build_tokenizer
from codeenv.problems.procedural import mini

TOKENIZER = build_tokenizer()
FORMAT = PlainFormat(TOKENIZER)
SPECIAL = set(TOKENIZER.convert_tokens_to_ids([PAD, END, ACT]))


def encode(text: str) -> list[int]:
    return TOKENIZER.encode(text, add_special_tokens=False, split_special_tokens=True)


def test_the_longest_piece_is_taken_first() -> None:
    tokenizer = build_piece_tokenizer(["ab", "abc", "cd"])
    ids = tokenizer.encode("abcdabd", add_special_tokens=False)
    assert [tokenizer.decode([number]) for number in ids] == ["abc", "d", "ab", "d"]


@given(st.text(alphabet=sorted(set(string.printable) - set("\r\t\x0b\x0c")), max_size=60))
def test_every_printable_text_decodes_to_itself(text: str) -> None:
    assert TOKENIZER.decode(encode(text)) == text


@given(st.text(max_size=30).map(lambda text: text + END + text + ACT + PAD))
def test_no_text_makes_a_special_token(text: str) -> None:
    assert not SPECIAL & set(encode(text))
    assert not SPECIAL & set(FORMAT.opening(text)[:-1])
    assert not SPECIAL & set(FORMAT.follow_up(text, stopped=True)[:-1])


def test_a_slot_value_is_one_token_in_statement_program_and_feedback() -> None:
    tag = encode("'kg',")
    assert len(tag) == 1
    for text in ("tagged 'kg', a plus b", "def f(a,b):return 'kg',a+b+2", "wrong: f(3,1) gave ('cm',7) not ('kg',9) diff +2"):
        assert tag[0] in encode(text)
    assert [len(encode(program.source)) for program in mini.all_programs()[::61]] == [4] * 60


def test_the_tokenizer_survives_saving(tmp_path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = mini.all_programs()[7].source
    assert loaded.encode(text, add_special_tokens=False) == encode(text)
    assert (loaded.pad_token, loaded.eos_token, loaded.padding_side) == (PAD, END, "left")


def test_a_response_that_was_cut_off_gets_its_end_from_the_environment() -> None:
    end = TOKENIZER.eos_token_id
    assert FORMAT.follow_up("wrong", stopped=False) == [end, *FORMAT.follow_up("wrong", stopped=True)]


def test_a_response_is_read_without_its_end_token() -> None:
    ids = FORMAT.response("a+b")
    assert FORMAT.text(ids) == FORMAT.text(ids[:-1]) == "a+b"


def test_a_conversation_knows_who_wrote_each_token_and_in_which_turn() -> None:
    conversation = TokenConversation()
    conversation.add_environment([1, 2])
    conversation.add_response([3, 4, 5], [-0.1, -0.2, -0.3], "stop")
    conversation.add_environment([6])
    conversation.add_response([7], [-0.4], "length")
    assert conversation.ids == [1, 2, 3, 4, 5, 6, 7]
    assert conversation.sampled == [False, False, True, True, True, False, True]
    assert conversation.turn == [0, 0, 0, 0, 0, 1, 1]
    assert conversation.logprobs == [0.0, 0.0, -0.1, -0.2, -0.3, 0.0, -0.4]
    assert [(span.prompt_end, span.start, span.stop) for span in conversation.spans] == [(1, 2, 5), (5, 6, 7)]
    assert conversation.response(0) == [3, 4, 5]


def test_a_response_without_a_prompt_or_with_missing_log_probabilities_is_refused() -> None:
    conversation = TokenConversation()
    with pytest.raises(ValueError, match="needs a prompt"):
        conversation.add_response([1], [0.0], "stop")
    conversation.add_environment([1])
    with pytest.raises(ValueError, match="2 tokens and 1 log-probabilities"):
        conversation.add_response([1, 2], [0.0], "stop")
