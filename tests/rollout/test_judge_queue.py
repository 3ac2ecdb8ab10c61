"""Programs of waiting episodes are judged together, and an episode's trouble stays its own."""

from dataclasses import replace

import pytest
from sample_problems import ADD_ONE, ECHO

from codeenv.feedback import get_feedback
from codeenv.judge import Judge
from codeenv.rollout import rollout
from codeenv.submission import fence

WRONG = fence("def f(x):\n    return x\n")


def counting(judge):
    """Return the sizes of the judge's calls, filled while it works."""
    sizes = []
    plain = judge.judge_many

    def judge_many(requests):
        sizes.append(len(requests))
        return plain(requests)

    judge.judge_many = judge_many
    return sizes


def test_episodes_that_wait_are_judged_in_one_call():
    with Judge(sandbox="local", workers=1) as judge:
        sizes = counting(judge)
        result = rollout([ADD_ONE, ECHO], "oracle", 24, judge=judge, concurrency=24)
    assert result.solved == 24
    assert max(sizes) > 8
    assert sum(sizes) == 48


def test_one_episode_at_a_time_waits_for_nobody():
    with Judge(sandbox="local", workers=1) as judge:
        sizes = counting(judge)
        rollout([ADD_ONE], "oracle", 5, judge=judge, concurrency=1)
    assert set(sizes) <= {0, 1}


def test_a_feedback_function_that_raises_costs_its_episode_alone(judge):
    other = replace(ADD_ONE, id="test/other")

    def feedback(context):
        if context.problem.id == "test/other":
            raise RuntimeError("no words")
        return get_feedback("rlef")(context)

    result = rollout([ADD_ONE, other], lambda conversation: WRONG, 12, judge=judge, feedback=feedback)
    assert result.episodes == 6
    assert len(result.failures) == 6
    assert all("(test/other): the environment raised RuntimeError: no words" in failure for failure in result.failures)


@pytest.mark.parametrize("concurrency", [1, 7, 64])
def test_the_rows_do_not_depend_on_how_many_are_in_flight(judge, concurrency):
    def rows(concurrency):
        found = rollout([ADD_ONE, ECHO], "ignores-feedback", 20, judge=judge, concurrency=concurrency, seed=9).rows
        return {number: {key: value for key, value in row.items() if key != "times"} for number, row in found.items()}

    assert rows(concurrency) == rows(20)
