"""SandboxFusion's own client package talks to `codeenv serve`."""

import json
import sys
from pathlib import Path

import pytest

fusion = pytest.importorskip("sandbox_fusion", reason="SandboxFusion's client runs in an environment of its own")

sys.path.insert(0, str(Path(__file__).parents[1] / "server"))

from adapter_problems import PROBLEMS
from running import running_service

from codeenv.judge import Judge
from codeenv.submission import fence


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    path = tmp_path_factory.mktemp("problems") / "problems.jsonl"
    path.write_text("".join(json.dumps(problem.to_dict()) + "\n" for problem in PROBLEMS[:20]))
    with running_service("--workers", "2", "--problems", str(path)) as service:
        fusion.set_sandbox_endpoint(service.url)
        yield service


@pytest.mark.parametrize(
    ("code", "stdin", "status", "stdout"),
    [
        ("print(input()[::-1])", "abc", "Success", "cba\n"),
        ("raise SystemExit(3)", None, "Failed", ""),
        ("while True: pass", None, "Failed", ""),
    ],
)
def test_run_code(service, code, stdin, status, stdout):
    answer = fusion.run_code(fusion.RunCodeRequest(code=code, language="python", stdin=stdin, run_timeout=0.5))
    assert (answer.status.value, answer.run_result.stdout) == (status, stdout)


def test_submit_accepts_what_the_judge_accepts(service):
    config = fusion.TestConfig(language="python")
    with Judge(workers=1) as judge:
        for problem in PROBLEMS[:20]:
            for source in (problem.correct_solutions[0], problem.incorrect_solutions[0]):
                request = fusion.SubmitRequest(dataset="mine", id=problem.id, completion=fence(source), config=config)
                assert fusion.submit(request, endpoint=service.url).accepted == judge.judge(problem, source).accepted
