"""Inspect AI evaluates a model on our episodes."""

import json
from pathlib import Path

import pytest

pytest.importorskip("inspect_ai", reason="needs the extra [inspect]; runs in an environment of its own")

from adapter_problems import PROBLEMS, our_rewards, script_agent
from inspect_ai import eval as inspect_eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from codeenv.integrations.inspect_ai import code_task
from codeenv.integrations.session import problem_of


def scripted_model():
    """A model of Inspect's mock provider that answers by script; its usage is given, so no tokenizer is needed."""

    def answer(messages, tools, tool_choice, config):
        output = ModelOutput.from_content("mockllm/model", script_agent(messages))
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output

    return get_model("mockllm/model", custom_outputs=answer)


def run(task, folder, **options):
    return inspect_eval(task, model=scripted_model(), log_dir=str(folder), display="none", **options)[0]


@pytest.fixture(scope="module")
def log(judge, tmp_path_factory):
    return run(code_task(PROBLEMS, judge=judge), tmp_path_factory.mktemp("logs"))


def test_rewards_on_one_hundred_episodes_equal_ours(log, judge):
    assert log.status == "success"
    theirs = {sample.id: sample.scores["solved_and_reward"].value["reward"] for sample in log.samples}
    assert theirs == pytest.approx(our_rewards(judge))


def test_the_log_holds_the_conversation_with_feedback_and_the_metrics(log):
    sample = next(sample for sample in log.samples if int(sample.id.rsplit("-", 1)[1]) % 6 == 0)
    assert [message.role for message in sample.messages] == ["user", "assistant", "user", "assistant"]
    assert "Test 1" in sample.messages[2].content
    metrics = {score.name: score.metrics["mean"].value for score in log.results.scores}
    solved = [sample.scores["solved_and_reward"].value["solved"] for sample in log.samples]
    assert metrics["solved"] == pytest.approx(sum(solved) / 100)
    assert 0 < metrics["solved"] < 1


def test_inspects_message_limit_ends_an_episode_as_unsolved(judge, tmp_path):
    problem = next(problem for problem in PROBLEMS if int(problem.id.rsplit("-", 1)[1]) % 6 == 1)
    log = run(code_task([problem], judge=judge), tmp_path, message_limit=3)
    assert log.samples[0].limit is not None
    assert log.samples[0].scores is None or log.samples[0].scores["solved_and_reward"].value["solved"] == 0.0


def test_a_sample_names_its_problem(log):
    sample = log.samples[0]
    assert problem_of(sample.metadata) == next(problem for problem in PROBLEMS if problem.id == sample.id)


def test_the_examples_task_is_evaluated(tmp_path, judge):
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(problem.to_dict()) + "\n" for problem in PROBLEMS[:6]))
    task = "examples/inspect_task.py@feedback"
    log = run(str(Path(__file__).parents[2] / task), tmp_path, task_args={"problems": str(path), "turn_limit": 2})
    assert log.status == "success"
    assert len(log.samples) == 6
