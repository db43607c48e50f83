"""What a segmenter is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mpq.models.base import CPU_BATCH, Model, frozen

if TYPE_CHECKING:
    import torch
    from PIL import Image

RESIZED = 16_777_216
"""Resized logits that are held at once: 64 MB in single precision, where a picture of 2048 × 1024 pixels in 150
classes would have 1.2 GB of them."""


@dataclass(frozen=True, kw_only=True)
class Segmenter(Model):
    """A network with its own preprocessing.

    preprocess: a PIL RGB picture -> float32 (3, h, w); h and w may differ from picture to picture. network:
    (B, 3, h, w) -> (B, C, h', w') logits, in eval mode, that cover the whole picture. classes: the names of the
    C classes; digits where they have none.
    """

    network: Callable[[torch.Tensor], torch.Tensor]
    preprocess: Callable[[Image.Image], torch.Tensor]
    classes: tuple[str, ...]

    def on(self, device: str) -> Segmenter:
        """This segmenter, ready to answer many times on ``device``."""
        import torch

        assert isinstance(self.network, torch.nn.Module)
        network = self.network.to(torch.device(device)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return replace(self, network=frozen(network, self.preprocess) if device == "cpu" else network)

    def without_network(self) -> Segmenter:
        import torch

        return replace(self, network=torch.nn.Identity())

    def masks(self, batch: Sequence[torch.Tensor], sizes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """Class indices of (3, h, w) float32 pictures, each at the size (height, width) that is asked for.

        uint8, or uint16 for more than 255 classes. Logits are resized bilinearly, pixel centres in place
        (``align_corners=False``), before the class is chosen; of equal ones the first is.
        """
        import torch

        # A frozen network has no parameters left; it is on the CPU.
        assert isinstance(self.network, torch.nn.Module)
        device = next((p.device for p in self.network.parameters()), torch.device("cpu"))
        step = CPU_BATCH if device.type == "cpu" else len(batch)
        found: list[np.ndarray] = []
        with torch.inference_mode():
            for places in _alike(batch, step):
                pictures = torch.stack([batch[i] for i in places])
                logits = self.network(pictures.to(device, memory_format=torch.channels_last))
                found += [mask_of(z, sizes[i]) for i, z in zip(places, logits, strict=True)]
        return found


def _alike(batch: Sequence[torch.Tensor], most: int) -> list[list[int]]:
    """Runs of at most ``most`` neighbours of one shape, as indices."""
    runs: list[list[int]] = []
    for i, picture in enumerate(batch):
        if runs and len(runs[-1]) < most and batch[runs[-1][0]].shape == picture.shape:
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs


def mask_of(logits: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """(C, h', w') logits -> (height, width) class indices, a few classes at a time."""
    import torch
    from torch.nn import functional

    classes = len(logits)
    step = max(1, RESIZED // (size[0] * size[1]))
    best: torch.Tensor | None = None
    chosen = torch.zeros(size, dtype=torch.int32, device=logits.device)
    for start in range(0, classes, step):
        part = logits[None, start : start + step].float()
        resized = functional.interpolate(part, size=size, mode="bilinear", align_corners=False)[0]
        height, index = resized.max(dim=0)
        if best is None:
            best, chosen = height, index.int()
        else:
            higher = height > best
            chosen[higher] = index[higher].int() + start
            best = torch.maximum(best, height)
    return chosen.cpu().numpy().astype(np.uint8 if classes <= 255 else np.uint16)
