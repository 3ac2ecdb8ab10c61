"""Few-shot prompting with solved dialogues, and a model of its own for repairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from sample_problems import ADD_ONE
from tiny_chat_tokenizer import make_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from codeenv.agents.chat import ChatAgent
from codeenv.agents.demonstrations import load_demonstrations, mined_demonstrations, with_demonstrations
from codeenv.agents.hf import HuggingFaceAgent
from codeenv.agents.repair import RepairAgent
from codeenv.agents.scripted import RepairsOnFeedback
from codeenv.errors import CodeenvError
from codeenv.problems import Problem
from codeenv.rollout import load_agent, rollout
from codeenv.rollout.agent import Response

torch.set_num_threads(1)
PROBLEMS = [Problem.from_dict({**ADD_ONE.to_dict(), "id": f"add/{number}"}) for number in range(3)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, judge: Any) -> Path:
    """Two recorded runs of the scripted agent: solved at the second attempt, and at the third."""
    folder = tmp_path_factory.mktemp("runs")
    for wrong in (1, 2):
        rollout(PROBLEMS, RepairsOnFeedback(wrong), 3, judge=judge, turn_limit=3, out=folder / str(wrong + 1))
    rows = [json.loads(line) for name in ("2", "3") for line in (folder / name / "episodes.jsonl").read_text().splitlines()]
    both = folder / "both"
    both.mkdir()
    numbered = [json.dumps({**row, "episode": number}) for number, row in enumerate(rows)]
    (both / "episodes.jsonl").write_text("\n".join(numbered) + "\n")
    return folder


@pytest.fixture(scope="module")
def parts() -> tuple[Any, LlamaForCausalLM]:
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=4096, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return tokenizer, LlamaForCausalLM(config)


def test_one_solved_dialogue_of_each_number_of_attempts_is_shown_each_of_another_problem(runs: Path) -> None:
    two, three = load_demonstrations(str(runs / "both"))
    assert [message["role"] for message in two] == ["user", "assistant"] * 2
    assert [message["role"] for message in three] == ["user", "assistant"] * 3
    assert "return x + 1" in two[-1]["content"]
    assert "return x + 1" not in three[1]["content"]
    ids = {line["problem_id"] for line in map(json.loads, (runs / "both" / "episodes.jsonl").read_text().splitlines())}
    assert len(ids) == 3


def test_several_runs_may_hold_them(runs: Path) -> None:
    two, three = load_demonstrations(f"{runs / '2'},{runs / '3'}")
    assert (len(two), len(three)) == (4, 6)


def test_a_problem_is_shown_once() -> None:
    rows = [
        {"solved": True, "problem_id": name, "turns": [0] * count, "messages": [{"role": "user", "content": f"{name}{count}"}]}
        for name, count in (("a", 2), ("a", 3), ("b", 3))
    ]
    for seed in range(8):
        assert [dialogue[0]["content"] for dialogue in mined_demonstrations(rows, (2, 3), seed)] == ["a2", "b3"]


def test_the_demonstrations_come_before_the_conversation() -> None:
    problem = [{"role": "user", "content": "p"}]
    shown = [[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]]
    assert [message["content"] for message in with_demonstrations(problem, shown)] == ["q", "a", "p"]
    assert with_demonstrations(problem, []) == problem


def test_a_model_reads_the_demonstrations_as_earlier_messages_of_its_template(runs: Path, parts: Any) -> None:
    tokenizer, model = parts
    options: dict[str, Any] = {"model_object": model, "tokenizer": tokenizer, "temperature": 1.0, "max_tokens": 8}
    place = str(runs / "both")
    agent = HuggingFaceAgent(demonstrations=place, **options)
    (answer,) = agent.act_batch([[{"role": "user", "content": "the problem"}]])
    (kept,) = agent._kept[("the problem", answer.text)]
    messages = with_demonstrations([{"role": "user", "content": "the problem"}], load_demonstrations(place))
    rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert kept.ids[: kept.spans[0].start] == tokenizer.encode(rendered, add_special_tokens=False)
    assert not any(kept.sampled[: kept.spans[0].start])
    (plain,) = HuggingFaceAgent(**options).act_batch([[{"role": "user", "content": "the problem"}]])
    assert plain.extras["prompt_tokens"] < answer.extras["prompt_tokens"]


def test_a_later_turn_goes_on_behind_the_demonstrations(runs: Path, parts: Any) -> None:
    tokenizer, model = parts
    agent = HuggingFaceAgent(
        model_object=model, tokenizer=tokenizer, max_tokens=4, demonstrations=str(runs / "2"), shots="2", temperature=1.0
    )
    conversation = [{"role": "user", "content": "the problem"}]
    (first,) = agent.act_batch([conversation])
    later = [*conversation, {"role": "assistant", "content": first.text}, {"role": "user", "content": "again"}]
    (second,) = agent.act_batch([later])
    assert second.extras["prompt_tokens"] > first.extras["prompt_tokens"] + first.extras["completion_tokens"]


def test_a_chat_model_is_sent_the_demonstrations(runs: Path) -> None:
    agent = ChatAgent("m", demonstrations=str(runs / "both"), shots="3")
    assert len(agent._demonstrations) == 1
    assert len(agent._demonstrations[0]) == 6


@pytest.mark.parametrize(
    ("text", "shots", "words"),
    [
        (None, "2", "cannot read the demonstrations"),
        ("nonsense", "2", "no JSONL rows"),
        ('{"messages": [{"role": "user", "content": "a"}]}', "2", "does not go user, assistant"),
        ("", "two", "shots is 'two'"),
    ],
)
def test_demonstrations_that_cannot_be_shown_are_a_sentence(text: str | None, shots: str, words: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "demos.jsonl").write_text(text + "\n")
    with pytest.raises(CodeenvError, match=words):
        load_demonstrations(str(tmp_path / "demos.jsonl"), shots)


def test_a_run_without_a_solved_episode_of_that_length_says_what_it_has(runs: Path) -> None:
    with pytest.raises(CodeenvError, match=r"no solved episode with 3 attempts to show \(there are 3 with 2\)"):
        load_demonstrations(str(runs / "2"))


class Says:
    """An agent that answers with its name and remembers what it was shown."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.shown: list[list[str]] = []

    def act_batch(self, conversations: Any) -> list[Response]:
        self.shown += [[message["content"] for message in conversation] for conversation in conversations]
        return [Response(self.name) for _ in conversations]


