"""What a classifier is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpq.models.base import CPU_BATCH, Model, frozen

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from mpq.models.classification.labels import LabelSpace


@dataclass(frozen=True, kw_only=True)
class Classifier(Model):
    """A network with its own preprocessing.

    preprocess: a PIL RGB picture -> float32 (3, h, w). network: (B, 3, h, w) -> (B, classes) logits, in eval
    mode.
    """

    network: Callable[[torch.Tensor], torch.Tensor]
    preprocess: Callable[[Image.Image], torch.Tensor]
    labels: LabelSpace

    def on(self, device: str) -> Classifier:
        """This classifier, ready to answer many times on ``device``."""
        import torch

        assert isinstance(self.network, torch.nn.Module)
        network = self.network.to(torch.device(device)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return replace(self, network=frozen(network, self.preprocess) if device == "cpu" else network)

    def without_network(self) -> Classifier:
        import torch

        return replace(self, network=torch.nn.Identity())

    def logits(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) float32 -> (B, classes) float32, on the CPU, in passes that suit the device."""
        import torch

        # A frozen network has no parameters left; it is on the CPU.
        assert isinstance(self.network, torch.nn.Module)
        device = next((p.device for p in self.network.parameters()), torch.device("cpu"))
        step = CPU_BATCH if device.type == "cpu" else len(batch)
        with torch.inference_mode():
            passes = [
                self.network(part.to(device, memory_format=torch.channels_last)).float().cpu()
                for part in batch.split(step)
            ]
        return torch.cat(passes)
