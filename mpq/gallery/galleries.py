"""The galleries of a run, group by group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mpq.gallery import classification, pictures, segmentation, sound
from mpq.gallery.base import BYTES, SECONDS, Budget, Gallery
from mpq.gallery.choice import EqualRate, equal_rate
from mpq.gallery.recoding import Material, materials
from mpq.store import Store
from mpq.summary import Group, Point
from reports.content import Section

Maker = Callable[[Material, EqualRate, Sequence[Point], Budget], Gallery]

OF_TASKS: dict[str, Maker] = {
    "classification": classification.gallery,
    "segmentation": segmentation.gallery,
}
"""For tasks whose answers are shown in a way of their own."""

OF_KINDS: dict[str, Maker] = {"image": pictures.gallery, "audio": sound.gallery}
"""For all others, by what they code."""

WITHOUT = ("reid",)
"""Its gallery is a search's: ``reid`` has pages of its own."""


def galleries(
    store: Store, groups: list[Group], *, max_drop: float = 1.0, max_failures: float = 0.01
) -> list[Gallery]:
    """A gallery a group, in their order: pictures and sounds are read and coded again, a few of them.

    groups: of all of the store's cells, with the confidence of ``max_drop`` (see ``summarize``). Nothing is raised for
    what cannot be had any more: a gallery then has a note. Together they stay within ``BYTES``.
    """
    budget = BYTES // max(1, sum(group.task not in WITHOUT for group in groups))
    return [
        _gallery(material, max_drop, max_failures, Budget(budget, SECONDS))
        if material.group.task not in WITHOUT
        else Gallery()
        for material in materials(store, groups)
    ]


def with_galleries(sections: Sequence[Section], galleries: Sequence[Gallery]) -> list[Section]:
    """A section a group -> the same with its gallery's figures behind its own."""
    return [
        replace(section, figures=[*section.figures, *gallery.figures], notes=[*section.notes, *gallery.notes])
        for section, gallery in zip(sections, galleries, strict=True)
    ]


def _gallery(material: Material, max_drop: float, max_failures: float, budget: Budget) -> Gallery:
    group = material.group
    points = [p for p in material.points if not p.too_many_failures(max_failures)]
    if group.baseline is None or not group.baseline.samples or not points:
        return Gallery()
    chosen = equal_rate(group, points, max_drop, max_failures)
    make = OF_TASKS.get(group.task) or OF_KINDS[group.medium.kind]
    return make(material, chosen, points, budget)
