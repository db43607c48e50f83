"""OSNet: features of several scales at once, weighed against each other channel by channel.

Zhou, Yang, Cavallaro, Xiang, "Omni-Scale Feature Learning for Person Re-Identification", ICCV 2019, and
"Learning Generalisable Omni-Scale Representations for Person Re-Identification", TPAMI 2021 (OSNet-AIN). In
evaluation it gives what comes before the classifier: (B, 3, h, w) -> (B, 512).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

Variant = Literal["plain", "ibn", "ain"]
"""Where instance normalisation stands: nowhere; after the first layers' sums; inside residuals, where a search put it."""

_SCALES = 4
_INSIDE = ((True, True), (False, True), (True, False))  # AIN's blocks with normalised residuals, by stage


class OSNet(nn.Module):
    """width: channels after the first layer, 64 for ×1.0 down to 16 for ×0.25. dimensions: of the features."""

    def __init__(self, width: int = 64, dimensions: int = 512, variant: Variant = "plain") -> None:
        super().__init__()
        channels = (width, 4 * width, 6 * width, 8 * width)
        self.conv1 = _conv(3, width, 7, stride=2, norm="instance" if variant != "plain" else "batch")
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        stages = []
        for stage in range(3):
            ends = (channels[stage], channels[stage + 1]), (channels[stage + 1],) * 2
            blocks: list[nn.Module] = []
            for (ins, outs), inside in zip(ends, _INSIDE[stage], strict=True):
                if variant == "ain":
                    blocks.append(_StreamBlock(ins, outs, inside=inside))
                else:
                    blocks.append(_Block(ins, outs, after=variant == "ibn" and stage == 0))
            stages.append(nn.Sequential(*blocks))
        self.conv2, self.conv3, self.conv4 = stages
        halves = [nn.Sequential(_conv(c, c, 1), nn.AvgPool2d(2, stride=2)) for c in channels[1:3]]
        if variant == "ain":
            self.pool2, self.pool3 = halves
        else:  # the halving is a stage's last member
            self.conv2.append(halves[0])
            self.conv3.append(halves[1])
            self.pool2, self.pool3 = nn.Sequential(), nn.Sequential()
        self.conv5 = _conv(channels[3], channels[3], 1)
        self.fc = nn.Sequential(nn.Linear(channels[3], dimensions), nn.BatchNorm1d(dimensions), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.conv1(x))
        x = self.pool2(self.conv2(x))
        x = self.pool3(self.conv3(x))
        x = self.conv5(self.conv4(x))
        return self.fc(x.mean((2, 3)))


class _ConvNorm(nn.Module):
    """A convolution without bias, a normalisation called ``bn`` whatever it is, and a ReLU unless ``linear``."""

    def __init__(self, conv: nn.Conv2d, bn: nn.Module | None, linear: bool) -> None:
        super().__init__()
        self.conv = conv
        self.bn = bn
        self.linear = linear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        x = x if self.bn is None else self.bn(x)
        return x if self.linear else x.relu()


def _conv(
    ins: int,
    outs: int,
    kernel: int,
    *,
    stride: int = 1,
    norm: Literal["batch", "instance", "none"] = "batch",
    linear: bool = False,
) -> _ConvNorm:
    bn = {"batch": nn.BatchNorm2d(outs), "instance": _instance_norm(outs), "none": None}[norm]
    return _ConvNorm(nn.Conv2d(ins, outs, kernel, stride, kernel // 2, bias=False), bn, linear)


def _instance_norm(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True)


class _LightConv(nn.Module):
    """A 1×1 convolution, then a 3×3 one of each channel by itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv2(self.conv1(x))).relu()


class _Gate(nn.Module):
    """Weighs the channels of a scale by what they are like over the whole picture; all scales share it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 16, 1)
        self.fc2 = nn.Conv2d(channels // 16, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class _Block(nn.Module):
    """A bottleneck of four streams, of one to four light convolutions. after: normalise what the block sums up to."""

    def __init__(self, ins: int, outs: int, *, after: bool) -> None:
        super().__init__()
        middle = outs // 4
        self.conv1 = _conv(ins, middle, 1)
        # The stream of one convolution is not wrapped in the published files; the others are.
        self.conv2a = _LightConv(middle)
        self.conv2b, self.conv2c, self.conv2d = (
            nn.Sequential(*(_LightConv(middle) for _ in range(depth))) for depth in range(2, _SCALES + 1)
        )
        self.gate = _Gate(middle)
        self.conv3 = _conv(middle, outs, 1, linear=True)
        self.downsample = _conv(ins, outs, 1, linear=True) if ins != outs else None
        self.IN = _instance_norm(outs) if after else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        narrow = self.conv1(x)
        streams = (self.conv2a, self.conv2b, self.conv2c, self.conv2d)
        scales = sum(self.gate(stream(narrow)) for stream in streams)
        summed = self.conv3(scales) + (x if self.downsample is None else self.downsample(x))
        return (summed if self.IN is None else self.IN(summed)).relu()


class _Stream(nn.Module):
    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_LightConv(channels) for _ in range(depth)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class _StreamBlock(nn.Module):
    """OSNet-AIN's block. inside: normalise the residual over its picture before it is added."""

    def __init__(self, ins: int, outs: int, *, inside: bool) -> None:
        super().__init__()
        middle = outs // 4
        self.conv1 = _conv(ins, middle, 1)
        self.conv2 = nn.ModuleList(_Stream(middle, depth) for depth in range(1, _SCALES + 1))
        self.gate = _Gate(middle)
        self.conv3 = _conv(middle, outs, 1, norm="none" if inside else "batch", linear=True)
        self.downsample = _conv(ins, outs, 1, linear=True) if ins != outs else None
        self.IN = _instance_norm(outs) if inside else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        narrow = self.conv1(x)
        residual = self.conv3(sum(self.gate(stream(narrow)) for stream in self.conv2))
        residual = residual if self.IN is None else self.IN(residual)
        return (residual + (x if self.downsample is None else self.downsample(x))).relu()
