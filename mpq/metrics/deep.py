"""Similarities by the features of deep networks: LPIPS, DISTS and ST-LPIPS.

All take an original and what was decoded from it, ImageSamples of one size, at that size: 8-bit pixels are brought to
the range that each network was fitted on. They are distances, 0 for equal pictures. None stands for sides too short.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from mpq.metrics import backbones
from mpq.metrics.base import Similarity
from mpq.samples import ImageSample

if TYPE_CHECKING:
    from torch import Tensor

Network: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"


def lpips_alex(original: ImageSample, decoded: ImageSample) -> float | None:
    """LPIPS 0.1 by AlexNet's features; sides of at least 31 pixels."""
    return _lpips("alex", 31, original, decoded)


def lpips_vgg(original: ImageSample, decoded: ImageSample) -> float | None:
    """LPIPS 0.1 by VGG16's features; sides of at least 16 pixels."""
    return _lpips("vgg", 16, original, decoded)


def _lpips(
    variant: Literal["alex", "vgg"], least: int, original: ImageSample, decoded: ImageSample
) -> float | None:
    from mpq.metrics.lpips import lpips

    def load() -> Network:
        network = lpips(variant)
        return lambda a, b: network(2 * a - 1, 2 * b - 1)

    return _distance(load, least, original, decoded)


def dists(original: ImageSample, decoded: ImageSample) -> float | None:
    """DISTS at the picture's own size (its authors shrink shorter sides to 256 pixels first)."""
    from mpq.metrics.dists import dists as network

    return _distance(network, 16, original, decoded)


def st_lpips(original: ImageSample, decoded: ImageSample) -> float | None:
    """ST-LPIPS, AlexNet variant; sides of at least 32 pixels."""
    return _distance(_st_lpips, 32, original, decoded)


@lru_cache(maxsize=1)
def _st_lpips() -> Network:
    from mpq.metrics.stlpips import stlpips

    return stlpips()


def _distance(
    load: Callable[[], Network], least: int, original: ImageSample, decoded: ImageSample
) -> float | None:
    """A network's answer on two pictures, (1, 3, h, w) in [0, 1] each; of equal ones 0, to the last bit."""
    import torch

    from mpq.networks.coders import one_thread

    if min(original.width, original.height) < least:
        return None
    # What is made inside inference mode stays there, and a training loss shares these networks.
    network = load()
    if np.array_equal(original.pixels, decoded.pixels):
        return 0.0
    a, b = (
        torch.tensor(sample.pixels).permute(2, 0, 1)[None].float() / 255 for sample in (original, decoded)
    )
    with torch.inference_mode(), one_thread():
        return float(network(a, b))


def _lacking(backbone: backbones.Backbone) -> Callable[[], str | None]:
    def unavailable() -> str | None:
        if find_spec("torchmetrics") is None:
            return "it needs torchmetrics (pip install 'machine-perceptual-quality[lpips]')"
        return backbones.unavailable(backbone)

    return unavailable


MEASURES = (
    Similarity(
        "lpips-alex",
        "lpips_alex",
        lpips_alex,
        "0 and up",
        "which of two damages people see less, by AlexNet's features; a rank more than a scale, and of no task",
        "LPIPS",
        better="lower",
        packages=("torchvision",),
        unavailable=_lacking("alexnet"),
    ),
    Similarity(
        "lpips-vgg",
        "lpips_vgg",
        lpips_vgg,
        "0 and up",
        "the same by VGG16's features; not on the scale of lpips-alex",
        "LPIPS-VGG",
        rank=8,
        better="lower",
        packages=("torchvision",),
        unavailable=_lacking("vgg16"),
    ),
    Similarity(
        "dists",
        "dists",
        dists,
        "0–1",
        "structure and texture by VGG16's features; forgives another texture of the same kind, and depends on the size",
        "DISTS",
        better="lower",
        packages=("torchvision",),
        unavailable=_lacking("vgg16"),
    ),
    Similarity(
        "st-lpips",
        "st_lpips",
        st_lpips,
        "0 and up",
        "LPIPS that forgives shifts of a pixel; near LPIPS in rank, not in value; needs no network",
        "ST-LPIPS",
        better="lower",
    ),
)
