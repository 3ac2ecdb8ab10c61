"""A real generation server on loopback, `transformers serve` with a tiny random model, rolled out through the chat agent."""

import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

pytest.importorskip("openai", reason="needs the extra [openai]")
pytest.importorskip("torch", reason="needs the extra [agents]")

from sample_problems import ADD_ONE, ECHO
from tiny_chat_tokenizer import make_tokenizer

from codeenv import rollout
from codeenv.agents.chat import ChatAgent
from codeenv.agents.lm.models import MiniShape, build_mini_policy


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tokenizer = make_tokenizer()
    build_mini_policy(tokenizer, MiniShape(hidden=16, feed_forward=32, layers=1, heads=2, context=4096), seed=0).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = "import sys; sys.argv[0] = 'transformers'; from transformers.cli.transformers import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    log = folder / "serve.log"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        for _ in range(900):
            assert server.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1", str(folder)
    finally:
        server.terminate()
        server.wait(30)


def test_episodes_are_played_against_a_real_server(endpoint, judge):
    url, model = endpoint
    agent = ChatAgent(model, url, max_tokens=8, temperature=1.0, top_p=1.0)
    result = rollout([ADD_ONE, ECHO], agent, episodes=4, judge=judge, turn_limit=2)
    assert result.failures == []
    assert (result.episodes, result.solved) == (4, 0)
    assert all(len(row["turns"]) == 2 for row in result.rows.values())


def test_a_server_without_log_probabilities_is_a_sentence_when_they_were_asked_for(endpoint, judge):
    url, model = endpoint
    agent = ChatAgent(model, url, max_tokens=4, logprobs=True)
    result = rollout([ADD_ONE], agent, episodes=2, judge=judge)
    assert result.episodes == 0
    assert all("gives no log-probabilities, so the run could not be trained from exactly" in text for text in result.failures)
    assert len(result.failures) == 2
