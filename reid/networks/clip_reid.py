"""CLIP-ReID's image encoders: CLIP's ViT-B/16 or ResNet-50, trained on for re-identification.

Li, Sun, Li, "CLIP-ReID: Exploiting Vision-Language Model for Image Re-Identification without Concrete Text
Labels", AAAI 2023. The encoders are Radford et al., "Learning Transferable Visual Models From Natural Language
Supervision", ICML 2021. Both give the feature and its projection into CLIP's space of words and pictures, side by
side: (B, 3, h, w) -> (B, 768 + 512) or (B, 2048 + 1024).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

PATCH = 16


class ClipReid(nn.Module):
    """encoder: picture -> feature (B, d) and projection (B, p). cameras: how many have an embedding (the ViT's).

    after: features after the batch norms before the classifiers, not those before, which the published tests use.
    """

    def __init__(
        self,
        encoder: ClipTransformer | ClipResNet,
        *,
        cameras: int = 0,
        camera_weight: float = 1.0,
        after: bool = False,
    ) -> None:
        super().__init__()
        self.image_encoder = encoder
        self.bottleneck = nn.BatchNorm1d(encoder.width)
        self.bottleneck_proj = nn.BatchNorm1d(encoder.projected)
        if cameras:
            self.cv_embed = nn.Parameter(torch.zeros(cameras, encoder.width))
        self.camera_weight, self.after = camera_weight, after

    def forward(self, x: torch.Tensor, cameras: torch.Tensor | None = None) -> torch.Tensor:
        """cameras: (B,) int64 from 0, where there are camera embeddings."""
        if cameras is None:
            feature, projection = self.image_encoder(x)
        else:
            feature, projection = self.image_encoder(x, self.camera_weight * self.cv_embed[cameras])
        if self.after:
            feature, projection = self.bottleneck(feature), self.bottleneck_proj(projection)
        return torch.cat([feature, projection], dim=1)


class ClipTransformer(nn.Module):
    """size: (height, width) of pictures. stride: from patch to patch; below 16 they overlap. The rest is ViT-B/16's."""

    def __init__(
        self,
        size: tuple[int, int],
        stride: int = PATCH,
        *,
        width: int = 768,
        projected: int = 512,
        layers: int = 12,
    ) -> None:
        super().__init__()
        self.width, self.projected = width, projected
        rows, columns = ((side - PATCH) // stride + 1 for side in size)
        self.conv1 = nn.Conv2d(3, width, PATCH, stride, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(1 + rows * columns, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = _Transformer(width, layers)
        self.proj = nn.Parameter(torch.zeros(width, projected))

    def forward(
        self, x: torch.Tensor, camera: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """camera: (B, width), which the class token is moved by."""
        x = self.conv1(x).flatten(2).transpose(1, 2)
        token = self.class_embedding.expand(len(x), 1, -1)
        if camera is not None:
            token = token + camera[:, None]
        x = self.ln_pre(torch.cat([token, x], dim=1) + self.positional_embedding)
        feature = self.ln_post(self.transformer(x)[:, 0])
        return feature, feature @ self.proj


class _Transformer(nn.Module):
    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.Sequential(*(_Block(width) for _ in range(layers)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.resblocks(x)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, width // 64, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = _Perceptron(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class _Perceptron(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.c_fc(x)
        return self.c_proj(hidden * torch.sigmoid(1.702 * hidden))  # CLIP's quick GELU


class ClipResNet(nn.Module):
    """CLIP's ResNet with the last stage's stride left out. size: (height, width) of pictures.

    base: channels after the first layers; blocks: of the four stages. The rest is ResNet-50's.
    """

    def __init__(
        self,
        size: tuple[int, int],
        *,
        base: int = 64,
        blocks: tuple[int, ...] = (3, 4, 6, 3),
        projected: int = 1024,
    ) -> None:
        super().__init__()
        self.width, self.projected = 32 * base, projected
        half = base // 2
        self.conv1, self.bn1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = nn.Conv2d(half, half, 3, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = nn.Conv2d(half, base, 3, padding=1, bias=False), nn.BatchNorm2d(base)
        self.layer1 = _stage(base, base, blocks[0], stride=1)
        self.layer2 = _stage(4 * base, 2 * base, blocks[1], stride=2)
        self.layer3 = _stage(8 * base, 4 * base, blocks[2], stride=2)
        self.layer4 = _stage(16 * base, 8 * base, blocks[3], stride=1)
        places = (size[0] // 16) * (size[1] // 16)
        self.attnpool = _AttentionPool(places, self.width, projected, heads=self.width // 64)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for conv, bn in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = bn(conv(x)).relu()
        x = F.avg_pool2d(x, 2)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3)), self.attnpool(x)


def _stage(ins: int, middle: int, blocks: int, stride: int) -> nn.Sequential:
    rest = (_Bottleneck(4 * middle, middle, 1) for _ in range(blocks - 1))
    return nn.Sequential(_Bottleneck(ins, middle, stride), *rest)


class _Bottleneck(nn.Module):
    """A residual block whose stride is an average, before which nothing is skipped."""

    def __init__(self, ins: int, middle: int, stride: int) -> None:
        super().__init__()
        outs = 4 * middle
        self.conv1, self.bn1 = nn.Conv2d(ins, middle, 1, bias=False), nn.BatchNorm2d(middle)
        self.conv2, self.bn2 = nn.Conv2d(middle, middle, 3, padding=1, bias=False), nn.BatchNorm2d(middle)
        self.conv3, self.bn3 = nn.Conv2d(middle, outs, 1, bias=False), nn.BatchNorm2d(outs)
        self.stride = stride
        self.downsample = None
        if stride > 1 or ins != outs:
            self.downsample = nn.Sequential(nn.Conv2d(ins, outs, 1, bias=False), nn.BatchNorm2d(outs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        residual = self.bn1(self.conv1(x)).relu()
        residual = self.bn2(self.conv2(residual)).relu()
        if self.stride > 1:
            residual, x = F.avg_pool2d(residual, self.stride), F.avg_pool2d(x, self.stride)
        residual = self.bn3(self.conv3(residual))
        return (residual + (x if self.downsample is None else self.downsample(x))).relu()


class _AttentionPool(nn.Module):
    """The mean of all places asks them what they hold: (B, width, h, w) -> (B, projected)."""

    def __init__(self, places: int, width: int, projected: int, heads: int) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.zeros(places + 1, width))
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.c_proj = nn.Linear(width, projected)
        self.heads = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(2).transpose(1, 2)  # (B, places, width)
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1) + self.positional_embedding
        q, k, v = self.q_proj(x[:, :1]), self.k_proj(x), self.v_proj(x)
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        return self.c_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(1))
