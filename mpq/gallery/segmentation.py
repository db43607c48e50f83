"""Segmentation: masks laid over pictures, the true one, the original's and each decode's."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from mpq.gallery.base import Budget, Gallery
from mpq.gallery.choice import EqualRate, most_lost, telling_and_drawn
from mpq.gallery.classes import class_scores
from mpq.gallery.pictures import HEIGHT, decode, original, rate_of, size, thumbnail, title
from mpq.gallery.recoding import Gone, Material
from mpq.models.segmentation.labels import matching
from mpq.report import rate as shown_rate
from mpq.samples import SampleError
from mpq.summary import Point
from mpq.tasks.segmentation import Mask
from reports.content import Frame, Picture, PictureRow, Pictures

ROWS = 4

OPACITY = 0.6
"""Of a mask over its picture."""

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442")
"""Of the classes with most pixels, told apart by the colour-blind too (Okabe and Ito 2008)."""

NAMED = 16
"""Classes that the key names, those with most pixels."""

NO_CLASS = "none of the data set's"


class Layer(NamedTuple):
    """names: (h, w) indices into ``classes`` of what each pixel is taken for, −1 where nothing is known."""

    indices: np.ndarray
    classes: tuple[str, ...]

    @property
    def areas(self) -> Counter[str]:
        places, counts = np.unique(self.indices[self.indices >= 0], return_counts=True)
        return Counter({self.classes[i]: int(n) for i, n in zip(places, counts, strict=True)})

    def over(self, image: Image.Image, colours: dict[str, str]) -> Image.Image:
        table = np.array([_rgb(colours[name]) if name in colours else (0, 0, 0) for name in self.classes])
        pixels = np.asarray(image, dtype=np.float32)
        mixed = (1 - OPACITY) * pixels + OPACITY * table[self.indices]
        mixed = np.where((self.indices >= 0)[..., None], mixed, pixels)
        return Image.fromarray(np.rint(mixed).astype(np.uint8))


class Segmented(NamedTuple):
    """layers: what is laid over the picture, the original's or of the point beside it; the truth's point is None."""

    sample: int
    why: str
    layers: list[tuple[str, Point | None, Layer]]


def gallery(material: Material, chosen: EqualRate, points: Sequence[Point], budget: Budget) -> Gallery:
    shown = sorted(chosen.points, key=lambda p: p.spec)
    there = material.scored([material.baseline, *shown])
    samples = telling_and_drawn(most_lost(material.group, shown, there), there, ROWS)
    made, found, gone = Gallery(), [], []
    try:
        masks = Masks(material)
        for sample, why in samples.items():
            if not budget.take_seconds(material, shown, sample):
                break
            try:
                found.append(Segmented(sample, why or "loses most", masks.of(sample, shown)))
            except Gone as error:
                gone.append(str(error))
    except Gone as error:
        gone.append(str(error))
    areas = sum((layer.areas for one in found for _, _, layer in one.layers), Counter[str]())
    colours = dict(zip([name for name, _ in areas.most_common()], _palette(len(areas)), strict=True))
    if NO_CLASS in colours:
        colours[NO_CLASS] = "#808080"
    strip = f"decodes at about {shown_rate(chosen.rate)} {material.group.rate.title}"
    rows = []
    for one in found:
        lead = original(material, one.sample, _nothing)
        decodes = [decode(material, point, one.sample, _nothing) for point in shown]
        laid = [_laid(material, one.sample, *layer, colours) for layer in one.layers]
        row = PictureRow(title(material, one.sample, one.why), lead, {strip: decodes, "masks": laid})
        if not budget.take_bytes(size(row)):
            break
        rows.append(row)
    if rows:
        key = {name: colours[name] for name, _ in areas.most_common(NAMED)}
        note = (
            f"Each codec's setting nearest to {shown_rate(chosen.rate)} {material.group.rate.title}, {chosen.why}. "
            "First the pictures that lose most, then some that were drawn. Pixels that are not scored keep the "
            "picture's colour."
        )
        if len(areas) > NAMED:
            note += f" The key names the {NAMED} classes with most pixels."
        made.figures.append(Pictures("Masks at equal rate", rows, note, HEIGHT, key))
    made.gone("Some masks" if rows else "Masks", gone)
    made.add(class_scores(material.group, chosen))
    return made


class Masks:
    """The group's model, asked again. Raises Gone."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self.model = material.model.on("cpu")

    def of(self, sample: int, points: Sequence[Point]) -> list[tuple[str, Point | None, Layer]]:
        """The truth where it is known, the answer on the original, and on each decode. Raises Gone."""
        material = self.material
        try:
            truth = material.task.truth(material.dataset, material.source(sample))
        except (SampleError, OSError) as error:
            raise Gone(f"{material.name(sample)}: {error}") from None
        baseline = material.baseline
        pictures = [material.original(sample), *(material.decoded(point, sample) for point in points)]
        layers: list[tuple[str, Point | None, Layer]] = []
        if truth is not None:
            layers.append(("truth", None, _true(truth)))
        for point, picture in zip([baseline, *points], pictures, strict=True):
            name = "original" if point is baseline else point.spec
            layers.append((name, point, self._layer(picture, truth)))
        return layers

    def _layer(self, picture: object, truth: Mask | None) -> Layer:
        task = self.material.task
        (answer,) = task.answers(self.model, [task.prepared(self.model, picture)])
        if truth is None:
            return Layer(answer.indices.astype(int), answer.classes)
        meant = matching(answer.classes, truth.classes).astype(int)
        meant[meant >= len(truth.classes)] = len(truth.classes)
        return Layer(meant[answer.indices], (*truth.classes, NO_CLASS))


def _true(truth: Mask) -> Layer:
    indices = truth.indices.astype(int)
    return Layer(np.where(indices == truth.ignored, -1, indices), (*truth.classes, NO_CLASS))


def _laid(
    material: Material, sample: int, name: str, point: Point | None, layer: Layer, colours: dict[str, str]
) -> Picture:
    is_decode = point is not None and not point.is_baseline
    picture = (
        material.decoded(point, sample) if point is not None and is_decode else material.original(sample)
    )
    said = _pixels(material, point, sample) if point is not None else "truth"
    subtitle = f"{name} · {rate_of(material, point, sample)}" if is_decode and point is not None else name
    seen = ", ".join(name for name, _ in layer.areas.most_common(3))
    alt = f"{material.name(sample)}, mask of {'the ' if point is None or not is_decode else ''}{name}: mostly {seen}"
    return Picture(
        thumbnail(layer.over(picture.image, colours)), alt, said, "" if point is None else subtitle
    )


def _pixels(material: Material, point: Point, sample: int) -> str:
    """What the row says of the mask."""
    row = material.row(point, sample)
    if row["labelled"]:
        return f"{100 * row['correct'] / row['labelled']:.1f} % of pixels right"
    return f"{100 * row['own_correct'] / row['own_labelled']:.1f} % of pixels as on the original"


def _nothing(point: Point, sample: int) -> tuple[str, Frame]:
    return "", "none"


def _palette(count: int) -> list[str]:
    """Colours from most pixels to fewest; after the first, hues a golden section apart."""
    more = range(len(COLOURS), count)
    hues = [colorsys.hls_to_rgb(0.618034 * i % 1, 0.4 + 0.25 * (i % 2), 0.6) for i in more]
    made = [f"#{round(255 * r):02x}{round(255 * g):02x}{round(255 * b):02x}" for r, g, b in hues]
    return [*COLOURS, *made][:count]


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
