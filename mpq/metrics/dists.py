"""DISTS: deep image structure and texture similarity (Ding et al., TPAMI 2020, arXiv 2004.07728), as a distance.

It compares the means (texture) and the covariances (structure) of whole maps of VGG16's features, and of the pixels
themselves. Its weights come inside torchmetrics' wheel, whose code is not imported; the classifier is torchvision's.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from mpq.metrics.backbones import features
from mpq.weights.sources import in_wheel, read_tensors

SHA256 = "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218"

CHANNELS = (3, 64, 128, 256, 512, 512)
"""Of the pixels and of the five stages."""

CUTS = ((0, 4), (5, 9), (10, 16), (17, 23), (24, 30))
"""VGG16's layers of a stage, between its poolings."""


class _Pooling(nn.Module):
    """The root of a Hann-weighted mean of squares, 3 × 3, of every second pixel: it aliases less than a maximum."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        hann = torch.tensor([0.5, 1.0, 0.5])
        window = hann[:, None] * hann
        self.register_buffer("window", (window / window.sum())[None, None])

    def forward(self, x: Tensor) -> Tensor:
        window = self.window.expand(x.shape[1], -1, -1, -1)
        return (functional.conv2d(x**2, window, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


class DISTS(nn.Module):
    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: nn.Sequential, alpha: Tensor, beta: Tensor) -> None:
        """alpha, beta: (1475,), the weights of textures and of structures, channel by channel."""
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(_Pooling() if start else nn.Identity(), layers[start:end]) for start, end in CUTS
        )
        whole = alpha.sum() + beta.sum()
        self.texture = nn.ParameterList((alpha / whole).split(CHANNELS))
        self.structure = nn.ParameterList((beta / whole).split(CHANNELS))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def features(self, x: Tensor) -> list[Tensor]:
        """(n, 3, h, w) in [0, 1] -> the pixels and five maps."""
        maps = [x]
        x = (x - self.mean) / self.deviation
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(n,) distances of pictures in [0, 1], (n, 3, h, w) each: 1 less the weighted mean of both similarities.

        Of nearly equal pictures rounding would leave less than nothing: that is 0.
        """
        total = a.new_zeros(len(a))
        for alpha, beta, x, y in zip(
            self.texture, self.structure, self.features(a), self.features(b), strict=True
        ):
            mx, my = x.mean(dim=(2, 3)), y.mean(dim=(2, 3))
            vx, vy = x.var(dim=(2, 3), correction=0), y.var(dim=(2, 3), correction=0)
            covariance = ((x - mx[..., None, None]) * (y - my[..., None, None])).mean(dim=(2, 3))
            total = total + (2 * mx * my + 1e-6) / (mx**2 + my**2 + 1e-6) @ alpha
            total = total + (2 * covariance + 1e-6) / (vx + vy + 1e-6) @ beta
        return (1 - total).clamp(min=0)


@lru_cache(maxsize=1)
def dists() -> DISTS:
    """The network with its published weights, frozen. Raises UserError where a file is missing or changed."""
    file = in_wheel("torchmetrics", "functional/image/dists_models/weights.pt", SHA256)
    weights = read_tensors(file)
    network = DISTS(features("vgg16", "dists"), weights["alpha"].flatten(), weights["beta"].flatten())
    return network.eval().requires_grad_(False)
