"""TransReID: a vision transformer with overlapping patches, camera embeddings and jigsaw parts.

He, Luo, Wang, Wang, Li, Jiang, "TransReID: Transformer-based Object Re-Identification", ICCV 2021. The plain
transformer is Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

PATCH = 16


@dataclass(frozen=True)
class Shape:
    """size: (height, width) of pictures. stride: from patch to patch; below 16 they overlap. width: of tokens.

    hidden: of the layers between. scale: of attention's products; None is 1/√(width of a head). cameras: how many
    have an embedding, 0 for none; camera_weight: what those are multiplied with.
    """

    size: tuple[int, int] = (256, 128)
    stride: int = PATCH
    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 3072
    qkv_bias: bool = True
    scale: float | None = None
    cameras: int = 0
    camera_weight: float = 3.0

    @property
    def grid(self) -> tuple[int, int]:
        """Patches from top to bottom, and from left to right."""
        height, width = self.size
        return (height - PATCH) // self.stride + 1, (width - PATCH) // self.stride + 1


class VisionTransformer(nn.Module):
    """(B, 3, h, w) -> (B, 1 + patches, width) tokens, the class token first.

    cut: without the last block and the normalisation.
    """

    def __init__(self, shape: Shape, *, cut: bool = False) -> None:
        super().__init__()
        self.shape = shape
        self.patch_embed = _PatchEmbedding(shape)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        rows, columns = shape.grid
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + rows * columns, shape.width))
        if shape.cameras:
            self.sie_embed = nn.Parameter(torch.zeros(shape.cameras, 1, shape.width))
        self.blocks = nn.Sequential(*(Block(shape) for _ in range(shape.depth - cut)))
        self.norm = nn.Identity() if cut else _norm(shape.width)

    def forward(self, x: torch.Tensor, cameras: torch.Tensor | None = None) -> torch.Tensor:
        """cameras: (B,) int64 from 0, where there are camera embeddings."""
        x = self.patch_embed(x)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        if cameras is not None:
            x = x + self.shape.camera_weight * self.sie_embed[cameras]
        return self.norm(self.blocks(x))


class ClassToken(nn.Module):
    """A transformer's normalised class token (B, width): an ImageNet network without its classifier."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.base = VisionTransformer(shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x)[:, 0]


class TransReID(nn.Module):
    """(B, 3, h, w) -> (B, width), or with parts (B, 5·width): the global token and four jigsaw parts, each / 4.

    parts: the jigsaw patch module. shift: tokens that it moves before it shuffles. after: features after the
    batch norm that training put before the classifier (``NECK_FEAT: 'after'``), not those before it, which the
    published tests use.
    """

    PARTS = 4
    GROUPS = 2

    def __init__(self, shape: Shape, *, parts: bool, shift: int = 5, after: bool = False) -> None:
        super().__init__()
        self.parts, self.shift, self.after = parts, shift, after
        # With parts the last block is replaced by two of its copies, one for the whole and one for the parts.
        self.base = VisionTransformer(shape, cut=parts)
        if parts:
            self.b1, self.b2 = (nn.Sequential(Block(shape), _norm(shape.width)) for _ in range(2))
        self.bottleneck = nn.BatchNorm1d(shape.width)
        if parts:
            for part in range(1, self.PARTS + 1):
                self.add_module(f"bottleneck_{part}", nn.BatchNorm1d(shape.width))

    def forward(self, x: torch.Tensor, cameras: torch.Tensor | None = None) -> torch.Tensor:
        tokens = self.base(x, cameras)
        if not self.parts:
            return self.bottleneck(tokens[:, 0]) if self.after else tokens[:, 0]
        features = [self.b1(tokens)[:, 0]]
        token, patches = tokens[:, :1], self._shuffled(tokens[:, 1:])
        length = (tokens.shape[1] - 1) // self.PARTS  # what is left over by this is in no part
        for part in range(self.PARTS):
            own = patches[:, part * length : (part + 1) * length]
            features.append(self.b2(torch.cat([token, own], dim=1))[:, 0])
        if self.after:
            necks = [self.bottleneck, *(getattr(self, f"bottleneck_{i + 1}") for i in range(self.PARTS))]
            features = [neck(feature) for neck, feature in zip(necks, features, strict=True)]
        return torch.cat([features[0], *(feature / self.PARTS for feature in features[1:])], dim=1)

    def _shuffled(self, patches: torch.Tensor) -> torch.Tensor:
        """Patches moved on, then dealt out: the first of each half, the second of each, …"""
        moved = self.shift - 1  # published counting starts at the class token
        patches = torch.cat([patches[:, moved:], patches[:, :moved]], dim=1)
        if patches.shape[1] % self.GROUPS:
            patches = torch.cat([patches, patches[:, -2:-1]], dim=1)  # the last but one again, as published
        batch, count, width = patches.shape
        return patches.view(batch, self.GROUPS, -1, width).transpose(1, 2).reshape(batch, count, width)


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(shape.width), _norm(shape.width)
        self.attn = _Attention(shape)
        self.mlp = _Perceptron(shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _PatchEmbedding(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, shape.width, PATCH, shape.stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class _Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.scale = shape.heads, shape.scale
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=shape.qkv_bias)
        self.proj = nn.Linear(shape.width, shape.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, count, width = x.shape
        q, k, v = self.qkv(x).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        return self.proj(x.transpose(1, 2).reshape(batch, count, width))


class _Perceptron(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.fc1 = nn.Linear(shape.width, shape.hidden)
        self.fc2 = nn.Linear(shape.hidden, shape.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


def resized_positions(positions: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Embeddings (1, 1 + n², width) of a square grid's positions -> (1, 1 + rows·columns, width), bilinearly."""
    token, square = positions[:, :1], positions[:, 1:]
    side = round(square.shape[1] ** 0.5)
    image = square.view(1, side, side, -1).permute(0, 3, 1, 2)
    image = F.interpolate(image, size=grid, mode="bilinear")
    return torch.cat([token, image.flatten(2).transpose(1, 2)], dim=1)


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=1e-6)
