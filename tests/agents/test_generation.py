"""The sampler: its cache, its dropped rows and its log-probabilities against plain forward passes."""

from __future__ import annotations

import pytest
import torch

from codeenv.agents.lm.generation import Sampling, TurnSampler
from codeenv.agents.lm.models import MiniShape, build_mini_policy
from codeenv.agents.lm.scoring import build_batch, check_head, response_logprobs
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.miniature import build_tokenizer
from codeenv.errors import CodeenvError

TOKENIZER = build_tokenizer()
STOP = frozenset(range(100, 130))  # stops often and at different times, so that rows finish apart
MODEL = build_mini_policy(TOKENIZER, MiniShape(hidden=32, feed_forward=64, layers=2, heads=2), seed=0)


def conversations(count: int) -> list[TokenConversation]:
    made = []
    for number in range(count):
        conversation = TokenConversation()
        conversation.add_environment(list(range(5, 7 + number % 4)))
        made.append(conversation)
    return made


def play(count: int, sampling: Sampling, seed: int = 0, turns: int = 3) -> list[TokenConversation]:
    made = conversations(count)
    sampler = TurnSampler(MODEL, made, STOP, sampling, torch.Generator().manual_seed(seed))
    live = list(range(count))
    for turn in range(turns):
        sampler.respond(live)
        live = [index for index in live if (index + turn) % 3]
        for index in live:
            made[index].add_environment(list(range(10, 12 + index % 5)))
    return made


@torch.no_grad()
def test_recorded_log_probabilities_are_those_of_a_plain_forward_pass() -> None:
    made = play(24, Sampling(max_tokens=12, max_context=100))
    batch = build_batch(made, pad_id=0)
    logprobs, _ = response_logprobs(MODEL, batch)
    assert len(logprobs) > 100
    assert torch.allclose(logprobs, batch.behaviour, atol=1e-5)


@torch.no_grad()
def test_temperature_is_part_of_the_recorded_distribution() -> None:
    made = play(12, Sampling(temperature=0.7, max_tokens=8, max_context=100))
    batch = build_batch(made, pad_id=0)
    assert torch.allclose(response_logprobs(MODEL, batch, temperature=0.7)[0], batch.behaviour, atol=1e-5)
    assert not torch.allclose(response_logprobs(MODEL, batch)[0], batch.behaviour, atol=1e-3)


@torch.no_grad()
def test_greedy_sampling_takes_the_likeliest_token_at_every_place() -> None:
    made = play(8, Sampling(temperature=0.0, max_tokens=6, max_context=100))
    for conversation in made:
        logits = MODEL(input_ids=torch.tensor([conversation.ids])).logits[0]
        for span in conversation.spans:
            for place in range(span.start, span.stop):
                assert int(logits[place - 1].argmax()) == conversation.ids[place]


def test_the_same_generator_seed_gives_the_same_tokens() -> None:
    sampling = Sampling(max_tokens=12, max_context=100)
    assert [one.ids for one in play(10, sampling, seed=4)] == [one.ids for one in play(10, sampling, seed=4)]
    assert [one.ids for one in play(10, sampling, seed=4)] != [one.ids for one in play(10, sampling, seed=5)]


def test_a_response_ends_at_its_first_stop_token_or_at_the_limit() -> None:
    made = play(40, Sampling(max_tokens=5, max_context=100))
    finishes = {span.finish for conversation in made for span in conversation.spans}
    assert finishes == {"stop", "length"}
    for conversation in made:
        for turn, span in enumerate(conversation.spans):
            *body, last = conversation.response(turn)
            assert not STOP & set(body)
            assert (last in STOP) == (span.finish == "stop")
            assert len(body) + 1 <= 5


def test_a_conversation_without_room_gets_an_empty_response() -> None:
    made = play(6, Sampling(max_tokens=50, max_context=12), turns=2)
    assert max(map(len, made)) <= 12 + 6
    assert "context" in {span.finish for conversation in made for span in conversation.spans}
    full = conversations(1)
    full[0].add_environment([5] * 20)
    TurnSampler(MODEL, full, STOP, Sampling(max_tokens=5, max_context=12), torch.Generator()).respond([0])
    assert full[0].spans[0].start == full[0].spans[0].stop
    assert full[0].spans[0].finish == "context"


def test_top_p_keeps_only_the_likeliest_tokens() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).repeat(400, 1)
    sampler = TurnSampler(MODEL, [], STOP, Sampling(top_p=0.75), torch.Generator().manual_seed(0))
    tokens, logprobs = sampler._draw(logits)
    assert set(tokens.tolist()) == {0, 1}
    assert logprobs[tokens == 0][0].exp().item() == pytest.approx(0.625)


@pytest.mark.parametrize(
    ("settings", "word"), [({"temperature": -1.0}, "temperature"), ({"top_p": 0.0}, "top_p"), ({"max_tokens": 0}, "max_tokens")]
)
def test_bad_settings_are_refused_with_a_sentence(settings: dict[str, float], word: str) -> None:
    with pytest.raises(CodeenvError, match=word):
        Sampling(**settings)  # type: ignore[arg-type]


def test_a_model_that_changes_its_logits_behind_the_head_is_refused() -> None:
    check_head(MODEL)
    broken = build_mini_policy(TOKENIZER, MiniShape(hidden=32, feed_forward=64, layers=2, heads=2), seed=0)
    plain = broken.forward

    def scaled(*arguments: object, **keywords: object) -> object:
        output = plain(*arguments, **keywords)
        output.logits = output.logits * 3
        return output

    broken.forward = scaled
    with pytest.raises(CodeenvError, match="changes its logits"):
        check_head(broken)


def test_top_p_over_a_large_vocabulary_is_that_of_the_whole_vocabulary() -> None:
    scores = torch.randn(3, 2000, generator=torch.Generator().manual_seed(1)) * 3
    sampling = Sampling(temperature=0.7, top_p=0.9)
    peaked = TurnSampler(MODEL, [], STOP, sampling, torch.Generator().manual_seed(0))._draw(scores.repeat(500, 1))
    order = (scores / 0.7).softmax(dim=-1).sort(dim=-1, descending=True)
    for row in range(3):
        before = order.values[row].cumsum(0) - order.values[row]
        kept = {
            int(token): float(p)
            for token, p in zip(order.indices[row][before < 0.9], order.values[row][before < 0.9], strict=True)
        }
        drawn, logprobs = peaked[0][row::3], peaked[1][row::3]
        assert set(drawn.tolist()) <= set(kept)
        assert len(set(drawn.tolist())) > 1
        expected = torch.tensor([kept[int(token)] / sum(kept.values()) for token in drawn])
        assert torch.allclose(logprobs.exp(), expected, atol=1e-5)


def test_top_p_of_a_flat_distribution_reaches_beyond_the_likeliest_tokens() -> None:
    sampler = TurnSampler(MODEL, [], STOP, Sampling(top_p=0.9), torch.Generator().manual_seed(0))
    tokens, _ = sampler._draw(torch.arange(2000.0).repeat(400, 1) * 1e-5)
    assert tokens.min() < 1000
