"""Correlations of a similarity with a score: over operating points, and over the samples of one.

Over points, of which there are few, intervals come from a bootstrap that weighs points by how often they are drawn.
Over samples, of which there may be many, they come from each sample's influence (the infinitesimal jackknife; of an
AUROC that is DeLong's variance), so that a sample that appears at many points counts as one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.stats import RESAMPLES, Estimate, drawn, percentile_interval

Kind = Literal["pearson", "spearman", "kendall"]

FEWEST = 4
"""Points below which a correlation has no interval."""

_Z = 1.959964  # of a normal distribution's middle 95 %
_FLAT = 1e-9  # share of a variance that is rounding


def pearson(x: np.ndarray, y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Pearson's r of (n,) x and y with each pair ``times`` there, (draws, n) -> (draws,); NaN where one is constant."""
    return _pearson(np.broadcast_to(x, times.shape), np.broadcast_to(y, times.shape), times)


def spearman(x: np.ndarray, y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """As ``pearson``, of midranks: each draw is ranked anew."""
    return _pearson(_midranks(x, times), _midranks(y, times), times)


def kendall(x: np.ndarray, y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """As ``pearson``: Kendall's tau-b (1945)."""
    of_x, of_y = (np.sign(v[:, None] - v[None, :]) for v in (x, y))

    def pairs(signs: np.ndarray) -> np.ndarray:
        return np.einsum("di,di->d", times @ signs, times)

    return _over(pairs(of_x * of_y), np.sqrt(pairs(of_x**2) * pairs(of_y**2)))


KINDS: dict[Kind, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "pearson": pearson,
    "spearman": spearman,
    "kendall": kendall,
}


def _midranks(x: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(draws, n): of each value among those drawn, up to a constant."""
    below = (x[:, None] < x[None, :]) + (x[:, None] == x[None, :]) / 2
    return times @ below


def _pearson(x: np.ndarray, y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """x, y, times: (draws, n)."""
    x, y = _centred(x, times), _centred(y, times)
    return _over(
        (times * x * y).sum(axis=1), np.sqrt((times * x**2).sum(axis=1) * (times * y**2).sum(axis=1))
    )


def _centred(x: np.ndarray, times: np.ndarray) -> np.ndarray:
    count = np.maximum(times.sum(axis=1, keepdims=True), 1)
    left = x - (times * x).sum(axis=1, keepdims=True) / count
    # What equal values leave is rounding, of which a correlation must not be made.
    return np.where(np.abs(left) > 1e-12 * np.abs(x).max(initial=0), left, 0)


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def partial(xy: np.ndarray, xz: np.ndarray, yz: np.ndarray) -> np.ndarray:
    """The correlation of x and y given z, from the three of each two (Yule 1907): that of what z leaves of them.

    NaN where z leaves nothing of x, or of y. Of Spearman's it is the partial correlation of the ranks.
    """
    left = (1 - xz**2) * (1 - yz**2)
    found = np.full(np.shape(left), np.nan)
    usable = (1 - xz**2 > _FLAT) & (1 - yz**2 > _FLAT)
    np.divide(xy - xz * yz, np.sqrt(np.maximum(left, 0)), out=found, where=usable)
    return np.clip(found, -1, 1)


@dataclass(frozen=True, eq=False)
class Correlation:
    """Of so many points. estimate: NaN below three, or where one side is constant. draws: (resamples,)."""

    estimate: Estimate
    points: int
    draws: np.ndarray


def point_draws(units: Sequence[Hashable], *, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """(resamples, points): how often each is there when units, which points may share, are drawn with replacement."""
    places = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
    own = [places[unit] for unit in units]
    return np.concatenate([times[:, own] for times in drawn(len(places), resamples, seed)])


def correlation(
    kind: Kind,
    x: np.ndarray,
    y: np.ndarray,
    times: np.ndarray,
    *,
    given: np.ndarray | None = None,
    units: int = 0,
) -> Correlation:
    """Of (points,) x and y, given a third where there is one.

    times: from ``point_draws``. units: how many of them are drawn, where points share any. The interval is the
    bootstrap's or Fisher's (Spearman's as Bonett & Wright 2000, Kendall's as Fieller, Hartley & Pearson 1957),
    whichever reaches farther at each end: of few points in one order every draw is in that order, so the bootstrap
    alone would be certain.
    """
    points = len(x)
    nothing = Correlation(Estimate(math.nan), points, np.full(len(times), np.nan))
    if points < 3 + (given is not None):
        return nothing
    with_value = np.concatenate([np.ones((1, points)), times])
    of = KINDS[kind]
    found = of(x, y, with_value)
    if given is not None:
        found = partial(found, of(x, given, with_value), of(y, given, with_value))
    value, draws = float(found[0]), found[1:]
    if not math.isfinite(value):
        return nothing
    if points < FEWEST or not np.isfinite(draws).any():
        return Correlation(Estimate(value), points, draws)
    low, high = percentile_interval(draws)
    lowest, highest = fisher(kind, value, (units or points) - (given is not None))
    return Correlation(Estimate(value, min(low, lowest), max(high, highest)), points, draws)


def fisher(kind: Kind, value: float, count: int, more: float = 0.0) -> tuple[float, float]:
    """The 95 % interval of a correlation of ``count`` pairs, by Fisher's z. more: a variance of z, if that is larger.

    A perfect order is taken for half a swap of neighbours less, so that it is not certain.
    """
    free = count - (4 if kind == "kendall" else 3)
    if free <= 0:
        return -1.0, 1.0
    variance = {"pearson": 1.0, "spearman": 1 + value**2 / 2, "kendall": 0.437}[kind] / free
    swap = {"pearson": 1e-9, "spearman": 12 / (count * (count**2 - 1)), "kendall": 4 / (count * (count - 1))}[
        kind
    ]
    z = math.atanh(math.copysign(min(abs(value), 1 - swap / 2), value))
    reach = _Z * math.sqrt(max(variance, more))
    return min(value, math.tanh(z - reach)), max(value, math.tanh(z + reach))


@dataclass(frozen=True, eq=False)
class Within:
    """How well a similarity ranks the samples of an operating point, or of several on average.

    value: AUROC, or Spearman's rho. weight: the information in it, 1 / variance if nothing were to be found, up to a
    constant. influence: (samples,), how far each one moves the value; 0 of those that are not in it. lost, kept:
    (samples,) bools, those that lost something and those that did not, at any of the points.
    """

    kind: Literal["auroc", "spearman"]
    value: float
    weight: float
    influence: np.ndarray
    lost: np.ndarray
    kept: np.ndarray

    @property
    def estimate(self) -> Estimate:
        variance = float(self.influence @ self.influence)
        if self.kind == "auroc":
            return Estimate(
                self.value, *newcombe(self.value, int(self.lost.sum()), int(self.kept.sum()), variance)
            )
        slope = max(1 - self.value**2, 1e-12)  # of Fisher's z
        return Estimate(
            self.value,
            *fisher("spearman", self.value, int((self.lost | self.kept).sum()), variance / slope**2),
        )

    def less(self, other: Within) -> Estimate:
        """This one's value less another's over the same samples and points, paired; without interval where one lost.

        Where a value hangs on no single sample (all told apart, say), influences claim certainty: the interval then
        reaches as far as the two values' own ones make it (Newcombe's MOVER, as if they were apart).
        """
        from scipy.stats import t

        difference, moved = self.value - other.value, self.influence - other.influence
        lost, kept = int(self.lost.sum()), int(self.kept.sum())
        free = min(lost, kept) - 1 if self.kind == "auroc" else lost + kept - 2
        if free < 1:
            return Estimate(difference)
        reach = float(t.ppf(0.975, free)) * math.sqrt(float(moved @ moved))
        below, above = reach, reach
        certain = min(float(i @ i) for i in (self.influence, other.influence, moved)) < _FLAT
        mine, others = self.estimate, other.estimate
        if difference and certain and mine.low is not None and others.low is not None:
            assert mine.high is not None and others.high is not None
            below = max(reach, math.hypot(mine.value - mine.low, others.high - others.value))
            above = max(reach, math.hypot(mine.high - mine.value, others.value - others.low))
        return Estimate(difference, difference - below, difference + above)


def auroc(alike: np.ndarray, lost: np.ndarray) -> Within | None:
    """How often a sample that lost its answer is less alike than one that kept it; of equal ones half (Mann & Whitney).

    alike: (samples,), higher is more alike, may be infinite; NaN where it is not known. lost: (samples,) 1, 0, or NaN
    of those that had none to lose. None where nobody lost, or nobody kept. The influence is DeLong's (1988).
    """
    gone, kept = (~np.isnan(alike) & (lost == value) for value in (1, 0))
    m, n = int(gone.sum()), int(kept.sum())
    if not m or not n:
        return None
    ranked = np.where(gone | kept, alike, 0)
    above_gone, below_kept = _above(ranked, kept) / n, _above(-ranked, gone) / m
    value = float(above_gone[gone].mean())
    influence = np.zeros(len(alike))
    influence[gone] = (above_gone[gone] - value) / m * math.sqrt(m / max(m - 1, 1))
    influence[kept] = (below_kept[kept] - value) / n * math.sqrt(n / max(n - 1, 1))
    return Within("auroc", value, m * n / (m + n + 1), influence, gone, kept)  # van Elteren's weight (1960)


def loss_correlation(alike: np.ndarray, loss: np.ndarray) -> Within | None:
    """Spearman's rho of how unlike samples are with what they lost. None where either is the same for all.

    alike: as for ``auroc``. loss: (samples,), NaN of those that have none; below 0 where something was won.
    """
    used = ~np.isnan(alike) & np.isfinite(loss)
    count = int(used.sum())
    if count < FEWEST:
        return None
    x, y = -alike[used], loss[used]
    ones = np.ones(count)
    # Midranks about their mean, which is half the count.
    r, s = (_above(-v, ones) - count / 2 for v in (x, y))
    var_r, var_s, cov = (float(a @ b) / count for a, b in ((r, r), (s, s), (r, s)))
    if var_r == 0 or var_s == 0:
        return None
    value = cov / math.sqrt(var_r * var_s)
    # Derivatives by a sample's weight: it stands in its own term, and moves the ranks of those above it.
    by_cov = (r * s + _above(x, s) + _above(y, r)) / count
    by_r, by_s = ((v * v + 2 * _above(u, v)) / count for u, v in ((x, r), (y, s)))
    influence = np.zeros(len(alike))
    moved = by_cov / math.sqrt(var_r * var_s) - value / 2 * (by_r / var_r + by_s / var_s)
    influence[used] = (moved - moved.mean()) * math.sqrt(count / (count - 1))
    lost = used & (loss > 0)
    untied = 12 * var_s / (count**2 - 1)  # 1 where all losses differ, less where many are equal
    return Within("spearman", value, (count - 1) * untied, influence, lost, used & ~lost)


def mean_within(parts: Sequence[Within]) -> Within:
    """The mean of several points' over the same samples, weighted by information."""
    weights = np.array([part.weight for part in parts])
    shares = weights / weights.sum()
    return Within(
        parts[0].kind,
        float(shares @ [part.value for part in parts]),
        float(weights.sum()),
        shares @ np.stack([part.influence for part in parts]),
        np.any([part.lost for part in parts], axis=0),
        np.any([part.kept for part in parts], axis=0),
    )


def _above(values: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """(n,): for each value the mass of the greater ones, and half of that of its equals, itself among them."""
    _, place = np.unique(values, return_inverse=True)
    tied = np.bincount(place, mass)
    return (tied[::-1].cumsum()[::-1] - tied / 2)[place]


def newcombe(value: float, lost: int, kept: int, variance: float = 0.0) -> tuple[float, float]:
    """The 95 % interval of an AUROC: those whose score test the value passes (Newcombe 2006, method 5).

    Its variance is Hanley & McNeil's, so it is no certainty where all or only one are told apart; where ``variance``
    is larger than that at the value, it is enlarged as much everywhere.
    """
    from scipy.optimize import brentq

    value = round(value, 9)  # of a mean, 1 may be a rounding less
    half = (lost + kept) / 2 - 1

    def modelled(a: float) -> float:
        return a * (1 - a) * (1 + half * ((1 - a) / (2 - a) + a / (1 + a))) / (lost * kept)

    own = modelled(value)
    times = _Z**2 * (max(1.0, variance / own) if own > 0 else 1.0)

    def outside(a: float) -> float:
        return (value - a) ** 2 - times * modelled(a)

    # One step inside, where the value itself is an end and so the trivial root.
    low = 0.0 if value == 0 else float(brentq(outside, 0.0, value - 1e-12))
    high = 1.0 if value == 1 else float(brentq(outside, value + 1e-12, 1.0))
    return low, high
