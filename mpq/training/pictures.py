"""Crops of a folder's pictures, drawn so that a step's crops depend on the seed and the step alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mpq.errors import UserError
from mpq.samples import SampleError, read_image

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff"}
KEPT = 2048
"""Decoded pictures held in memory: about a gigabyte of half-megapixel ones."""


@dataclass(frozen=True)
class Pictures:
    """Files to train on. held_out: a few that no step sees, for progress. unusable: broken or too small."""

    training: list[Path]
    held_out: list[Path]
    unusable: list[Path]


def gather(folders: Sequence[Path], crop: int, held_out: int, seed: int) -> Pictures:
    """All pictures under ``folders`` whose sides are at least ``crop``. Raises UserError where none is."""
    found: list[Path] = []
    unusable: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"'{folder}' is not a folder of pictures")
    # None twice, whatever folders lie in each other: a held-out picture must not be trained on.
    every = dict.fromkeys(p.resolve() for folder in folders for p in sorted(folder.rglob("*")))
    for path in every:
        if path.suffix.lower() in SUFFIXES:
            try:
                with Image.open(path) as image:
                    (found if min(image.size) >= crop else unusable).append(path)
            except (OSError, ValueError, Image.DecompressionBombError):
                unusable.append(path)
    if len(found) <= held_out:
        raise UserError(
            f"{', '.join(map(repr, map(str, folders)))}: {len(found)} pictures of at least {crop} × {crop}; "
            f"training needs more than the {held_out} that are held out"
        )
    order = np.random.default_rng(seed).permutation(len(found))
    ranked = [found[i] for i in order]
    return Pictures(ranked[held_out:], ranked[:held_out], unusable)


@lru_cache(maxsize=KEPT)
def _image(path: Path) -> Image.Image | None:
    try:
        return read_image(path.read_bytes()).image
    except (OSError, SampleError):
        return None


def whole(path: Path) -> torch.Tensor | None:
    """(1, 3, h, w) in [0, 1]; None where the file turns out to be broken."""
    image = _image(path)
    return None if image is None else _tensor(image)[None]


def crops(paths: list[Path], count: int, crop: int, seed: int, step: int) -> torch.Tensor:
    """(count, 3, crop, crop) in [0, 1]: random places, scales from the picture's own down to a half, mirrorings."""
    random = np.random.default_rng([seed, step])
    taken: list[torch.Tensor] = []
    broken = 0
    while len(taken) < count:
        image = _image(paths[random.integers(len(paths))])
        if image is None or min(image.size) < crop:
            broken += 1
            if broken > 100 + 10 * count:
                raise UserError("nearly all pictures have whole headers and broken bodies")
            continue
        side = crop * random.uniform(1.0, min(2.0, min(image.size) / crop))
        left, top = (random.uniform(0, length - side) for length in image.size)
        if side < 1.15 * crop:  # as it is: some must keep the camera's own sharpness
            left, top, side = int(left), int(top), crop
        piece = image.resize((crop, crop), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
        if random.random() < 0.5:
            piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        taken.append(_tensor(piece))
    return torch.stack(taken)


def _tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div_(255)
