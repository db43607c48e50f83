"""A score as a monotone function of the rate, and how two such curves differ: Bjøntegaard's deltas.

Everything is done for many curves at once, one a row: the measured one and those of the bootstrap's draws. Scores are
such that more is better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_APART = 1e-9  # of log rates: what two settings of one rate are held apart by
_DIGITS = 12  # of scores: sums of the same numbers in another order are the same score
_HELD = 4_000_000  # means of runs of settings that are held at once


def isotonic(values: np.ndarray) -> np.ndarray:
    """(rows, n) -> the nearest (rows, n) that never fall along a row, in squares: pools adjacent violators.

    By the minimax formula max_{j ≤ i} min_{k ≥ i} mean(v_j … v_k) (Robertson, Wright & Dykstra 1988, 1.4.4), which
    does all rows at once.

    All values weigh the same. Weights of 1 / variance would suit scores that are measured apart; these are of the same
    samples, so that they rise and fall together, and a score that is 1 on every draw would outweigh all others.
    """
    count = values.shape[1]
    step = max(1, _HELD // max(1, count**2))
    return np.concatenate([_isotonic(values[i : i + step]) for i in range(0, len(values), step)])


def _isotonic(values: np.ndarray) -> np.ndarray:
    count = values.shape[1]
    fitted = np.full_like(values, -np.inf)
    for start in range(count):
        means = np.cumsum(values[:, start:], axis=1) / np.arange(1, count - start + 1)
        lowest = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
        fitted[:, start:] = np.maximum(fitted[:, start:], lowest)
    return np.maximum.accumulate(fitted, axis=1)


@dataclass(frozen=True, eq=False)
class MonotoneCubic:
    """Piecewise cubics through rising points, one curve a row: "PCHIP" (Fritsch & Butland 1984).

    knots, values, slopes: (rows, n), n ≥ 2. Knots may be equal: the curve jumps there and is the limit of those
    whose knots come ever nearer; at the knot itself its value is the lowest. Between the values of a row of NaN there
    is nothing.
    """

    knots: np.ndarray
    values: np.ndarray
    slopes: np.ndarray

    @classmethod
    def through(cls, knots: np.ndarray, values: np.ndarray) -> MonotoneCubic:
        """(rows, n) each, neither of which falls along a row. A single point is a curve of no width."""
        if knots.shape[1] == 1:
            knots, values = np.repeat(knots, 2, axis=1), np.repeat(values, 2, axis=1)
        width = np.diff(knots, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            secants = np.diff(values, axis=1) / width
            before, after = secants[:, :-1], secants[:, 1:]
            weight_before = width[:, :-1] + 2 * width[:, 1:]
            weight_after = 2 * width[:, :-1] + width[:, 1:]
            inner = (weight_before + weight_after) / (weight_before / before + weight_after / after)
            if secants.shape[1] == 1:
                first = last = secants[:, 0]
            else:
                first = _end_slope(*width[:, :2].T, *secants[:, :2].T)
                last = _end_slope(*width[:, :-3:-1].T, *secants[:, :-3:-1].T)
        slopes = np.concatenate([first[:, None], inner, last[:, None]], axis=1)
        return cls(knots, values, np.nan_to_num(slopes, nan=0.0, posinf=0.0))

    @property
    def low(self) -> np.ndarray:
        return self.knots[:, 0]

    @property
    def high(self) -> np.ndarray:
        return self.knots[:, -1]

    def at(self, places: np.ndarray) -> np.ndarray:
        """(rows,) -> (rows,), NaN outside of the knots."""
        segment = np.clip((self.knots < places[:, None]).sum(axis=1) - 1, 0, self.knots.shape[1] - 2)[:, None]

        def ends(of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return tuple(np.take_along_axis(of, segment + i, axis=1)[:, 0] for i in (0, 1))  # type: ignore[return-value]

        (left, right), (y0, y1), (d0, d1) = ends(self.knots), ends(self.values), ends(self.slopes)
        width = right - left
        t = np.divide(places - left, width, out=np.zeros_like(width), where=width > 0)
        cubic = (
            y0 * (1 + 2 * t) * (1 - t) ** 2
            + y1 * (3 - 2 * t) * t**2
            + width * (d0 * t * (1 - t) ** 2 - d1 * t**2 * (1 - t))
        )
        return np.where((places >= self.low) & (places <= self.high), cubic, np.nan)

    def mean(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Average between (rows,) ends that lie within the knots; NaN where high is not above low."""
        width = np.diff(self.knots, axis=1)
        (y0, y1), (d0, d1) = ((of[:, :-1], of[:, 1:]) for of in (self.values, self.slopes))

        def antiderivative(end: np.ndarray) -> np.ndarray:
            over = np.clip(end[:, None] - self.knots[:, :-1], 0, width)
            t = np.divide(over, width, out=np.zeros_like(width), where=width > 0)
            shape0, shape1 = t - t**3 + t**4 / 2, t**3 - t**4 / 2
            bend0, bend1 = t**2 / 2 - 2 * t**3 / 3 + t**4 / 4, t**4 / 4 - t**3 / 3
            return width * (y0 * shape0 + y1 * shape1 + width * (d0 * bend0 + d1 * bend1))

        area = (antiderivative(high) - antiderivative(low)).sum(axis=1)
        return np.divide(area, high - low, out=np.full(len(area), np.nan), where=high > low)

    def measured(self, count: int) -> MonotoneCubic:
        """The first row's curve, ``count`` times: to ask it at many places."""
        return MonotoneCubic(
            *(np.repeat(of[:1], count, axis=0) for of in (self.knots, self.values, self.slopes))
        )


