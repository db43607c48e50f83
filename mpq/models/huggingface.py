"""Every Hugging Face image classifier, with its own image processor and class names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mpq.errors import UserError
from mpq.models.base import Classifier, ClassifierSource
from mpq.models.labels import LabelSpace, imagenet_1k, named
from mpq.models.weights import sha256_of, unreachable


class HuggingFace(ClassifierSource):
    """``hf:NAME`` from the cache or the network; ``hf:DIR`` or ``--weights DIR`` a folder saved by transformers."""

    name = "hf"
    summary = "any Hugging Face image classifier: by name, or a local folder"
    variants = "hf:google/vit-base-patch16-224, hf:DIR"

    def load(self, variant: str, weights: Path | None) -> Classifier:
        import torch
        import torchvision
        import transformers
        from transformers import AutoImageProcessor, AutoModelForImageClassification
        from transformers.utils import cached_file

        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        spec = f"{self.name}:{variant}"
        place = str(weights or variant)
        try:
            file = cached_file(place, "model.safetensors", _raise_exceptions_for_missing_entries=True)
            network, report = AutoModelForImageClassification.from_pretrained(
                place, use_safetensors=True, output_loading_info=True
            )
            processor = AutoImageProcessor.from_pretrained(place)
        except Exception as error:  # the library's own, httpx's, offline mode's, JSON's
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(
                f"{spec} cannot be had: {first} (by name it needs the network once; "
                f"a folder with config.json, preprocessor_config.json and model.safetensors works without)"
            ) from None
        if any(report.get(key) for key in ("missing_keys", "mismatched_keys", "error_msgs")):
            raise UserError(
                f"{file} does not fit {spec}: it leaves {sorted(report['missing_keys'])[:3]} random"
            )

        class Logits(torch.nn.Module):
            def __init__(self, model: torch.nn.Module) -> None:
                super().__init__()
                self.model = model

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.model(pixel_values=x).logits

        def preprocess(image: Any) -> torch.Tensor:
            return processor(images=image, return_tensors="pt")["pixel_values"][0]

        id2label = network.config.id2label
        return Classifier(
            spec,
            Logits(network).eval(),
            preprocess,
            _labels([str(id2label[i]) for i in range(len(id2label))]),
            sha256_of(Path(file)),
            json.dumps(processor.to_dict(), sort_keys=True, default=str),
            f"transformers {transformers.__version__}, torchvision {torchvision.__version__}",
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co")


def _labels(names: list[str]) -> LabelSpace:
    imagenet = imagenet_1k()
    # ImageNet-1k classifiers are also asked by WordNet id; the first class tells them apart from other thousands.
    if len(names) == len(imagenet) and imagenet.resolve(names[0].split(",")[0]) == 0:
        return LabelSpace(
            tuple(
                (*own.names[0], *wordnet)
                for own, wordnet in zip((named([n]) for n in names), imagenet.names, strict=True)
            )
        )
    return named(names)
