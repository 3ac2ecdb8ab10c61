"""What the adapters have in common: sessions, data rows, and a sentence where the framework is missing."""

import importlib.util
import json

import pytest
from sample_problems import ADD_ONE

from codeenv.errors import CodeenvError, MissingExtraError
from codeenv.integrations.session import EpisodeSession, problem_of
from codeenv.submission import fence


def test_a_session_answers_with_feedback_then_with_the_outcome(judge):
    session = EpisodeSession(ADD_ONE, judge)
    first = session.step(fence("def f(x):\n    return x\n"))
    assert (first.reward, first.done) == (0.0, False)
    assert "Test 1" in first.message
    last = session.step(fence(ADD_ONE.correct_solutions[0]))
    assert (last.reward, last.done, last.message) == (1.0, True, "")
    assert last.facts["solved"] is True
    assert session.total_reward == 1.0


def test_an_episode_that_its_runner_leaves_is_not_solved(judge):
    session = EpisodeSession(ADD_ONE, judge)
    assert session.total_reward == -1.0
    session.step("no program")
    assert session.total_reward == pytest.approx(-1.2)


def test_a_session_never_tells_private_tests(judge):
    session = EpisodeSession(ADD_ONE, judge)
    reply = session.step(fence("def f(x):\n    return 2 if x == 1 else 6\n"))
    assert reply.done
    assert "100" not in json.dumps(reply.facts)


@pytest.mark.parametrize(
    "row",
    [{"problem": ADD_ONE}, {"problem": ADD_ONE.to_dict()}, {"problem": json.dumps(ADD_ONE.to_dict())}],
    ids=["problem", "object", "text"],
)
def test_a_row_names_its_problem_in_three_ways(row):
    assert problem_of(row) == ADD_ONE


def test_a_row_may_name_a_file_and_an_id(tmp_path):
    path = tmp_path / "problems.jsonl"
    path.write_text(json.dumps(ADD_ONE.to_dict()) + "\n")
    assert problem_of({"problems": str(path), "problem_id": ADD_ONE.id}) == ADD_ONE
    with pytest.raises(CodeenvError, match="there is no problem 'x'"):
        problem_of({"problems": str(path), "problem_id": "x"})


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("skyrl", "skyrl_gym", "skyrl"),
        ("openenv", "openenv", "openenv"),
        ("inspect_ai", "inspect_ai", "inspect"),
        ("verifiers_v1", "verifiers", "verifiers"),
    ],
)
def test_without_the_framework_the_adapter_says_what_to_install(module, package, extra):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed here")
    with pytest.raises(MissingExtraError, match=rf"codeenv-rl\[{extra}\]"):
        importlib.import_module(f"codeenv.integrations.{module}")
