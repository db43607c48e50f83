"""ST-LPIPS: the deep similarity of Ghildyal and Liu (ECCV 2022, arXiv 2207.13686), AlexNet variant.

Its weights, backbone and heads, come inside a wheel, so it needs no network. It weighs the differences of an
anti-aliased AlexNet's features: a distance (0 for equal pictures), near LPIPS in rank but not in value.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from mpq.weights.sources import in_wheel, load_strictly, read_tensors

PACKAGE = "stlpips_pytorch"
FILE = "weights/vST0.0/alex_shift_tolerant.pth"
SHA256 = "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee"


class _Blur(nn.Module):
    """Blurs with a binomial 3×3 filter and takes every second pixel; two reflected pixels on each side."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", torch.empty(channels, 1, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(
            functional.pad(x, (2, 2, 2, 2), mode="reflect"), self.filt, stride=2, groups=x.shape[1]
        )


class _Head(nn.Module):
    """A non-negative weight a channel, applied to squared differences."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class _Scaling(nn.Module):
    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.empty(1, 3, 1, 1))
        self.register_buffer("scale", torch.empty(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.shift) / self.scale


class STLPIPS(nn.Module):
    """Modules are named as in the published file, so that it loads strictly."""

    def __init__(self) -> None:
        super().__init__()
        self.scaling_layer = _Scaling()
        layers = [
            nn.Conv2d(3, 64, 11, padding=2),
            _Blur(64),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=1),
            _Blur(64),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=1),
            _Blur(192),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
        ]
        self.net = nn.Module()
        cuts = [0, 3, 7, 11, 13, 15]
        for i, (start, end) in enumerate(pairwise(cuts), 1):
            stage = nn.Sequential()
            for index in range(start, end):
                stage.add_module(str(index), layers[index])
            self.net.add_module(f"slice{i}", stage)
        for i, channels in enumerate((64, 192, 384, 256, 256)):
            self.add_module(f"lin{i}", _Head(channels))

    def features(self, x: Tensor) -> list[Tensor]:
        """(n, 3, h, w) in [0, 1] -> five maps, each pixel's features of unit length."""
        x = self.scaling_layer(2 * x - 1)
        maps = []
        for i in range(1, 6):
            x = getattr(self.net, f"slice{i}")(x)
            # The root of a sum of zeros has no gradient.
            maps.append(x / (torch.sqrt(torch.sum(x**2, dim=1, keepdim=True) + 1e-20) + 1e-10))
        return maps

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(n,) distances of pictures in [0, 1], (n, 3, h, w) each, h and w at least 32."""
        return self.distance(self.features(a), self.features(b))

    def distance(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """(n,) distances, from features that are at hand."""
        pairs = enumerate(zip(a, b, strict=True))
        return torch.stack(
            [getattr(self, f"lin{i}")((fa - fb) ** 2).mean(dim=(1, 2, 3)) for i, (fa, fb) in pairs]
        ).sum(0)


def stlpips() -> STLPIPS:
    """The network with its published weights, frozen. Raises UserError where the wheel is missing or changed."""
    network = STLPIPS()
    path = in_wheel(PACKAGE, FILE, SHA256)
    load_strictly(network, read_tensors(path), path, "ST-LPIPS")
    return network.eval().requires_grad_(False)
