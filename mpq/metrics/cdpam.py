"""CDPAM: the learned audio distance of Manocha et al. (ICASSP 2021, arXiv 2102.05109).

Its weights come inside a wheel. The package's own code imports four packages that it does not declare, and unpickles.
"""

from __future__ import annotations

import io
import pickletools
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mpq.weights.sources import in_wheel, load_strictly

PACKAGE = "cdpam"
FILE = "CDPAM_trained/scratchJNDdefault_best_model.pth"
SHA256 = "453c8b6edee1a94f0120236156436ff28fe4d8d884485e4a67695c8e8570bdfe"

RATE = 22_050
"""Hz."""

STRIDE, MARGIN, FIELD = 16, 432, 841
"""Samples from one output to the next; that its inputs reach to either side, as whole strides; of all its inputs."""

PART = 2**16
"""Samples that are encoded at once: all of a long sound's 64 channels and more would not fit in memory."""


class _Encoder(nn.Module):
    """Sixteen convolutions of width 15; every fourth doubles the channels and takes every second sample."""

    def __init__(self) -> None:
        super().__init__()
        widths = [64, 64, 64, 128, 128, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 1024]
        self.encoder = nn.ModuleList(
            nn.Conv1d(i, o, 15, padding=7, stride=2 if n % 4 == 3 else 1)
            for n, (i, o) in enumerate(zip([1, *widths[:-1]], widths, strict=True))
        )
        self.ebatch = nn.ModuleList(nn.BatchNorm1d(width) for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        """(b, 1, n) -> (b, 1024, ⌈n / 16⌉)."""
        for convolution, norm in zip(self.encoder, self.ebatch, strict=True):
            x = functional.leaky_relu(norm(convolution(x)), 0.1)
        return x


class _Distance(nn.Module):
    """Weighted absolute differences of four layers' outputs, summed."""

    def __init__(self) -> None:
        super().__init__()
        widths = [512, 256, 64, 16, 4]
        self.convs = nn.ModuleList(
            nn.Sequential(nn.Linear(widths[i], widths[i + 1]), nn.LeakyReLU() if i < 3 else nn.Identity())
            for i in range(4)
        )
        self.chan_w = nn.ParameterList(nn.Parameter(torch.empty(width)) for width in widths[1:])

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(b, 512) each -> (b,)."""
        total = a.new_zeros(len(a))
        for layer, weight in zip(self.convs, self.chan_w, strict=True):
            a, b = layer(a), layer(b)
            total = total + ((b - a) * weight).abs().sum(dim=1)
        return total


class CDPAM(nn.Module):
    """Modules are named as in the published file, so that it loads strictly."""

    def __init__(self) -> None:
        super().__init__()
        self.base_encoder = _Encoder()
        self.model_dist = _Distance()

    def features(self, sound: np.ndarray) -> Tensor:
        """(n,) float32 of full scale ±1 at 22.05 kHz -> (1, 512) of unit length: its acoustics, without its content.

        They are means over time, and so sums over parts, each encoded with what its outputs reach to either side.
        """
        x = torch.from_numpy(np.round(sound * np.float32(32_768)))[None, None]
        total = torch.zeros(1, 1024, dtype=torch.float64)
        for start in range(0, len(sound), PART):
            before = min(start, MARGIN)
            maps = self.base_encoder(x[:, :, start - before : start + PART + MARGIN])
            total += maps[:, :, before // STRIDE :][:, :, : PART // STRIDE].sum(dim=2, dtype=torch.float64)
        mean = (total / -(-len(sound) // STRIDE)).float()
        return functional.normalize(mean[:, :512], dim=1)

    def between(self, a: np.ndarray, b: np.ndarray) -> float:
        """The distance of two sounds, (n,) float32 each."""
        with torch.inference_mode():
            return float(self.model_dist(self.features(a), self.features(b)))


@lru_cache(maxsize=1)
def cdpam_network() -> CDPAM:
    """The network with its published weights, frozen. Raises UserError where the wheel is missing or changed."""
    network = CDPAM()
    path = in_wheel(PACKAGE, FILE, SHA256)
    # The file also holds a classifier of differences, with which it was trained.
    tensors = {k: v for k, v in _tensors(path).items() if not k.startswith("model_classif.")}
    load_strictly(network, tensors, path, "CDPAM")
    return network.eval().requires_grad_(False)


def _tensors(path: Path) -> dict[str, Tensor]:
    """The state dict of a file that Python 2's torch wrote.

    In it are whole numbers in decimals (the pickle's opcode INT), which torch's safe reader has forgotten. They are
    rewritten as LONG1, without running anything; then it is read as any other: only tensors and plain values.
    """
    data, new, done = path.read_bytes(), bytearray(), 0
    old = io.BytesIO(data)
    for _ in range(5):  # its pickles: magic number, protocol, system, content, storages' keys
        for opcode, value, position in pickletools.genops(old):
            if opcode.name == "INT" and value is not None and position is not None:
                number = int(value).to_bytes(int(value).bit_length() // 8 + 1, "little", signed=True)
                new += data[done:position] + b"\x8a" + bytes([len(number)]) + number
                done = position + len(f"I{value}\n")
    new += data[done:]
    return torch.load(io.BytesIO(new), map_location="cpu", weights_only=True)["state"]
