"""Responses from a server with vLLM's endpoints, and the trainer's weights handed over to it.

The server is `stand_in_vllm.py`. With CODEENV_VLLM_URL it is a vLLM server that runs already, on the model that
`python tests/generation/test_vllm_handover.py FOLDER` writes:

    VLLM_SERVER_DEV_MODE=1 vllm serve FOLDER --dtype float32 --max-model-len 2048
"""

import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra [agents]")
pytest.importorskip("fastapi", reason="needs the extra [serve]")

import torch
from sample_problems import ADD_ONE, ECHO
from tiny_chat_tokenizer import make_tokenizer
from transformers import LlamaForCausalLM

from codeenv import Judge
from codeenv.agents.lm.adapters import merged_state
from codeenv.agents.lm.generation import Sampling
from codeenv.agents.lm.load import add_adapters, load_policy
from codeenv.agents.lm.models import MiniShape
from codeenv.agents.lm.scoring import build_batch, response_logprobs
from codeenv.agents.lm.served import ServedPolicy, ServedSampler
from codeenv.agents.lm.storage import save_pretrained
from codeenv.agents.lm.template_format import TemplateFormat
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.lm.vllm_server import ServerConfig, VllmServer
from codeenv.agents.rlef.collect import collect
from codeenv.agents.rlef.config import RLEFConfig
from codeenv.agents.rlef.run import TrainingRun
from codeenv.agents.rlef.run_config import ModelConfig, TaskConfig, TrainConfig
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError

torch.set_num_threads(1)
SHAPE = MiniShape(hidden=64, feed_forward=128, layers=2, heads=2, context=2048, spread=0.5)
CHAT = TemplateFormat(make_tokenizer())
REAL = os.environ.get("CODEENV_VLLM_URL")
EXACT = 1e-4


