"""A score as a monotone function of the rate, and how two such curves differ: Bjøntegaard's deltas.

Everything is done for many curves at once: the measured one and those of the bootstrap's draws. Arrays are
(settings, curves) or (curves,). Scores are such that more is better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_APART = 1e-9  # of log rates: what two settings of one rate are held apart by
_NARROW = 1e-9  # of log rates or scores: what is shared less far is not shared
_DIGITS = 12  # of scores: sums of the same numbers in another order are the same score


def isotonic(values: np.ndarray) -> np.ndarray:
    """(n, curves) -> the (n, curves) nearest in squares that never fall along n: pools adjacent violators.

    By the minimax formula max_{j ≤ i} min_{k ≥ i} mean(v_j … v_k) (Robertson, Wright & Dykstra 1988, 1.4), which does
    all curves at once.

    All settings weigh the same. Weights of 1 / variance would suit scores that are measured apart; these are of the
    same samples, so that they rise and fall together, and one that is the same on every draw would outweigh all others.
    """
    count = len(values)
    fitted = np.full_like(values, -np.inf)
    for start in range(count):
        means = np.cumsum(values[start:], axis=0) / np.arange(1, count - start + 1)[:, None]
        lowest = np.minimum.accumulate(means[::-1], axis=0)[::-1]
        fitted[start:] = np.maximum(fitted[start:], lowest)
    return np.maximum.accumulate(fitted, axis=0)


@dataclass(frozen=True, eq=False)
class MonotoneCubic:
    """Piecewise cubics through rising points: "PCHIP" (Fritsch & Butland 1984).

    knots, values, slopes: (n, curves), n ≥ 2. Knots may be equal: the curve jumps there and is the limit of those
    whose knots come ever nearer; at the knot itself its value is the lowest. A curve with a NaN is nowhere.
    """

    knots: np.ndarray
    values: np.ndarray
    slopes: np.ndarray

    @classmethod
    def through(cls, knots: np.ndarray, values: np.ndarray) -> MonotoneCubic:
        """(n, curves) each, neither of which falls along n. A single point is a curve of no width."""
        if len(knots) == 1:
            knots, values = np.repeat(knots, 2, axis=0), np.repeat(values, 2, axis=0)
        width = np.diff(knots, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            secants = np.diff(values, axis=0) / width
            before, after = secants[:-1], secants[1:]
            weight_before, weight_after = width[:-1] + 2 * width[1:], 2 * width[:-1] + width[1:]
            inner = (weight_before + weight_after) / (weight_before / before + weight_after / after)
            first, last = _end_slope(width, secants), _end_slope(width[::-1], secants[::-1])
        slopes = np.concatenate([first[None], inner, last[None]])
        return cls(knots, values, np.nan_to_num(slopes, nan=0.0, posinf=0.0))

    @property
    def low(self) -> np.ndarray:
        return self.knots[0]

    @property
    def high(self) -> np.ndarray:
        return self.knots[-1]

    def at(self, places: np.ndarray) -> np.ndarray:
        """(curves,) -> (curves,), NaN outside of the knots."""
        count, curves = self.knots.shape
        segment = np.clip((self.knots < places).sum(axis=0) - 1, 0, count - 2)
        start = curves * segment + np.arange(curves)
        (left, right), (y0, y1), (d0, d1) = (
            (of.take(start), of.take(start + curves)) for of in (self.knots, self.values, self.slopes)
        )
        width = right - left
        t = np.divide(places - left, width, out=np.zeros_like(width), where=width > 0)
        cubic = (
            y0 * (1 + 2 * t) * (1 - t) ** 2
            + y1 * (3 - 2 * t) * t**2
            + width * (d0 * t * (1 - t) ** 2 - d1 * t**2 * (1 - t))
        )
        return np.where((places >= self.low) & (places <= self.high), cubic, np.nan)

    def mean(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Average between (curves,) ends that lie within the knots; NaN where high is hardly above low."""
        left, width = self.knots[:-1], np.diff(self.knots, axis=0)
        (y0, y1), (d0, d1) = ((of[:-1], of[1:]) for of in (self.values, self.slopes))
        steepness = np.divide(1, width, out=np.zeros_like(width), where=width > 0)

        def antiderivative(end: np.ndarray) -> np.ndarray:
            t = np.minimum(np.maximum((end - left) * steepness, 0), 1)
            share = t * t * t * (1 - t / 2)
            bend0, bend1 = t * t * (1 / 2 - t * (2 / 3 - t / 4)), t * t * t * (t / 4 - 1 / 3)
            return width * (y0 * (t - share) + y1 * share + width * (d0 * bend0 + d1 * bend1))

        area = (antiderivative(high) - antiderivative(low)).sum(axis=0)
        return np.divide(area, high - low, out=np.full_like(area, np.nan), where=high - low > _NARROW)

    def measured(self, count: int) -> MonotoneCubic:
        """The first curve ``count`` times, to ask it at many places."""
        return MonotoneCubic(
            *(np.repeat(of[:, :1], count, axis=1) for of in (self.knots, self.values, self.slopes))
        )


