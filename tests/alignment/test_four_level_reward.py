"""StepCoder's four-level reward (arXiv 2402.01391)."""

import pytest

from codeenv.judge.verdict import Verdict
from codeenv.reward import Outcome, get_reward


@pytest.mark.parametrize(
    ("verdict", "valid", "solved", "ended", "reward"),
    [
        (Verdict.ACCEPTED, True, True, True, 1.0),
        (Verdict.WRONG_ANSWER, True, False, True, -0.3),
        (Verdict.RUNTIME_ERROR, True, False, True, -0.6),
        (Verdict.TIME_LIMIT, True, False, True, -0.6),
        (Verdict.COMPILE_ERROR, False, False, True, -1.0),
        (Verdict.NO_CODE, False, False, True, -1.0),
        (Verdict.RUNTIME_ERROR, True, False, False, 0.0),
    ],
)
def test_each_level_has_its_reward(verdict, valid, solved, ended, reward):
    outcome = Outcome(0, valid, ended, solved, solved, 0.0, None, verdict)
    assert sum(get_reward("four_level")(outcome).values()) == reward
