"""Every Hugging Face image encoder: ImageNet, DINOv2, CLIP and SigLIP among them, without heads."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpq.errors import UserError
from mpq.models.hub import as_json, check_whole, from_pretrained, saved_folder
from mpq.weights.sources import unreachable
from reid.backbones.base import Backbone, BackboneSource
from reid.backbones.preprocessing import Preprocessing, size_of
from reid.backbones.sizes import fitted, whole_patches

if TYPE_CHECKING:
    import torch

_HEADS = ("classifier.", "cls_classifier.", "distillation_classifier.", "head.", "lm_head.", "decoder.")
"""What checkpoints hold beside the encoder, and features do without."""


class HuggingFace(BackboneSource):
    """The feature is the picture's place in the space of words and pictures where the model has one (CLIP, SigLIP),
    else the library's pooled output where the checkpoint has weights for it (DINOv2: the normalised class token),
    else the class token. At 256×128 (252×126 for patches of 14) where the model takes it, else at its own size."""

    name = "hf"
    summary = "any Hugging Face image encoder (ImageNet, DINOv2, CLIP, …): by name, or a local folder"
    variants = "hf:facebook/dinov2-base, hf:openai/clip-vit-base-patch16, hf:DIR"

    def load(self, variant: str, weights: Path | None, options: Mapping[str, str]) -> Backbone:
        spec = f"{self.name}:{variant}"
        file, encoder, processor = _encoder(str(saved_folder(weights) or variant), spec)
        own = _preprocessing(processor, spec)
        patch = getattr(encoder.config, "patch_size", None)
        patch = patch or getattr(getattr(encoder.config, "vision_config", None), "patch_size", None)
        sizes = [whole_patches(patch if isinstance(patch, int) else 1), own.size]
        if "size" in options:
            sizes = [size_of(options["size"], spec)]
        network = _feature(encoder)
        _, size = fitted(lambda _: network, sizes, spec)
        preprocess = Preprocessing(size, own.mean, own.deviation, own.scale, own.channels)
        preprocess = preprocess.changed(options, spec)
        return Backbone.of(
            spec,
            network,
            preprocess,
            file,
            ("torch", "transformers"),
            as_json(encoder.config),
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co")


def _encoder(place: str, spec: str) -> tuple[Path, Any, Any]:
    """The weights' file, the encoder and its image processor. Raises UserError where any weight would be random."""
    from transformers import AutoModel

    file, network, report, processor = from_pretrained(AutoModel, place, spec)
    missing = set(report["missing_keys"])
    if missing and all(key.partition(".")[0] == "pooler" for key in missing):
        # Classifiers are saved without the pooling layer that this library would then leave random.
        file, network, report, processor = from_pretrained(AutoModel, place, spec, add_pooling_layer=False)
    check_whole(report, file, spec)
    strange = [key for key in sorted(report["unexpected_keys"]) if not key.startswith(_HEADS)]
    if strange:
        raise UserError(f"{file} does not fit {spec}: it has a strange {strange[0]}")
    return file, network.eval(), processor


def _feature(encoder: Any) -> torch.nn.Module:
    """(B, 3, h, w) -> (B, D) of an encoder whose output is one of the library's."""
    import torch

    class Feature(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder
            self.embeds = hasattr(encoder, "get_image_features")
            ask = encoder.get_image_features if self.embeds else encoder.forward
            can = "interpolate_pos_encoding" in inspect.signature(ask).parameters
            self.options = {"interpolate_pos_encoding": True} if can else {}

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            ask = self.encoder.get_image_features if self.embeds else self.encoder
            answer = ask(pixel_values=x, **self.options)
            if torch.is_tensor(answer):
                return answer
            pooled = getattr(answer, "pooler_output", None)
            if pooled is not None:
                return pooled.flatten(1)
            tokens = answer.last_hidden_state
            return tokens[:, 0] if tokens.ndim == 3 else tokens.mean((2, 3))

    return Feature().eval()


def _preprocessing(processor: Any, spec: str) -> Preprocessing:
    """What an image processor does, its centre crop left out, at its own size."""
    if not hasattr(processor, "image_mean"):
        raise UserError(f"{spec}: its image processor says no mean and deviation")
    side = getattr(processor, "crop_size", None) or processor.size
    own = {key: side[key] for key in ("height", "width", "shortest_edge") if side.get(key)}
    height = own.get("height") or own.get("shortest_edge") or 224
    normalizes = getattr(processor, "do_normalize", True)
    rescale = processor.rescale_factor if getattr(processor, "do_rescale", True) else 1.0
    return Preprocessing(
        (height, own.get("width") or height),
        tuple(processor.image_mean) if normalizes else (0.0,) * 3,
        tuple(processor.image_std) if normalizes else (1.0,) * 3,
        255 * rescale,
        "bgr" if getattr(processor, "do_flip_channel_order", False) else "rgb",
    )
