"""What stands before the endpoints of `codeenv serve`: the token before the body, text that can be sent, a stop that ends."""

import json
import math
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]; runs in an environment of its own")
httpx = pytest.importorskip("httpx", reason="needs httpx; runs in an environment of its own")

from running import running_service

from codeenv.errors import CodeenvError
from codeenv.server.settings import ServerSettings

TOKEN = "a-token-of-more-than-16-characters"
ECHO = {"id": "t/echo", "statement": "", "mode": "stdio", "public_tests": [{"input": "", "output": "1\n"}]}
ENDLESS = {"problem": ECHO | {"limits": {"time_limit_s": 60}}, "source": "while True: pass"}


def test_the_token_is_checked_before_the_body_is_read():
    with running_service("--workers", "1", token=TOKEN) as service:
        host, port = re.fullmatch(r"http://(.*):(\d+)", service.url).groups()
        with socket.create_connection((host, int(port)), timeout=60) as client:
            client.sendall(
                b"POST /v1/judge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{"
            )
            assert client.recv(12) == b"HTTP/1.1 401"
        answer = httpx.post(f"{service.url}/v1/judge", content=b"{", timeout=60)
        assert (answer.status_code, answer.json()) == (401, {"error": "the token is missing or wrong"})
        statuses = {
            path: httpx.get(service.url + path, timeout=60).status_code for path in ("/readyz", "/openapi.json", "/v1/info")
        }
        assert statuses == {"/readyz": 200, "/openapi.json": 200, "/v1/info": 401}


LONE = "\ud800"


@pytest.fixture(scope="module")
def url():
    with running_service("--workers", "1") as service:
        yield service.url


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/v1/judge", {"problem": ECHO | {"id": LONE}, "source": "print(1)"}, ["problem_id"]),
        ("/v1/judge_batch", {"requests": [{"problem": ECHO | {"id": LONE}, "source": "print(1)"}]}, ["reports", 0, "problem_id"]),
        (
            "/submit",
            {
                "dataset": "d",
                "id": LONE,
                "completion": "```python\nprint(1)\n```",
                "config": {"provided_data": {"test": [{"input": {"stdin": ""}, "output": {"stdout": "1\n"}}]}},
            },
            ["id"],
        ),
        (
            "/submit",
            {
                "dataset": "d",
                "id": 1,
                "completion": f'```python\nprint("{LONE}")\n```',
                "config": {"provided_data": {"test": [{"input": {"stdin": ""}, "output": {"stdout": "1\n"}}]}},
            },
            ["extracted_code"],
        ),
    ],
    ids=["judge", "batch", "submit-id", "submit-code"],
)
def test_a_lone_surrogate_comes_back_written_out(url, path, body, where):
    answer = httpx.post(url + path, content=json.dumps(body), headers={"Content-Type": "application/json"}, timeout=60)
    assert answer.status_code == 200, answer.text
    value = answer.json()
    for key in where:
        value = value[key]
    assert "\\ud800" in value


def test_a_stop_ends_what_takes_longer_than_the_drain_and_says_so():
    with running_service("--workers", "1", "--drain-s", "1") as service, ThreadPoolExecutor(2) as threads:
        answers = [threads.submit(httpx.post, f"{service.url}/v1/judge", json=ENDLESS, timeout=120) for _ in range(2)]
        wait_until(service, running=1, waiting=1)
        assert service.stop(timeout=30) == 0
        for answer in answers:
            assert answer.result().status_code == 503
            assert "stopping" in answer.result().json()["error"]
            assert int(answer.result().headers["retry-after"]) >= 1
    assert not any("Traceback" in json.dumps(row) for row in service.rows)
    assert service.rows[-1]["event"] == "stopped"


def test_a_second_signal_ends_the_service_at_once():
    with running_service("--workers", "1", "--drain-s", "600") as service, ThreadPoolExecutor(1) as threads:
        answer = threads.submit(httpx.post, f"{service.url}/v1/judge", json=ENDLESS, timeout=120)
        wait_until(service, running=1)
        service.process.send_signal(signal.SIGTERM)
        for _ in range(600):
            if any(row["event"] == "draining" for row in service.rows):
                break
            time.sleep(0.02)
        assert service.stop(timeout=30) == 128 + signal.SIGTERM
        with pytest.raises(httpx.TransportError):
            answer.result()


