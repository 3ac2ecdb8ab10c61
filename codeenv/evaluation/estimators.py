"""pass@k and n@k in closed form: the expectation over all ways to draw from the rollouts that were recorded."""

from __future__ import annotations

from math import comb

from codeenv.errors import CodeenvError

__all__ = ["n_at_k", "pass_at_k"]


def pass_at_k(rollouts: int, correct: int, k: int) -> float:
    """Return the probability that at least one of `k` rollouts drawn without replacement is correct.

    The unbiased estimator of Chen et al. (arXiv 2107.03374, section 2.1).

    Args:
        rollouts: rollouts of the problem.
        correct: how many of them are correct.
        k: rollouts drawn, 1 to `rollouts`.

    >>> pass_at_k(4, 1, 2)
    0.5
    """
    _check(rollouts, rollouts, correct)
    if not 1 <= k <= rollouts:
        raise CodeenvError(f"k is {k}, but there are {rollouts} rollouts of the problem; use 1 to {rollouts}")
    return 1.0 - comb(rollouts - correct, k) / comb(rollouts, k)


def n_at_k(rollouts: int, passed: int, correct: int, n: int, k: int, turns: int = 1) -> float:
    """Return the probability that one of `n` submissions, chosen out of `k` samples by public tests alone, is correct.

    The budget is RLEF's (arXiv 2410.02089, section 3.1): every response counts as a sample, so `k` samples are
    `m = k // turns` rollouts; a rollout that stops early leaves its budget unused. Of the `m` rollouts, drawn without
    replacement, up to `n` of those whose last program passes the public tests are submitted:

        n@k = 1 - sum over j of Hypergeom(j; rollouts, passed, m) * C(passed - correct, s) / C(passed, s),  s = min(n, j)

    With `m = n = 1` this is the share of correct rollouts.

    Args:
        rollouts: rollouts of the problem.
        passed: rollouts whose last program passes the public tests.
        correct: rollouts whose last program passes all tests; at most `passed`.
        n: submissions.
        k: samples, at least `turns`.
        turns: most responses in a rollout.

    >>> n_at_k(10, 6, 3, n=1, k=3, turns=3)
    0.3
    """
    _check(rollouts, passed, correct)
    if n < 1 or turns < 1:
        raise CodeenvError(f"n is {n} and turns is {turns}; use whole numbers of at least 1")
    drawn = k // turns
    if not 1 <= drawn <= rollouts:
        raise CodeenvError(
            f"a budget of k = {k} samples is {drawn} rollouts of {turns} turns, but there are {rollouts} rollouts of the "
            f"problem; use k from {turns} to {turns * rollouts + turns - 1}"
        )
    missed = 0.0
    for j in range(max(0, drawn - (rollouts - passed)), min(passed, drawn) + 1):
        submitted = min(n, j)
        chance = comb(passed, j) * comb(rollouts - passed, drawn - j) / comb(rollouts, drawn)
        missed += chance * comb(passed - correct, submitted) / comb(passed, submitted)
    return min(1.0, max(0.0, round(1.0 - missed, 12)))


def _check(rollouts: int, passed: int, correct: int) -> None:
    if not 0 <= correct <= passed <= rollouts or rollouts < 1:
        raise CodeenvError(
            f"{rollouts} rollouts, {passed} that pass the public tests and {correct} correct ones do not fit together; "
            "0 <= correct <= passed <= rollouts must hold"
        )
