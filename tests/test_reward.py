"""RLEF's reward, case by case (arXiv 2410.02089, section 2.2)."""

import pytest

from codeenv.errors import CodeenvError
from codeenv.judge.verdict import Verdict
from codeenv.reward import Outcome, get_reward


def outcome(*, turn=0, valid=True, ended=False, public=False, solved=False, private=None, score=None):
    return Outcome(
        turn, valid, ended, public, solved, float(public), private, Verdict.ACCEPTED if solved else Verdict.WRONG_ANSWER, score
    )


@pytest.mark.parametrize(
    ("happened", "reward"),
    [
        (outcome(), 0.0),
        (outcome(valid=False), -0.2),
        (outcome(ended=True, public=True, solved=True, private=1.0), 1.0),
        (outcome(ended=True, public=True, private=0.9), -1.0),
        (outcome(ended=True, turn=2), -1.0),
        (outcome(ended=True, turn=2, valid=False), -1.0),
    ],
)
def test_the_reward_is_that_of_the_paper(happened, reward):
    assert sum(get_reward("rlef")(happened).values()) == pytest.approx(reward)


def test_the_other_rewards():
    end = outcome(ended=True, public=True, private=0.75)
    assert get_reward("binary")(end) == {}
    assert get_reward("fraction")(end) == {"private_fraction": 0.75}
    assert get_reward("fraction")(outcome(ended=True)) == {"private_fraction": 0.0}


@pytest.mark.parametrize(
    ("happened", "parts"),
    [
        (outcome(public=True, private=0.75, score=0.3), {}),
        (outcome(ended=True, public=True, private=0.75, score=0.3), {"private_score": 0.3}),
        (outcome(ended=True, public=True, private=0.75), {"private_fraction": 0.75}),
        (outcome(ended=True), {"private_fraction": 0.0}),
    ],
)
def test_scores_are_points_of_groups_or_else_the_share_of_tests(happened, parts):
    assert get_reward("scores")(happened) == parts


def test_an_unknown_reward_is_refused():
    with pytest.raises(CodeenvError, match="there is no reward named 'dense'"):
        get_reward("dense")