def test_a_batch_beyond_the_room_in_the_queue_is_told_so():
    with running_service("--workers", "1", "--queue", "2", "--drain-s", "1") as service, ThreadPoolExecutor(1) as threads:
        first = threads.submit(httpx.post, f"{service.url}/v1/judge", json=ENDLESS, timeout=120)
        wait_until(service, running=1)
        waiting = left_open(service.url, ENDLESS)
        wait_until(service, running=1, waiting=1)
        answer = httpx.post(f"{service.url}/v1/judge_batch", json={"requests": [ENDLESS] * 2}, timeout=60)
        assert answer.status_code == 429
        assert "1 submissions wait already and this request has 2; at most 2 may wait" in answer.json()["error"]
        service.stop(timeout=30)
        assert first.result().status_code == 503
        waiting.close()


def left_open(url, body):
    """Send a request and leave it open."""
    host, port = re.fullmatch(r"http://(.*):(\d+)", url).groups()
    data = json.dumps(body).encode()
    client = socket.create_connection((host, int(port)), timeout=60)
    client.sendall(
        f"POST /v1/judge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        + data
    )
    return client


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"drain_s": -1.0}, "drain_s is -1.0"),
        ({"drain_s": math.nan}, "drain_s is nan"),
        ({"max_time_limit_s": math.nan}, "max_time_limit_s is nan"),
        ({"max_total_s": math.inf}, "max_total_s is inf"),
        ({"max_memory_mb": 0}, "max_memory_mb is 0"),
        ({"max_connections": 0}, "max_connections is 0"),
        ({"client_timeout_s": math.nan}, "client_timeout_s is nan"),
        ({"max_batch": 20, "queue": 10}, "max_batch is 20 and queue 10"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(settings, sentence):
    with pytest.raises(CodeenvError, match=re.escape(sentence)):
        ServerSettings(**settings)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--token-file", "empty"), "the token file 'empty' is empty"),
        (("--token-file", "blank"), "the token file 'blank' is empty"),
        (("--token-file", "bytes"), "the token file 'bytes' is not UTF-8 text"),
        (("--token-file", "gone"), "cannot read the token file 'gone'"),
        (("--workers", "0"), "workers is 0; use a whole number of at least 1"),
    ],
    ids=["an empty token", "a blank token", "a token of bytes", "no token file", "no workers"],
)
def test_a_flag_that_would_open_the_service_or_stop_its_work_is_refused_at_the_start(tmp_path, flags, sentence):
    for name, content in (("empty", b""), ("blank", b" \n"), ("bytes", b"\xff\xfe" * 16)):
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-m", "codeenv", "serve", "--port", "0", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert sentence in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nLong: " + b"x" * (70 << 10),
        b"POST /v1/judge HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n",
    ],
    ids=["another protocol", "no host", "a head that is too long", "a body in no chunks"],
)
def test_what_is_no_http_is_told_so_in_json(url, sent):
    port = int(url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(sent)
        words = b""
        while piece := connection.recv(65536):
            words += piece
    head, _, body = words.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n")
    assert "what came is no HTTP request that can be read" in json.loads(body)["error"]


def test_more_connections_than_files_may_be_open_are_refused_at_the_start():
    command = f"ulimit -n 1024; exec {sys.executable} -m codeenv serve --port 0 --max-connections 2000"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "max_connections is 2000, which takes 2256 open files, and at most 1024 may be open here" in done.stderr


def test_an_ipv6_address_is_listened_on_and_told_in_brackets():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    with running_service("--workers", "1", "--host", "::1") as service:
        assert service.url.startswith("http://[::1]:")
        assert httpx.get(f"{service.url}/healthz", timeout=60).text == "ok"


def test_the_log_has_the_address_that_connected_and_not_the_one_that_is_claimed():
    with running_service("--workers", "1") as service:
        httpx.get(f"{service.url}/healthz", headers={"X-Forwarded-For": "203.0.113.9"}, timeout=60)
    assert "203.0.113.9" not in json.dumps(service.rows)
    assert any(row.get("path") == "/healthz" and row["client"] == "127.0.0.1" for row in service.rows)


def wait_until(service, **gauges):
    for _ in range(600):
        text = httpx.get(f"{service.url}/metrics", timeout=60).text
        if all(f"codeenv_{name} {float(value)}" in text for name, value in gauges.items()):
            return
        time.sleep(0.02)
    raise AssertionError(f"{gauges} never held; the last metrics were:\n{text}")
