"""Each codec of a group against a reference codec: bits at equal score, score at equal bits, with intervals.

Every figure is taken on the measured scores and again on each of the group's bootstrap draws of its samples, which are
the same for all settings, so what the samples have in common cancels. Nothing is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from mpq.comparison.curves import RateCurve, bd_rate, bd_score, crossings, rounded, shared
from mpq.errors import UserError
from mpq.registry import suggestion
from mpq.summary import Group, Point
from reports.stats import Estimate, percentile_interval

MOST_WITHOUT = 0.05
"""Share of draws that may have no value before the rest says nothing of the figure's uncertainty."""

SURPASSED, NOT_REACHED = "surpassed", "not reached"
"""Scores that a curve has nothing at, as all of it is better or all of it is worse."""

BELOW, ABOVE = "below its rates", "above its rates"
"""Rates that a curve has nothing at."""


@dataclass(frozen=True)
class Figure:
    """estimate: None where the measured curves give none, for which ``why`` is the reason.

    Its interval has no ends where more than ``MOST_WITHOUT`` of the ``draws`` have no value: so many are ``without``.
    """

    estimate: Estimate | None
    draws: int = 0
    without: int = 0
    why: str = ""

    @classmethod
    def of(cls, values: np.ndarray, why: str = "") -> Figure:
        """values: (1 + draws,), NaN where there is none, the measured one first."""
        values = rounded(values) + 0.0  # equal ones differ by exactly 0, which has no sign
        value, drawn = float(values[0]), values[1:]
        if not math.isfinite(value):
            return cls(None, why=why)
        without = int(np.sum(~np.isfinite(drawn)))
        estimate = Estimate(value)
        if len(drawn) and without <= MOST_WITHOUT * len(drawn):
            estimate = Estimate(value, *percentile_interval(drawn))
        return cls(estimate, len(drawn), without)


@dataclass(frozen=True)
class Match:
    """A setting of either codec, as it was measured, beside the other's curve.

    bits: the codec's rate over the reference's at the setting's score, less 1. gain: the codec's score less the
    reference's at the setting's rate, in the score's own unit. matched_rate, matched_score: where the other's curve is.
    """

    point: Point
    bits: Figure
    gain: Figure
    matched_rate: Figure
    matched_score: Figure


@dataclass(frozen=True)
class Crossing:
    """fewer: the codec that needs fewer bits where scores are better than this one."""

    score: float
    fewer: str


@dataclass(frozen=True)
class Comparison:
    """A codec against the reference.

    bd_rate: −0.3 is 30 % fewer bits at equal score. bd_score: in the score's own unit, so of errors less than 0 is
    better. shared_scores, shared_rates: which share of what either curve spans both do. allowed: bits at the score
    that may be lost to, as those of ``Match``. crossings: of the measured curves, worst score first.
    """

    codec: str
    bd_rate: Figure
    bd_score: Figure
    shared_scores: float
    shared_rates: float
    allowed: Figure
    crossings: list[Crossing]
    matches: list[Match]


@dataclass(frozen=True, eq=False)
class Ladder:
    """A codec's settings as a curve; None where no setting can be used.

    points: lowest rate first. left_out: settings that failed, or have no finite score. pooled: how far the curve is
    from a measured score at most, in the score's own unit. allowed: the rate where the score is the original's less
    what may be lost.
    """

    codec: str
    points: list[Point]
    left_out: list[Point]
    curve: RateCurve | None = field(repr=False)
    pooled: float
    allowed: Figure


@dataclass(frozen=True)
class Against:
    """A group's codecs against one of them. compared: those that have a curve, if the reference has one."""

    reference: Ladder
    others: list[Ladder]
    compared: list[Comparison]


def check_reference(groups: Iterable[Group], reference: str) -> None:
    """Raises UserError unless ``reference`` is a codec of one of the groups."""
    if reference == "none":
        raise UserError("the reference is a codec, and 'none' codes nothing; mpq report compares with it")
    known = sorted({codec for group in groups for codec in group.codecs})
    if reference in known:
        return
    name = reference.partition(":")[0]
    if name in known:
        raise UserError(f"the reference is a codec with all its settings: '{name}', not '{reference}'")
    raise UserError(
        f"the reference '{reference}' is not among the codecs of the run{suggestion(name, known)}"
    )


def against(group: Group, reference: str, *, max_drop: float = 1.0, max_failures: float = 0.01) -> Against:
    """max_drop: in what the score is shown in, points or dB. max_failures: as of ``Point.too_many_failures``.

    Raises UserError where the group has no codec of that name.
    """
    check_reference([group], reference)
    sight = _Sight(group, max_drop, max_failures)
    own, others = sight.ladder(reference), [sight.ladder(c) for c in group.codecs if c != reference]
    return Against(own, others, [sight.compared(own, other) for other in others if own.curve and other.curve])


