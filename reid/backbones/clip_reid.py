"""CLIP-ReID's published checkpoints, by path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mpq.weights.sources import load_strictly, read_tensors
from reid.backbones.base import Backbone, BackboneSource
from reid.backbones.checkpoints import (
    TRANSFORMER_OPTIONS,
    cameras_of,
    geometry,
    positions_of,
    without,
)
from reid.backbones.preprocessing import HALF, Preprocessing, choice

if TYPE_CHECKING:
    from reid.backbones.checkpoints import Tensors
    from reid.networks.clip_reid import ClipResNet, ClipTransformer

_EXTRAS = r"(classifier|classifier_proj|prompt_learner|text_encoder)\..*"
"""Classifiers, and all that made texts for identities while it was trained."""

_ENCODER = "image_encoder."
_POOL = f"{_ENCODER}attnpool."


class ClipReid(BackboneSource):
    """``ViT-B-16_60.pth``, ``RN50_120.pth`` and the like, of CLIP-ReID and its baselines. Features are those of the
    published tests: before the batch norms, the encoder's and its projection side by side (ViT 1,280 numbers,
    ResNet 3,072). Size and stride are read off the number of positions; the ViT takes mean and deviation 0.5, the
    ResNet ImageNet's."""

    name = "clip-reid"
    summary = "a checkpoint of CLIP-ReID (ViT-B/16 or ResNet-50), strictly loaded"
    variants = "clip-reid:FILE"
    by_file = True
    options = TRANSFORMER_OPTIONS

    def load(self, variant: str, weights: Path | None, options: Mapping[str, str]) -> Backbone:
        from reid.networks import clip_reid

        assert weights is not None
        spec = f"{self.name}:{weights.name}"
        tensors = without(read_tensors(weights), _EXTRAS)
        resnet = f"{_POOL}positional_embedding" in tensors
        key = f"{_POOL if resnet else _ENCODER}positional_embedding"
        places, width = positions_of(tensors.get(key), 2, weights, "CLIP-ReID")
        size, stride = geometry(places, options, spec)
        embeddings = tensors.pop("cv_embed", None)
        # The published ResNet has such embeddings, too, where it was told of cameras, but never looks at them.
        cameras = cameras_of(None if resnet else embeddings, options, width, 1.0, spec)
        if cameras.own is not None:
            tensors["cv_embed"] = cameras.own
        token = tensors.get(f"{_ENCODER}class_embedding")
        if cameras.shared is not None and token is not None and token.shape == cameras.shared.shape:
            tensors[f"{_ENCODER}class_embedding"] = token + cameras.weight * cameras.shared
        neck = choice(options.get("neck", "before"), ("before", "after"), "neck", spec)
        make = _resnet if resnet else _transformer
        network = clip_reid.ClipReid(
            make(tensors, size, stride, width),
            cameras=cameras.count,
            camera_weight=cameras.weight,
            after=neck == "after",
        ).eval()
        load_strictly(network, tensors, weights, spec)
        plain = Preprocessing(size) if resnet else Preprocessing(size, HALF, HALF)
        preprocess = plain.changed(options, spec)
        return Backbone.of(
            spec,
            network,
            preprocess,
            weights,
            ("torch",),
            f"{'ResNet' if resnet else 'ViT'} at {size}, stride {stride}, neck {neck}, {cameras}",
            cameras.count,
        )


def _transformer(tensors: Tensors, size: tuple[int, int], stride: int, width: int) -> ClipTransformer:
    from reid.networks.clip_reid import ClipTransformer

    layers = _count(tensors, rf"{_ENCODER}transformer\.resblocks\.(\d+)")
    projected = _last(tensors, f"{_ENCODER}proj", 512)
    return ClipTransformer(size, stride, width=width, projected=projected, layers=layers)


def _resnet(tensors: Tensors, size: tuple[int, int], stride: int, width: int) -> ClipResNet:
    from reid.networks.clip_reid import ClipResNet

    blocks = tuple(_count(tensors, rf"{_ENCODER}layer{stage}\.(\d+)") for stage in range(1, 5))
    projected = _last(tensors, f"{_POOL}c_proj.bias", 1024)
    return ClipResNet(size, base=width // 32, blocks=blocks, projected=projected)


def _count(tensors: Tensors, pattern: str) -> int:
    """Different numbers in names that begin as the pattern says."""
    return len({found[1] for key in tensors if (found := re.match(pattern, key))})


def _last(tensors: Tensors, key: str, usual: int) -> int:
    """The last side of a tensor, which is checked with all the others when they are loaded."""
    return tensors[key].shape[-1] if key in tensors and tensors[key].ndim else usual
