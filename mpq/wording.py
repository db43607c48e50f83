"""How figures are written: rates, scores, changes, and their intervals."""

from __future__ import annotations

import math

from mpq.summary import Group
from mpq.tasks.base import Score
from reports.stats import Estimate

WIDE, NARROW = 2, 0.2
"""Points (or tenths of a dB) that an interval spans above and below which its ends take no more, and two more decimals."""


def title(group: Group, *more: str) -> str:
    """A group's, as the head of a section."""
    head = [group.dataset, group.model, group.view, counted(group.samples, "sample")]
    return " · ".join(filter(None, [*head, *more]))


def counted(count: int, noun: str) -> str:
    """``1 sample``, ``2,000 samples``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def rate(value: float) -> str:
    """A rate to three significant digits."""
    if not math.isfinite(value) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.4f}" if value < 0.1 else f"{value:.3f}" if value < 1 else f"{value:.2f}"


def percent(estimate: Estimate) -> str:
    """``90.0 (75–100)``; of a narrow interval ``99.71 (99.66–99.75)``."""
    digits = decimals(estimate, 100)
    value = f"{100 * estimate.value:.{max(1, digits)}f}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({100 * estimate.low:.{digits}f}–{100 * estimate.high:.{digits}f})"


def decibels(estimate: Estimate) -> str:
    """``5.21 (4.9…5.6)``"""
    digits = decimals(estimate, 1)
    ends = [f"{v:.{digits}f}" for v in (estimate.low, estimate.high) if v is not None]
    text = f"{estimate.value:.{max(2, digits)}f}" + (f" ({'…'.join(ends)})" if ends else "")
    return text.replace("-", "−")


def signed(estimate: Estimate, scale: int = 100) -> str:
    """Points (or dB, of scale 1) with their sign: −5.0 (−15…+5)."""
    value = _step(estimate.value, scale, max(1 if scale == 100 else 2, decimals(estimate, scale)))
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({interval(estimate, scale).removeprefix('95 % interval ')})"


def interval(estimate: Estimate, scale: int) -> str:
    if estimate.low is None or estimate.high is None:
        return "no interval"
    low, high = (_step(value, scale, decimals(estimate, scale)) for value in (estimate.low, estimate.high))
    return f"95 % interval {low}…{high}"


def decimals(estimate: Estimate, scale: int) -> int:
    """Of an interval's ends: as many as tell them apart and show the value between them."""
    usual = 0 if scale == 100 else 1
    if estimate.low is None or estimate.high is None:
        return usual
    width = scale * (estimate.high - estimate.low) * 10**usual
    if width < 1e-9:  # of no width: those of the value, as no number of them tells the ends apart
        return usual + 1
    return usual + (0 if width > WIDE else 1 if width >= NARROW else 2)


def _step(value: float, scale: int, digits: int) -> str:
    text = f"{scale * value:+.{digits}f}".replace("-", "−")
    return text.lstrip("+−") if float(text.replace("−", "-")) == 0 else text


def coloured(estimate: Estimate, score: Score) -> str:
    """``signed``, red for worse or green for better where zero is outside the interval."""
    text = signed(estimate, score.scale)
    if not one_sided(estimate):
        return text
    colour = "red" if (estimate.value < 0) != score.lower_is_better else "green"
    return f"[{colour}]{text}[/{colour}]"


def one_sided(estimate: Estimate) -> bool:
    """Whether there is an interval, and all of it is on one side of 0."""
    low, high = estimate.low, estimate.high
    return low is not None and high is not None and (low > 0 or high < 0)


def unit(score: Score) -> str:
    """Of differences of the score."""
    return "points" if score.scale == 100 else score.unit


def amount(score: Score, shown: float, digits: int | None = None) -> str:
    """``1 point``, ``2.5 points``, ``0.3 dB``."""
    number = f"{shown:.3g}" if digits is None else f"{shown:.{digits}f}"
    return f"{number} point" if score.scale == 100 and number == "1" else f"{number} {unit(score)}"