@dataclass(frozen=True)
class _Sight:
    """Arrays of a group's points: (1 + draws,), measured first, scores turned so that more is better."""

    group: Group
    max_drop: float
    max_failures: float

    @property
    def sign(self) -> int:
        return -1 if self.group.score.lower_is_better else 1

    def rates(self, point: Point) -> np.ndarray:
        return np.concatenate([[point.rate.value], point.draws.rate])

    def scores(self, point: Point) -> np.ndarray:
        value = point.scores[self.group.score.key].value
        return rounded(self.sign * np.concatenate([[value], point.draws.score]))

    def usable(self, point: Point) -> bool:
        measured = math.isfinite(point.scores[self.group.score.key].value) and point.rate.value > 0
        return measured and not point.too_many_failures(self.max_failures)

    def ladder(self, codec: str) -> Ladder:
        everything = sorted(
            (p for p in self.group.points if p.codec == codec), key=lambda p: (p.rate.value, p.setting)
        )
        points = [p for p in everything if self.usable(p)]
        left_out = [p for p in everything if not self.usable(p)]
        if not points:
            return Ladder(codec, [], left_out, None, 0.0, Figure(None, why="no usable setting"))
        rates, scores = (np.stack([of(p) for p in points]) for of in (self.rates, self.scores))
        curve = RateCurve.of(rates, scores)
        fitted = curve.by_rate.measured(len(points)).at(np.log(rates[:, 0]))
        pooled = float(np.abs(fitted - scores[:, 0]).max())
        least = self._least(rates.shape[1])
        allowed = Figure.of(np.exp(curve.by_score.at(least)), _beyond(curve, score=least[0]) or "no original")
        return Ladder(codec, points, left_out, curve, pooled, allowed)

    def _least(self, curves: int) -> np.ndarray:
        """(curves,): the original's score less what may be lost; NaN where there is none."""
        baseline, score = self.group.baseline, self.group.score
        if baseline is None or not score.lossy or not self.usable(baseline):
            return np.full(curves, np.nan)
        return rounded(self.scores(baseline) - self.max_drop / score.scale)

    def compared(self, reference: Ladder, other: Ladder) -> Comparison:
        mine, its = reference.curve, other.curve
        assert mine is not None and its is not None
        least = self._least(its.by_score.knots.shape[1])
        allowed = Figure.of(
            np.expm1(its.by_score.at(least) - mine.by_score.at(least)),
            other.allowed.why or f"{reference.codec}: {reference.allowed.why}",
        )
        return Comparison(
            other.codec,
            Figure.of(bd_rate(mine, its), self._apart(reference, other, "score")),
            Figure.of(self.sign * bd_score(mine, its), self._apart(reference, other, "rate")),
            float(shared(mine.by_score, its.by_score)[2][0]),
            float(shared(mine.by_rate, its.by_rate)[2][0]),
            allowed,
            [
                Crossing(self.sign * score, other.codec if its_fewer else reference.codec)
                for score, its_fewer in crossings(mine, its)
            ],
            [self._match(p, mine, its, p.codec == other.codec) for p in (*reference.points, *other.points)],
        )

    def _match(self, point: Point, reference: RateCurve, other: RateCurve, own: bool) -> Match:
        """own: whether the setting is the other codec's, beside the reference's curve, or the reverse."""
        rates, scores = np.log(self.rates(point)), self.scores(point)
        curve = reference if own else other
        rate_there, score_there = curve.by_score.at(scores), curve.by_rate.at(rates)
        turn = 1 if own else -1
        why_score, why_rate = _beyond(curve, score=scores[0]), _beyond(curve, log_rate=rates[0])
        return Match(
            point,
            Figure.of(np.expm1(turn * (rates - rate_there)), why_score),
            Figure.of(self.sign * turn * (scores - score_there), why_rate),
            Figure.of(np.exp(rate_there), why_score),
            Figure.of(self.sign * score_there, why_rate),
        )

    def _apart(self, reference: Ladder, other: Ladder, what: str) -> str:
        """Why no average can be taken over the scores, or rates, that both have."""
        for ladder in (other, reference):
            if len(ladder.points) == 1:
                return f"{ladder.codec} has one setting"
        sides = [(c.by_score if what == "score" else c.by_rate) for c in (reference.curve, other.curve) if c]
        for ladder, side in zip((reference, other), sides, strict=True):
            if side.high[0] == side.low[0]:
                return f"{ladder.codec} has the same {what} throughout"
        mine, its = sides
        above, below = ("better", "worse") if what == "score" else ("higher", "lower")
        if its.low[0] >= mine.high[0] or its.high[0] <= mine.low[0]:
            return f"no overlap: all of {other.codec}'s {what}s are {above if its.low[0] >= mine.high[0] else below}"
        return "no overlap"


def _beyond(curve: RateCurve, *, score: float | None = None, log_rate: float | None = None) -> str:
    """Why the measured curve has nothing at a score or at a rate; nothing where it has."""
    if score is not None:
        low, high = curve.by_score.low[0], curve.by_score.high[0]
        return SURPASSED if score < low else NOT_REACHED if score > high else ""
    low, high = curve.by_rate.low[0], curve.by_rate.high[0]
    assert log_rate is not None
    return BELOW if log_rate < low else ABOVE if log_rate > high else ""
