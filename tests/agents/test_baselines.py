"""The paper's baselines in the miniature: dialogues to show, mined documents, repairs by another policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.generation import Sampling
from codeenv.agents.lm.models import MiniShape, build_mini_policy
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.baselines import (
    Documents,
    collect_with_repairs,
    dialogue_tokens,
    family_dialogues,
    repair_documents,
)
from codeenv.agents.rlef.collect import collect
from codeenv.agents.rlef.miniature import build_tokenizer, env_config
from codeenv.errors import CodeenvError
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems import Problem
from codeenv.problems.procedural import mini

torch.set_num_threads(1)
TOKENIZER = build_tokenizer()
CHAT = PlainFormat(TOKENIZER)
SHAPE = MiniShape(hidden=16, feed_forward=32, layers=1, heads=2)
SAMPLING = Sampling(max_tokens=6, max_context=256)


@pytest.fixture(scope="module")
def batch_judge():
    with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=mini.inputs_of)) as judge:
        yield judge


def problems(count: int) -> Sequence[Problem]:
    return [mini.problem(task) for task in mini.sample_tasks("train", count, seed=5)]


def test_family_dialogues_fail_until_the_last_program_and_say_so_in_the_true_words(batch_judge: Judge) -> None:
    for seed in range(3):
        two, three = family_dialogues((2, 3), seed)
        assert (len(two), len(three)) == (4, 6)
        for dialogue in (two, three):
            (task,) = [
                task
                for number in range(2)
                for task in mini.sample_tasks("train", 1, seed=50_000_000 + 1000 * seed + number)
                if mini.problem(task).statement == dialogue[0]
            ][:1]
            verdicts = [batch_judge.judge(mini.problem(task), source, tests="all").accepted for source in dialogue[1::2]]
            assert verdicts == [False] * (len(verdicts) - 1) + [True]
            assert all(text.startswith("wrong: ") for text in dialogue[2::2])


def test_dialogues_become_the_tokens_of_one_conversation() -> None:
    ids = dialogue_tokens(CHAT, [["a", "b", "c", "d"], ["e", "f"]])
    expected = [*CHAT.opening("a"), *CHAT.response("b"), *CHAT.follow_up("c", True), *CHAT.response("d")]
    assert ids == [*expected, *CHAT.follow_up("e", True), *CHAT.response("f")]


def test_shown_dialogues_come_before_every_problem_and_are_not_learned(batch_judge: Judge) -> None:
    policy = build_mini_policy(TOKENIZER, SHAPE, 0)
    shown = dialogue_tokens(CHAT, family_dialogues())
    played = collect(
        policy, CHAT, problems(3), batch_judge, env_config(), SAMPLING, torch.Generator().manual_seed(0), shown=shown
    ).played
    for one in played:
        assert one.conversation.ids[: len(shown)] == shown
        statement = CHAT.follow_up(one.episode.problem.statement, True)
        assert one.conversation.ids[len(shown) : len(shown) + len(statement)] == statement
        assert one.conversation.spans[0].start == len(shown) + len(statement)


def test_the_first_attempt_is_one_policys_and_repairs_see_it_and_its_feedback_alone(batch_judge: Judge) -> None:
    first, repair = build_mini_policy(TOKENIZER, SHAPE, 0), build_mini_policy(TOKENIZER, SHAPE, 1)
    generator = torch.Generator().manual_seed(0)
    asked = problems(4)
    played = collect_with_repairs(first, repair, CHAT, asked, batch_judge, env_config(), SAMPLING, generator).played
    alone = collect(first, CHAT, asked, batch_judge, env_config(turn_limit=1), SAMPLING, torch.Generator().manual_seed(0)).played
    for one, single in zip(played, alone, strict=True):
        assert one.episode.turns[0].response == single.episode.turns[0].response
        assert len(one.episode.turns) == 3
        feedback = CHAT.follow_up(one.episode.turns[0].feedback, single.conversation.spans[0].finish == "stop")
        assert one.conversation.ids[: one.conversation.spans[0].start] == [*single.conversation.ids, *feedback]


def test_repair_documents_teach_the_right_program_behind_a_failed_attempt(batch_judge: Judge) -> None:
    policy = build_mini_policy(TOKENIZER, SHAPE, 0)
    asked = problems(4)
    one_turn, three = (
        collect(policy, CHAT, asked, batch_judge, env_config(turn_limit=limit), SAMPLING, torch.Generator().manual_seed(0)).played
        for limit in (1, 3)
    )
    documents = repair_documents(CHAT, one_turn)
    assert [document.ids for document in documents] == [document.ids for document in repair_documents(CHAT, three)]
    for document, one in zip(documents, one_turn, strict=True):
        right = mini.parse(one.episode.problem.id).program.source
        assert CHAT.text(document.response(0)) == right
        assert sum(document.sampled) == len(document.response(0))


def test_a_pass_over_documents_draws_each_once_and_an_empty_set_is_a_sentence() -> None:
    conversations = []
    for number in range(5):
        conversations.append(TokenConversation())
        conversations[-1].add_environment([number])
    draw = Documents(conversations, seed=0)
    drawn = [one.ids[0] for _ in range(5) for one in draw(2)]
    assert sorted(drawn[:5]) == sorted(drawn[5:]) == list(range(5))
    assert drawn[:5] != drawn[5:]
    with pytest.raises(CodeenvError, match="no document to learn from"):
        Documents([], seed=0)


def test_few_shot_is_off_bit_for_bit(batch_judge: Judge) -> None:
    policy = build_mini_policy(TOKENIZER, SHAPE, 0)
    runs = [
        collect(
            policy, CHAT, problems(3), batch_judge, replace(env_config()), SAMPLING, torch.Generator().manual_seed(0), **extra
        )
        for extra in ({}, {"shown": ()})
    ]
    assert [one.conversation for one in runs[0].played] == [one.conversation for one in runs[1].played]
