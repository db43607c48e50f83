"""The ImageNet ViT-B/16 that TransReID starts from, without any training for re-identification."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from mpq.errors import UserError
from mpq.models.classification import timm as classifiers
from mpq.weights.sources import load_strictly, read_tensors, unreachable
from reid.backbones.base import Backbone, BackboneSource
from reid.backbones.checkpoints import whole_number
from reid.backbones.preprocessing import HALF, OPTIONS, Preprocessing

_WEIGHTS = "vit_base_patch16_224.orig_in21k_ft_in1k"


class VitB16(BackboneSource):
    """ViT-B/16, ImageNet-21k then 1k, at 256×128 as TransReID takes it: positions resized bilinearly, mean and deviation
    0.5, the normalised class token (768). Pose2ID's row for a model without re-identification training (Market-1501:
    mAP 3.34) is TransReID's program with these weights, also known as jx_vit_base_p16_224-80ecf9dd.pth; whether
    with its overlapping patches (stride=12) is not published."""

    name = "vit-b16"
    summary = "ImageNet ViT-B/16 as TransReID starts from it, class token (768): by name, else --weights"
    options: ClassVar[Mapping[str, str]] = {
        **OPTIONS,
        "stride": "pixels from patch to patch: 16, or less where they overlap",
    }

    def load(self, variant: str, weights: Path | None, options: Mapping[str, str]) -> Backbone:
        from reid.networks.transreid import PATCH, ClassToken, Shape, resized_positions

        _, path = classifiers.published(_WEIGHTS, weights, self.name)
        preprocess = Preprocessing(mean=HALF, deviation=HALF).changed(options, self.name)
        stride = whole_number(options.get("stride", str(PATCH)), "stride", self.name)
        shape = Shape(preprocess.size, stride)
        if min(shape.grid) < 1:
            raise UserError(f"{self.name}: pictures of {options['size']} hold no patch of {PATCH}×{PATCH}")
        network = ClassToken(shape).eval()
        tensors = {f"base.{k}": v for k, v in read_tensors(path).items() if not k.startswith("head.")}
        positions = tensors.get("base.pos_embed")
        if positions is not None and positions.ndim == 3:
            tensors["base.pos_embed"] = resized_positions(positions, shape.grid)
        load_strictly(network, tensors, path, self.name)
        return Backbone.of(self.name, network, preprocess, path, ("torch",), str(shape))

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co")
