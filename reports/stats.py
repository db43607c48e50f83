"""Intervals and paired tests, for both halves of the suite.

Everything that a report shows is a ratio of two sums over samples: a mean, a paired difference, a corpus
rate, a share of the baseline's score. So there is one bootstrap: samples are drawn with replacement, the
same draws for every column, and each ratio is taken on each draw.
"""

from __future__ import annotations

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
    count, columns = numerators.shape
    rng = np.random.default_rng(seed)
    result = np.empty((resamples, columns))
    step = max(1, _CHUNK // max(count, 1))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)
        below = times @ denominators
        with np.errstate(divide="ignore", invalid="ignore"):
            result[start : start + rows] = np.where(below != 0, (times @ numerators) / below, np.nan)
    return result


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
    """Probability that the mean loss is at most ``max_drop``, from (samples,) differences, after minus before.

    Of right and wrong answers (differences of −1, 0 and 1) the shares of lost, kept and won ones have a Dirichlet
    posterior under Jeffreys' prior (½, ½, ½): unlike a bootstrap it stays uncertain when few answers, or none,
    have changed. Of other differences: the Bayesian bootstrap (Rubin 1981).
    """
    rng = np.random.default_rng(seed)
    if np.isin(differences, (-1, 0, 1)).all():
        counts = [np.sum(differences == d) for d in (-1, 0, 1)]
        draws = rng.dirichlet(np.array(counts) + 0.5, size=100_000)
        return float(np.mean(draws[:, 0] - draws[:, 2] <= max_drop))
    within, step = 0, max(1, _CHUNK // len(differences))
    for start in range(0, RESAMPLES, step):
        shares = rng.standard_exponential((min(step, RESAMPLES - start), len(differences)))
        within += int(np.sum(-(shares @ differences) <= max_drop * shares.sum(axis=1)))
    return within / RESAMPLES
