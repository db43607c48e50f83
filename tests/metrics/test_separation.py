"""SDR against museval itself, and on cases that can be counted by hand."""

from __future__ import annotations

import importlib.util
import math
import tracemalloc
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mpq.metrics.separation import framewise_sdr, sdr

RATE = 2000
"""Hz. museval inverts matrices of 512 rows for each stem's channel, so its sounds are kept short and few."""


@pytest.fixture(scope="module")
def museval() -> ModuleType:
    """museval's metrics.py alone: the package imports a reader of MUSDB, which needs an FFmpeg program."""
    found = importlib.util.find_spec("museval")
    if found is None or found.origin is None:
        pytest.skip("needs museval, the oracle")
    spec = importlib.util.spec_from_file_location("metrics", Path(found.origin).with_name("metrics.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expected(museval: ModuleType, references: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """(stems, frames): museval's own SDR. It takes (stems, n, channels)."""
    given = (np.moveaxis(x.astype(np.float64), 1, 2) for x in (references, estimates))
    return museval.bss_eval(*given, window=RATE, hop=RATE)[0]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * 0.1


def music(seconds: float) -> np.ndarray:
    """(2, 2, n): plucked chords and a voice-like glide, both with rests, panned apart; some of it has a DC offset."""
    t = np.arange(int(seconds * RATE)) / RATE
    decay = np.exp(-3 * (t % 1.5))
    chord = sum(np.sin(2 * np.pi * f * t) for f in (110, 138.6, 164.8)) * decay * (t % 4 < 3)
    glide = np.sin(2 * np.pi * (200 * t + 20 * np.sin(t))) * np.clip(np.sin(0.9 * t), 0, None)
    stems = np.array([[chord * 0.7, chord * 0.3], [glide * 0.4 + 0.01, glide * 0.6]]) * 0.3
    stems[1, :, int(2.1 * RATE) : int(4.3 * RATE)] = 0  # the frames 2 and 4 hold some of it, 3 only silence
    return stems.astype(np.float32)


@pytest.mark.parametrize("length", [2 * RATE, 2 * RATE + RATE // 2, 2 * RATE - 1, 700])
def test_it_is_musevals_whatever_the_length(museval: ModuleType, length: int) -> None:
    references, leak = noise(2, 1, length), noise(2, 1, length, seed=1)
    estimates = references * np.float32(0.8) + np.float32(0.5) * references[::-1] + leak
    found = framewise_sdr(references, estimates, RATE)
    assert found.shape == (2, max(1, length // RATE))
    assert found == pytest.approx(expected(museval, references, estimates), abs=1e-6)


def test_it_is_musevals_on_music_with_rests(museval: ModuleType) -> None:
    references = music(6.7)
    estimates = 0.9 * references + 0.1 * references[::-1] + noise(*references.shape) * np.float32(0.1)
    estimates[0, :, : 2 * RATE] = 0  # a silent estimate is museval's silence, too
    found, museval_s = framewise_sdr(references, estimates, RATE), expected(museval, references, estimates)
    assert np.isnan(found).tolist() == [[True, True, False, True, False, False]] * 2
    assert found == pytest.approx(museval_s, abs=1e-6, nan_ok=True)
    assert sdr(references, estimates, RATE) == pytest.approx(np.nanmedian(museval_s, axis=1), abs=1e-6)


def test_channels_that_cancel_are_silence_to_museval(museval: ModuleType) -> None:
    references, estimates = noise(1, 2, 2 * RATE), noise(1, 2, 2 * RATE, seed=1)
    references[0, 1, :RATE] = -references[0, 0, :RATE]
    found = framewise_sdr(references, estimates, RATE)
    assert np.isnan(found).tolist() == [[True, False]]
    assert found == pytest.approx(expected(museval, references, estimates), abs=1e-6, nan_ok=True)


def test_a_tenth_of_the_amplitude_as_distortion_is_20_db_in_any_number_of_channels() -> None:
    for channels in (1, 2, 5):
        reference = noise(channels, 2 * RATE)
        assert framewise_sdr(reference, reference * np.float32(0.9), RATE) == pytest.approx(
            [20, 20], abs=1e-4
        )


def test_energies_of_the_channels_are_added_before_the_ratio() -> None:
    reference = np.array([[2.0] * RATE, [1.0] * RATE], np.float32)
    estimate = np.array([[2.0] * RATE, [0.0] * RATE], np.float32)
    assert sdr(reference, estimate, RATE) == pytest.approx(10 * math.log10(5 / 1))


def test_the_median_leaves_silent_frames_out() -> None:
    reference = noise(1, 5 * RATE)
    scale = np.repeat([0.9, 0.99, 0.5, 0.0, 0.999], RATE).astype(np.float32)
    # 20, 40, 6.02, none and 60 dB
    assert sdr(reference, reference * scale, RATE) == pytest.approx(30, abs=1e-3)


def test_a_silent_stem_takes_its_frames_from_all_that_are_judged_with_it() -> None:
    drums, vocals = noise(1, 2 * RATE), noise(1, 2 * RATE, seed=1)
    vocals[:, :RATE] = 0
    references = np.stack([drums, vocals])
    both = framewise_sdr(references, references * np.float32(0.9), RATE)
    assert np.isnan(both).tolist() == [[True, False], [True, False]]
    assert np.isfinite(framewise_sdr(drums, drums * np.float32(0.9), RATE)).all()


def test_what_is_exact_is_infinite_and_silence_has_no_score() -> None:
    sound = noise(2, 3 * RATE)
    assert sdr(sound, sound, RATE) == math.inf
    assert np.isnan(sdr(np.zeros_like(sound), sound, RATE))
    assert np.isnan(sdr(sound, np.zeros_like(sound), RATE))


def test_a_long_track_is_not_copied() -> None:
    sound = noise(2, 500 * RATE)
    tracemalloc.start()
    try:
        framewise_sdr(sound, sound, RATE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < sound.nbytes / 10


def test_sounds_of_two_lengths_are_a_bug() -> None:
    with pytest.raises(ValueError, match="references are"):
        framewise_sdr(noise(1, 10), noise(1, 9), RATE)
