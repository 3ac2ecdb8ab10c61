"""verifiers' own eval runner plays our episodes against an OpenAI-compatible endpoint."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("verifiers.v1", reason="needs the extra [verifiers]; runs in an environment of its own")

from adapter_problems import PROBLEMS, our_rewards
from chat_server import scripted_endpoint
from verifiers.v1.cli.eval.runner import run_eval
from verifiers.v1.configs.cli.eval import EvalConfig

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))


@pytest.fixture(scope="module")
def episodes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verifiers")
    problems = folder / "problems.jsonl"
    problems.write_text("".join(json.dumps(problem.to_dict()) + "\n" for problem in PROBLEMS))
    with scripted_endpoint() as url:
        config = EvalConfig.model_validate(
            {
                "env": {"taskset": {"id": "codeenv-verifiers", "problems": str(problems)}},
                "client": {"base_url": url, "api_key_var": "NO_SUCH_KEY"},
                "model": "scripted",
                "max_concurrent": 8,
                "rich": None,
                "push": False,
                "output_dir": str(folder / "out"),
            }
        )
        return asyncio.run(run_eval(config))


def test_rewards_on_one_hundred_episodes_equal_ours(episodes, judge):
    assert [error.message for episode in episodes for error in episode.errors] == []
    theirs = {episode.task.data.id: episode.traces[0].rewards["codeenv_reward"].score for episode in episodes}
    assert theirs == pytest.approx(our_rewards(judge))


def test_the_trace_holds_the_feedback_and_never_the_tests(episodes):
    episode = next(item for item in episodes if int(item.task.data.id.rsplit("-", 1)[1]) % 6 == 0)
    messages = episode.traces[0].branches[-1].messages
    assert [message.role for message in messages] == ["user", "assistant", "user", "assistant"]
    assert "Test 1" in messages[2].content
    assert "private_tests" not in episode.model_dump_json()


def test_metrics_say_whether_it_was_solved_and_in_how_many_turns(episodes):
    metrics = {episode.task.data.id: episode.traces[0].metrics for episode in episodes}
    assert {values["turns"] for values in metrics.values()} == {1.0, 2.0, 3.0}
    assert {values["solved"] for values in metrics.values()} == {0.0, 1.0}
