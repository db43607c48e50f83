"""What every recogniser does with a sound before its network hears it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpq.audio import AudioSample
from mpq.errors import UserError
from mpq.models.base import load_model
from mpq.models.speech.base import Recogniser, cut_at_pauses, one_by_one, split_language
from mpq.registry import models

RATE = 1000


def _noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


@given(n=st.integers(1, 9000), longest=st.floats(0.5, 3), seed=st.integers(0, 9))
def test_parts_are_the_sound_in_order_and_none_is_too_long_or_too_short(
    n: int, longest: float, seed: int
) -> None:
    sound = _noise(n / RATE, seed)
    parts = list(cut_at_pauses(sound, RATE, longest))
    whole = np.concatenate(parts)
    assert np.array_equal(whole[:n], sound)
    assert not whole[n:].any()
    assert all(100 <= len(part) <= max(longest * RATE, 100) for part in parts)
    assert all(len(part) >= int(longest * RATE) // 2 for part in parts[:-1])


def test_a_cut_lies_in_the_pause() -> None:
    sound = _noise(10)
    for start in (3200, 7000):
        sound[start : start + 400] *= 0.01
    ends = np.cumsum([len(part) for part in cut_at_pauses(sound, RATE, 5)])
    assert [3200 <= ends[0] <= 3600, 7000 <= ends[1] <= 7400, ends[2] == 10_000] == [True] * 3


def test_a_quieter_place_in_the_first_half_is_no_place_to_cut() -> None:
    sound = _noise(10)
    sound[1000:2000] = 0
    sound[4000:4300] *= 0.1
    assert 4000 <= len(next(cut_at_pauses(sound, RATE, 5))) <= 4300


def test_what_fits_is_not_cut() -> None:
    sound = _noise(30)
    assert [len(part) for part in cut_at_pauses(sound, RATE)] == [30 * RATE]


@pytest.mark.parametrize(("rate", "length"), [(16_000, 160), (44_100, 441), (8_000, 80), (48_000, 480)])
def test_ten_milliseconds_of_any_rate_are_160_samples_of_the_channels_mean(rate: int, length: int) -> None:
    model = Recogniser(
        name="",
        weights_sha256="",
        preprocessing="",
        version="",
        open=lambda device: one_by_one(lambda sound: ""),
    )
    left, right = np.random.default_rng(0).normal(0, 0.1, (2, length)).astype(np.float32)
    stereo = model.preprocess(AudioSample(np.stack([left, right]), rate))
    mono = model.preprocess(AudioSample(((left + right) / 2)[None], rate))
    assert stereo.shape == (160,)
    assert stereo.dtype == np.float32
    assert stereo == pytest.approx(mono, abs=1e-7)


def test_a_language_stands_behind_the_name() -> None:
    assert split_language("small:language=de", "whisper") == ("small", "de")
    assert split_language("facebook/wav2vec2-base-960h", "hf") == ("facebook/wav2vec2-base-960h", None)
    with pytest.raises(UserError, match="whisper:small: a language is a code .*'German'"):
        split_language("small:language=German", "whisper:small")


def test_the_families_are_found() -> None:
    assert set(models("speech").entries) >= {"whisper", "moonshine", "hf", "torchaudio"}


@pytest.mark.parametrize("spec", ["whisper", "hf", "torchaudio"])
def test_a_family_alone_is_no_model(spec: str) -> None:
    with pytest.raises(UserError, match=f"'{spec}' needs a name behind it: {spec}:"):
        load_model("speech", spec)
