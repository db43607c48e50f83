"""Measures of sound, on cases that can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mpq.audio import AudioSample, resampled
from mpq.metrics.audio import MEASURES, log_spectral_distance, over_parts, si_sdr, snr


def noise(channels: int = 1, n: int = 8000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((channels, n)).astype(np.float32) * 0.1


def test_a_tenth_of_the_signal_as_noise_is_20_db() -> None:
    x = np.array([[1, -1, 1, -1], [1, 1, 1, 1]], np.float32)
    assert snr(x, x * np.float32(0.9)) == pytest.approx(20, abs=1e-5)
    assert snr(x, np.zeros_like(x)) == 0
    assert snr(x, x) == math.inf and snr(np.zeros_like(x), x) is None


def test_si_sdr_is_the_power_beside_the_signal() -> None:
    x = np.array([[1, 0, 1, 0]], np.float32)
    beside = np.array([[0, 0.5, 0, 0.5]], np.float32)  # orthogonal to x, a quarter of its power
    assert si_sdr(x, x + beside) == pytest.approx(10 * math.log10(4))
    # Whatever the level, while the SNR falls with it.
    assert si_sdr(x, 0.1 * (x + beside)) == pytest.approx(10 * math.log10(4), abs=1e-4)
    assert si_sdr(x, 0.25 * x) == math.inf
    assert si_sdr(x, beside) == si_sdr(x, np.zeros_like(x)) == -math.inf
    assert si_sdr(np.zeros_like(x), x) is None


def test_si_sdr_is_the_mean_over_channels_that_sound() -> None:
    x, y = noise(2), noise(2) + noise(2, seed=1)
    each = [si_sdr(x[c : c + 1], y[c : c + 1]) for c in (0, 1)]
    assert si_sdr(x, y) == pytest.approx(sum(each) / 2)  # type: ignore[arg-type]
    x[1] = 0
    assert si_sdr(x, y) == pytest.approx(each[0])


def test_si_sdr_does_not_know_how_long_a_part_is(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = noise(), noise() + noise(seed=1)
    whole = snr(x, y), si_sdr(x, y)
    monkeypatch.setattr("mpq.metrics.audio.PART", 777)
    assert (snr(x, y), si_sdr(x, y)) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_ten_times_the_power_is_ten_decibels_of_spectral_distance(rate: int) -> None:
    x = noise(2, rate)
    assert log_spectral_distance(x, x, rate) == 0
    louder = log_spectral_distance(x, x * np.float32(math.sqrt(10)), rate)
    assert louder == pytest.approx(10, abs=1e-3)
    assert log_spectral_distance(x * np.float32(math.sqrt(10)), x, rate) == pytest.approx(louder)


@pytest.mark.parametrize("n", [1, 2, 511, 512, 513, 700_000])
def test_spectral_distance_is_finite_for_every_length_and_for_silence(n: int) -> None:
    x = noise(1, n)
    value = log_spectral_distance(x, np.zeros_like(x), 16_000)
    assert math.isfinite(value) and value > 0
    assert log_spectral_distance(np.zeros_like(x), np.zeros_like(x), 16_000) == 0


def test_parts_of_the_spectral_distance_are_the_mean_over_all_frames() -> None:
    rate, size, hop = 1000, 32, 16
    x, y = noise(1, 10_000), noise(1, 10_000, seed=1)
    window = np.hanning(size + 1)[:-1]

    def padded(sound: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros(size // 2), sound[0], np.zeros(size)])

    def level(sound: np.ndarray, start: int) -> np.ndarray:
        frame = padded(sound)[start : start + size]
        power = np.abs(np.fft.rfft(frame * window)) ** 2 / (window.sum() / 2) ** 2
        return 10 * np.log10(np.maximum(power, 1e-10))

    starts = range(0, 10_000, hop)
    by_hand = [np.sqrt(((level(x, s) - level(y, s)) ** 2).mean()) for s in starts]
    assert log_spectral_distance(x, y, rate) == pytest.approx(np.mean(by_hand), rel=1e-4)


def test_similarities_measure_samples() -> None:
    x, y = noise(2), noise(2) + noise(2, seed=1) / 10
    measured = {m.name: m.measure(AudioSample(x, 22_050), AudioSample(y, 22_050)) for m in MEASURES}
    assert measured == {
        "snr": snr(x, y),
        "si-sdr": si_sdr(x, y),
        "lsd": log_spectral_distance(x, y, 22_050),
    }
    assert {m.name for m in MEASURES if m.better == "lower"} == {"lsd"}


def test_over_parts_is_the_mean_of_what_sounds_and_is_defined() -> None:
    x = np.concatenate([np.full((1, 1000), i, np.float32) for i in (0, 1, 2, 3)], axis=1)
    sound = AudioSample(np.concatenate([x, 0 * x]), 1000)
    seen: list[int] = []

    def measure(a: np.ndarray, b: np.ndarray) -> float | None:
        assert np.array_equal(a, b)
        seen.append(len(a))
        return None if a[0] == 3 else float(a[0])

    assert over_parts(measure, sound, sound, 1000, 1) == 1.5 and seen == [1000] * 3
    assert over_parts(lambda a, b: None, sound, sound, 1000) is None
    assert over_parts(lambda a, b: math.nan if a[0] == 2 else 1.0, sound, sound, 1000, 1) is None
    silence = AudioSample(0 * x, 1000)
    assert over_parts(measure, silence, sound, 1000) is None
    seen.clear()
    over_parts(measure, sound, sound, 1000, 3)
    assert seen == [2000, 2000]  # equal parts, and not one that is left over


def test_over_parts_resamples_channels_of_its_own() -> None:
    x = noise(2, 4410)
    channels = iter(resampled(x, 44_100, 16_000))

    def measure(a: np.ndarray, b: np.ndarray) -> float:
        assert np.array_equal(a, next(channels)) and np.array_equal(a, b)
        return 1.0

    assert over_parts(measure, AudioSample(x, 44_100), AudioSample(x, 44_100), 16_000) == 1.0
