"""What single classes lose."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from mpq.gallery.base import Gallery
from mpq.gallery.choice import EqualRate
from mpq.gallery.recoding import Material
from mpq.summary import Group, Point
from mpq.wording import amount, counted
from mpq.wording import rate as shown_rate
from reports.content import Dot, Dots

ENOUGH = 10
"""Samples of a class from which on its score at one setting is shown: one answer then weighs at most 10 points."""

SHOWN = 24
"""Classes, those that lose most."""


def class_losses(
    material: Material, chosen: EqualRate, points: Sequence[Point], title: Callable[[int], str]
) -> Gallery:
    """Top-1 of each class at about one rate; where classes have too few samples, over whole ladders instead.

    title: of a label. Nothing where there are no labels.
    """
    baseline = material.baseline
    if material.group.score.key != "top1":
        return Gallery()
    labels = material.values(baseline, "label")
    classes, counts = np.unique(labels[np.isfinite(labels)].astype(int), return_counts=True)
    enough = classes[counts >= ENOUGH]
    if len(enough) < 2 and len(classes) > SHOWN:
        few = f"they have {counted(int(counts.max()), 'sample')} at most, where {ENOUGH} are wanted"
        few = f"only one has {ENOUGH} samples or more" if len(enough) else few
        return Gallery(notes=[f"Losses of single classes are not shown: {few}."])
    if len(enough) >= 2:
        at = sorted(chosen.points, key=lambda p: p.spec)
        columns = {"original": [baseline]} | {p.spec: [p] for p in at}
        weight = 100 / counts[counts >= ENOUGH].min()
        most = amount(material.group.score, weight, 0 if weight > 1 else 1)
        note = f"{_nearest(chosen, material.group)} {_extent(len(enough))}One answer weighs up to {most}."
        if left_out := len(classes) - len(enough):
            few = "1 class" if left_out == 1 else f"{left_out} classes"
            note += f" {few} of fewer than {ENOUGH} samples {'is' if left_out == 1 else 'are'} left out."
        heading = "What each class loses"
    else:
        codecs = sorted({p.codec for p in chosen.points})
        columns = {"original": [baseline]} | {c: [p for p in points if p.codec == c] for c in codecs}
        few = (
            f"Only one class has the {ENOUGH} samples or more that its loss at one setting takes."
            if len(enough)
            else f"The classes have {counted(int(counts.max()), 'sample')} at most, too few for a class's loss at one "
            f"setting ({ENOUGH} are wanted)."
        )
        note = (
            f"{few} So each value is over all settings of a codec: it tells which classes are frail, and hangs on "
            "which settings were tried."
        )
        enough, heading = classes, "Which classes are frail"
    right = [_right(material, at_these, labels, enough) for at_these in columns.values()]
    items = [
        Dot(title(int(c)), (100 * row).tolist()) for c, row in zip(enough, np.stack(right, 1), strict=True)
    ]
    items.sort(key=_loss)
    return Gallery([Dots(heading, "right answers %", list(columns), items[:SHOWN], note)])


def class_scores(group: Group, chosen: EqualRate) -> Gallery:
    """Each class's intersection over union at about one rate; nothing where no masks are known."""
    baseline = group.baseline
    if baseline is None or not baseline.parts:
        return Gallery()
    at = [p for p in sorted(chosen.points, key=lambda p: p.spec) if p.parts]
    items = [
        Dot(name, [100 * value, *(100 * p.parts.get(name, math.nan) for p in at)])
        for name, value in baseline.parts.items()
        if math.isfinite(value)
    ]
    items.sort(key=_loss)
    note = f"{_nearest(chosen, group)} {_extent(len(items))}".strip()
    names = ["original", *(p.spec for p in at)]
    return Gallery([Dots("What each class loses", "IoU %", names, items[:SHOWN], note)])


def _right(
    material: Material, points: Sequence[Point], labels: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    """(classes,) the share of right answers of each at ``points``; NaN where there are none."""
    right, answers = np.zeros(len(classes)), np.zeros(len(classes))
    for point in points:
        top1 = material.values(point, "top1")
        there = np.isfinite(top1) & np.isin(labels, classes)
        place = np.searchsorted(classes, labels[there])
        right += np.bincount(place, top1[there], minlength=len(classes))
        answers += np.bincount(place, minlength=len(classes))
    return np.divide(right, answers, out=np.full(len(classes), np.nan), where=answers > 0)


def _loss(item: Dot) -> tuple[float, float]:
    """Sorts what loses most first, and of equals what was least to begin with."""
    before, *after = item.values
    left = [value for value in after if math.isfinite(value)]
    return (sum(left) / len(left) - before if left else 0.0, before)


def _nearest(chosen: EqualRate, group: Group) -> str:
    return f"Each codec's setting nearest to {shown_rate(chosen.rate)} {group.rate.title}."


def _extent(count: int) -> str:
    return f"The {SHOWN} of {count} classes that lose most. " if count > SHOWN else ""
