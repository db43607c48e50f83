"""Sample-to-sample measures of two sounds that know no task: SNR, SI-SDR and log-spectral distance.

All take an original and what was decoded from it, (channels, n) float32 of one shape and already aligned.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mpq.audio import AudioSample, resampled
from mpq.metrics.base import Similarity

WINDOW, HOP = 0.032, 0.016
"""Of the log-spectral distance, in seconds: what a recogniser of speech would also look at."""

FLOOR = 1e-10
"""Of its powers, where a full-scale sine has 1: −100 dB."""


def snr(original: np.ndarray, decoded: np.ndarray) -> float | None:
    """10 · log10(Σ x² / Σ (x − y)²) over all channels and samples, in dB.

    ∞ for equal sounds; None for a silent original. It is not a measure of quality: a delay of one sample or a
    changed level ruins it, and codecs that fill in noise are meant to have a low one.
    """
    signal = noise = 0.0
    for x, y in zip(original, decoded, strict=True):
        signal += _dot(x, x)
        noise += _difference(x, y)
    if signal == 0:
        return None
    return math.inf if noise == 0 else 10 * math.log10(signal / noise)


def si_sdr(original: np.ndarray, decoded: np.ndarray) -> float | None:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al. 2019, eq. 3), in dB, its mean over channels.

    10 · log10(|αx|² / |αx − y|²) with α = ⟨x, y⟩ / |x|², without removing means. ∞ for equal sounds but for the
    level, −∞ for a decode that has nothing of the original; channels that are silent in the original are left
    out, and None where all are. It is not museval's SDR, which allows any filter of 512 taps, and it says as
    little of how a sound is heard as the SNR.
    """
    ratios = []
    for x, y in zip(original, decoded, strict=True):
        energy = _dot(x, x)
        if energy == 0:
            continue
        scale = _dot(x, y) / energy
        signal, noise = scale**2 * energy, _difference(x, y, scale)
        # Below the rounding of float64 there is nothing left to measure.
        if signal <= 1e-30 * energy:
            ratios.append(-math.inf)
        elif noise <= 1e-26 * signal:
            ratios.append(math.inf)
        else:
            ratios.append(10 * math.log10(signal / noise))
    return float(np.mean(ratios)) if ratios else None


def log_spectral_distance(original: np.ndarray, decoded: np.ndarray, rate: int) -> float:
    """√ of the mean over frequencies of (10 · log10(P / P'))², its mean over frames and channels, in dB.

    (Gray and Markel 1976, on the power spectra themselves.) Frames of 32 ms under a Hann window, centred on every
    16 ms, with silence before and after the sound; powers below −100 dB of a full-scale sine count as that. 0 for equal sounds. It
    hears no phase, weighs all frequencies up to Nyquist's alike, loud or silent, and so punishes a codec's
    low-pass far more than ears do; it compares only at equal rates.
    """
    size, hop = max(2, round(WINDOW * rate)), max(1, round(HOP * rate))
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    full = float(window.sum() / 2) ** 2
    frames = 1 + (original.shape[1] - 1) // hop
    total = 0.0
    for x, y in zip(original, decoded, strict=True):
        for start in range(0, frames, 512):  # in parts: all frames of a long sound would not fit in memory
            count = min(512, frames - start)
            a, b = (_powers(s, start * hop - size // 2, count, hop, window) / full for s in (x, y))
            ratio = 10 * np.log10(np.maximum(a, FLOOR) / np.maximum(b, FLOOR))
            total += float(np.sqrt((ratio**2).mean(axis=1)).sum())
    return total / (frames * len(original))


def _powers(sound: np.ndarray, start: int, count: int, hop: int, window: np.ndarray) -> np.ndarray:
    """(count, len(window) // 2 + 1): the power spectra of frames from ``start`` on, which may lie before the sound."""
    end = start + (count - 1) * hop + len(window)
    piece = np.pad(sound[max(0, start) : end], (max(0, -start), max(0, end - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(piece, len(window))[::hop]
    return np.abs(np.fft.rfft(frames * window, axis=1)) ** 2


PART = 1 << 20
"""Samples that are held in double precision at once."""


def _dot(x: np.ndarray, y: np.ndarray) -> float:
    """⟨x, y⟩ in double precision."""
    parts = (slice(start, start + PART) for start in range(0, len(x), PART))
    return float(sum(x[part].astype(np.float64) @ y[part].astype(np.float64) for part in parts))


def _difference(x: np.ndarray, y: np.ndarray, scale: float = 1.0) -> float:
    """|scale · x − y|² in double precision."""
    total = 0.0
    for start in range(0, len(x), PART):
        part = scale * x[start : start + PART].astype(np.float64) - y[start : start + PART]
        total += float(part @ part)
    return total


def over_parts(
    measure: Callable[[np.ndarray, np.ndarray], float | None],
    original: AudioSample,
    decoded: AudioSample,
    rate: int,
    longest: int | None = None,
) -> float | None:
    """The mean over channels, and over equal parts of at most ``longest`` seconds, that sound in the original.

    measure: of (n,) float32 of both at ``rate`` Hz; None where it is not defined, and such parts are left out; NaN
    where the decode is to blame, and then there is no mean, because leaving it out would better it. None also where
    nothing is left.
    """
    values = []
    for c in range(original.channels):
        x, y = (resampled(sample.samples[c : c + 1], sample.rate, rate)[0] for sample in (original, decoded))
        parts = -(-len(x) // (longest * rate)) if longest else 1
        pairs = zip(np.array_split(x, parts), np.array_split(y, parts), strict=True)
        values += [measure(a, b) for a, b in pairs if a.any()]
    found = [value for value in values if value is not None]
    mean = math.fsum(found) / len(found) if found else math.nan
    return None if math.isnan(mean) else mean


MEASURES = (
    Similarity(
        "snr",
        "snr",
        lambda original, decoded: snr(original.samples, decoded.samples),
        "dB",
        "signal-to-noise ratio of the waveform; no measure of quality: a change of level or a shift ruins it",
        "SNR",
        "{:.1f}",
        rank=8,
    ),
    Similarity(
        "si-sdr",
        "si_sdr",
        lambda original, decoded: si_sdr(original.samples, decoded.samples),
        "dB",
        "the same whatever the level, mean over channels; neither museval's SDR nor what is heard",
        "SI-SDR",
        "{:.1f}",
        rank=3,
    ),
    Similarity(
        "lsd",
        "lsd",
        lambda original, decoded: log_spectral_distance(original.samples, decoded.samples, original.rate),
        "dB",
        "log-spectral distance, 32 ms frames; hears no phase, and weighs a codec's low-pass more than ears do",
        "LSD",
        "{:.2f}",
        better="lower",
    ),
)
