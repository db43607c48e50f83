"""Every torchvision classifier, with torchvision's own preprocessing for its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpq.errors import UserError
from mpq.models.base import ModelSource
from mpq.models.classification.base import Classifier
from mpq.models.classification.labels import imagenet_1k, unnamed
from mpq.registry import suggestion
from mpq.weights.sources import from_url, load_strictly, read_tensors, sha256_of, unreachable


class Torchvision(ModelSource):
    """``torchvision:resnet50`` takes the default weights' recipe, ``torchvision:resnet50@IMAGENET1K_V1`` a named one."""

    name = "torchvision"
    summary = "any torchvision classifier: by name with a network or a cache, else --weights"
    variants = "torchvision:resnet18, torchvision:vit_b_16, torchvision:resnet50@IMAGENET1K_V1, …"

    def load(self, variant: str, weights: Path | None) -> Classifier:
        import torch
        import torchvision
        from torchvision import models

        spec = f"{self.name}:{variant}"
        name, recipe, path = published(variant, weights, spec)
        tensors = read_tensors(path)
        # The last parameter is the last layer's bias in all of torchvision's classifiers.
        with torch.device("meta"):
            bias = list(models.get_model(name, weights=None).state_dict())[-1]
        classes = len(tensors[bias]) if bias in tensors else 1000
        network = untrained(name, classes)
        load_strictly(network, tensors, path, spec)
        transform = recipe.transforms()
        return Classifier(
            name=spec,
            network=network,
            preprocess=transform,
            labels=imagenet_1k() if classes == 1000 else unnamed(classes),
            weights_sha256=sha256_of(path),
            preprocessing=" ".join(str(transform).split()),
            version=f"torchvision {torchvision.__version__}",
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("download.pytorch.org")


def published(variant: str, weights: Path | None, spec: str) -> tuple[str, Any, Path]:
    """``NAME`` or ``NAME@RECIPE`` -> the name, torchvision's recipe (its ``WeightsEnum``), and the weights' file."""
    from torchvision import models

    name, _, tag = variant.partition("@")
    known = models.list_models(module=models)
    if name not in known:
        raise UserError(f"torchvision has no classifier '{name}'{suggestion(name, known)}")
    recipes = models.get_model_weights(name)
    by_file = {recipe.url.rsplit("/", 1)[-1]: recipe for recipe in recipes}
    if tag and tag not in recipes.__members__:
        raise UserError(
            f"torchvision's {name} has no weights '{tag}'{suggestion(tag, list(recipes.__members__))}"
        )
    recipe = recipes[tag] if tag else by_file.get(weights.name if weights else "", recipes.DEFAULT)
    return name, recipe, weights or from_url(recipe.url, spec)


def untrained(name: str, classes: int) -> Any:
    """The network with random weights, in eval mode."""
    from torchvision import models

    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return models.get_model(name, weights=None, num_classes=classes, **options).eval()
