"""The service against inputs made from its own description: no crash, only documented statuses, valid answers."""

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis; runs in an environment of its own")
httpx = pytest.importorskip("httpx", reason="needs httpx; runs in an environment of its own")

from hypothesis import HealthCheck, given, settings
from running import running_service
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance


@pytest.fixture(scope="module")
def url():
    with running_service("--workers", "1", "--max-time-limit-s", "2") as service:
        yield service.url


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
def test_every_endpoint_keeps_to_its_description(url, mode):
    api = schemathesis.openapi.from_url(f"{url}/openapi.json")
    seen = set()
    for found in api.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and operation.method.upper() == "GET":
            continue  # there is nothing in it to get wrong

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
        def ask(case):
            case.call_and_validate(base_url=url, checks=CHECKS, timeout=60)

        ask()
        seen.add(operation.path)
    assert {"/v1/judge", "/v1/judge_batch", "/run_code", "/submit"} <= seen


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"code": "\\ud800", "language": "python"}',
        b'{"code": "print(\\"\\ud83d\\")", "language": "python", "stdin": "\\udfff"}',
        b'{"code": 1, "language": []}',
        b'{"code": "1", "language": "python", "run_timeout": NaN}',
        b'{"code": "1", "language": "python", "run_timeout": 1e999}',
        b'{"code": "1", "language": "\\ud800"}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_malformed_body_is_the_clients_error(url, body):
    answer = httpx.post(f"{url}/run_code", content=body, headers={"Content-Type": "application/json"}, timeout=60)
    assert 200 <= answer.status_code < 500


@pytest.mark.parametrize(
    "problem",
    [
        {"id": "\ud800", "statement": "", "mode": "stdio", "public_tests": [{"input": "", "output": ""}]},
        {"id": "x", "statement": "", "mode": "stdio", "public_tests": [{"input": "\ud800", "output": ""}]},
        {"id": "x", "statement": "", "mode": "call", "entry_point": "\ud800", "public_tests": [{"args": [], "expected": 1}]},
        {"id": "x", "statement": "", "mode": "call", "entry_point": "f", "public_tests": [{"code": "\ud800"}]},
        {
            "id": "x",
            "statement": "",
            "mode": "call",
            "entry_point": "f",
            "public_tests": [{"args": ["\ud800"], "expected": "\ud800"}],
        },
        {
            "id": "x",
            "statement": "",
            "mode": "stdio",
            "public_tests": [{"input": "", "output": ""}],
            "limits": {"memory_mb": 10**30},
        },
        {
            "id": "x",
            "statement": "",
            "mode": "stdio",
            "public_tests": [{"input": "", "output": ""}],
            "checker": {"kind": "program"},
        },
    ],
    ids=range(7),
)
def test_a_strange_problem_never_breaks_the_service(url, problem):
    import json

    body = json.dumps({"problem": problem, "source": "def f(*a):\n    return 1\n"}).encode()
    answer = httpx.post(f"{url}/v1/judge", content=body, headers={"Content-Type": "application/json"}, timeout=60)
    assert 200 <= answer.status_code < 500
    assert httpx.get(f"{url}/healthz", timeout=60).text == "ok"
