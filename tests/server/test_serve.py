"""`codeenv serve` as its clients see it: a real process on loopback."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]; runs in an environment of its own")
httpx = pytest.importorskip("httpx", reason="needs httpx; runs in an environment of its own")

from running import running_service

from codeenv.judge import Judge
from codeenv.problems import Problem
from codeenv.sandbox import levels
from codeenv.sandbox.toolchains import missing
from codeenv.submission import fence

TOKEN = "a-token-of-more-than-16-characters"
DOUBLE = {
    "id": "t/double",
    "statement": "Double the number.",
    "mode": "stdio",
    "public_tests": [{"input": "2\n", "output": "4\n"}],
    "private_tests": [{"input": "5\n", "output": "10\n"}],
}
RIGHT = "print(int(input()) * 2)\n"
SLOW = "import time\nend = time.process_time() + 1.0\nwhile time.process_time() < end: pass\nprint(4)\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    path = tmp_path_factory.mktemp("problems") / "mine.jsonl"
    path.write_text(json.dumps(DOUBLE) + "\n")
    with running_service("--workers", "2", "--problems", str(path)) as service:
        yield service


@pytest.fixture
def client(service):
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client


# Our own endpoints.


def test_a_report_over_http_is_the_report_of_the_judge(client):
    source = "n = int(input())\nprint(n * 2 if n == 2 else 0)\n"
    theirs = client.post("/v1/judge", json={"problem": DOUBLE, "source": source}).json()
    with Judge(workers=1) as judge:
        ours = judge.judge(Problem.from_dict(DOUBLE), source).to_dict()
    for report in (theirs, ours):
        for result in report["results"]:
            del result["time_s"], result["memory_mb"]
    assert theirs == ours
    assert theirs["verdict"] == "wrong_answer"


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ({"problem": DOUBLE, "source": RIGHT}, "accepted"),
        ({"problem": DOUBLE, "response": f"So:\n{fence(RIGHT)}"}, "accepted"),
        ({"problem_id": "t/double", "source": RIGHT, "tests": "public"}, "accepted"),
        ({"problem": DOUBLE, "source": "print(1"}, "compile_error"),
        ({"problem": DOUBLE, "response": "```python\nprint(1)"}, "no_code"),
        ({"problem": DOUBLE, "source": "print(3)"}, "wrong_answer"),
    ],
)
def test_a_submission_is_judged(client, body, verdict):
    answer = client.post("/v1/judge", json=body)
    assert (answer.status_code, answer.json()["verdict"]) == (200, verdict)


def test_a_batch_is_answered_in_order(client):
    sources = [RIGHT, "print(3)", "print(1", RIGHT]
    answer = client.post("/v1/judge_batch", json={"requests": [{"problem": DOUBLE, "source": source} for source in sources]})
    assert [report["verdict"] for report in answer.json()["reports"]] == ["accepted", "wrong_answer", "compile_error", "accepted"]


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"problem": DOUBLE}, 400, "either 'source' or 'response'"),
        ({"source": RIGHT}, 400, "either 'problem' or 'problem_id'"),
        ({"problem_id": "nope", "source": RIGHT}, 404, "there is no problem 'nope' here"),
        ({"problem": {"id": "x"}, "source": RIGHT}, 400, "field 'statement' is missing"),
        ({"problem": DOUBLE | {"limits": {"time_limit_s": 1000}}, "source": RIGHT}, 400, "at most 60 is given here"),
        ({"problem": DOUBLE | {"private_tests": DOUBLE["private_tests"] * 1000}, "source": RIGHT}, 400, "at most 1000"),
        (
            {
                "problem": DOUBLE | {"private_tests": DOUBLE["private_tests"] * 99, "limits": {"time_limit_s": 60}},
                "source": RIGHT,
            },
            400,
            "100 tests of 60 s, 6000 s together; at most 3600 s are given here",
        ),
    ],
)
def test_a_request_that_cannot_be_done_is_answered_with_a_sentence(client, body, status, sentence):
    answer = client.post("/v1/judge", json=body)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]


def test_a_file_of_the_server_cannot_be_named(client):
    answer = client.post("/v1/judge", json={"problem_id": "/etc/passwd", "source": RIGHT})
    assert answer.status_code == 404


# SandboxFusion's endpoints.


@pytest.mark.parametrize(
    ("code", "stdin", "status", "command", "stdout", "return_code"),
    [
        ("print(int(input()) + 1)", "41", "Success", "Finished", "42\n", 0),
        ("import sys; sys.exit(3)", None, "Failed", "Finished", "", 3),
        ("1 / 0", None, "Failed", "Finished", "", 1),
        ("import os; os.kill(os.getpid(), 9)", None, "Failed", "Finished", "", -9),
        ("while True: pass", None, "Failed", "TimeLimitExceeded", "", None),
        ("print(1", None, "Failed", "Finished", "", 1),
    ],
)
def test_run_code_answers_like_sandbox_fusion(client, code, stdin, status, command, stdout, return_code):
    body = {"code": code, "stdin": stdin, "language": "python", "run_timeout": 0.5, "compile_timeout": 5, "memory_limit_MB": 512}
    answer = client.post("/run_code", json={**body, "files": {}, "fetch_files": []}).json()
    assert answer["status"] == status
    result = answer["run_result"]
    assert (result["status"], result["stdout"], result["return_code"]) == (command, stdout, return_code)


def test_run_code_gives_the_traceback(client):
    answer = client.post("/run_code", json={"code": "raise KeyError('lost')", "language": "python"}).json()
    assert "KeyError: 'lost'" in answer["run_result"]["stderr"]


def test_run_code_compiles_what_is_not_python(client):
    if reason := missing("cpp") or levels.check("namespaces"):
        pytest.skip(reason)
    body = {"language": "cpp", "stdin": "41", "run_timeout": 5}
    adds = "#include <iostream>\nint main() { int n; std::cin >> n; std::cout << n + 1; }"
    answer = client.post("/run_code", json={**body, "code": adds}).json()
    assert (answer["status"], answer["run_result"]["stdout"], answer["compile_result"]["return_code"]) == ("Success", "42", 0)
    answer = client.post("/run_code", json={**body, "code": "int main() { return nothing; }"}).json()
    assert (answer["status"], answer["run_result"], answer["compile_result"]["return_code"]) == ("Failed", None, 1)
    assert "nothing" in answer["compile_result"]["stderr"]
    case = {"input": {"stdin": "41"}, "output": {"stdout": "42"}}
    config = {"language": "cpp", "provided_data": {"test": [case]}}
    answer = client.post("/submit", json={"dataset": "d", "id": 1, "config": config, "completion": f"```cpp\n{adds}\n```"}).json()
    assert answer["accepted"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"code": "1", "language": "cuda"}, "language 'cuda' is not available here"),
        ({"code": "1", "language": "python", "files": {"a": "YQ=="}}, "no files"),
        ({"code": "1", "language": "python", "run_timeout": 600}, "at most 60"),
    ],
)
def test_run_code_says_what_it_cannot_do(client, body, sentence):
    answer = client.post("/run_code", json=body)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]


def test_submit_judges_a_completion_for_provided_data(client):
    data = {
        "test": [{"input": {"stdin": test["input"]}, "output": {"stdout": test["output"]}} for test in DOUBLE["private_tests"]]
    }
    config = {"language": "python", "provided_data": data, "run_timeout": 5}
    body = {"dataset": "mine", "id": 7, "config": config}
    right = client.post("/submit", json={**body, "completion": fence(RIGHT)}).json()
    wrong = client.post("/submit", json={**body, "completion": fence("print(9)")}).json()
    assert (right["id"], right["accepted"], right["tests"][0]["passed"]) == (7, True, True)
    assert (wrong["accepted"], wrong["tests"][0]["exec_info"]["run_result"]["stdout"]) == (False, "9\n")


def test_submit_finds_a_problem_of_the_services_sets(client):
    answer = client.post("/submit", json={"dataset": "t", "id": "double", "completion": fence(RIGHT)}).json()
    assert (answer["accepted"], len(answer["tests"])) == (True, 2)
    assert client.post("/submit", json={"dataset": "t", "id": "gone", "completion": "x"}).status_code == 404


# Who may, how much, how many.


def test_without_a_token_only_loopback_may_be_served(tmp_path):
    command = [sys.executable, "-c", "from codeenv.cli import main; raise SystemExit(main())", "serve", "--host", "0.0.0.0"]
    environment = {name: value for name, value in os.environ.items() if name != "CODEENV_TOKEN"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 2
    assert "give a token" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_a_sentence(service):
    command = [sys.executable, "-c", "from codeenv.cli import main; raise SystemExit(main())", "serve", "--port"]
    done = subprocess.run([*command, service.url.rsplit(":", 1)[1]], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "choose another --port" in done.stderr


def test_a_token_is_asked_of_everything_but_health():
    with running_service("--workers", "1", token=TOKEN) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        body = {"code": "print(1)", "language": "python"}
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic !!"},
            {"Authorization": f"Token {TOKEN}"},
        ):
            answer = client.post("/run_code", json=body, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/metrics").status_code == 401
        assert client.get("/healthz").text == "ok"
        assert client.post("/run_code", json=body, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client.post("/run_code", json=body, auth=("anyone", TOKEN)).status_code == 200
        assert not any(TOKEN in json.dumps(row) for row in service.rows)


def test_a_body_beyond_the_limit_is_refused_with_413():
    with (
        running_service("--workers", "1", "--max-body-mb", "1") as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        body = {"code": "#" * (2 << 20), "language": "python"}
        assert client.post("/run_code", json=body).status_code == 413
        chunks = (json.dumps(body).encode()[start : start + 65536] for start in range(0, 2 << 20, 65536))
        answer = client.post("/run_code", content=chunks, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert "1 MiB" in answer.json()["error"]


def test_a_flood_is_answered_with_429_and_nothing_that_was_taken_is_lost():
    with running_service("--workers", "1", "--queue", "2") as service:
        body = {"problem": DOUBLE | {"private_tests": []}, "source": SLOW}
        with ThreadPoolExecutor(12) as threads:
            answers = list(threads.map(lambda _: httpx.post(f"{service.url}/v1/judge", json=body, timeout=60), range(12)))
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {200, 429}
        assert 3 <= statuses.count(200) < 12
        assert all(answer.json()["verdict"] == "accepted" for answer in answers if answer.status_code == 200)
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status_code == 429)


def test_a_client_that_hangs_up_leaves_the_queue():
    with running_service("--workers", "1") as service:
        body = json.dumps({"problem": DOUBLE | {"private_tests": []}, "source": SLOW}).encode()
        head = f"POST /v1/judge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        host, port = re.fullmatch(r"http://(.*):(\d+)", service.url).groups()
        clients = [socket.create_connection((host, int(port))) for _ in range(4)]
        for each in clients:
            each.sendall(head.encode() + body)
        wait_for(service, lambda text: gauge(text, "codeenv_running") == 1 and gauge(text, "codeenv_waiting") == 3)
        for each in clients:
            each.close()
        text = wait_for(service, lambda text: gauge(text, "codeenv_waiting") == 0 and gauge(text, "codeenv_running") == 0)
        assert gauge(text, "codeenv_abandoned") == 3


def test_a_stop_signal_lets_requests_in_hand_finish():
    with running_service("--workers", "1") as service, ThreadPoolExecutor(1) as threads:
        body = {"problem": DOUBLE | {"private_tests": []}, "source": SLOW}
        answer = threads.submit(httpx.post, f"{service.url}/v1/judge", json=body, timeout=60)
        wait_for(service, lambda text: gauge(text, "codeenv_running") == 1)
        assert service.stop() == 0
        assert answer.result().json()["verdict"] == "accepted"
        events = [row["event"] for row in service.rows]
        assert events[-1] == "stopped"
        assert "draining" in events


# What the operator sees.


def test_health_readiness_and_information(client):
    assert client.get("/healthz").text == "ok"
    assert client.get("/readyz").text == "ready"
    info = client.get("/v1/info").json()
    assert (info["workers"], list(info["problem_sets"].values())) == (2, [1])
    assert client.get("/v1/ping").json() == "pong"


def test_metrics_count_requests_and_verdicts(client):
    client.post("/v1/judge", json={"problem": DOUBLE, "source": RIGHT})
    text = client.get("/metrics").text
    assert re.search(r'codeenv_requests_total\{path="/v1/judge",status="200"\} \d+\.0', text)
    assert re.search(r'codeenv_verdicts_total\{verdict="accepted"\} \d+\.0', text)
    assert "process_open_fds" in text
    client.get("/no/such/path/made-up-by-a-client")
    assert "made-up-by-a-client" not in client.get("/metrics").text


def test_a_request_is_one_line_of_log_without_its_program(service, client):
    answer = client.post("/v1/judge", json={"problem": DOUBLE, "source": RIGHT}, headers={"X-Request-ID": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    wait_for(service, lambda _: any(row.get("request_id") == "mine-1" for row in service.rows))
    row = next(row for row in service.rows if row.get("request_id") == "mine-1")
    assert (row["status"], row["verdict"], row["problem_id"]) == (200, "accepted", "t/double")
    assert "print(" not in json.dumps(row)


def gauge(text, name):
    return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE).group(1))


def wait_for(service, condition, attempts=600):
    """Ask the metrics until the condition holds."""
    for _ in range(attempts):
        text = httpx.get(f"{service.url}/metrics", timeout=60).text
        if condition(text):
            return text
        time.sleep(0.02)
    raise AssertionError(f"the condition never held; the last metrics were:\n{text}")


def test_the_page_about_serving_names_every_flag():
    page = (Path(__file__).parents[2] / "docs" / "serve.md").read_text()
    command = [sys.executable, "-c", "from codeenv.cli import main; raise SystemExit(main())", "serve", "--help"]
    flags = set(re.findall(r"--[a-z][a-z-]+", subprocess.run(command, capture_output=True, text=True, timeout=60).stdout))
    assert {flag for flag in flags if flag not in page} <= {"--help"}