@contextmanager
def running(folder, *flags):
    """Serve the model of a folder on a free port until the block ends; gives the URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(Path(__file__).with_name("stand_in_vllm.py")), str(folder), str(port), *flags]
    log = folder.parent / f"{port}.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        for _ in range(1200):
            assert server.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5)
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def model(seed):
    config = SHAPE.config(CHAT.tokenizer)
    config.tie_word_embeddings = False  # vLLM 0.32 on a processor keeps a packed copy of a tied head when it reloads
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    if REAL:
        yield REAL
        return
    folder = tmp_path_factory.mktemp("vllm") / "model"
    save_pretrained(model(0), CHAT.tokenizer, folder)
    with running(folder) as url:
        yield url


@pytest.fixture
def served(url, tmp_path):
    made = ServedPolicy(VllmServer(ServerConfig(url, tolerance=EXACT)), CHAT.tokenizer, tmp_path / "served")
    yield made
    made.close()


def opened(text):
    conversation = TokenConversation()
    conversation.add_environment(CHAT.opening(text))
    return conversation


def respond(policy, conversations, seed=0, stop=CHAT.stop_ids, **settings):
    sampling = Sampling(**{"max_tokens": 12, "max_context": 512} | settings)
    generator = torch.Generator().manual_seed(seed)
    ServedSampler(policy, conversations, stop, sampling, generator).respond(range(len(conversations)))


def trainers_logprobs(policy, conversations):
    batch = build_batch(conversations, 0)
    with torch.no_grad():
        return response_logprobs(policy, batch)[0], batch.behaviour


def test_after_a_hand_over_the_servers_log_probabilities_are_the_trainers(served):
    for seed in (1, 2):
        policy = model(seed)
        served.refreshed(policy)
        conversations = [opened(f"problem {number}") for number in range(5)]
        respond(served, conversations, seed)
        ours, theirs = trainers_logprobs(policy, conversations)
        torch.testing.assert_close(theirs, ours, atol=EXACT, rtol=0)
        other, _ = trainers_logprobs(model(seed + 10), conversations)
        assert (other - theirs).abs().mean() > 0.1


def test_what_the_server_remembers_of_older_weights_is_forgotten(served):
    conversations = {}
    for seed in (3, 4):
        policy = model(seed)
        served.refreshed(policy)
        conversations[seed] = [opened("the same problem")]
        respond(served, conversations[seed], max_tokens=1)
        ours, theirs = trainers_logprobs(policy, conversations[seed])
        torch.testing.assert_close(theirs, ours, atol=EXACT, rtol=0)


def test_adapters_are_handed_over_with_what_they_adapt(served):
    policy = add_adapters(model(5), rank=2)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(len(name)))
    assert set(merged_state(policy)) == set(model(5).state_dict())
    served.refreshed(policy)
    conversations = [opened("adapted")]
    respond(served, conversations)
    ours, theirs = trainers_logprobs(policy, conversations)
    torch.testing.assert_close(theirs, ours, atol=EXACT, rtol=0)
    plain, _ = trainers_logprobs(model(5), conversations)
    assert (plain - theirs).abs().mean() > 0.01


def test_responses_end_at_the_stop_token_the_length_or_the_context(served):
    policy = model(6)
    served.refreshed(policy)
    stop = frozenset(range(0, 300, 10))
    conversations = [opened(f"{number}") for number in range(30)]
    respond(served, conversations, stop=stop, max_tokens=8)
    ends = {conversation.spans[0].finish: conversation.response(0) for conversation in conversations}
    assert set(ends) == {"stop", "length"}
    assert [token in stop for token in ends["stop"]] == [False] * (len(ends["stop"]) - 1) + [True]
    assert (len(ends["length"]), stop & set(ends["length"])) == (8, set())
    tight = [opened("x"), opened("x" * 40)]
    respond(served, tight, max_tokens=40, max_context=len(tight[0]) + 1)
    assert [conversation.spans[0].finish for conversation in tight][1] == "context"
    assert len(tight[0].response(0)) == 1
    assert tight[1].response(0) == []


def test_the_same_seed_gives_the_same_responses(served):
    served.refreshed(model(7))
    found = []
    for seed in (0, 0, 1):
        conversations = [opened("again"), opened("again")]
        respond(served, conversations, seed)
        found.append([conversation.ids for conversation in conversations])
    assert found[0] == found[1] != found[2]
    assert found[0][0] != found[0][1]


def test_episodes_are_played_with_exact_tokens(served, judge):
    policy = model(8)
    served.refreshed(policy)
    generator = torch.Generator().manual_seed(0)
    sampling = Sampling(max_tokens=8, max_context=1000)
    found = collect(served, CHAT, [ADD_ONE, ECHO], judge, EnvConfig(turn_limit=2), sampling, generator)
    assert [len(one.rewards) for one in found.played] == [2, 2]
    ours, theirs = trainers_logprobs(policy, [one.conversation for one in found.played])
    torch.testing.assert_close(theirs, ours, atol=EXACT, rtol=0)


def test_a_run_hands_its_weights_over_before_each_collection(url, tmp_path):
    folder = tmp_path / "model"
    save_pretrained(model(9), CHAT.tokenizer, folder)
    problems = tmp_path / "problems.jsonl"
    problems.write_text("".join(json.dumps(problem.to_dict()) + "\n" for problem in (ADD_ONE, ECHO)))
    rlef = RLEFConfig(iterations=2, episodes=2, updates=1, learning_rate=1e-2, warmup_updates=0, max_response_tokens=8,
                      max_context_tokens=1000)  # fmt: skip
    config = TrainConfig(ModelConfig(str(folder)), str(problems), task=TaskConfig(turn_limit=1), rlef=rlef, validate_every=0,
                         server=ServerConfig(url, tolerance=EXACT))  # fmt: skip
    with Judge(workers=1) as judge:
        run = TrainingRun(config, tmp_path / "run", judge)
        weights = []
        run.train(lambda _: weights.append(load_policy(str(tmp_path / "run" / "served")).state_dict()))
        assert run.learner._writer.difference < EXACT
        run.close()
    name = "model.layers.0.mlp.down_proj.weight"
    assert torch.equal(weights[0][name], model(9).state_dict()[name])
    assert not torch.equal(weights[0][name], weights[1][name])


# What can go wrong: a sentence each.


def test_a_server_that_is_not_there_is_a_sentence():
    with pytest.raises(CodeenvError, match=r"the server at http://127.0.0.1:1 does not answer /v1/models"):
        VllmServer(ServerConfig("http://127.0.0.1:1"))


def test_weights_of_another_model_are_noticed(served, tmp_path):
    served.refreshed(model(1))
    served.server.load = lambda folder: None  # a server that says yes and takes nothing
    with pytest.raises(CodeenvError, match=r"differ from the trainer's by .* nats a token after the hand-over"):
        served.refreshed(model(2))


@pytest.mark.skipif(bool(REAL), reason="vLLM gives token ids and takes weights")
@pytest.mark.parametrize(
    ("flag", "sentence"),
    [("--no-dev", "start it with VLLM_SERVER_DEV_MODE=1"), ("--no-ids", "gives no token ids")],
)
def test_a_server_that_cannot_serve_a_trainer_is_a_sentence(tmp_path, flag, sentence):
    save_pretrained(model(0), CHAT.tokenizer, tmp_path / "model")
    with running(tmp_path / "model", flag) as url:
        policy = ServedPolicy(VllmServer(ServerConfig(url)), CHAT.tokenizer, tmp_path / "served")
        with pytest.raises(CodeenvError, match=sentence):
            policy.refreshed(model(1))


def test_a_folder_that_the_server_cannot_read_is_a_sentence(served, tmp_path):
    with pytest.raises(CodeenvError, match=r"answers /collective_rpc with 500"):
        served.server.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rlef": {"temperature": 0.7}}, "exact at 1.0 alone"),
        ({"rlef": {"top_p": 0.9}}, "exact at 1.0 alone"),
        ({"rlef": {"recompute_logprobs": False}}, "set it to true"),
        ({"rlef": {"staleness": 1}}, "rlef.staleness"),
    ],
)
def test_settings_that_a_server_cannot_meet_are_refused(tmp_path, judge, changes, sentence):
    config = TrainConfig(rlef=RLEFConfig(**changes["rlef"]), server=ServerConfig("http://127.0.0.1:1"))
    with pytest.raises(CodeenvError, match=sentence):
        TrainingRun(config, tmp_path / "run", judge)


@pytest.mark.parametrize("changes", [{"url": "localhost:8000"}, {"parallel": 0}, {"tolerance": 0.0}])
def test_settings_of_the_server_are_checked(changes):
    with pytest.raises(CodeenvError, match="server"):
        dataclasses.replace(ServerConfig("http://localhost:8000"), **changes)


if __name__ == "__main__":
    save_pretrained(model(0), CHAT.tokenizer, Path(sys.argv[1]))
