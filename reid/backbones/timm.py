"""Every timm model, without its classifier: ImageNet, DINOv2 and CLIP encoders among them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mpq.models.classification import timm as classifiers
from mpq.weights.sources import load_strictly, read_tensors, unreachable
from reid.backbones.base import Backbone, BackboneSource
from reid.backbones.preprocessing import HALF, Preprocessing, size_of
from reid.backbones.sizes import fitted, whole_patches

if TYPE_CHECKING:
    import torch


class Timm(BackboneSource):
    """The feature is timm's pooled one (``num_classes=0``): of a ViT the class token, unless the model was made to
    average its tokens. At 256×128 (252×126 for patches of 14), for which positions are resized as timm does, or
    at the model's own size where it takes no other."""

    name = "timm"
    summary = "any timm model (ImageNet, DINOv2, CLIP, …), its pooled feature: by name, else --weights"
    variants = "timm:resnet50.a1_in1k, timm:vit_base_patch14_dinov2.lvd142m, …"

    def load(self, variant: str, weights: Path | None, options: Mapping[str, str]) -> Backbone:
        import timm
        import torch

        spec = f"{self.name}:{variant}"
        config, path = classifiers.published(variant, weights, spec)
        fixed = config is None or config.fixed_input_size
        with torch.device("meta"):
            whole = timm.create_model(variant, pretrained=False)
            names = timm.create_model(variant, pretrained=False, num_classes=0).state_dict().keys()
        head = whole.state_dict().keys() - names
        tensors = {key: value for key, value in read_tensors(path).items() if key not in head}

        def make(size: tuple[int, int]) -> torch.nn.Module:
            resized = {"img_size": size} if fixed else {}
            network = timm.create_model(variant, pretrained=False, num_classes=0, **resized).eval()
            load_strictly(network, _adapted(tensors, network), path, spec)
            return network

        patch = getattr(getattr(whole, "patch_embed", None), "patch_size", 1)
        patch = patch[0] if isinstance(patch, tuple) else patch
        sizes = [whole_patches(patch), config.input_size[1:] if config else (224, 224)]
        if "size" in options:
            sizes = [size_of(options["size"], spec)]
        network, size = fitted(make, sizes, spec)
        preprocess = Preprocessing(
            size,
            tuple(config.mean) if config else HALF,
            tuple(config.std) if config else HALF,
        ).changed(options, spec)
        return Backbone.of(
            spec,
            network,
            preprocess,
            path,
            ("torch", "timm"),
            "pooled",
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co")


def _adapted(tensors: dict[str, torch.Tensor], network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """``tensors`` with positions for the network's size, made by timm's own way, where any is for another."""
    expected = network.state_dict()
    unlike = [k for k in expected.keys() & tensors.keys() if expected[k].shape != tensors[k].shape]
    adapt = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    return adapt(tensors, network) if unlike and adapt else tensors
