"""LPIPS: the deep distance of Zhang et al. (CVPR 2018, arXiv 1801.03924), version 0.1, AlexNet and VGG16 variants.

It weighs the differences of an ImageNet classifier's features with heads that were fitted to people's choices. The
heads come inside torchmetrics' wheel, whose code is not imported; the classifier is torchvision's.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from mpq.metrics.backbones import Backbone, features
from mpq.weights.sources import in_wheel, read_tensors


class _Variant(NamedTuple):
    """cuts: where the classifier's layers are looked at, each after a ReLU. sha256: of the heads' file."""

    backbone: Backbone
    cuts: tuple[int, ...]
    sha256: str


VARIANTS = {
    "alex": _Variant(
        "alexnet", (0, 2, 5, 8, 10, 12), "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"
    ),
    "vgg": _Variant(
        "vgg16", (0, 4, 9, 16, 23, 30), "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"
    ),
}


class LPIPS(nn.Module):
    shift: Tensor
    scale: Tensor

    def __init__(self, layers: nn.Sequential, cuts: tuple[int, ...], heads: list[Tensor]) -> None:
        """heads: a non-negative (C,) for each of the five stages."""
        super().__init__()
        self.stages = nn.ModuleList(layers[start:end] for start, end in pairwise(cuts))
        self.heads = nn.ParameterList(heads)
        # ImageNet's mean and deviation, as they are in [-1, 1].
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))

    def features(self, x: Tensor) -> list[Tensor]:
        """(n, 3, h, w) in [-1, 1] -> five maps, each pixel's features of unit length."""
        x = (x - self.shift) / self.scale
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x / (torch.sqrt((x**2).sum(dim=1, keepdim=True) + 1e-20) + 1e-10))
        return maps

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(n,) distances of pictures in [-1, 1], (n, 3, h, w) each; h and w at least 31 (AlexNet) or 16 (VGG16)."""
        pairs = zip(self.heads, self.features(a), self.features(b), strict=True)
        return torch.stack(
            [((fa - fb) ** 2).mean(dim=(2, 3)) @ head.to(fa.dtype) for head, fa, fb in pairs]
        ).sum(0)


@lru_cache(maxsize=2)
def lpips(variant: Literal["alex", "vgg"]) -> LPIPS:
    """The network with its published weights, frozen. Raises UserError where a file is missing or changed."""
    backbone, cuts, sha256 = VARIANTS[variant]
    file = in_wheel("torchmetrics", f"functional/image/lpips_models/{variant}.pth", sha256)
    tensors = read_tensors(file)
    heads = [tensors[f"lin{i}.model.1.weight"].flatten() for i in range(5)]
    network = LPIPS(features(backbone, f"lpips-{variant}"), cuts, heads)
    return network.eval().requires_grad_(False)
