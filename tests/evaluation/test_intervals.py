"""Intervals and paired tests: coverage, clustering, and agreement with other derivations."""

import math

import numpy as np
import pytest

from codeenv.evaluation.intervals import (
    bootstrap_mean,
    bootstrap_ratio,
    bootstrap_share,
    mcnemar,
    paired_bootstrap,
    sign_flip_test,
)


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation():
    values = np.random.default_rng(0).normal(0.3, 0.2, size=400)
    estimate = bootstrap_mean(values)
    half = 1.96 * values.std() / math.sqrt(400)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.002)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.002)


def test_the_interval_covers_the_truth_in_about_95_of_100_samples():
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        estimate = bootstrap_mean(generator.binomial(5, 0.4, size=60) / 5, resamples=1000)
        covered += estimate.low <= 0.4 <= estimate.high
    assert 0.88 <= covered / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval():
    values = [0.0, 1.0, 1.0, 0.0, 0.5]
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3)


def test_a_ratio_weighs_problems_by_their_chances():
    assert bootstrap_ratio([1, 0], [10, 1]).value == pytest.approx(1 / 11)


@pytest.mark.parametrize("estimate", [bootstrap_mean([]), bootstrap_ratio([0, 0], [0, 0])])
def test_nothing_to_count_is_no_number_and_null_in_json(estimate):
    assert math.isnan(estimate.value)
    assert estimate.to_dict() == {"value": None, "low": None, "high": None, "n": 0}


def test_pairing_takes_out_what_two_arms_share():
    generator = np.random.default_rng(2)
    difficulty = generator.random(200)
    a, b = difficulty + 0.1, difficulty
    paired = paired_bootstrap(a, b)
    assert paired.value == pytest.approx(0.1)
    assert paired.high - paired.low < 1e-9 < bootstrap_mean(a).high - bootstrap_mean(a).low


def test_the_share_of_the_possible_gain():
    assert bootstrap_share([0.8] * 10, [0.6] * 10).value == pytest.approx(0.5)
    assert math.isnan(bootstrap_share([1.0], [1.0]).value)


@pytest.mark.parametrize(("only_a", "only_b", "p"), [(6, 0, 2 * 0.5**6), (0, 0, 1.0), (5, 5, 1.0), (9, 1, 2 * 11 / 1024)])
def test_mcnemar_is_the_exact_binomial_test_on_pairs_that_differ(only_a, only_b, p):
    a = [True] * only_a + [False] * only_b + [True] * 7
    b = [False] * only_a + [True] * only_b + [True] * 7
    result = mcnemar(a, b)
    assert (result.only_a, result.only_b) == (only_a, only_b)
    assert result.p_value == pytest.approx(p)


def test_the_sign_flip_test_agrees_with_mcnemar_on_single_rollouts():
    a = [1.0] * 9 + [0.0] * 31
    b = [0.0] * 9 + [1.0] * 1 + [0.0] * 30
    exact = mcnemar([bool(x) for x in a], [bool(x) for x in b]).p_value
    assert sign_flip_test(a, b) == pytest.approx(exact, abs=0.01)


def test_the_sign_flip_test_sees_no_difference_between_equal_arms():
    assert sign_flip_test([0.2, 0.4], [0.2, 0.4]) == 1.0


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_the_sign_flip_test_is_exact_with_few_differences(count):
    assert sign_flip_test([1.0] * count + [0.5] * 30, [0.0] * count + [0.5] * 30) == 2 * 0.5**count


def test_the_sign_flip_test_counts_every_choice_of_signs_that_is_as_extreme():
    assert sign_flip_test([0.5, 0.2, 0.0], [0.0, 0.0, 0.1]) == 4 / 8  # sums of .6 and .8 are as extreme as .6; .4 and .2 are not
