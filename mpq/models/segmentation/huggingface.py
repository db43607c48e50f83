"""Hugging Face semantic segmenters (SegFormer and what else answers with a map of logits), with their own processors."""

from __future__ import annotations

from pathlib import Path

from mpq.errors import UserError
from mpq.models import hub
from mpq.models.base import ModelSource
from mpq.models.segmentation.base import Segmenter
from mpq.weights.sources import unreachable


class HuggingFace(ModelSource):
    """``hf:NAME`` from the cache or the network; ``hf:DIR`` or ``--weights DIR`` a folder saved by transformers.

    A processor that crops does not here: a mask is of the whole picture.
    """

    name = "hf"
    task = "segmentation"
    summary = "any Hugging Face semantic segmenter: by name, or a local folder"
    variants = "hf:nvidia/segformer-b0-finetuned-ade-512-512, hf:DIR"

    def load(self, variant: str, weights: Path | None) -> Segmenter:
        from transformers import AutoModelForSemanticSegmentation

        spec = f"{self.name}:{variant}"
        file, network, report, processor = hub.from_pretrained(
            AutoModelForSemanticSegmentation, str(hub.saved_folder(weights) or variant), spec
        )
        hub.check_whole(report, file, spec)
        if getattr(processor, "do_pad", False):
            raise UserError(
                f"{spec}: its image processor pads pictures, so that its masks would not lie on them"
            )
        if getattr(processor, "do_center_crop", False):
            processor.do_center_crop = False

        return Segmenter(
            name=spec,
            network=hub.logits_of(network),
            preprocess=hub.preprocess_by(processor),
            classes=tuple(hub.titles_of(network.config)),
            **hub.identity_of(file, network, processor),
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co")