def _end_slope(width: np.ndarray, next_width: np.ndarray, secant: np.ndarray, following: np.ndarray):
    """(rows,): the slope at an end of a parabola through its three points, but never falling (Moler 2004, 3.6)."""
    return np.maximum(
        ((2 * width + next_width) * secant - width * following) / (width + next_width),
        0,
    )


@dataclass(frozen=True, eq=False)
class RateCurve:
    """by_rate: log rate -> score. by_score: score -> log rate; where a score is held over a range of rates, the
    lowest of them.

    The two are interpolated each by itself, as is usual, so between settings neither is quite the other's inverse.
    """

    by_rate: MonotoneCubic
    by_score: MonotoneCubic

    @classmethod
    def of(cls, rates: np.ndarray, scores: np.ndarray) -> RateCurve:
        """rates, scores: (rows, settings), or (settings,) for one row, in any order; rates above 0.

        Settings that have the same rate on all rows are one, of their mean score. A row with a NaN is no curve.
        """
        log_rates, scores = np.log(np.atleast_2d(rates)), np.atleast_2d(scores)
        distinct, which = np.unique(log_rates, axis=1, return_inverse=True)
        if distinct.shape[1] < log_rates.shape[1]:
            among = np.eye(distinct.shape[1])[which.ravel()]
            log_rates, scores = distinct, scores @ (among / among.sum(axis=0))
        whole = np.isfinite(log_rates).all(axis=1) & np.isfinite(scores).all(axis=1)
        # Of settings that have one rate the better comes first, so that they are pooled.
        order = np.lexsort((-scores, log_rates), axis=1)
        log_rates, scores = (np.take_along_axis(of, order, axis=1) for of in (log_rates, scores))
        apart = _APART * np.arange(log_rates.shape[1])
        log_rates = np.maximum.accumulate(log_rates - apart, axis=1) + apart
        scores = rounded(isotonic(scores))
        log_rates[~whole], scores[~whole] = np.nan, np.nan
        return cls(MonotoneCubic.through(log_rates, scores), MonotoneCubic.through(scores, log_rates))


def rounded(scores: np.ndarray) -> np.ndarray:
    """Without the last bits, by which equal scores would differ."""
    return np.round(scores, _DIGITS)


def bd_rate(reference: RateCurve, other: RateCurve) -> np.ndarray:
    """(rows,): e to the average difference of log rate over the scores that both reach, less 1. −0.3: 30 % fewer bits.

    Bjøntegaard 2001 (VCEG-M33), with PCHIP. NaN where no scores are shared.
    """
    return np.expm1(_mean_difference(reference, other, lambda curve: curve.by_score))


def bd_score(reference: RateCurve, other: RateCurve) -> np.ndarray:
    """(rows,): the average difference of score over the log rates that both have; NaN where they share none."""
    return _mean_difference(reference, other, lambda curve: curve.by_rate)


def _mean_difference(
    reference: RateCurve, other: RateCurve, side: Callable[[RateCurve], MonotoneCubic]
) -> np.ndarray:
    low, high, _ = shared(side(reference), side(other))
    return side(other).mean(low, high) - side(reference).mean(low, high)


def shared(one: MonotoneCubic, other: MonotoneCubic) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rows,) each: from where to where both have knots, and which share that is of the span of either."""
    low, high = np.maximum(one.low, other.low), np.minimum(one.high, other.high)
    span = np.maximum(one.high, other.high) - np.minimum(one.low, other.low)
    share = np.divide(np.maximum(high - low, 0), span, out=np.zeros_like(span), where=span > 0)
    return low, high, share


def crossings(reference: RateCurve, other: RateCurve, *, least: float = 0.02, places: int = 513) -> list[float]:
    """Scores at which one of the measured curves begins to need fewer bits than the other.

    least: by which it needs fewer on either side, of log rate; less is no side.
    """
    low, high, _ = (ends[0] for ends in shared(reference.by_score, other.by_score))
    if not high > low:
        return []
    scores = np.linspace(low, high, places)
    gaps = other.by_score.measured(places).at(scores) - reference.by_score.measured(places).at(scores)
    sides = np.flatnonzero(np.abs(gaps) > least)
    changed = np.flatnonzero(np.diff(np.sign(gaps[sides])))
    return [float((scores[sides[i]] + scores[sides[i + 1]]) / 2) for i in changed]
