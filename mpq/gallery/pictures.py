"""Originals and decodes side by side: rows of pictures with what the model answers under them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

from PIL import Image

from mpq.gallery.base import TOO_MUCH, Budget, Gallery, own_score
from mpq.gallery.choice import EqualRate, most_lost, telling_and_drawn
from mpq.gallery.recoding import Gone, Material
from mpq.summary import Point
from mpq.wording import rate as shown_rate
from reports.content import Frame, Picture, PictureRow, Pictures

HEIGHT = 160
"""Pixels that pictures are shown high."""

STORED = 2 * HEIGHT
"""Pixels that they are stored high at most, for fine screens: what the smaller classifiers see, and more."""

QUALITY = 88
"""Of the WebP that they are stored as."""

Saying = Callable[[Point, int], tuple[str, Frame]]
"""(point, sample) -> what stands under the picture, and whether it is right."""

NOTE = (
    f"Decodes are stored here at most {STORED} pixels high, as WebP of quality {QUALITY}, so small artefacts are "
    "milder than they are."
)


ROWS = 6


def gallery(material: Material, chosen: EqualRate, points: Sequence[Point], budget: Budget) -> Gallery:
    """For pictures of which no more is known than a score: those that lose most, and some that were drawn."""

    def said(point: Point, sample: int) -> tuple[str, Frame]:
        return own_score(material, point, sample), "none"

    there = material.scored([material.baseline, *chosen.points])
    samples = telling_and_drawn(most_lost(material.group, chosen.points, there), there, ROWS)
    told = {sample: drawn or "loses most" for sample, drawn in samples.items()}
    note = "First those that lose most, then some that were drawn."
    return at_equal_rate(material, chosen, told, said, note, budget)


def at_equal_rate(
    material: Material, chosen: EqualRate, samples: Mapping[int, str], said: Saying, note: str, budget: Budget
) -> Gallery:
    """A row a sample: the original, and what each codec makes of it at about one rate.

    samples: why each is shown.
    """
    points = sorted(chosen.points, key=lambda p: p.spec)
    unit = material.group.rate.title
    strip = f"at about {shown_rate(chosen.rate)} {unit}"
    gallery, rows, gone = Gallery(), [], []
    for sample, why in samples.items():
        if not budget.take_seconds(material, points, sample):
            break
        try:
            lead = original(material, sample, said)
        except Gone as error:
            gone.append(str(error))
            continue
        shown = []
        for point in points:
            try:
                shown.append(decode(material, point, sample, said))
            except Gone as error:
                gone.append(str(error))
        row = PictureRow(title(material, sample, why), lead, {strip: shown})
        if not budget.take_bytes(size(row)):
            break
        rows += [row] if shown else []
    if rows:
        head = f"Each codec's setting nearest to {shown_rate(chosen.rate)} {unit}, {chosen.why}; the rate under a picture is its own."
        gallery.figures.append(
            Pictures("Originals and decodes at equal rate", rows, f"{head} {note} {NOTE}", HEIGHT)
        )
    if samples and not rows and not gone:
        gone.append(TOO_MUCH)
    gallery.gone("Some pictures" if rows else "Pictures", gone)
    return gallery


def original(material: Material, sample: int, said: Saying) -> Picture:
    """Raises Gone."""
    caption, frame = said(material.baseline, sample)
    name = f"{material.name(sample)}, original"
    subtitle = f"original, {rate_of(material, material.baseline, sample)}"
    return Picture(thumbnail(material.original(sample).image), name, caption, subtitle, frame)


def decode(material: Material, point: Point, sample: int, said: Saying) -> Picture:
    """Raises Gone."""
    caption, frame = said(point, sample)
    name = f"{material.name(sample)} through {point.spec}"
    subtitle = f"{point.spec}, {rate_of(material, point, sample)}"
    return Picture(thumbnail(material.decoded(point, sample).image), name, caption, subtitle, frame)


def small(image: Image.Image) -> Image.Image:
    """At most ``STORED`` pixels high and twice as wide."""
    scale = min(STORED / image.height, 2 * STORED / image.width, 1)
    if scale == 1:
        return image
    return image.resize((max(1, round(scale * image.width)), max(1, round(scale * image.height))))


def thumbnail(image: Image.Image) -> bytes:
    file = io.BytesIO()
    small(image).save(file, "WEBP", quality=QUALITY)
    return file.getvalue()


def title(material: Material, sample: int, why: str) -> str:
    return " · ".join(filter(None, (material.name(sample), why)))


def size(row: PictureRow) -> int:
    """Bytes of its pictures."""
    shown = [picture for strip in row.strips.values() for picture in strip]
    return sum(len(picture.file) for picture in [*([row.lead] if row.lead else []), *shown])


def rate_of(material: Material, point: Point, sample: int) -> str:
    """The sample's own, in words."""
    return f"{shown_rate(material.rate(point, sample))} {material.group.rate.title}"
