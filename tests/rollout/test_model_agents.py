"""A Hugging Face model and a person as agents."""

import json
import subprocess
import sys

import pytest
from sample_problems import ADD_ONE
from tiny_chat_tokenizer import make_tokenizer

torch = pytest.importorskip("torch", reason="needs the extra agents")

from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from codeenv.agents.hf import HuggingFaceAgent  # noqa: E402
from codeenv.agents.lm.models import MiniShape, build_mini_policy  # noqa: E402
from codeenv.agents.rlef.miniature import build_tokenizer, env_config  # noqa: E402
from codeenv.errors import CodeenvError  # noqa: E402
from codeenv.problems import load  # noqa: E402
from codeenv.rollout import load_agent, rollout  # noqa: E402


@pytest.fixture(scope="module")
def parts():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=4096, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return tokenizer, LlamaForCausalLM(config)


def make_agent(parts, **options):
    tokenizer, model = parts
    return HuggingFaceAgent(model_object=model, tokenizer=tokenizer, temperature=1.0, top_p=1.0, max_tokens=12, **options)


def test_a_model_is_rolled_out_with_the_tokens_it_sampled(parts, judge):
    tokenizer = parts[0]
    result = rollout([ADD_ONE], make_agent(parts), 3, judge=judge, turn_limit=2)
    assert (result.episodes, result.failures) == (3, [])
    for row in result.rows.values():
        extras = [turn["extras"] for turn in row["turns"]]
        first = extras[0]
        assert len(first["tokens"]) == len(first["logprobs"]) == len(first["pieces"]) <= 12
        said = [token for token in first["tokens"] if token != tokenizer.eos_token_id]
        assert tokenizer.decode(said) == row["messages"][1]["content"]
        assert extras[1]["prompt_tokens"] > first["prompt_tokens"] + len(first["tokens"])


def test_the_recorded_log_probabilities_are_those_of_the_model(parts):
    model = parts[1]
    agent = make_agent(parts)
    conversation = [{"role": "user", "content": "hello"}]
    (first,) = agent.act_batch([conversation])
    conversation += [{"role": "assistant", "content": first.text}, {"role": "user", "content": "again"}]
    kept = agent._kept[("hello", first.text)][0]
    (second,) = agent.act_batch([conversation])
    ids = torch.tensor([kept.ids])
    with torch.no_grad():
        logprobs = torch.log_softmax(model(ids).logits[0].float(), -1)
    for response, span in zip((first, second), kept.spans, strict=True):
        expected = [float(logprobs[place - 1, kept.ids[place]]) for place in range(span.start, span.stop)]
        assert response.extras["logprobs"] == pytest.approx(expected, abs=1e-3)


def test_the_same_batches_and_seed_give_the_same_answers(parts):
    conversations = [[{"role": "user", "content": text}] for text in ("a", "b", "c")]
    answers = [[r.text for r in make_agent(parts, seed=5, batch_size=2).act_batch(conversations)] for _ in range(2)]
    assert answers[0] == answers[1]


def test_a_conversation_that_it_did_not_hold_is_refused(parts):
    strange = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    with pytest.raises(CodeenvError, match="did not take part in"):
        make_agent(parts).act_batch([strange])


@pytest.mark.parametrize(("options", "sentence"), [({}, "needs a model"), ({"model": "/nowhere/model"}, "cannot load the model")])
def test_a_model_that_is_not_there_is_a_sentence(options, sentence):
    with pytest.raises(CodeenvError, match=sentence):
        load_agent("hf", options)


def test_a_person_types_a_program_at_the_terminal(tmp_path):
    (tmp_path / "problems.jsonl").write_text(json.dumps(ADD_ONE.to_dict()) + "\n")
    command = [sys.executable, "-m", "codeenv", "rollout", "--env", "problems.jsonl", "--agent", "human", "--episodes", "2"]
    typed = "def f(x):\n    return x\n.\ndef f(x):\n    return x + 1\n.\n" * 2  # one episode after the other
    done = subprocess.run(command, cwd=tmp_path, input=typed, capture_output=True, text=True, check=True)
    assert "2 of 2 episodes solved" in done.stdout
    assert "Test 1: wrong answer." in done.stderr


def test_a_policy_of_the_miniature_is_an_agent_by_its_folder(judge, tmp_path):
    tokenizer = build_tokenizer()
    build_mini_policy(tokenizer, MiniShape(hidden=16, feed_forward=16, layers=1, heads=1), 0).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    agent = HuggingFaceAgent(model=str(tmp_path), temperature=1.0, top_p=1.0, max_tokens=12, max_context=128)
    result = rollout(load("mini", limit=4), agent, judge=judge, config=env_config())
    assert (result.episodes, result.failures) == (4, [])
    assert {len(turn["extras"]["tokens"]) <= 12 for row in result.rows.values() for turn in row["turns"]} == {True}
