"""Which settings and which samples a gallery shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mpq.recommend import cheapest, recommend
from mpq.summary import Group, Point

CODECS = 8
"""That stand side by side."""

SETTINGS = 8
"""Of which one sample is shown."""


class EqualRate(NamedTuple):
    """rate: that the points are nearest to, one a codec, the nearest first. why: this one."""

    rate: float
    points: list[Point]
    why: str


def equal_rate(group: Group, points: Sequence[Point], max_drop: float, max_failures: float) -> EqualRate:
    """Each codec's setting that is nearest to the rate of the recommended one, or else to the median rate.

    points: to choose among; at least one.
    """
    best = cheapest(recommend(group, max_drop, max_failures))
    if best is not None and best.point is not None:
        rate, why = best.point.rate.value, f"that of {best.point.spec}, which is recommended"
    else:
        rate, why = float(np.median([point.rate.value for point in points])), "the median of all settings"
    nearest: dict[str, Point] = {}
    for point in sorted(points, key=lambda p: (_apart(p, rate), p.spec)):
        nearest.setdefault(point.codec, point)
    return EqualRate(rate, list(nearest.values())[:CODECS], why)


def several(points: Sequence[Point], chosen: Iterable[Point]) -> list[Point]:
    """All of ``points``, or the ``chosen`` and each codec's cheapest where they are too many; most bits first."""
    shown = list(points)
    if len(shown) > SETTINGS:
        cheapest_of: dict[str, Point] = {}
        for point in sorted(points, key=lambda p: p.rate.value):
            cheapest_of.setdefault(point.codec, point)
        shown = list({p.spec: p for p in (*chosen, *cheapest_of.values())}.values())[:SETTINGS]
    return sorted(shown, key=lambda p: (-p.rate.value, p.spec))


def most_lost(group: Group, points: Sequence[Point], samples: Sequence[int]) -> list[int]:
    """Those of ``samples`` whose own score is worse at ``points`` than on the original, the worst first."""
    key, sign = group.score.key, 1 if group.score.lower_is_better else -1
    loss = np.mean([sign * point.each[key] for point in points], axis=0)
    if group.baseline is not None:
        before = group.baseline.each[key]
        loss -= sign * np.where(
            np.isfinite(before), before, 0
        )  # of decibels against itself it has infinitely many
    worse = [i for i in samples if math.isfinite(loss[i]) and (loss[i] > 0 or group.score.fidelity)]
    return sorted(worse, key=lambda i: (-loss[i], i))


def telling_and_drawn(
    order: Sequence[int], others: Iterable[int], count: int, *, seed: int = 0
) -> dict[int, str]:
    """Sample -> why it is shown: half of ``count`` from the front of ``order``, the rest drawn from all ``others``."""
    chosen = dict.fromkeys(order[: -(-count // 2)], "")
    rest = np.array([i for i in others if i not in chosen], dtype=int)
    drawn = np.random.default_rng(seed).permutation(rest)[: count - len(chosen)]
    return chosen | dict.fromkeys(map(int, drawn), "drawn at random")


def _apart(point: Point, rate: float) -> float:
    """How many times one rate is the other, as a logarithm."""
    own = point.rate.value
    return abs(math.log(own / rate)) if own > 0 and rate > 0 else math.inf
