"""What a classifier is, and where classifiers come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mpq.errors import UserError
from mpq.registry import models as registry

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from mpq.models.labels import LabelSpace

CPU_BATCH = 4
"""Pictures a forward pass on a CPU: more would push the activations out of the second-level cache."""


@dataclass(frozen=True)
class Classifier:
    """A network with its own preprocessing.

    preprocess: a PIL RGB picture -> float32 (3, h, w). network: (B, 3, h, w) -> (B, classes) logits, in eval
    mode. weights_sha256: of the file that the weights were read from. preprocessing: the same in words;
    part of a cell's identity. version: of the libraries whose code the network and preprocessing are.
    """

    name: str
    network: Callable[[torch.Tensor], torch.Tensor]
    preprocess: Callable[[Image.Image], torch.Tensor]
    labels: LabelSpace
    weights_sha256: str
    preprocessing: str
    version: str

    @property
    def identity(self) -> dict[str, Any]:
        """All that shapes its answers, for a cell's hash."""
        return {
            "name": self.name,
            "weights": self.weights_sha256,
            "preprocessing": self.preprocessing,
            "version": self.version,
        }

    def to(self, device: str) -> Classifier:
        import torch

        assert isinstance(self.network, torch.nn.Module)
        self.network.to(device, memory_format=torch.channels_last)
        return self

    def logits(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) float32 -> (B, classes) float32, on the CPU, in passes that suit the device."""
        import torch

        assert isinstance(self.network, torch.nn.Module)
        device = next(self.network.parameters()).device
        step = CPU_BATCH if device.type == "cpu" else len(batch)
        with torch.inference_mode():
            passes = [
                self.network(part.to(device, memory_format=torch.channels_last)).float().cpu()
                for part in batch.split(step)
            ]
        return torch.cat(passes)


class ClassifierSource(ABC):
    """A named classifier, or a family of them (``family:variant``).

    variants: how a family's members are spelled; empty for a single model.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    variants: ClassVar[str] = ""

    @abstractmethod
    def load(self, variant: str, weights: Path | None) -> Classifier:
        """Raises UserError: an unknown variant, weights that cannot be had or do not fit."""

    @classmethod
    def unavailable(cls) -> str | None:
        """Why it cannot run here and now; None where it can."""
        return None


def load_classifier(spec: str, weights: Path | None = None) -> Classifier:
    """``name`` or ``family:variant``, with the user's weights where given. Raises UserError."""
    name, _, variant = spec.partition(":")
    source = registry.get(name)()
    if source.variants and not variant:
        raise UserError(f"'{spec}' needs a name behind it: {source.variants}")
    if variant and not source.variants:
        raise UserError(f"{name} is one model and takes no ':{variant}'")
    if weights is not None and not weights.exists():
        raise UserError(f"the weights '{weights}' for {spec} do not exist")
    return source.load(variant, weights)