def dialogue(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


@pytest.mark.parametrize(("independent", "seen"), [(True, ["p", "x", "f"]), (False, ["p", "x", "f", "y", "g"])])
def test_the_first_attempt_is_one_models_and_every_repair_the_others(independent: bool, seen: list[str]) -> None:
    first, repair = Says("first"), Says("repair")
    agent = RepairAgent(first_agent=first, repair_agent=repair, independent=independent)
    batch = [dialogue("p", "x", "f", "y", "g"), dialogue("p"), dialogue("p", "x", "f")]
    assert [answer.text for answer in agent.act_batch(batch)] == ["repair", "first", "repair"]
    assert first.shown == [["p"]]
    assert repair.shown == [seen, ["p", "x", "f"]]


def test_a_repair_model_tokenises_what_the_first_model_wrote(parts: Any) -> None:
    tokenizer, model = parts
    agent = HuggingFaceAgent(model_object=model, tokenizer=tokenizer, max_tokens=4, adopt=True)
    conversation = dialogue("p", "not mine", "wrong")
    (answer,) = agent.act_batch([conversation])
    rendered = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
    assert answer.extras["prompt_tokens"] == len(tokenizer.encode(rendered, add_special_tokens=False))


def test_two_models_play_an_episode(parts: Any, judge: Any) -> None:
    tokenizer, model = parts
    options: dict[str, Any] = {"model_object": model, "tokenizer": tokenizer, "max_tokens": 4}
    pair = RepairAgent(first_agent=HuggingFaceAgent(**options), repair_agent=HuggingFaceAgent(adopt=True, **options))
    result = rollout(PROBLEMS, pair, 3, judge=judge, turn_limit=3)
    assert (result.episodes, result.failures) == (3, [])


def test_a_pair_with_one_model_missing_is_a_sentence() -> None:
    with pytest.raises(CodeenvError, match="needs two models; give the other one as --agent-options repair=NAME"):
        load_agent("repair", {"first": "some/model"})
