"""Scores of many samples that can be taken again on any draw of them: means, ratios of sums, medians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from reports.stats import RESAMPLES, drawn

_COLUMNS = 2048  # of sums that are taken at once


@dataclass(frozen=True, eq=False)
class Ratio:
    """The mean over columns of Σ above / Σ below, of those columns that have anything below.

    One column of values over ones is a mean; of errors over words, a corpus's error rate; of intersections over
    unions, a column a class, the mean intersection over union. above, below: (samples, columns). usable:
    (samples,) bool; what is not weighs nothing.
    """

    above: np.ndarray
    below: np.ndarray
    usable: np.ndarray

    @classmethod
    def of(cls, above: np.ndarray, below: np.ndarray | None = None) -> Ratio:
        """(samples,) or (samples, columns), NaN where a sample has none. Without ``below``: the mean."""
        above = above.reshape(len(above), -1).astype(np.float64)
        below = np.ones_like(above) if below is None else below.reshape(len(below), -1).astype(np.float64)
        usable = np.isfinite(above).all(axis=1) & np.isfinite(below).all(axis=1)
        return cls(np.where(usable[:, None], above, 0), np.where(usable[:, None], below, 0), usable)

    def within(self, mask: np.ndarray) -> Ratio:
        """Over the samples of a (samples,) mask alone."""
        kept = (self.usable & mask)[:, None]
        return Ratio(np.where(kept, self.above, 0), np.where(kept, self.below, 0), kept[:, 0])

    def on(self, times: np.ndarray) -> np.ndarray:
        """(draws, samples), how often each sample was drawn -> (draws,), NaN where there is nothing below."""
        return _mean_ratio(times @ self.above, times @ self.below)

    @property
    def value(self) -> float:
        return float(_mean_ratio(self.above.sum(axis=0)[None], self.below.sum(axis=0)[None])[0])

    @property
    def each(self) -> np.ndarray:
        """(samples,): every sample's own, NaN where it has none."""
        return np.where(self.usable, _mean_ratio(self.above, self.below), np.nan)

    @property
    def trials(self) -> float:
        """What a rate of one column is taken over: Σ below."""
        return float(self.below.sum())


@dataclass(frozen=True, eq=False)
class Median:
    """The mean over columns of each one's median over samples; of an even number the middle two's mean.

    values: (samples, columns), NaN where a sample has none.
    """

    values: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        return np.isfinite(self.values).any(axis=1)

    def within(self, mask: np.ndarray) -> Median:
        return replace(self, values=np.where(mask[:, None], self.values, np.nan))

    def on(self, times: np.ndarray) -> np.ndarray:
        columns = [_weighted_median(column, times) for column in self.values.T if np.isfinite(column).any()]
        return np.mean(columns, axis=0) if columns else np.full(len(times), np.nan)

    @property
    def value(self) -> float:
        return float(self.on(np.ones((1, len(self.values))))[0])

    @property
    def each(self) -> np.ndarray:
        """(samples,): the mean of every sample's own, NaN where it has none."""
        there = np.isfinite(self.values)
        sums, count = np.where(there, self.values, 0).sum(axis=1), there.sum(axis=1)
        return np.divide(sums, count, out=np.full(len(sums), np.nan), where=count > 0)


def _weighted_median(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(samples,) and (draws, samples) -> (draws,), NaN where nothing that has a value was drawn."""
    order = np.argsort(values)  # NaN and infinity last
    order = order[np.isfinite(values[order])]
    reached = np.cumsum(times[:, order], axis=1)
    half = reached[:, -1:] / 2
    lower, upper = (reached >= half).argmax(axis=1), (reached > half).argmax(axis=1)
    return np.where(half[:, 0] > 0, (values[order][lower] + values[order][upper]) / 2, np.nan)


Statistic: TypeAlias = Ratio | Median


def _mean_ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """(…, columns) -> (…,)"""
    there = below != 0
    ratios = np.divide(above, below, out=np.zeros_like(above, dtype=np.float64), where=there)
    count = there.sum(axis=-1)
    return np.divide(ratios.sum(axis=-1), count, out=np.full(count.shape, np.nan), where=count > 0)


def distributions(
    statistics: Sequence[Statistic], samples: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """(resamples, statistics): each on the same draws of samples with replacement (Efron 1979)."""
    result = np.empty((resamples, len(statistics)))
    start = 0
    for times in drawn(samples, resamples, seed):
        rows = slice(start, start + len(times))
        for column, values in _on(statistics, times):
            result[rows, column] = values
        start += len(times)
    return result


def _on(statistics: Sequence[Statistic], times: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """As each one's ``on``, but many ratios by one product."""
    found = [(i, s.on(times)) for i, s in enumerate(statistics) if isinstance(s, Median)]
    batch: list[tuple[int, Ratio]] = []
    width = 0
    for i, statistic in enumerate(statistics):
        if isinstance(statistic, Ratio):
            batch.append((i, statistic))
            width += statistic.above.shape[1]
        if batch and (width >= _COLUMNS or i == len(statistics) - 1):
            above = times @ np.concatenate([s.above for _, s in batch], axis=1)
            below = times @ np.concatenate([s.below for _, s in batch], axis=1)
            end = 0
            for j, s in batch:
                start, end = end, end + s.above.shape[1]
                found.append((j, _mean_ratio(above[:, start:end], below[:, start:end])))
            batch, width = [], 0
    return found


def confidence_of_loss_within(
    before: Statistic, after: Statistic, limit: float, *, lower_is_better: bool = False, seed: int = 0
) -> float:
    """Probability that ``after`` is worse than ``before`` by at most ``limit``: the Bayesian bootstrap (Rubin 1981).

    Both over the same samples, which are weighed by exponential draws.
    """
    rng = np.random.default_rng(seed)
    samples = len(before.usable)
    sign = 1 if lower_is_better else -1
    within, step = 0, max(1, 4_000_000 // max(samples, 1))
    for start in range(0, RESAMPLES, step):
        weights = rng.standard_exponential((min(step, RESAMPLES - start), samples))
        within += int(np.sum(sign * (after.on(weights) - before.on(weights)) <= limit + 1e-12))
    return within / RESAMPLES
