"""Classification: what the classes become, which answers change first, and which classes lose."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from mpq.gallery.base import Budget, Gallery
from mpq.gallery.choice import EqualRate, telling_and_drawn
from mpq.gallery.classes import class_losses
from mpq.gallery.pictures import HEIGHT, at_equal_rate, decode, original, size, title
from mpq.gallery.recoding import Gone, Material
from mpq.summary import Point
from mpq.wording import counted
from mpq.wording import rate as shown_rate
from reports.content import Frame, PictureRow, Pictures

ROWS = 6


def gallery(material: Material, chosen: EqualRate, points: Sequence[Point], budget: Budget) -> Gallery:
    """points: that may be shown, at least one."""
    answers = Answers(material)
    half = budget.split(0.55)
    order = sorted(changed := answers.changed(chosen.points), key=lambda i: -changed[i])
    of = counted(len(chosen.points), "codec")
    samples = telling_and_drawn(order, answers.there(chosen.points), ROWS)
    said = {i: answers.about(i, drawn or f"changed by {changed[i]} of {of}") for i, drawn in samples.items()}
    picked = "First those whose answer is changed by most codecs, then some that were drawn."
    made = at_equal_rate(material, chosen, said, answers.said, f"{picked} {answers.legend}", half)
    budget.bytes, budget.seconds = budget.bytes + half.bytes, budget.seconds + half.seconds
    made.add(_first_to_change(material, points, answers, budget))
    made.add(class_losses(material, chosen, points, answers.title))
    if answers.lacking:
        made.notes.append(f"Classes are shown as numbers: {answers.lacking}.")
    return made


class Answers:
    """What the model answered, in words."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self.labelled = material.group.score.key == "top1"
        self.lacking = ""

    def title(self, index: int) -> str:
        return self._titles[index] if self._titles is not None else f"class {index}"

    def said(self, point: Point, sample: int) -> tuple[str, Frame]:
        """The row's prediction with its probability. Right: the label; without labels, the answer on the original."""
        row = self.material.row(point, sample)
        right = row["top1"] if self.labelled else None if point.is_baseline else row["agreement"]
        share = row["top5_probabilities"][0]
        frame: Frame = "none" if right is None else "right" if right else "wrong"
        return f"{self.title(row['prediction'])} {100 * share:.0f} %", frame

    def about(self, sample: int, why: str) -> str:
        """What is right, and why it is shown."""
        label = self.material.row(self.material.baseline, sample)["label"]
        return " · ".join(filter(None, ("" if label is None else f"label {self.title(label)}", why)))

    @property
    def legend(self) -> str:
        return f"✓ is {'the label' if self.labelled else 'the answer on the original'}, ✗ another class."

    def there(self, points: Sequence[Point]) -> list[int]:
        """Samples that were answered on the original and at all of ``points``."""
        return self.material.scored([self.material.baseline, *points])

    def changed(self, points: Sequence[Point]) -> dict[int, int]:
        """Sample -> at how many of ``points`` its answer is another than on the original; those with any."""
        counts = np.sum([1 - self.material.values(point, "agreement") for point in points], axis=0)
        return {i: int(counts[i]) for i in self.there(points) if counts[i]}

    @cached_property
    def _titles(self) -> list[str] | None:
        try:
            labels = self.material.model.labels
        except Gone as error:
            self.lacking = str(error)
            return None
        return [labels.title(index) for index in range(len(labels))]


def _first_to_change(
    material: Material, points: Sequence[Point], answers: Answers, budget: Budget
) -> Gallery:
    """The samples whose answer changes at the highest rates, and the step of the ladder at which it does."""
    first: dict[int, Point] = {}
    changes: dict[int, int] = {}
    for point in sorted(points, key=lambda p: -p.rate.value):
        for sample in answers.changed([point]):
            first.setdefault(sample, point)
            changes[sample] = changes.get(sample, 0) + 1
    # Of those that change at the same setting, the ones that change at most others.
    order = sorted(first, key=lambda i: (-first[i].rate.value, -changes[i], i))
    rows, gone, unit = [], [], material.group.rate.title
    for sample in order[:ROWS]:
        point = first[sample]
        steps = [*_step_above(material, point, sample), point]
        if not budget.take_seconds(material, steps, sample):
            break
        try:
            lead = original(material, sample, answers.said)
            shown = [decode(material, step, sample, answers.said) for step in steps]
        except Gone as error:
            gone.append(str(error))
            continue
        why = f"changed at {changes[sample]} of {counted(len(points), 'setting')}"
        strip = f"{point.codec} at {shown_rate(point.rate.value)} {unit}"
        row = PictureRow(title(material, sample, answers.about(sample, why)), lead, {strip: shown})
        if not budget.take_bytes(size(row)):
            break
        rows.append(row)
    made = Gallery()
    if rows:
        note = (
            f"Of {counted(len(first), 'sample')} whose answer changes at any setting, those for which it does so at the highest "
            f"rate, behind the codec's next setting of more bits, where there is one. {answers.legend}"
        )
        made.figures.append(Pictures("Answers that change first", rows, note, HEIGHT))
    elif not first:
        made.notes.append("No answer changes at any setting.")
    made.gone("Some pictures" if rows else "Pictures", gone)
    return made


def _step_above(material: Material, point: Point, sample: int) -> list[Point]:
    """The codec's next setting of more bits, if the sample was answered there."""
    higher = [p for p in material.group.ladder(point.codec) if p.rate.value > point.rate.value]
    return [p for p in higher[:1] if material.row(p, sample)["error"] is None]
