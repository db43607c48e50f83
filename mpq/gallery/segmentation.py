"""Segmentation: masks laid over pictures, the true one, the original's and each decode's."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from mpq.errors import UserError
from mpq.gallery.base import TOO_MUCH, Budget, Gallery
from mpq.gallery.choice import EqualRate, most_lost, telling_and_drawn
from mpq.gallery.classes import class_scores
from mpq.gallery.pictures import decode, original, size, small, thumbnail, title
from mpq.gallery.recoding import Gone, Material
from mpq.models.segmentation.labels import matching
from mpq.samples import ImageSample, SampleError
from mpq.summary import Point
from mpq.tasks.segmentation import Mask
from mpq.wording import rate as shown_rate
from reports.content import Frame, Picture, PictureRow, Pictures

ROWS = 4

OPACITY = 0.6
"""Of a mask over its picture."""

HEIGHT = 128
"""Pixels that pictures are shown high: five stand side by side."""

COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442",
    "#7b3294", "#a6d854", "#8c510a", "#fb9a99",
)  # fmt: skip
"""Of the classes with most pixels. The first seven are told apart by the colour-blind too (Okabe and Ito 2008)."""

NAMED = 16
"""Classes that the key names, those with most pixels."""

NO_CLASS = "none of the data set's"


class Layer(NamedTuple):
    """A picture and a mask for it, as small as they are shown. indices: (h, w) into ``classes``, −1 where nothing is
    known."""

    image: Image.Image
    indices: np.ndarray
    classes: tuple[str, ...]

    @classmethod
    def of(cls, picture: ImageSample, indices: np.ndarray, classes: tuple[str, ...]) -> Layer:
        image = small(picture.image)
        rows = (np.arange(image.height) + 0.5) * len(indices) / image.height
        columns = (np.arange(image.width) + 0.5) * indices.shape[1] / image.width
        return cls(image, indices[np.ix_(rows.astype(int), columns.astype(int))], classes)

    @property
    def areas(self) -> Counter[str]:
        places, counts = np.unique(self.indices[self.indices >= 0], return_counts=True)
        return Counter({self.classes[i]: int(n) for i, n in zip(places, counts, strict=True)})

    def laid(self, colours: dict[str, str]) -> bytes:
        """The mask over the picture."""
        table = np.array([_rgb(colours.get(name, "#000000")) for name in self.classes])
        pixels = np.asarray(self.image, dtype=np.float32)
        mixed = (1 - OPACITY) * pixels + OPACITY * table[self.indices]
        mixed = np.where((self.indices >= 0)[..., None], mixed, pixels)
        return thumbnail(Image.fromarray(np.rint(mixed).astype(np.uint8)))

    @property
    def mostly(self) -> str:
        return "mostly " + ", ".join(name for name, _ in self.areas.most_common(3))


class Segmented(NamedTuple):
    """A sample. pictures: the original and its decodes. truth: None where it is not known. answers: on the original,
    and at each of the points."""

    sample: int
    why: str
    pictures: list[Picture]
    truth: Layer | None
    answers: list[tuple[Point, Layer]]

    @property
    def areas(self) -> Counter[str]:
        layers = [layer for _, layer in self.answers] + ([self.truth] if self.truth else [])
        return sum((layer.areas for layer in layers), Counter[str]())


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
                found.append(masks.of(sample, shown, why or "loses most"))
            except Gone as error:
                gone.append(str(error))
    except Gone as error:
        gone.append(str(error))
    areas = sum((one.areas for one in found), Counter[str]())
    colours = dict(zip([name for name, _ in areas.most_common()], _palette(len(areas)), strict=True))
    if NO_CLASS in colours:
        colours[NO_CLASS] = "#808080"
    strip = f"at about {shown_rate(chosen.rate)} {material.group.rate.title}"
    rows = []
    for one in found:
        answers = [_answer(material, one.sample, *answer, colours) for answer in one.answers]
        lead = _truth(material, one.sample, one.truth, colours) if one.truth else None
        strips = {strip: one.pictures, "answers": answers}
        row = PictureRow(title(material, one.sample, one.why), lead, strips)
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
    if samples and not rows and not gone:
        gone.append(TOO_MUCH)
    made.gone("Some masks" if rows else "Masks", gone)
    made.add(class_scores(material.group, chosen))
    return made


class Masks:
    """The group's model, asked again. Raises Gone."""

    def __init__(self, material: Material) -> None:
        self.material = material
        try:
            self.model = material.model.on("cpu")
        except UserError as error:
            raise Gone(str(error)) from None

    def of(self, sample: int, points: Sequence[Point], why: str) -> Segmented:
        """Raises Gone."""
        material = self.material
        try:
            truth = material.task.truth(material.dataset, material.source(sample))
        except (SampleError, OSError) as error:
            raise Gone(f"{material.name(sample)}: {error}") from None
        whole = material.original(sample)
        pictures = [original(material, sample, _nothing)]
        answers = [(material.baseline, self._layer(whole, truth))]
        for point in points:
            pictures.append(decode(material, point, sample, _nothing))
            answers.append((point, self._layer(material.decoded(point, sample), truth)))
        return Segmented(sample, why, pictures, _true(whole, truth), answers)

    def _layer(self, picture: ImageSample, truth: Mask | None) -> Layer:
        """The model's answer, in the truth's classes where there are such. Raises Gone."""
        task = self.material.task
        try:
            (answer,) = task.answers(self.model, [task.prepared(self.model, picture)])
        except Exception as error:  # memory, say, as in a sweep
            raise Gone(f"{self.model.name} cannot answer here: {type(error).__name__}") from None
        if truth is None:
            return Layer.of(picture, answer.indices, answer.classes)
        meant = matching(answer.classes, truth.classes).astype(int)
        meant = np.minimum(meant, len(truth.classes))  # what the data set does not have
        return Layer.of(picture, meant[answer.indices], (*truth.classes, NO_CLASS))


def _true(picture: ImageSample, truth: Mask | None) -> Layer | None:
    if truth is None:
        return None
    indices = truth.indices.astype(int)
    return Layer.of(picture, np.where(indices == truth.ignored, -1, indices), truth.classes)


def _truth(material: Material, sample: int, layer: Layer, colours: dict[str, str]) -> Picture:
    return Picture(layer.laid(colours), f"{material.name(sample)}, true mask: {layer.mostly}", "truth")


def _answer(material: Material, sample: int, point: Point, layer: Layer, colours: dict[str, str]) -> Picture:
    whole = point is material.baseline
    alt = f"{material.name(sample)}, answer on {'the original' if whole else point.spec}: {layer.mostly}"
    said = _pixels(material, point, sample)
    return Picture(layer.laid(colours), alt, said, "original" if whole else point.spec)


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
