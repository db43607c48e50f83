"""Models as transformers saves them: from the hub, its cache, or a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpq.errors import UserError, first_line
from mpq.weights.sources import sha256_of, unreachable

if TYPE_CHECKING:
    import torch


def saved_folder(weights: Path | None) -> Path | None:
    """``weights``, which must be a folder. Raises UserError."""
    if weights is not None and not weights.is_dir():
        raise UserError(f"hf: weights are a folder saved by transformers, which '{weights}' is not")
    return weights


def offline(place: str) -> bool:
    """Whether the hub need not be asked, or cannot: asking one that is not there would take the library half a minute.

    place: a repository's name or a folder.
    """
    return Path(place).is_dir() or unreachable("huggingface.co") is not None


def quiet() -> None:
    """No warnings and no bars of the library's own."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def from_pretrained(
    auto: Any, place: str, spec: str, **options: Any
) -> tuple[Path, Any, dict[str, Any], Any]:
    """The weights' file, the network that ``auto`` makes of it, its loading report, and the image processor.

    place: a repository's name or a folder. Raises UserError where they cannot be had.
    """
    import transformers
    from transformers.utils import cached_file

    quiet()
    local = offline(place)
    try:
        file = cached_file(place, "model.safetensors", local_files_only=local)
        network, report = auto.from_pretrained(
            place, use_safetensors=True, output_loading_info=True, local_files_only=local, **options
        )
        processor = transformers.AutoImageProcessor.from_pretrained(place, local_files_only=local)
    except Exception as error:  # the library's own, httpx's, offline mode's, JSON's
        raise UserError(
            f"{spec} cannot be had: {first_line(error)} (by name it needs the network once; "
            f"a folder with config.json, preprocessor_config.json and model.safetensors works without)"
        ) from None
    return Path(file), network, report, processor


def check_whole(report: dict[str, Any], file: Path, spec: str) -> None:
    """Raises UserError where a loading report says that the file left any weight as it was made: random."""
    if any(report.get(key) for key in ("missing_keys", "mismatched_keys", "error_msgs")):
        raise UserError(f"{file} does not fit {spec}: it leaves {sorted(report['missing_keys'])[:3]} random")


def logits_of(network: torch.nn.Module) -> torch.nn.Module:
    """The network as one from pixels, (B, 3, H, W), to logits."""
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = network

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model(pixel_values=x).logits

    return Logits().eval()


def preprocess_by(processor: Any) -> Callable[[Any], torch.Tensor]:
    """A picture (Pillow's) -> (3, H, W), as an image processor has it."""

    def preprocess(image: Any) -> torch.Tensor:
        return processor(images=image, return_tensors="pt")["pixel_values"][0]

    return preprocess


def titles_of(config: Any) -> list[str]:
    """What the classes are called; LABEL_i, the library's way to say that there is no name, where there is none."""
    titles = config.id2label or {}
    return [str(titles.get(i, f"LABEL_{i}")) for i in range(int(config.num_labels))]


def identity_of(file: Path, network: Any, processor: Any) -> dict[str, str]:
    """A ``Model``'s fields that say what shapes its answers, for a network that is given pictures."""
    import torchvision
    import transformers

    return {
        "weights_sha256": sha256_of(file),
        "preprocessing": as_json(processor),
        "version": f"transformers {transformers.__version__}, torchvision {torchvision.__version__}",
        "configuration": as_json(network.config),
    }


def as_json(settings: Any) -> str:
    """A configuration or a processor, for a cell's identity."""
    return json.dumps(settings.to_dict(), sort_keys=True, default=str)
