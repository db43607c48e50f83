"""Every timm classifier, with the preprocessing of its pretrained configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpq.errors import UserError
from mpq.models.base import ModelSource
from mpq.models.classification.base import Classifier
from mpq.models.classification.labels import LabelSpace, imagenet_1k, unnamed
from mpq.registry import suggestion
from mpq.weights.sources import from_hub, load_strictly, read_tensors, sha256_of, unreachable


class Timm(ModelSource):
    name = "timm"
    summary = "any timm classifier: by name with a network or a cache, else --weights"
    variants = "timm:resnet18.a1_in1k, timm:vit_base_patch16_224, …"

    def load(self, variant: str, weights: Path | None) -> Classifier:
        import timm
        import torchvision

        spec = f"{self.name}:{variant}"
        config, path = published(variant, weights, spec)
        tensors = read_tensors(path)
        classes = _outputs(tensors, config.classifier if config else None, path, spec)
        network = timm.create_model(variant, pretrained=False, num_classes=classes).eval()
        load_strictly(network, tensors, path, spec)
        transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
        return Classifier(
            name=spec,
            network=network,
            preprocess=transform,
            labels=_labels(classes),
            weights_sha256=sha256_of(path),
            preprocessing=" ".join(str(transform).split()),
            version=f"timm {timm.__version__}, torchvision {torchvision.__version__}",
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co")


def published(variant: str, weights: Path | None, spec: str) -> tuple[Any, Path]:
    """``ARCHITECTURE`` or ``ARCHITECTURE.TAG`` -> timm's pretrained configuration (or None) and the weights' file."""
    import timm

    architecture, _, tag = variant.partition(".")
    if not timm.is_model(architecture):
        raise UserError(f"timm has no model '{architecture}'{suggestion(architecture, timm.list_models())}")
    tags = timm.list_pretrained(f"{architecture}.*")
    if tag and variant not in tags:
        raise UserError(f"timm has no pretrained '{variant}'{suggestion(variant, tags)}")
    config = timm.get_pretrained_cfg(variant, allow_unregistered=True)
    if weights is None and (config is None or not config.hf_hub_id):
        raise UserError(f"timm publishes no weights for {variant}: name yours with --weights")
    return config, weights or from_hub(config.hf_hub_id, "model.safetensors", spec)


def _outputs(tensors: dict, head: str | tuple | None, path: Path, spec: str) -> int:
    """How many classes a checkpoint answers with: the rows of its classification layer."""
    first = head[0] if isinstance(head, (tuple, list)) else head
    for suffix in (".weight", ".bias"):
        if first and first + suffix in tensors:
            return len(tensors[first + suffix])
    raise UserError(f"{path} has no classification layer '{first}', which {spec} needs")


def _labels(classes: int) -> LabelSpace:
    if classes == 1000:
        return imagenet_1k()
    return unnamed(classes)
