"""pass@k and n@k: closed forms against simulation, and their identities."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeenv.errors import CodeenvError
from codeenv.evaluation.estimators import n_at_k, pass_at_k


def simulated_n_at_k(rollouts, passed, correct, n, k, turns, draws=20_000):
    """Do what the definition says: draw rollouts, submit up to n that pass the public tests, look whether one is correct."""
    generator = random.Random(0)
    pool = ["correct"] * correct + ["passed"] * (passed - correct) + ["failed"] * (rollouts - passed)
    hits = 0
    for _ in range(draws):
        drawn = generator.sample(pool, k // turns)
        candidates = [item for item in drawn if item != "failed"]
        submitted = generator.sample(candidates, min(n, len(candidates)))
        hits += "correct" in submitted
    return hits / draws


@pytest.mark.parametrize(
    ("rollouts", "passed", "correct", "n", "k", "turns"),
    [
        (10, 6, 3, 1, 3, 3),
        (20, 8, 2, 1, 12, 3),
        (33, 20, 4, 10, 99, 3),
        (5, 5, 1, 2, 4, 1),
        (12, 3, 3, 3, 30, 5),
        (8, 4, 0, 2, 6, 2),
    ],
)
def test_n_at_k_is_the_share_of_hits_in_a_simulation_of_its_definition(rollouts, passed, correct, n, k, turns):
    exact = n_at_k(rollouts, passed, correct, n, k, turns)
    assert exact == pytest.approx(simulated_n_at_k(rollouts, passed, correct, n, k, turns), abs=0.015)


counts = st.tuples(st.integers(1, 30), st.integers(0, 30), st.integers(0, 30)).map(
    lambda t: (t[0], min(t[0], t[1]), min(t[0], t[1], t[2]))
)


@given(counts)
def test_one_submission_out_of_one_rollout_is_the_share_of_correct_rollouts(values):
    rollouts, passed, correct = values
    assert n_at_k(rollouts, passed, correct, n=1, k=3, turns=3) == pytest.approx(correct / rollouts)
    assert pass_at_k(rollouts, correct, 1) == pytest.approx(correct / rollouts)


@given(counts, st.integers(1, 30))
def test_submitting_everything_is_pass_at_k(values, k):
    rollouts, passed, correct = values
    k = min(k, rollouts)
    assert n_at_k(rollouts, passed, correct, n=k, k=k) == pytest.approx(pass_at_k(rollouts, correct, k))


@given(counts, st.integers(1, 29), st.integers(1, 5))
def test_more_submissions_never_hurt(values, k, n):
    rollouts, passed, correct = values
    k = min(k, rollouts)
    assert n_at_k(rollouts, passed, correct, n, k) <= n_at_k(rollouts, passed, correct, n + 1, k) + 1e-9


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: pass_at_k(4, 1, 5), "k is 5, but there are 4 rollouts"),
        (lambda: n_at_k(10, 5, 2, 1, 2, turns=3), "use k from 3 to 32"),
        (lambda: n_at_k(10, 2, 5, 1, 3, turns=3), "do not fit together"),
        (lambda: n_at_k(10, 5, 2, 0, 3, turns=3), "n is 0"),
    ],
)
def test_a_budget_that_the_rollouts_do_not_cover_is_refused_with_the_numbers(call, names):
    with pytest.raises(CodeenvError, match=names):
        call()
