"""How sure a number is: bootstrap intervals over problems, and paired tests between two arms.

The unit that is drawn again is the problem, never the episode: rollouts of one problem are alike, and an interval that
ignores this is too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codeenv.errors import MissingExtraError

__all__ = [
    "NOTHING",
    "Estimate",
    "McNemar",
    "binomial_test",
    "bootstrap_mean",
    "bootstrap_ratio",
    "bootstrap_share",
    "mcnemar",
    "paired_bootstrap",
    "sign_flip_test",
]

RESAMPLES = 10_000
"""Bootstrap resamples, fewer (but 1,000 at least) for more than 1,000 problems. The 2.5 and 97.5 percentiles bound the
interval; RLEF (arXiv 2410.02089, appendix) uses 200 resamples."""

_EXACT_UP_TO = 12
"""Differences of which all choices of signs are counted, 4,096 of them."""

Array = npt.NDArray[np.float64]
Statistic = Callable[[npt.NDArray[np.int64]], Array]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval; `n` units (problems, pairs) are behind it. All are nan if there is none."""

    value: float
    low: float
    high: float
    n: int = 0

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the JSON-ready form; nan becomes `None`."""
        plain = {"value": self.value, "low": self.low, "high": self.high}
        return {**{key: None if np.isnan(item) else round(item, 6) for key, item in plain.items()}, "n": self.n}


NOTHING = Estimate(float("nan"), float("nan"), float("nan"), 0)


def bootstrap_mean(values: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Return the mean of one value per problem, with its percentile bootstrap interval.

    Args:
        values: one number per problem.
        seed: of the resampling.
        resamples: number of resamples.
    """
    return bootstrap_ratio(values, [1.0] * len(values), seed, resamples)


def bootstrap_ratio(hits: Sequence[float], chances: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Return `sum(hits) / sum(chances)` over problems, with its percentile bootstrap interval.

    Args:
        hits: per problem, how often something happened.
        chances: per problem, how often it could have happened.
    """
    top, bottom = np.asarray(hits, dtype=np.float64), np.asarray(chances, dtype=np.float64)
    if top.size == 0 or bottom.sum() == 0:
        return NOTHING

    def ratio(index: npt.NDArray[np.int64]) -> Array:
        below = bottom[index].sum(axis=1)
        return np.where(below > 0, top[index].sum(axis=1) / np.where(below > 0, below, 1.0), np.nan)

    low, high = _percentiles(ratio, top.size, seed, resamples)
    return Estimate(float(top.sum() / bottom.sum()), low, high, int(top.size))


def paired_bootstrap(a: Sequence[float], b: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Return `mean(a) - mean(b)` over the same problems, with its percentile bootstrap interval (both drawn together)."""
    if len(a) != len(b):
        raise ValueError(f"paired values differ in number: {len(a)} and {len(b)}")
    return bootstrap_mean([x - y for x, y in zip(a, b, strict=True)], seed, resamples)


def bootstrap_share(a: Sequence[float], b: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Return `(mean(a) - mean(b)) / (1 - mean(b))`: the difference as a share of the gain that was possible."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.size == 0 or second.mean() >= 1.0:
        return NOTHING

    def share(index: npt.NDArray[np.int64]) -> Array:
        base = second[index].mean(axis=1)
        room = np.where(base < 1.0, 1.0 - base, np.nan)
        return np.asarray((first[index].mean(axis=1) - base) / room, dtype=np.float64)

    low, high = _percentiles(share, first.size, seed, resamples)
    value = float((first.mean() - second.mean()) / (1.0 - second.mean()))
    return Estimate(value, low, high, int(first.size))


def _percentiles(
    statistic: Callable[[npt.NDArray[np.int64]], Array], size: int, seed: int, resamples: int
) -> tuple[float, float]:
    generator = np.random.default_rng(seed)
    rows = max(1, 4_000_000 // size)  # bounds the memory of one block
    blocks = []
    for start in range(0, resamples, rows):
        index = generator.integers(0, size, size=(min(rows, resamples - start), size))
        blocks.append(statistic(index))
    values = np.concatenate(blocks)
    values = values[~np.isnan(values)]
    if values.size == 0:
        return float("nan"), float("nan")
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's exact test on pairs of outcomes.

    Attributes:
        only_a: pairs in which only the first arm solved.
        only_b: pairs in which only the second arm solved.
        p_value: two-sided, from the binomial distribution.
    """

    only_a: int
    only_b: int
    p_value: float


def mcnemar(a: Sequence[bool], b: Sequence[bool]) -> McNemar:
    """Return McNemar's exact test on paired outcomes. The pairs must be independent: use one pair per problem."""
    only_a = sum(x and not y for x, y in zip(a, b, strict=True))
    only_b = sum(y and not x for x, y in zip(a, b, strict=True))
    return McNemar(only_a, only_b, binomial_test(only_a, only_a + only_b, 0.5))


def binomial_test(hits: int, trials: int, chance: float) -> float:
    """Return the two-sided p-value of `hits` in `trials` if each hits with probability `chance`; 1.0 without trials.

    Raises:
        MissingExtraError: if scipy is not installed.
    """
    try:
        from scipy.stats import binomtest
    except ImportError:
        raise MissingExtraError("the exact binomial test", "scipy", "bench") from None
    return float(binomtest(hits, trials, chance).pvalue) if trials else 1.0


def sign_flip_test(a: Sequence[float], b: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> float:
    """Return the two-sided p-value of the paired permutation test on per-problem means.

    Under the null hypothesis the two arms of a problem may be exchanged. With several rollouts per problem this is the
    clustered counterpart of McNemar's test. With up to 12 problems that differ it is exact, over all choices of signs; else
    signs are drawn.
    """
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    difference = difference[difference != 0.0]
    if difference.size == 0:
        return 1.0
    observed = abs(difference.sum())
    if difference.size <= _EXACT_UP_TO:
        every = 1.0 - 2.0 * ((np.arange(2**difference.size)[:, None] >> np.arange(difference.size)) & 1)
        return float((np.abs(every @ difference) >= observed - 1e-12).mean())
    generator = np.random.default_rng(seed)
    rows = max(1, 4_000_000 // difference.size)
    extreme = 0
    for start in range(0, resamples, rows):
        signs = generator.choice((-1.0, 1.0), size=(min(rows, resamples - start), difference.size))
        extreme += int((np.abs(signs @ difference) >= observed - 1e-12).sum())
    return (extreme + 1) / (resamples + 1)
