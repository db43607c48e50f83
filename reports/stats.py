"""Intervals and paired tests, for both halves of the suite.

There is one bootstrap: samples are drawn with replacement, the same draws for every figure of a report (see
``resampling``), so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
RESAMPLES = 10_000
_CHUNK = 4_000_000  # drawn samples held at once


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; without one (None) where the value is no estimate but a definition."""

    value: float
    low: float | None = None
    high: float | None = None


def bootstrap_ratios(
    numerators: np.ndarray, denominators: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Bootstrap distribution of Σ numerators / Σ denominators, column by column (Efron 1979).

    numerators, denominators: (samples, columns); a sample that a column lacks is 0 in both. Returns
    (resamples, columns), NaN where a draw has nothing to divide by. All columns see the same draws.
    """
    parts = []
    for times in drawn(len(numerators), resamples, seed):
        below = times @ denominators
        with np.errstate(divide="ignore", invalid="ignore"):
            parts.append(np.where(below != 0, (times @ numerators) / below, np.nan))
    return np.concatenate(parts)


def drawn(count: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """(draws, count) float64, ``resamples`` draws in parts: how often each of ``count`` samples is in each draw."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // max(count, 1))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        places = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        yield np.bincount(places.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)


def percentile_interval(distribution: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The middle ``level`` of a bootstrap distribution (resamples,), of those draws that have a value."""
    low, high = np.nanquantile(distribution, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def clopper_pearson(successes: int, count: int, level: float = LEVEL) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper & Pearson 1934)."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, count - successes + 1))
    high = 1.0 if successes == count else float(beta.ppf(1 - tail, successes + 1, count - successes))
    return low, high


def proportion(values: np.ndarray, distribution: np.ndarray) -> Estimate:
    """Share of right answers among (samples,) values of 0 and 1.

    Where all samples agree, the bootstrap would claim certainty: there the exact interval is given.
    """
    value = float(values.mean())
    if value in (0.0, 1.0):
        return Estimate(value, *clopper_pearson(int(values.sum()), len(values)))
    return Estimate(value, *percentile_interval(distribution))


def paired_difference(differences: np.ndarray, distribution: np.ndarray) -> Estimate:
    """Mean of (samples,) differences of −1, 0 and 1, after minus before.

    Where no answer changed, changes in either direction may still be as frequent as Clopper and Pearson's
    upper bound for none seen: that is the interval.
    """
    value = float(differences.mean())
    if np.all(differences == differences[0]):
        bound = clopper_pearson(0, len(differences))[1]
        return Estimate(value, max(-1.0, value - bound), min(1.0, value + bound))
    return Estimate(value, *percentile_interval(distribution))


def mcnemar_exact(before: np.ndarray, after: np.ndarray) -> float:
    """Two-sided p of McNemar's exact test on paired right/wrong (samples,) values of 0 and 1.

    The binomial test on the answers that changed: b right before only, c right after only, p = ½.
    """
    from scipy.stats import binomtest

    lost = int(np.sum((before == 1) & (after == 0)))
    won = int(np.sum((before == 0) & (after == 1)))
    return 1.0 if lost + won == 0 else float(binomtest(min(lost, won), lost + won).pvalue)


def confidence_of_drop_within(differences: np.ndarray, max_drop: float, *, seed: int = 0) -> float:
    """Probability that at most a share of ``max_drop`` more right answers are lost than won.

    differences: (samples,) of −1, 0 and 1, after minus before. The shares of lost, kept and won answers have a
    Dirichlet posterior under Jeffreys' prior (½, ½, ½): unlike a bootstrap it stays uncertain when few answers,
    or none, have changed.
    """
    counts = [np.sum(differences == d) for d in (-1, 0, 1)]
    draws = np.random.default_rng(seed).dirichlet(np.array(counts) + 0.5, size=100_000)
    return float(np.mean(draws[:, 0] - draws[:, 2] <= max_drop))
