"""Hugging Face semantic segmenters (SegFormer and what else answers with a map of logits), with their own processors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mpq.errors import UserError
from mpq.models.base import ModelSource
from mpq.models.classification.huggingface import from_pretrained, saved_folder
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
        import torch
        import torchvision
        import transformers
        from transformers import AutoModelForSemanticSegmentation

        spec = f"{self.name}:{variant}"
        file, network, report, processor = from_pretrained(
            AutoModelForSemanticSegmentation, str(saved_folder(weights) or variant), spec
        )
        if any(report.get(key) for key in ("missing_keys", "mismatched_keys", "error_msgs")):
            raise UserError(
                f"{file} does not fit {spec}: it leaves {sorted(report['missing_keys'])[:3]} random"
            )
        if getattr(processor, "do_pad", False):
            raise UserError(
                f"{spec}: its image processor pads pictures, so that its masks would not lie on them"
            )
        if getattr(processor, "do_center_crop", False):
            processor.do_center_crop = False

        class Logits(torch.nn.Module):
            def __init__(self, model: torch.nn.Module) -> None:
                super().__init__()
                self.model = model

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.model(pixel_values=x).logits

        def preprocess(image: Any) -> torch.Tensor:
            return processor(images=image, return_tensors="pt")["pixel_values"][0]

        titles = network.config.id2label or {}
        classes = int(network.config.num_labels)
        return Segmenter(
            name=spec,
            network=Logits(network).eval(),
            preprocess=preprocess,
            classes=tuple(str(titles.get(i, f"LABEL_{i}")) for i in range(classes)),
            weights_sha256=sha256_of(file),
            preprocessing=json.dumps(processor.to_dict(), sort_keys=True, default=str),
            version=f"transformers {transformers.__version__}, torchvision {torchvision.__version__}",
            configuration=json.dumps(network.config.to_dict(), sort_keys=True, default=str),
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co")
