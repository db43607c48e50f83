"""Sample-to-sample measures that know no task: PSNR, SSIM and MS-SSIM of two pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mpq.metrics.base import Similarity

if TYPE_CHECKING:
    import torch


def psnr(original: np.ndarray, decoded: np.ndarray) -> float:
    """10 · log10(255² / MSE) over all pixels and channels of two (H, W, 3) uint8, in dB; ∞ for equal pictures."""
    difference = np.subtract(original, decoded, dtype=np.float64).ravel()
    squared = float(difference @ difference)  # exact: whole numbers below 2⁵³
    return math.inf if squared == 0 else 10 * math.log10(255**2 * difference.size / squared)


def ssim(original: np.ndarray, decoded: np.ndarray) -> float | None:
    """Structural similarity (Wang et al. 2004): 11 × 11 Gaussian window, σ 1.5, mean over RGB and valid positions.

    None for pictures with a side shorter than the window.
    """
    from pytorch_msssim import ssim as _ssim

    if min(original.shape[:2]) < 11:
        return None
    return float(_ssim(_batch(original), _batch(decoded), data_range=255))


def ms_ssim(original: np.ndarray, decoded: np.ndarray) -> float | None:
    """Multi-scale structural similarity (Wang et al. 2003), five scales, mean over RGB.

    None for pictures with a side of 160 pixels or less, which the fifth scale needs.
    """
    from pytorch_msssim import ms_ssim as _ms_ssim

    if min(original.shape[:2]) <= 160:
        return None
    return float(_ms_ssim(_batch(original), _batch(decoded), data_range=255))


def _batch(pixels: np.ndarray) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()


MEASURES = (
    Similarity(
        "psnr",
        "psnr",
        lambda original, decoded: psnr(original.pixels, decoded.pixels),
        "dB",
        "peak signal-to-noise ratio over RGB; says nothing of structure",
        "PSNR",
        "{:.1f}",
        3,
    ),
    Similarity(
        "ssim",
        "ssim",
        lambda original, decoded: ssim(original.pixels, decoded.pixels),
        "0–1",
        "structural similarity over RGB; costs about three forward passes of EfficientNet-Lite0",
        "SSIM",
        packages=("pytorch-msssim",),
    ),
    Similarity(
        "ms-ssim",
        "ms_ssim",
        lambda original, decoded: ms_ssim(original.pixels, decoded.pixels),
        "0–1",
        "the same on five scales; needs sides over 160 pixels",
        "MS-SSIM",
        rank=8,
        packages=("pytorch-msssim",),
    ),
)
