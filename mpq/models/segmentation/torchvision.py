"""torchvision's semantic segmenters (DeepLabV3, LR-ASPP, FCN), with torchvision's own preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mpq.errors import UserError
from mpq.models.base import ModelSource
from mpq.models.segmentation.base import Segmenter
from mpq.registry import suggestion
from mpq.weights.sources import from_url, load_strictly, read_tensors, sha256_of, unreachable

if TYPE_CHECKING:
    import torch

HEADS = ("classifier.4.bias", "classifier.low_classifier.bias")
"""Whose length is the number of classes: of DeepLabV3 and FCN, and of LR-ASPP."""


class Torchvision(ModelSource):
    """``torchvision:deeplabv3_resnet50``; its default weights' recipe also prepares pictures for your own weights."""

    name = "torchvision"
    task = "segmentation"
    summary = "any torchvision semantic segmenter: by name with a network or a cache, else --weights"
    variants = (
        "torchvision:deeplabv3_resnet50, torchvision:lraspp_mobilenet_v3_large, torchvision:fcn_resnet50, …"
    )

    def load(self, variant: str, weights: Path | None) -> Segmenter:
        import torchvision
        from torchvision import models

        spec = f"{self.name}:{variant}"
        known = models.list_models(module=models.segmentation)
        if variant not in known:
            raise UserError(f"torchvision has no semantic segmenter '{variant}'{suggestion(variant, known)}")
        recipe = models.get_model_weights(variant).DEFAULT
        path = weights or from_url(recipe.url, spec)
        tensors = read_tensors(path)
        categories = tuple(recipe.meta["categories"])
        classes = next((len(tensors[bias]) for bias in HEADS if bias in tensors), len(categories))
        # A second head on earlier features, of use in training alone; files have it or not.
        auxiliary = {"aux_loss": True} if any(key.startswith("aux_classifier.") for key in tensors) else {}
        network = models.get_model(
            variant, weights=None, weights_backbone=None, num_classes=classes, **auxiliary
        )
        load_strictly(network, tensors, path, spec)
        network.aux_classifier = None
        transform = recipe.transforms()
        return Segmenter(
            name=spec,
            network=_logits(network.eval()),
            preprocess=transform,
            classes=categories if classes == len(categories) else tuple(map(str, range(classes))),
            weights_sha256=sha256_of(path),
            preprocessing=" ".join(str(transform).split()),
            version=f"torchvision {torchvision.__version__}",
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("download.pytorch.org")


def _logits(network: torch.nn.Module) -> torch.nn.Module:
    """``network`` with its dictionary of outputs unwrapped."""
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network(x)["out"]

    return Logits().eval()
