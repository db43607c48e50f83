"""What correlations say in a sentence and in a table's cell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mpq.correlation.losses import Losses
from mpq.correlation.statistics import Correlation
from mpq.correlation.study import GIVEN, UNKNOWN, Observed
from mpq.wording import counted
from reports.stats import Estimate

FEW = 10
"""Points, or samples that lose, below which a report says that they are few."""


def points_answer(observed: Observed, found: dict[str, dict[str, Correlation]]) -> str:
    count, what = len(observed.points), observed.what
    if count < 3:
        return f"A correlation needs three operating points; there {'is' if count == 1 else 'are'} {count}."
    scored = observed.values[np.isfinite(observed.values)]
    if len(scored) < 3:
        return (
            f"A correlation needs three operating points with a score; {len(scored)} of the {count} have one."
        )
    known = [p for p in observed.predictors[:-1] if math.isfinite(found[p.name]["spearman"].estimate.value)]
    if not known:
        few = all(observed.there(p).sum() < 3 for p in observed.predictors[:-1])
        if few and np.ptp(scored):
            return "No similarity is finite at three of the points: there is nothing to correlate."
        flat = what if not np.ptp(scored) else "Every similarity"
        return f"{flat} is the same at all points: there is nothing to correlate."
    known.sort(key=lambda p: -found[p.name]["spearman"].estimate.value)
    best, estimate = known[0], found[known[0].name]["spearman"].estimate
    points = found[best.name]["spearman"].points
    if estimate.low is None:
        return f"{points} operating points are too few for an interval: {best.title} has Spearman {in_words(estimate)} with {what}."
    said = verdict(
        {p.title: found[p.name]["spearman"].estimate for p in known},
        {p.title: observed.less(best, p) for p in known[1:]},
        found["rate"]["spearman"].estimate,
        observed.less(best, observed.predictors[-1]),
        goes=f"goes best with {what} over {points} operating points",
        nobody=f"No similarity is sure to go with {what} over {points} operating points",
        rate_alone="the rate alone",
        statistic="Spearman",
    )
    left = {p.title: found[p.name][f"spearman{GIVEN}"].estimate for p in known}
    sure = [f"{title} ({spoken(e)})" for title, e in left.items() if surely_above(e, 0)]
    if sure:
        said += f" At equal rate {listed(sure)} still {'go' if len(sure) > 1 else 'goes'} with it."
    elif all(math.isnan(e.value) for e in left.values()):
        said += " All is in the order of the rate, so there is nothing to see at equal rate."
    else:
        said += f" At equal rate {'none is' if len(left) > 1 else 'it is not'} sure to."
    return said + (f" {points} points are few: read the intervals, not the order." if points < FEW else "")


def verdict(
    estimates: dict[str, Estimate],
    less: dict[str, Estimate],
    of_rate: Estimate,
    less_rate: Estimate,
    *,
    goes: str,
    nobody: str,
    rate_alone: str,
    statistic: str,
    chance: float = 0.0,
) -> str:
    """Who is best, who cannot be told from it, who is surely wrong. estimates: the best's first. less, less_rate: the
    best's less another's, the rate's."""
    best = next(iter(estimates))
    shown = f"{statistic} {spoken(estimates[best])}{f'; chance is {digits(chance)}' if chance else ''}"
    rate_first = f"{rate_alone[0].upper()}{rate_alone[1:]}"
    if not surely_above(estimates[best], chance):
        said = f"{nobody}: {best} is nearest ({shown})."
        said += f" {rate_first} is ({spoken(of_rate)})." if surely_above(of_rate, chance) else ""
    else:
        behind_rate = less_rate.high is not None and less_rate.high < 0
        level = [title for title, e in less.items() if not surely_above(e, 0)]
        level += (
            [rate_alone]
            if not (behind_rate or surely_above(less_rate, 0) or math.isnan(less_rate.value))
            else []
        )
        said = f"{best} {goes} ({shown})"
        said += (
            f"; {listed(level)} cannot be told from it."
            if level
            else "."
            if behind_rate
            else ", ahead of all else."
        )
        if behind_rate:
            said += f" {rate_first} does better ({spoken(of_rate)})."
        elif level and surely_above(less_rate, 0):
            said += f" It is ahead of {rate_alone} ({spoken(of_rate)})."
    wrong = [f"{t} ({spoken(e)})" for t, e in estimates.items() if e.high is not None and e.high < chance]
    return said + (f" Surely the wrong way round: {listed(wrong)}." if wrong else "")


def surely_above(estimate: Estimate, level: float) -> bool:
    return estimate.low is not None and estimate.low > level


def within_answer(within: Losses) -> str:
    best, *others = (name for name in within.found if name != "rate")
    with_rate = "rate" in within.found
    said = verdict(
        {within.titles[name]: within.mean(name).estimate for name in (best, *others)},
        {within.titles[name]: within.less(best, name) for name in others},
        within.mean("rate").estimate if with_rate else UNKNOWN,
        within.less(best, "rate"),
        goes=f"best foretells which samples of an operating point {within.lose}",
        nobody=f"No similarity is sure to foretell which samples of an operating point {within.lose}",
        rate_alone="a sample's own rate",
        statistic=within.statistic,
        chance=0.5 if within.study.group.score.binary else 0.0,
    )
    lost = int(within.mean(best).lost.sum())
    return said + (f" All that rests on {counted(lost, 'sample')}." if lost < FEW else "")


def in_words(estimate: Estimate) -> str:
    """``.62 (.10–.85)``, ``.12 (−.55…+.38)``; nothing for NaN."""
    value, low, high = estimate.value, estimate.low, estimate.high
    if math.isnan(value):
        return ""
    if low is None or high is None:
        return digits(value)
    start, end = ({"1.00": "1", ".00": "0"}.get(text, text) for text in (digits(low), digits(high)))
    return f"{digits(value)} ({start}{'–' if low >= 0 else '…' if high <= 0 else '…+'}{end})"


def spoken(estimate: Estimate) -> str:
    """The same for a sentence, where it stands in brackets itself: ``.62, .10–.85``."""
    return in_words(estimate).replace(" (", ", ").removesuffix(")")


def digits(value: float) -> str:
    """Two of them: .62, −.55, 1.00."""
    text = f"{abs(value):.2f}"
    sign = "−" if value < 0 and float(text) else ""
    return sign + (text[1:] if text.startswith("0") else text)


def listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
