"""HiFiC's discriminator (Mentzer et al. 2020, figure 2): is this the picture that the latents came from?"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm


class Discriminator(nn.Module):
    """Logits (n, 1, h/8 − 1, w/8 − 1) of pictures (n, 3, h, w), given their latents (n, latent, h/16, w/16).

    width: channels of the first convolution, 64 in the paper.
    """

    def __init__(self, latent: int, width: int = 64) -> None:
        super().__init__()
        self.context = spectral_norm(nn.Conv2d(latent, 12, 3, padding=1, padding_mode="reflect"))
        sizes, strides = [15, width, 2 * width, 4 * width, 8 * width], [2, 2, 2, 1]
        layers: list[nn.Module] = []
        for inputs, outputs, stride in zip(sizes, sizes[1:], strides, strict=False):
            convolution = nn.Conv2d(inputs, outputs, 4, stride, padding=1, padding_mode="reflect")
            layers += [spectral_norm(convolution), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(sizes[-1], 1, 1)))

    def forward(self, picture: Tensor, latents: Tensor) -> Tensor:
        context = functional.leaky_relu(self.context(latents.detach()), 0.2)
        context = functional.interpolate(context, scale_factor=16, mode="nearest")
        return self.layers(torch.cat([picture, context], dim=1))


def discriminator_loss(real: Tensor, generated: Tensor) -> Tensor:
    return functional.softplus(-real).mean() + functional.softplus(generated).mean()


def generator_loss(generated: Tensor) -> Tensor:
    """Non-saturating: −log D."""
    return functional.softplus(-generated).mean()
