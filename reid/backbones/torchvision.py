"""Every torchvision classifier, without its last layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mpq.models.classification import torchvision as classifiers
from mpq.weights.sources import load_strictly, read_tensors, unreachable
from reid.backbones.base import Backbone, BackboneSource
from reid.backbones.preprocessing import Preprocessing, size_of
from reid.backbones.sizes import CROP, fitted

if TYPE_CHECKING:
    import torch


class Torchvision(BackboneSource):
    """The feature is what the last layer, the one that gives classes, would have been given: pooled for most, the
    class token of a ViT, 4,096 numbers of a VGG. At 256×128 where the network takes that, else at its own size."""

    name = "torchvision"
    summary = "any torchvision classifier, what its last layer sees: by name, else --weights"
    variants = "torchvision:resnet50, torchvision:vit_b_16, torchvision:resnet50@IMAGENET1K_V1, …"

    def load(self, variant: str, weights: Path | None, options: Mapping[str, str]) -> Backbone:
        spec = f"{self.name}:{variant}"
        name, recipe, path = classifiers.published(variant, weights, spec)
        own = recipe.transforms()
        last = _last_layer(name)
        sizes = [CROP, (own.crop_size[0],) * 2]
        if "size" in options:
            sizes = [size_of(options["size"], spec)]
        network, size = fitted(lambda _: _without(classifiers.untrained(name, 1000), last), sizes, spec)
        # A head with other classes than ImageNet's, or none, is as good: it goes.
        tensors = {k: v for k, v in read_tensors(path).items() if k.rpartition(".")[0] != last}
        load_strictly(network, tensors, path, spec)
        preprocess = Preprocessing(size, tuple(own.mean), tuple(own.std)).changed(options, spec)
        return Backbone.of(
            spec,
            network,
            preprocess,
            path,
            ("torch", "torchvision"),
            f"without {last}",
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("download.pytorch.org")


def _last_layer(name: str) -> str:
    """The layer that gives classes: the last in the state dict of all of torchvision's classifiers."""
    import torch
    from torchvision import models

    with torch.device("meta"):
        return list(models.get_model(name, weights=None).state_dict())[-1].rpartition(".")[0]


def _without(network: torch.nn.Module, layer: str) -> torch.nn.Module:
    import torch

    parent, _, child = layer.rpartition(".")
    setattr(network.get_submodule(parent), child, torch.nn.Identity())
    return network
