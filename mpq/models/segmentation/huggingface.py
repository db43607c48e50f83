"""Hugging Face semantic segmenters (SegFormer and what else answers with a map of logits), with their own processors."""

from __future__ import annotations

from pathlib import Path

from mpq.errors import UserError
from mpq.models.base import ModelSource
from mpq.models.hub import (
    as_json,
    check_whole,
    from_pretrained,
    logits_of,
    preprocess_by,
    saved_folder,
    titles_of,
)
from mpq.models.segmentation.base import Segmenter
from mpq.weights.sources import sha256_of, unreachable


class HuggingFace(ModelSource):
    """``hf:NAME`` from the cache or the network; ``hf:DIR`` or ``--weights DIR`` a folder saved by transformers.

    A processor that crops does not here: a mask is of the whole picture.
    """

    name = "hf"
    task = "segmentation"
    summary = "any Hugging Face semantic segmenter: by name, or a local folder"
    variants = "hf:nvidia/segformer-b0-finetuned-ade-512-512, hf:DIR"

    def load(self, variant: str, weights: Path | None) -> Segmenter:
        import torchvision
        import transformers
        from transformers import AutoModelForSemanticSegmentation

        spec = f"{self.name}:{variant}"
        file, network, report, processor = from_pretrained(
            AutoModelForSemanticSegmentation, str(saved_folder(weights) or variant), spec
        )
        check_whole(report, file, spec)
        if getattr(processor, "do_pad", False):
            raise UserError(
                f"{spec}: its image processor pads pictures, so that its masks would not lie on them"
            )
        if getattr(processor, "do_center_crop", False):
            processor.do_center_crop = False

        return Segmenter(
            name=spec,
            network=logits_of(network),
            preprocess=preprocess_by(processor),
            classes=tuple(titles_of(network.config)),
            weights_sha256=sha256_of(file),
            preprocessing=as_json(processor),
            version=f"transformers {transformers.__version__}, torchvision {torchvision.__version__}",
            configuration=as_json(network.config),
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co")
