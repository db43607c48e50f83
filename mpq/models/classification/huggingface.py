"""Every Hugging Face image classifier, with its own image processor and class names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mpq.errors import UserError, first_line
from mpq.models.base import ModelSource
from mpq.models.classification.base import Classifier
from mpq.models.classification.labels import LabelSpace, imagenet_1k, named, unnamed
from mpq.weights.sources import sha256_of, unreachable


class HuggingFace(ModelSource):
    """``hf:NAME`` from the cache or the network; ``hf:DIR`` or ``--weights DIR`` a folder saved by transformers."""

    name = "hf"
    summary = "any Hugging Face image classifier: by name, or a local folder"
    variants = "hf:google/vit-base-patch16-224, hf:DIR"

    def load(self, variant: str, weights: Path | None) -> Classifier:
        import torch
        import torchvision
        import transformers
        from PIL import Image
        from transformers import AutoModelForImageClassification

        spec = f"{self.name}:{variant}"
        file, network, report, processor = from_pretrained(
            AutoModelForImageClassification, str(saved_folder(weights) or variant), spec
        )
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

        sizes = {tuple(preprocess(Image.new("RGB", size)).shape) for size in ((40, 30), (30, 50))}
        if len(sizes) > 1:
            raise UserError(
                f"{spec}: its image processor does not bring pictures to one size (do_resize is off?)"
            )
        titles = network.config.id2label or {}
        classes = int(network.config.num_labels)
        return Classifier(
            name=spec,
            network=Logits(network).eval(),
            preprocess=preprocess,
            labels=_labels([str(titles.get(i, f"LABEL_{i}")) for i in range(classes)]),
            weights_sha256=sha256_of(file),
            preprocessing=json.dumps(processor.to_dict(), sort_keys=True, default=str),
            version=f"transformers {transformers.__version__}, torchvision {torchvision.__version__}",
            configuration=json.dumps(network.config.to_dict(), sort_keys=True, default=str),
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co")


def saved_folder(weights: Path | None) -> Path | None:
    """``weights``, which must be a folder. Raises UserError."""
    if weights is not None and not weights.is_dir():
        raise UserError(f"hf: weights are a folder saved by transformers, which '{weights}' is not")
    return weights


def from_pretrained(
    auto: Any, place: str, spec: str, **options: Any
) -> tuple[Path, Any, dict[str, Any], Any]:
    """The weights' file, the network that ``auto`` makes of it, its loading report, and the image processor.

    place: a repository's name or a folder. Raises UserError where they cannot be had.
    """
    import transformers
    from transformers.utils import cached_file

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    # Asking a hub that is not there would take the library half a minute.
    offline = Path(place).is_dir() or unreachable("huggingface.co") is not None
    try:
        file = cached_file(place, "model.safetensors", local_files_only=offline)
        network, report = auto.from_pretrained(
            place, use_safetensors=True, output_loading_info=True, local_files_only=offline, **options
        )
        processor = transformers.AutoImageProcessor.from_pretrained(place, local_files_only=offline)
    except Exception as error:  # the library's own, httpx's, offline mode's, JSON's
        raise UserError(
            f"{spec} cannot be had: {first_line(error)} (by name it needs the network once; "
            f"a folder with config.json, preprocessor_config.json and model.safetensors works without)"
        ) from None
    return Path(file), network, report, processor


def _labels(names: list[str]) -> LabelSpace:
    if all(
        re.fullmatch(r"LABEL_\d+", name) for name in names
    ):  # the library's way to say that there are none
        return unnamed(len(names))
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
