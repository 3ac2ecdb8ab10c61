"""The rules of an episode (arXiv 2410.02089, section 2.1), with reports given by hand."""

import pytest

from codeenv.episode import EnvConfig, Episode
from codeenv.errors import CodeenvError
from codeenv.judge.verdict import Report, TestResult, Verdict
from codeenv.problems import CallTest, Problem

PROBLEM = Problem("p", "Add.", "call", "f", public_tests=(CallTest((1,), {}, 2),), private_tests=(CallTest((2,), {}, 3),))
PASS = Report("p", Verdict.ACCEPTED, (TestResult(0, True, Verdict.ACCEPTED),))
FAIL = Report("p", Verdict.WRONG_ANSWER, (TestResult(0, True, Verdict.WRONG_ANSWER, output="5"),))
BROKEN = Report("p", Verdict.COMPILE_ERROR, (), "SyntaxError: no")
NO_CODE = Report("p", Verdict.NO_CODE, ())
LOST = Report("p", Verdict.JUDGE_ERROR, (), "the worker was killed")
PRIVATE_PASS = Report("p", Verdict.ACCEPTED, (TestResult(1, False, Verdict.ACCEPTED),))
PRIVATE_FAIL = Report("p", Verdict.WRONG_ANSWER, (TestResult(1, False, Verdict.WRONG_ANSWER, output="secret"),))


def play(*reports, **settings):
    episode = Episode(PROBLEM, EnvConfig(**settings))
    steps = [episode.advance("r", "s", public, private) for public, private in reports]
    return episode, steps


def test_passing_the_public_and_private_tests_ends_the_episode_with_plus_one():
    episode, (step,) = play((PASS, PRIVATE_PASS))
    assert (step.reward, step.terminated, step.truncated, step.info["solved"]) == (1.0, True, False, True)
    assert step.info["private_fraction"] == 1.0
    assert episode.done


def test_public_pass_and_private_fail_is_minus_one():
    _, (step,) = play((PASS, PRIVATE_FAIL))
    assert (step.reward, step.terminated, step.info["solved"], step.info["private_fraction"]) == (-1.0, True, False, 0.0)


def test_a_failed_turn_goes_on_with_feedback_and_no_reward():
    episode, (step,) = play((FAIL, None))
    assert (step.reward, step.terminated, step.truncated) == (0.0, False, False)
    assert "Got:\n5" in step.observation["feedback"]
    assert step.observation["turn"] == 1
    assert "solved" not in step.info
    assert not episode.done


def test_the_turn_limit_ends_the_episode_without_the_private_tests():
    episode, steps = play((FAIL, None), (FAIL, None), (FAIL, None))
    assert [step.terminated for step in steps] == [False, False, True]
    assert [step.reward for step in steps] == [0.0, 0.0, -1.0]
    assert steps[-1].info["private_fraction"] is None
    assert steps[-1].observation["feedback"] == ""
    assert not Episode(PROBLEM, EnvConfig()).wants_private(FAIL)
    assert episode.observation()["turn"] == 3


@pytest.mark.parametrize("report", [BROKEN, NO_CODE])
def test_an_invalid_turn_costs_a_fifth_before_the_end_and_nothing_on_top_at_the_end(report):
    _, steps = play((report, None), (report, None), (report, None))
    assert [step.reward for step in steps] == pytest.approx([-0.2, -0.2, -1.0])


def test_a_single_turn_episode_has_no_penalty_of_its_own():
    _, (step,) = play((NO_CODE, None), turn_limit=1)
    assert step.reward == -1.0


def test_a_judge_error_truncates_and_pays_nothing():
    for reports in [(LOST, None), (PASS, LOST)]:
        episode, (step,) = play(reports)
        assert (step.reward, step.terminated, step.truncated) == (0.0, False, True)
        assert step.info["judge_error"] == "the worker was killed"
        assert episode.done


def test_without_early_stop_all_turns_are_played_and_the_last_one_counts():
    episode = Episode(PROBLEM, EnvConfig(turn_limit=2, early_stop=False, feedback="none"))
    assert not episode.wants_private(PASS)
    first = episode.advance("r", "s", PASS, None)
    assert not first.terminated
    assert episode.wants_private(PASS)
    assert episode.advance("r", "s", PASS, PRIVATE_PASS).reward == 1.0


def test_nothing_of_a_private_test_reaches_the_agent():
    _, (step,) = play((PASS, PRIVATE_FAIL))
    assert "secret" not in repr(step)


@pytest.mark.parametrize("action", [None, 3, b"code", ["a"]])
def test_an_action_that_is_not_text_is_refused_and_the_episode_stands(action):
    episode = Episode(PROBLEM, EnvConfig())
    with pytest.raises(CodeenvError, match="must be the text of the response"):
        episode.source(action)
    assert episode.source("```python\nx\n```") == "x\n"


def test_a_step_after_the_end_is_refused():
    episode, _ = play((PASS, PRIVATE_PASS))
    with pytest.raises(CodeenvError, match="has ended; call reset"):
        episode.source("again")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"turn_limit": 0}, "turn_limit is 0"),
        ({"turn_limit": 2.5}, "turn_limit is 2.5"),
        ({"feedback": "loud"}, "no feedback named 'loud'"),
        ({"prompt": "x"}, "no prompt named 'x'"),
        ({"reward": "x"}, "no reward named 'x'"),
        ({"trace": "on"}, "trace is 'on'; use one of off, inline, steps, final"),
        ({"trace_tokens": 1}, "trace_tokens is 1"),
    ],
)
def test_a_bad_setting_is_refused_in_a_sentence(setting, message):
    with pytest.raises(CodeenvError, match=message):
        EnvConfig(**setting)
