"""The chat agent against a real server in a process of its own."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sample_problems import ADD_ONE

from codeenv.agents.chat import ChatAgent
from codeenv.errors import CodeenvError
from codeenv.rollout import load_agent, read_episodes, read_run, rollout

pytest.importorskip("openai", reason="needs the extra openai")
SERVER = Path(__file__).with_name("chat_server.py")


@pytest.fixture(scope="module")
def url():
    server = subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True)
    yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    server.kill()
    server.wait()


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key-1234")


def state(url):
    with urllib.request.urlopen(url.replace("/v1", "/state")) as answer:
        return json.load(answer)


def test_a_model_is_rolled_out_and_its_tokens_and_cost_are_recorded(url, judge):
    agent = ChatAgent("steady", url, usd_per_mtok_in=1.0, usd_per_mtok_out=2.0, logprobs=True)
    result = rollout([ADD_ONE], agent, 4, judge=judge)
    assert (result.solved, result.failures) == (4, [])
    extras = result.rows[0]["turns"][0]["extras"]
    assert extras["prompt_tokens"] == 11
    assert extras["cost_usd"] == pytest.approx(25e-6)
    assert extras["model"] == "served-model"
    assert len(extras["pieces"]) == len(extras["logprobs"]) > 3
    assert state(url)["keys"] == ["Bearer secret-key-1234"]


def test_a_reply_with_half_a_surrogate_pair_does_not_spoil_the_next_request(url, judge):
    result = rollout([ADD_ONE], ChatAgent("half-a-pair", url, retries=0), 1, judge=judge)
    assert (result.solved, result.failures) == (1, [])
    assert result.rows[0]["messages"][1]["content"] == "\ud83d"


def test_a_body_without_an_end_is_refused(url, judge):
    (failure,) = rollout([ADD_ONE], ChatAgent("never-stops", url), 1, judge=judge).failures
    assert "the endpoint's answer is longer than 16 MiB" in failure


def test_as_many_requests_are_under_way_as_episodes_unless_a_limit_is_given(url, judge):
    def failures(episodes, **options):
        agent = ChatAgent("waits-for-70", url, retries=0, timeout_s=5.0, **options)
        return rollout([ADD_ONE], agent, episodes, judge=judge, concurrency=70, turn_limit=1).failures

    assert "APITimeoutError" in failures(1, max_requests=1)[0]
    assert failures(70) == []


def test_an_agent_goes_on_with_a_second_run_in_another_event_loop(url, judge):
    agent = ChatAgent("steady", url)
    for _ in range(2):
        assert rollout([ADD_ONE], agent, 2, judge=judge).solved == 2


def test_429_500_half_a_body_and_empty_answers_are_tried_again(url, judge):
    result = rollout([ADD_ONE], ChatAgent("flaky", url, retries=12), 20, judge=judge)
    assert (result.solved, result.failures) == (20, [])
    assert any("retries" in turn["extras"] for row in result.rows.values() for turn in row["turns"])


@pytest.mark.parametrize(
    ("model", "options", "sentence"),
    [
        ("refuses", {}, "AuthenticationError"),
        ("is-down", {"retries": 2}, "no answer in 3 requests; the last: InternalServerError"),
        ("hangs", {"retries": 0, "timeout_s": 0.2}, "APITimeoutError"),
        ("is-a-page", {"retries": 0}, "the answer is no chat completion; is base_url the address of the API"),
        ("asks-for-an-hour", {}, "the server asks to wait 3600 s, which is more than this response may take (of 600 s"),
        ("asks-for-an-hour", {}, "RateLimitError: Error code: 429"),
        ("fails-at-length", {}, "2,999,6"),
    ],
)
def test_an_endpoint_that_stays_bad_is_a_sentence_without_the_key(url, judge, tmp_path, model, options, sentence):
    result = rollout([ADD_ONE], ChatAgent(model, url, **options), 1, out=tmp_path / "run", judge=judge)
    assert sentence in result.failures[0]
    everything = "".join(path.read_text() for path in (tmp_path / "run").iterdir())
    assert "secret-key" not in everything + result.failures[0]


def test_a_response_that_waits_for_its_turn_until_its_deadline_says_so(url, judge):
    agent = ChatAgent("hangs", url, requests_per_minute=1)
    result = rollout([ADD_ONE], agent, 2, agent_timeout_s=0.5, judge=judge)
    said = sorted(failure.partition("model ")[2] for failure in result.failures)
    assert said == [
        "'hangs' was sent 0 requests and waits for its turn (see max_requests, requests_per_minute)",
        "'hangs' was sent 1 request",
    ]


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("always-429", "RateLimitError: Error code: 429"),
        ("always-500", "InternalServerError: Error code: 500"),
        ("always-half", "APIConnectionError"),
        ("always-empty", "the answer has no text"),
    ],
)
def test_the_last_error_of_the_endpoint_is_told_when_the_deadline_comes_first(url, judge, model, error):
    agent = ChatAgent(model, url, retries=1_000_000)
    result = rollout([ADD_ONE], agent, 1, agent_timeout_s=1.0, judge=judge)
    told = f"the agent gave no answer within 1 s; model '{model}' was sent " in result.failures[0]
    assert told or "is more than this response may take (of 1 s" in result.failures[0]  # a Retry-After of 0.01 s
    assert error in result.failures[0]


def test_a_long_wait_that_the_server_asks_for_is_told_once(url, judge, monkeypatch, caplog):
    monkeypatch.setattr("codeenv.agents.chat.LONG_WAIT_S", 0.005)  # the server asks for 0.01 s
    rollout([ADD_ONE], ChatAgent("always-429", url, retries=3), 2, judge=judge)
    told = [record.getMessage() for record in caplog.records if "asks to wait" in record.getMessage()]
    assert len(told) == 1
    assert "model 'always-429': the server asks to wait 0.01 s" in told[0]


def test_an_agent_is_used_from_several_threads_and_loops_at_the_same_time(url, judge):
    agent = ChatAgent("steady", url)
    with ThreadPoolExecutor(4) as threads:
        runs = list(threads.map(lambda _: rollout([ADD_ONE], agent, 6, judge=judge), range(4)))
    assert [(run.solved, run.failures) for run in runs] == [(6, [])] * 4
    for _ in range(3):  # loops of a user, without an engine that tells the agent when a run ends
        answer = asyncio.run(agent.act([{"role": "user", "content": "Write f."}]))
        assert "def f" in answer.text


def test_a_password_in_an_address_is_not_recorded(url, tmp_path):
    options = {"model": "steady", "base_url": url.replace("://", "://user:pass-1234@")}
    rollout([ADD_ONE], "chat", 1, out=tmp_path / "run", agent_options=options, workers=1)
    assert read_run(tmp_path / "run")["agent_options"]["base_url"] == url.replace("://", "://***@")
    assert "pass-1234" not in "".join(path.read_text() for path in (tmp_path / "run").iterdir())


def test_no_server_is_a_sentence(judge):
    result = rollout([ADD_ONE], ChatAgent("steady", "http://127.0.0.1:9/v1", retries=0), 1, judge=judge)
    assert "APIConnectionError" in result.failures[0]


def test_requests_start_at_the_asked_rate(url, judge):
    begin = time.monotonic()
    rollout([ADD_ONE], ChatAgent("steady", url, requests_per_minute=1200), 5, judge=judge)
    assert time.monotonic() - begin >= 9 * 0.05  # ten requests: nothing can make them faster than the rate


def test_options_from_the_command_line_are_converted_and_unknown_ones_named():
    agent = load_agent("chat", {"model": "m", "temperature": "0.7", "retries": "2", "logprobs": "true"})
    assert (agent.model, agent._sampling["temperature"], agent._retries, agent._logprobs) == ("m", 0.7, 2, True)
    with pytest.raises(CodeenvError, match="has no option 'tempo'; its options are: model, base_url"):
        load_agent("chat", {"model": "m", "tempo": "1"})
    with pytest.raises(CodeenvError, match="option retries is 'many'"):
        load_agent("chat", {"model": "m", "retries": "many"})


def test_a_hundred_concurrent_episodes_are_killed_and_resumed(url, tmp_path):
    (tmp_path / "problems.jsonl").write_text(json.dumps(ADD_ONE.to_dict()) + "\n")
    command = [
        sys.executable, "-m", "codeenv", "rollout", "--env", "problems.jsonl", "--agent", "chat", "--out", "run", "--json",
        "--episodes", "200", "--concurrency", "100",
        "--agent-options", "model=steady", f"base_url={url}",
    ]  # fmt: skip
    before = state(url)
    first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    rows = tmp_path / "run" / "episodes.jsonl"
    while not rows.exists() or rows.read_bytes().count(b"\n") < 30:
        assert first.poll() is None, first.stderr.read().decode()
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    kept = {row["episode"] for row in read_episodes(tmp_path / "run")}
    assert 30 <= len(kept) < 200
    assert state(url)["most"] > 50, "the episodes were not in flight together"
    done = subprocess.run([*command, "--resume"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=100)
    assert json.loads(done.stdout)["episodes"] == 200
    assert sorted(row["episode"] for row in read_episodes(tmp_path / "run")) == list(range(200))
    asked = state(url)["requests"] - before["requests"]
    assert asked <= 2 * 200 + 2 * 100, "finished episodes were asked for again"
    assert "secret-key" not in (tmp_path / "run" / "run.json").read_text() + rows.read_text()
