"""Every Hugging Face image classifier, with its own image processor and class names."""

from __future__ import annotations

import re
from pathlib import Path

from mpq.errors import UserError
from mpq.models import hub
from mpq.models.base import ModelSource
from mpq.models.classification.base import Classifier
from mpq.models.classification.labels import LabelSpace, imagenet_1k, named, unnamed
from mpq.weights.sources import unreachable


class HuggingFace(ModelSource):
    """``hf:NAME`` from the cache or the network; ``hf:DIR`` or ``--weights DIR`` a folder saved by transformers."""

    name = "hf"
    summary = "any Hugging Face image classifier: by name, or a local folder"
    variants = "hf:google/vit-base-patch16-224, hf:DIR"

    def load(self, variant: str, weights: Path | None) -> Classifier:
        from PIL import Image
        from transformers import AutoModelForImageClassification

        spec = f"{self.name}:{variant}"
        file, network, report, processor = hub.from_pretrained(
            AutoModelForImageClassification, str(hub.saved_folder(weights) or variant), spec
        )
        hub.check_whole(report, file, spec)
        preprocess = hub.preprocess_by(processor)
        sizes = {tuple(preprocess(Image.new("RGB", size)).shape) for size in ((40, 30), (30, 50))}
        if len(sizes) > 1:
            raise UserError(
                f"{spec}: its image processor does not bring pictures to one size (do_resize is off?)"
            )
        return Classifier(
            name=spec,
            network=hub.logits_of(network),
            preprocess=preprocess,
            labels=_labels(hub.titles_of(network.config)),
            **hub.identity_of(file, network, processor),
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co")


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
