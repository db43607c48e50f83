"""The perceptual term of a training loss: a distance of pictures in [0, 1] that gradients flow through."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor

from mpq.errors import UserError

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
        from mpq.metrics.lpips import lpips

        published = copy.deepcopy(lpips("alex")).to(device)  # the metric's own stays where it is
        return lambda a, b: published(2 * a - 1, 2 * b - 1).mean()
    raise UserError(f"unknown perceptual distance '{name}'; there are: {', '.join(PERCEPTUAL)}")
