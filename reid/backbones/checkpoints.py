"""What published re-identification checkpoints do not say of themselves, and how it is read out of their shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mpq.errors import UserError
from reid.backbones.preprocessing import OPTIONS, choice, size_of

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

SIE = "sie"
CAMERA_OPTIONS: dict[str, str] = {
    SIE: "camera embeddings: own (each crop's), mean (of all) or none",
    "sie_weight": "what they are multiplied with",
    "views": "viewpoints that each camera's embedding is held for; their mean is taken",
}
TRANSFORMER_OPTIONS: dict[str, str] = {
    **OPTIONS,
    **CAMERA_OPTIONS,
    "stride": "pixels from patch to patch",
    "neck": "features before or after the batch norm",
}

Camera = Literal["own", "mean", "none"]

_PATCH = 16
_SIZES = ((256, 128), (384, 128), (256, 256), (224, 224))  # people, tall people, vehicles, ImageNet
_STRIDES = (16, 12, 11)
_VERI = 160
"""Embeddings of a checkpoint for VeRi: 20 cameras of 8 viewpoints each."""


def without(tensors: Tensors, extras: str) -> Tensors:
    """``tensors`` less those whose whole name is matched by the pattern of known extras."""
    return {key: value for key, value in tensors.items() if not re.fullmatch(extras, key)}


def positions_of(positions: torch.Tensor | None, ndim: int, path: Path, what: str) -> tuple[int, int]:
    """Of position embeddings (…, 1 + places, width): places and width, which must be a multiple of a head's 64."""
    if positions is None or positions.ndim != ndim or positions.shape[-1] % 64 or 0 in positions.shape:
        raise UserError(f"{path} is no checkpoint of {what}: it has not its position embeddings")
    return positions.shape[-2] - 1, positions.shape[-1]


def geometry(places: int, options: Mapping[str, str], spec: str) -> tuple[tuple[int, int], int]:
    """How many patches there are -> (height, width) of pictures and the stride, of the published ones or as told."""
    sizes = [size_of(options["size"], spec)] if "size" in options else _SIZES
    strides = [whole_number(options["stride"], "stride", spec)] if "stride" in options else _STRIDES
    for size in sizes:
        for stride in strides:
            rows, columns = ((side - _PATCH) // stride + 1 for side in size)
            if rows * columns == places and min(rows, columns) > 0:
                return size, stride
    raise UserError(
        f"{spec} has {places} patches, which is none of the sizes and strides that "
        f"{'were given' if options.keys() & {'size', 'stride'} else 'are usual'}: give size=HEIGHTxWIDTH and stride=N"
    )


@dataclass(frozen=True)
class Cameras:
    """own: (cameras, …) embeddings where each crop takes its camera's. shared: (…) where all take their mean.

    weight: what they are multiplied with.
    """

    own: torch.Tensor | None
    shared: torch.Tensor | None
    weight: float

    @property
    def count(self) -> int:
        return 0 if self.own is None else len(self.own)

    def __str__(self) -> str:
        if self.own is not None:
            return f"{self.count} cameras × {self.weight:g}"
        return "no cameras" if self.shared is None else f"the mean of cameras × {self.weight:g}"


def cameras_of(
    embeddings: torch.Tensor | None, options: Mapping[str, str], width: int, weight: float, spec: str
) -> Cameras:
    """What is done with camera embeddings (n, …, width). weight: the published one."""
    if embeddings is None:
        if options.keys() & CAMERA_OPTIONS.keys():
            raise UserError(f"{spec} has no camera embeddings, so there is no {SIE} to choose")
        return Cameras(None, None, weight)
    if embeddings.ndim < 2 or embeddings.shape[-1] != width:
        raise UserError(
            f"{spec} has camera embeddings {tuple(embeddings.shape)}, not of {width} numbers each"
        )
    how: Camera = choice(options.get(SIE, "own"), ("own", "mean", "none"), SIE, spec)
    weight = _weight(options, weight, spec)
    views = whole_number(options.get("views", "8" if len(embeddings) == _VERI else "1"), "views", spec)
    if len(embeddings) % views:
        raise UserError(f"{spec} has {len(embeddings)} embeddings, which are not {views} views a camera")
    embeddings = embeddings.float().unflatten(0, (-1, views)).mean(1)
    own, shared = embeddings if how == "own" else None, embeddings.mean(0) if how == "mean" else None
    return Cameras(own, shared, weight)


def _weight(options: Mapping[str, str], default: float, spec: str) -> float:
    try:
        return float(options.get("sie_weight", default))
    except ValueError:
        raise UserError(f"{spec}: sie_weight is a number, not '{options['sie_weight']}'") from None


def whole_number(text: str, option: str, spec: str) -> int:
    """A positive number. Raises UserError."""
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise UserError(f"{spec}: {option} is a whole number, not '{text}'")
    return int(text)
