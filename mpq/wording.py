"""How figures are written: rates, scores, changes, and their intervals."""

from __future__ import annotations

import math

from mpq.summary import Group
from mpq.tasks.base import Score
from reports.stats import Estimate


def title(group: Group, *more: str) -> str:
    """A group's, as the head of a section."""
    head = [group.dataset, group.model, group.view, f"{group.samples} samples"]
    return " · ".join(filter(None, [*head, *more]))


def rate(value: float) -> str:
    """A rate to three significant digits."""
    if not math.isfinite(value) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.4f}" if value < 0.1 else f"{value:.3f}" if value < 1 else f"{value:.2f}"


def percent(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f}"
    return f"{100 * estimate.value:.1f} ({100 * estimate.low:.0f}–{100 * estimate.high:.0f})"


def decibels(estimate: Estimate) -> str:
    ends = (f"{v:.1f}".replace("-", "−") for v in (estimate.low, estimate.high) if v is not None)
    return f"{estimate.value:.2f}".replace("-", "−") + (
        f" ({'…'.join(ends)})" if estimate.low is not None else ""
    )


def signed(estimate: Estimate, scale: int = 100) -> str:
    """Points (or dB, of scale 1) with their sign: −5.0 (−15…+5)."""

    value = _step(estimate.value, scale, 1 if scale == 100 else 2)
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({interval(estimate, scale).removeprefix('95 % interval ')})"


def interval(estimate: Estimate, scale: int) -> str:
    if estimate.low is None or estimate.high is None:
        return "no interval"
    digits = 0 if scale == 100 else 1
    low, high = (_step(value, scale, digits) for value in (estimate.low, estimate.high))
    return f"95 % interval {low}…{high}"


def _step(value: float, scale: int, digits: int) -> str:
    text = f"{scale * value:+.{digits}f}".replace("-", "−")
    return text.lstrip("+−") if float(text.replace("−", "-")) == 0 else text


def coloured(estimate: Estimate, score: Score) -> str:
    """``signed``, red for worse or green for better where zero is outside the interval."""
    text, low, high = signed(estimate, score.scale), estimate.low, estimate.high
    if low is None or high is None or low <= 0 <= high:
        return text
    colour = "red" if (estimate.value < 0) != score.lower_is_better else "green"
    return f"[{colour}]{text}[/{colour}]"


def unit(score: Score) -> str:
    """Of differences of the score."""
    return "points" if score.scale == 100 else score.unit


def amount(score: Score, shown: float, digits: int | None = None) -> str:
    """``1 point``, ``2.5 points``, ``0.3 dB``."""
    number = f"{shown:.3g}" if digits is None else f"{shown:.{digits}f}"
    return f"{number} point" if score.scale == 100 and number == "1" else f"{number} {unit(score)}"