def _end_slope(width: np.ndarray, secants: np.ndarray) -> np.ndarray:
    """(curves,): the slope at the first knot of a parabola through the first three, but never below 0."""
    if len(width) == 1:
        return secants[0]
    slope = ((2 * width[0] + width[1]) * secants[0] - width[0] * secants[1]) / (width[0] + width[1])
    return np.maximum(slope, 0)


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
        """rates, scores: (settings, curves), or (settings,) of one curve, in any order; rates above 0.

        Settings that have the same rate in all curves are one, of their mean score. With a NaN there is no curve.
        """
        log_rates = np.log(np.asarray(rates, dtype=np.float64).reshape(len(rates), -1))
        scores = np.asarray(scores, dtype=np.float64).reshape(len(scores), -1)
        if len(np.unique(log_rates[:, 0])) < len(log_rates):
            log_rates, which = np.unique(log_rates, axis=0, return_inverse=True)
            among = np.eye(len(log_rates))[:, which.ravel()]
            scores = (among / among.sum(axis=1, keepdims=True)) @ scores
        whole = np.isfinite(log_rates).all(axis=0) & np.isfinite(scores).all(axis=0)
        # Of settings that have one rate the better comes first, so that they are pooled.
        order = np.lexsort((-scores, log_rates), axis=0)
        log_rates, scores = (np.take_along_axis(of, order, axis=0) for of in (log_rates, scores))
        apart = _APART * np.arange(len(log_rates))[:, None]
        moved = np.maximum.accumulate(log_rates - apart, axis=0) + apart
        log_rates = np.where(moved - log_rates > _APART / 2, moved, log_rates)  # the others to the last bit
        scores = rounded(isotonic(scores))
        log_rates[:, ~whole], scores[:, ~whole] = np.nan, np.nan
        return cls(MonotoneCubic.through(log_rates, scores), MonotoneCubic.through(scores, log_rates))


def rounded(scores: np.ndarray) -> np.ndarray:
    """Without the last bits, by which equal scores would differ."""
    return np.round(scores, _DIGITS)


def bd_rate(reference: RateCurve, other: RateCurve) -> np.ndarray:
    """(curves,): e to the average difference of log rate over the scores that both reach, less 1. −0.3: 30 % fewer bits.

    Bjøntegaard 2001 (VCEG-M33), with PCHIP. NaN where no scores are shared.
    """
    return np.expm1(_mean_difference(reference, other, lambda curve: curve.by_score))


def bd_score(reference: RateCurve, other: RateCurve) -> np.ndarray:
    """(curves,): the average difference of score over the log rates that both have; NaN where they share none."""
    return _mean_difference(reference, other, lambda curve: curve.by_rate)


def _mean_difference(
    reference: RateCurve, other: RateCurve, side: Callable[[RateCurve], MonotoneCubic]
) -> np.ndarray:
    low, high, _ = shared(side(reference), side(other))
    return side(other).mean(low, high) - side(reference).mean(low, high)


def shared(one: MonotoneCubic, other: MonotoneCubic) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(curves,) each: from where to where both have knots, and which share that is of what either spans."""
    low, high = np.maximum(one.low, other.low), np.minimum(one.high, other.high)
    span = np.maximum(one.high, other.high) - np.minimum(one.low, other.low)
    common = np.where(high - low > _NARROW, high - low, 0)
    return low, high, np.divide(common, span, out=np.zeros_like(span), where=span > 0)


def crossings(
    reference: RateCurve, other: RateCurve, *, least: float = 0.02, places: int = 513
) -> list[tuple[float, bool]]:
    """Scores, rising, from which on the other one of the measured curves needs fewer bits, and whether that is ``other``.

    least: what counts as fewer on either side, a difference of log rates.
    """
    low, high, share = (ends[0] for ends in shared(reference.by_score, other.by_score))
    if not share > 0:
        return []
    scores = np.linspace(low, high, places)
    gaps = other.by_score.measured(places).at(scores) - reference.by_score.measured(places).at(scores)
    sides = np.flatnonzero(np.abs(gaps) > least)
    changed = np.flatnonzero(np.diff(np.sign(gaps[sides])))
    return [
        (float((scores[sides[i]] + scores[sides[i + 1]]) / 2), bool(gaps[sides[i + 1]] < 0)) for i in changed
    ]
