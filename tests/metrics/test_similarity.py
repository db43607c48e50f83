"""Similarities against independent implementations and by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mpq.codecs.base import parse_codec
from mpq.metrics.similarity import MEASURES, ms_ssim, psnr, ssim
from mpq.samples import read_image


def _pair(path: Path, spec: str) -> tuple[np.ndarray, np.ndarray]:
    sample = read_image(path.read_bytes())
    return sample.pixels, parse_codec(spec)[0].transmit(sample).decoded.pixels


def test_psnr_by_hand() -> None:
    original = np.zeros((2, 2, 3), np.uint8)
    decoded = original.copy()
    decoded[0, 0, 0] = 255  # MSE = 255² / 12
    assert psnr(original, decoded) == pytest.approx(10 * math.log10(12))
    assert psnr(original, original) == math.inf


@pytest.mark.parametrize("spec", ["jpeg:quality=5", "webp:quality=50"])
def test_psnr_is_scikit_images(spec: str, photographs: list[Path]) -> None:
    original, decoded = _pair(photographs[0], spec)
    assert psnr(original, decoded) == pytest.approx(peak_signal_noise_ratio(original, decoded), abs=1e-9)


@pytest.mark.parametrize("spec", ["jpeg:quality=5", "webp:quality=50"])
def test_ssim_is_scikit_images_with_wangs_window(spec: str, photographs: list[Path]) -> None:
    original, decoded = _pair(photographs[1], spec)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    expected = structural_similarity(original, decoded, channel_axis=2, **options)
    assert ssim(original, decoded) == pytest.approx(expected, abs=2e-5)


def test_ms_ssim_is_one_for_equal_pictures_and_falls_with_quality(photographs: list[Path]) -> None:
    values = [ms_ssim(*_pair(photographs[0], f"jpeg:quality={q}")) for q in (5, 20, 60)]
    assert values == sorted(values)  # type: ignore[type-var]
    original, _ = _pair(photographs[0], "none")
    assert ms_ssim(original, original) == pytest.approx(1)


def test_similarities_say_nothing_of_pictures_that_are_too_small() -> None:
    small = np.zeros((10, 300, 3), np.uint8)
    assert ssim(small, small) is None
    assert ms_ssim(np.zeros((160, 300, 3), np.uint8), np.zeros((160, 300, 3), np.uint8)) is None
    assert ms_ssim(np.zeros((161, 300, 3), np.uint8), np.zeros((161, 300, 3), np.uint8)) == pytest.approx(1)


def test_similarities_measure_samples(photographs: list[Path]) -> None:
    sample = read_image(photographs[2].read_bytes())
    decoded = parse_codec("jpeg:quality=10")[0].transmit(sample).decoded
    pair = sample.pixels, decoded.pixels
    measured = {m.name: m.measure(sample, decoded) for m in MEASURES}
    assert measured == {"psnr": psnr(*pair), "ssim": ssim(*pair), "ms-ssim": ms_ssim(*pair)}
    assert all(m.better == "higher" and m.unavailable() is None for m in MEASURES)
