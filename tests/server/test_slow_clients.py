"""Clients that are slow or many: half a head, half a body, an answer that nobody takes, more connections than are served."""

import json
import re
import socket
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]; runs in an environment of its own")
httpx = pytest.importorskip("httpx", reason="needs httpx; runs in an environment of its own")

from running import running_service

ECHO = {"id": "t/echo", "statement": "", "mode": "stdio", "public_tests": [{"input": "", "output": "1\n"}]}
HEAD = b"POST /v1/judge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


def connected(service):
    host, port = re.fullmatch(r"http://(.*):(\d+)", service.url).groups()
    return socket.create_connection((host, int(port)), timeout=60)


def refused(client):
    """Return whether the other end has gone."""
    time.sleep(0.02)
    try:
        client.send(b"x")
    except OSError:
        return True
    return False


def told(client):
    """Return status and sentence of what the service says until it closes the connection."""
    words = b""
    while piece := client.recv(65536):
        words += piece
    head, _, body = words.partition(b"\r\n\r\n")
    return (int(head.split()[1]), json.loads(body)["error"]) if words else (0, "")


@pytest.fixture(scope="module")
def impatient():
    with running_service("--workers", "1", "--client-timeout-s", "1") as service:
        yield service


@pytest.mark.parametrize(
    ("sent", "status", "sentence"),
    [
        (b"", 0, ""),
        (b"POST", 408, "the head of the request did not come within 1 s"),
        (HEAD, 408, "the head of the request did not come within 1 s"),
        (HEAD + b"\r\n", 408, "the body of the request did not come within 1 s"),
        (HEAD + b"\r\n{", 408, "the body of the request did not come within 1 s"),
    ],
    ids=["nothing", "a word", "half a head", "no body", "half a body"],
)
def test_a_request_that_does_not_come_is_answered_and_its_connection_closed(impatient, sent, status, sentence):
    with connected(impatient) as client:
        client.sendall(sent)
        found = told(client)
    assert (found[0], found[1][: len(sentence)]) == (status, sentence)
    assert httpx.get(f"{impatient.url}/healthz", timeout=60).text == "ok"


@pytest.mark.parametrize("drip", [HEAD * 50, HEAD + b"\r\n" + b" " * 900], ids=["head", "body"])
def test_a_byte_now_and_then_does_not_keep_a_connection(impatient, drip):
    with connected(impatient) as client:
        client.settimeout(0.05)
        words = b""
        for place in range(len(drip)):
            try:
                client.sendall(drip[place : place + 1] if place else drip[:300])
                words += client.recv(100)
            except TimeoutError:
                continue
            except OSError:
                break
            if words:
                break
    assert words.startswith(b"HTTP/1.1 408 ")


def test_a_second_request_that_stops_in_its_head_is_closed_too(impatient):
    with connected(impatient) as client:
        client.sendall(GET + b"\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.sendall(GET)
        assert told(client)[0] == 408


def test_a_client_that_does_not_take_its_answer_is_let_go():
    with running_service("--workers", "1", "--client-timeout-s", "1") as service, connected(service) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = json.dumps({"code": "print('x' * (8 << 20))", "language": "python"}).encode()
        head = f"POST /run_code HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        for _ in range(600):  # the answer is made, and nobody reads it
            if any(row.get("path") == "/run_code" for row in service.rows):
                break
            time.sleep(0.02)
        assert any(refused(client) for _ in range(600))
        assert httpx.get(f"{service.url}/healthz", timeout=60).text == "ok"


def stalled(service):
    """Return a client that takes no answers; the system's buffers are full, and the service holds the little that is left."""
    host, port = re.fullmatch(r"http://(.*):(\d+)", service.url).groups()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    client.connect((host, int(port)))
    client.settimeout(60)
    ends = [f":{int(port):04X}", f":{client.getsockname()[1]:04X}"]
    sizes = []
    for _ in range(2000):
        try:
            client.sendall(GET.replace(b"healthz", b"openapi.json") + b"\r\n")
        except ConnectionError:  # let go already
            return client
        time.sleep(0.02)
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            if [words[1][-5:], words[2][-5:]] == ends:
                sizes.append(int(words[4].partition(":")[0], 16))
        if len(sizes) > 3 and sizes[-1] and sizes[-1] == sizes[-3]:
            return client
    raise AssertionError(f"the buffers were never full: {sizes[-5:]}")


def test_a_client_that_leaves_a_few_kib_of_its_answers_is_let_go():
    with running_service("--workers", "1", "--client-timeout-s", "1") as service, stalled(service) as client:
        assert any(refused(client) for _ in range(600))
        assert httpx.get(f"{service.url}/healthz", timeout=60).text == "ok"


def test_a_client_that_leaves_a_few_kib_of_its_answers_does_not_hold_up_a_stop():
    with running_service("--workers", "1", "--client-timeout-s", "2", "--drain-s", "600") as service, stalled(service):
        assert service.stop() == 0


def test_more_connections_than_are_served_are_told_so_and_counted():
    with running_service("--workers", "1", "--max-connections", "3") as service:
        held = [connected(service) for _ in range(3)]
        for client in held:
            client.sendall(GET + b"\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        with connected(service) as client:
            client.sendall(GET + b"\r\n")
            status, sentence = told(client)
        assert status == 503
        assert "3 connections are open, the most that are served" in sentence
        for client in held:
            client.close()
        for _ in range(600):
            try:
                text = httpx.get(f"{service.url}/metrics", timeout=60).raise_for_status().text
                break
            except httpx.HTTPError:
                time.sleep(0.02)
        assert re.search(r"^codeenv_connections_refused_total [1-9]", text, re.MULTILINE)


def test_a_batch_with_too_many_submissions_is_told_so_before_they_are_read():
    with running_service("--workers", "1", "--max-batch", "4") as service:
        many = httpx.post(f"{service.url}/v1/judge_batch", json={"requests": [{"no such field": 1}] * 5}, timeout=60)
        few = httpx.post(f"{service.url}/v1/judge_batch", json={"requests": [{"no such field": 1}] * 4}, timeout=60)
    assert (many.status_code, many.json()["error"]) == (400, "the batch has 5 submissions; at most 4 are taken at a time")
    assert few.status_code == 422
    assert few.json()["error"].startswith("body.requests.0.no such field")


def test_the_rest_of_a_batch_is_not_judged_when_its_client_hangs_up():
    slow = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\nprint(1)"
    requests = [{"problem": ECHO, "source": f"{slow}\n# {number}"} for number in range(40)]
    body = json.dumps({"requests": requests}).encode()
    head = HEAD.replace(b"judge ", b"judge_batch ").replace(b"1000", str(len(body)).encode())
    with running_service("--workers", "1") as service:
        with connected(service) as client:
            client.sendall(head + b"\r\n" + body)
            wait_for(service, "codeenv_running 40.0")
        text = wait_for(service, "codeenv_running 0.0")
    abandoned = float(re.search(r"^codeenv_abandoned (\S+)$", text, re.MULTILINE).group(1))
    assert 20 <= abandoned < 40


def wait_for(service, line):
    for _ in range(1200):
        text = httpx.get(f"{service.url}/metrics", timeout=60).text
        if line in text:
            return text
        time.sleep(0.02)
    raise AssertionError(f"{line} never came; the last metrics were:\n{text}")
