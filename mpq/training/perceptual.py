"""The perceptual term of a training loss: a distance of pictures in [0, 1] that gradients flow through."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from mpq.errors import UserError, first_line

Distance = Callable[[Tensor, Tensor], Tensor]
"""(original, reconstruction), each (n, 3, h, w) in [0, 1] -> their mean distance."""

PERCEPTUAL = ("st-lpips", "lpips", "none")


def perceptual(name: str, device: str) -> Distance | None:
    """Raises UserError where the distance's weights cannot be had."""
    if name == "none":
        return None
    if name == "st-lpips":
        from mpq.metrics.stlpips import stlpips

        shift_tolerant = stlpips().to(device)
        return lambda a, b: shift_tolerant(a, b).mean()
    if name == "lpips":
        try:
            from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

            published = LearnedPerceptualImagePatchSimilarity("alex", normalize=True).to(device)
        except Exception as error:  # the package, or torchvision's AlexNet that it downloads
            raise UserError(
                f"LPIPS needs the extra 'lpips' (torchmetrics) and torchvision's AlexNet weights: {first_line(error)}; "
                f"--perceptual st-lpips needs no network"
            ) from None
        return lambda a, b: published.net(a, b, normalize=True).mean()
    raise UserError(f"unknown perceptual distance '{name}'; there are: {', '.join(PERCEPTUAL)}")
