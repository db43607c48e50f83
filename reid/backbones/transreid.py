"""TransReID's published checkpoints, by path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mpq.weights.sources import load_strictly, read_tensors
from reid.backbones.base import Backbone, BackboneSource
from reid.backbones.checkpoints import (
    TRANSFORMER_OPTIONS,
    Cameras,
    cameras_of,
    geometry,
    positions_of,
    whole_number,
    without,
)
from reid.backbones.preprocessing import HALF, Preprocessing, choice

if TYPE_CHECKING:
    from reid.backbones.checkpoints import Tensors
    from reid.networks.transreid import Shape


class TransReID(BackboneSource):
    """``transformer_120.pth`` and the like, of ViT and DeiT, small and base, with and without jigsaw parts, overlapping
    patches and camera embeddings. Features are those of the published tests: before the batch norms, the global
    one and with parts a quarter of each of four (3,840 numbers). Size and stride are read off the number of
    positions, and preprocessing is the published configurations' (mean and deviation 0.5)."""

    name = "transreid"
    summary = "a checkpoint of TransReID, strictly loaded"
    variants = "transreid:FILE"
    by_file = True
    options: ClassVar[Mapping[str, str]] = {
        **TRANSFORMER_OPTIONS,
        "shift": "tokens that parts are moved by: 5, for vehicles 8",
    }

    def load(self, variant: str, weights: Path | None, options: Mapping[str, str]) -> Backbone:
        from reid.networks import transreid

        assert weights is not None
        spec = f"{self.name}:{weights.name}"
        tensors = read_tensors(weights)
        places, width = positions_of(tensors.get("base.pos_embed"), 3, weights, "TransReID")
        parts = any(key.startswith("b1.") for key in tensors)
        cameras = cameras_of(tensors.pop("base.sie_embed", None), options, width, 3.0, spec)
        if cameras.own is not None:
            tensors["base.sie_embed"] = cameras.own
        if cameras.shared is not None:
            tensors["base.pos_embed"] = tensors["base.pos_embed"] + cameras.weight * cameras.shared
        size, stride = geometry(places, options, spec)
        shape = _shape(tensors, size, stride, width, cameras)
        default_shift = "8" if shape.size[0] == shape.size[1] else "5"
        shift = whole_number(options.get("shift", default_shift), "shift", spec)
        neck = choice(options.get("neck", "before"), ("before", "after"), "neck", spec)
        network = transreid.TransReID(shape, parts=parts, shift=shift, after=neck == "after")
        load_strictly(network.eval(), _needed(tensors, parts, shape.depth), weights, spec)
        preprocess = Preprocessing(shape.size, HALF, HALF).changed(options, spec)
        return Backbone.of(
            spec,
            network,
            preprocess,
            weights,
            ("torch",),
            f"{shape}, shift {shift}, neck {neck}, {cameras}",
            cameras.count,
        )


def _shape(tensors: Tensors, size: tuple[int, int], stride: int, width: int, cameras: Cameras) -> Shape:
    from reid.networks.transreid import Shape

    # The small ViT is the one without these biases, and has heads and a scale of its own.
    small = "base.blocks.0.attn.qkv.bias" not in tensors
    hidden = tensors.get("base.blocks.0.mlp.fc1.bias")
    return Shape(
        size,
        stride,
        width,
        depth=len({key.split(".")[2] for key in tensors if key.startswith("base.blocks.")}),
        heads=8 if small else width // 64,
        hidden=4 * width if hidden is None else hidden.numel(),
        qkv_bias=not small,
        scale=width**-0.5 if small else None,
        cameras=cameras.count,
        camera_weight=cameras.weight,
    )


def _needed(tensors: Tensors, parts: bool, depth: int) -> Tensors:
    """``tensors`` without classifiers, ImageNet's own, and what parts have copies of in place of."""
    extras = r"classifier(_\d)?\.weight|base\.fc\.(weight|bias)"
    if parts:
        extras += rf"|base\.blocks\.{depth - 1}\..*|base\.norm\.(weight|bias)"
    return without(tensors, extras)
