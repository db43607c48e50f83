"""Listeners' models on cases with known answers, against their authors' own code, and on sounds that they cannot take."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterator
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from mpq.audio import AudioSample, read_audio
from mpq.codecs.base import parse_codec
from mpq.metrics import audio, speech_quality
from mpq.metrics.speech_quality import MEASURES, cdpam, dnsmos, pesq, stoi, visqol

pytestmark = pytest.mark.usefixtures("one_thread")

BY_NAME = {measure.name: measure for measure in MEASURES}
SLOW = ("visqol", "visqol-speech", "dnsmos", "cdpam")


def sample(*channels: np.ndarray, rate: int = 16_000) -> AudioSample:
    return AudioSample(np.stack(channels).astype(np.float32), rate)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n) * 0.1


def voice(seconds: float = 2.0, rate: int = 16_000) -> np.ndarray:
    """A buzz of 120 Hz in syllables of 120 ms with pauses between them, its overtones louder and softer in turn."""
    t = np.arange(round(seconds * rate)) / rate
    buzz = sum(
        np.sin(2 * np.pi * 120 * k * t) / k * (1 + np.sin(2 * np.pi * (1 + k % 5) * t)) for k in range(1, 33)
    )
    return 0.1 * buzz * np.clip(np.sin(2 * np.pi * 4 * t), 0, 1)


def skip_without(name: str) -> None:
    if why := BY_NAME[name].unavailable():
        pytest.skip(why)


# STOI


@pytest.mark.parametrize("extended", [False, True])
def test_stoi_is_one_for_equal_sounds_at_any_level_and_falls_with_noise(extended: bool) -> None:
    x = voice()
    assert stoi(sample(x), sample(x), extended) == pytest.approx(1, abs=1e-6)
    assert stoi(sample(x), sample(0.1 * x), extended) == pytest.approx(1, abs=1e-6)
    values = [stoi(sample(x), sample(x + level * noise(len(x))), extended) for level in (0.01, 0.1, 1, 10)]
    for better, worse in pairwise(values):
        assert better is not None and worse is not None and better > worse


def test_stoi_at_10_khz_is_pystois() -> None:
    from pystoi import stoi as published

    x, y = (s.astype(np.float32) for s in (voice(3, 10_000), voice(3, 10_000) + noise(30_000)))
    ours = stoi(sample(x, rate=10_000), sample(y, rate=10_000))
    assert ours == published(x.astype(float), y.astype(float), 10_000)


def test_stoi_is_the_mean_over_channels_that_sound() -> None:
    x, y = voice(), voice() + noise(32_000)
    one, other = stoi(sample(x), sample(y)), stoi(sample(x), sample(noise(32_000)))
    assert one is not None and other is not None
    assert stoi(sample(x, x), sample(y, noise(32_000))) == pytest.approx((one + other) / 2)
    assert stoi(sample(x, 0 * x), sample(y, y)) == pytest.approx(one)


def test_estoi_repeats_itself_and_leaves_numpys_random_numbers_alone() -> None:
    pair = sample(voice()), sample(np.round(voice() * 10) / 10)  # digitally silent between syllables
    np.random.seed(7)
    first, drawn = stoi(*pair, extended=True), np.random.rand()
    np.random.seed(7)
    assert drawn == np.random.rand()
    assert stoi(*pair, extended=True) == first


def test_parts_of_a_long_sound_are_weighted_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = voice(8), voice(8) + np.linspace(0, 3, 128_000) * noise(128_000)
    halves = [stoi(sample(x[part]), sample(y[part])) for part in (slice(64_000), slice(64_000, None))]
    monkeypatch.setattr(speech_quality, "STOI_PART", 7)
    # Resampled at once, they differ a little where they are cut.
    assert stoi(sample(x), sample(y)) == pytest.approx(np.mean(halves), abs=1e-3)  # type: ignore[arg-type]


# PESQ


def test_pesq_of_equal_sounds_is_the_mapping_of_4_5() -> None:
    skip_without("pesq")
    x = sample(voice())
    wide = 0.999 + 4 / (1 + math.exp(-1.3669 * 4.5 + 3.8224))  # P.862.2
    narrow = 0.999 + 4 / (1 + math.exp(-1.4945 * 4.5 + 4.6607))  # P.862.1
    assert pesq(x, x) == pytest.approx(wide, abs=1e-6)
    assert pesq(x, x, "nb") == pytest.approx(narrow, abs=1e-6)
    assert pesq(sample(voice(rate=8000), rate=8000), sample(voice(rate=8000), rate=8000)) is None


def test_pesq_falls_with_noise_and_not_with_the_level() -> None:
    skip_without("pesq")
    x = voice()
    values = [pesq(sample(x), sample(x + level * noise(len(x)))) for level in (0.001, 0.01, 0.1, 1)]
    for better, worse in pairwise(values):
        assert better is not None and worse is not None and better > worse
    assert pesq(sample(x), sample(0.1 * x)) == pytest.approx(4.6439, abs=0.01)


def test_pesq_survives_a_minute_of_more_utterances_than_its_table_holds() -> None:
    skip_without("pesq")
    second = noise(16_000) * (np.arange(16_000) // 3400 % 2 == 0)
    x = np.tile(second, 60)
    assert pesq(sample(x), sample(x)) == pytest.approx(4.6439, abs=1e-4)


def test_pesq_of_a_decode_that_falls_silent_is_not_the_mean_of_what_is_left() -> None:
    skip_without("pesq")
    x = voice(19)
    assert pesq(sample(x), sample(x * (np.arange(len(x)) < len(x) // 2))) is None


# ViSQOL


def test_visqol_of_equal_sounds_is_as_published() -> None:
    skip_without("visqol")
    music = sample(voice(1, 48_000), rate=48_000)
    assert visqol(music, music) == pytest.approx(4.732101253, abs=1e-6)  # of ViSQOL's own conformance test
    speech = sample(voice(1))
    assert visqol(speech, speech, "speech") == 5


def test_visqol_falls_with_noise_and_mixes_channels() -> None:
    skip_without("visqol-speech")
    x, n = voice(1), noise(16_000)
    values = [visqol(sample(x), sample(x + level * n), "speech") for level in (0.001, 0.03, 1)]
    for better, worse in pairwise(values):
        assert better is not None and worse is not None and better > worse
    # What is out of phase in two channels is gone from their mean.
    assert visqol(sample(x, x), sample(x + n, x - n), "speech") == 5


@pytest.mark.parametrize(("name", "shortest"), [("visqol", 15_360), ("visqol-speech", 10_240)])
def test_visqol_takes_sounds_that_hold_a_patch(name: str, shortest: int) -> None:
    skip_without(name)
    for n in (shortest - 1, shortest):
        values = [BY_NAME[name].measure(x, y) for x, y in odd_pairs(n)]
        assert values[2] is None and [value is not None for value in values[:2]] == [n == shortest] * 2


# DNSMOS


def test_dnsmos_is_its_packages() -> None:
    skip_without("dnsmos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            sys.modules, "librosa", ModuleType("librosa")
        )  # for files and for another model's input
        published = importlib.import_module("speechmos.dnsmos")
        patch.setattr(published.DNSMOS, "audio_melspec", lambda self, audio: np.zeros((900, 120), np.float32))
        for x in (voice(2.5), voice(10.2) + noise(163_200)):
            x = np.clip(x, -1, 1).astype(np.float32)
            expected = published.run(x, 16_000)["ovrl_mos"]
            assert dnsmos(sample(noise(len(x))), sample(x)) == pytest.approx(expected, abs=1e-5)
    sys.modules.pop("speechmos.dnsmos", None)


# CDPAM


@pytest.fixture(scope="module")
def published_cdpam(one_thread: None) -> Iterator[Any]:
    """The wheel's own network and file. It imports two packages that it does not need for this, so they are empty here."""
    skip_without("cdpam")
    from mpq.metrics.cdpam import FILE, PACKAGE, SHA256
    from mpq.weights.sources import in_wheel

    with pytest.MonkeyPatch.context() as patch:
        for name in ("librosa", "resampy"):
            patch.setitem(sys.modules, name, ModuleType(name))
        own = set(sys.modules)
        models = importlib.import_module("cdpam.models")
        network = models.FINnet(
            encoder_layers=16,
            encoder_filters=64,
            ndim=[16, 6],
            classif_dp=0.05,
            classif_BN=0,
            classif_act="no",
            input_size=512,
        )
        # Unsafe, were its hash not known.
        content = torch.load(in_wheel(PACKAGE, FILE, SHA256), map_location="cpu", weights_only=False)
        network.load_state_dict(content["state"])
        yield network.eval()
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE and name not in own]:
            del sys.modules[name]


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # its own import of numpy.matlib
def test_cdpam_is_its_packages(published_cdpam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from mpq.metrics.cdpam import cdpam_network

    x = (voice(0.1, 24_000) + 0.01 * noise(2400)).astype(np.float32)
    y = x + 0.02 * noise(2400, 1).astype(np.float32)
    with torch.inference_mode():
        a, b = (
            published_cdpam.base_encoder(torch.from_numpy(np.round(s * 32768))[None, None])[1] for s in (x, y)
        )
        a, b = (torch.nn.functional.normalize(features, dim=1) for features in (a, b))
        expected = float(published_cdpam.model_dist(a, b))
    assert expected > 1e-3
    whole = cdpam_network().between(x, y)
    assert whole == pytest.approx(expected, rel=1e-3)
    assert cdpam(sample(x, rate=22_050), sample(y, rate=22_050)) == whole
    monkeypatch.setattr("mpq.metrics.cdpam.PART", 2048)
    assert cdpam_network().between(x, y) == pytest.approx(whole, rel=1e-3)


def test_cdpam_is_none_at_all_for_equal_sounds() -> None:
    skip_without("cdpam")
    x = sample(voice(0.1))
    assert cdpam(x, x) == 0


# All of them


@pytest.mark.parametrize("name", [measure.name for measure in MEASURES])
def test_sounds_that_are_silent_or_too_short_have_no_value(name: str) -> None:
    skip_without(name)
    measure = BY_NAME[name].measure
    for length in (1, 160, 32_000):
        silence = sample(np.zeros(length))
        assert measure(silence, silence) is None
    for length in (1, 160):
        assert measure(sample(noise(length)), sample(noise(length))) is None


def odd_pairs(n: int) -> list[tuple[AudioSample, AudioSample]]:
    click = np.zeros(n)
    click[n // 3] = 1
    return [
        (sample(x), sample(y))
        for x, y in ((noise(n), noise(n, 1)), (click, noise(n)), (noise(n), np.zeros(n)))
    ]


@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in SLOW])
@pytest.mark.parametrize("n", [3999, 4000, 4096, 6400, 16_000])
def test_short_sounds_have_a_finite_value_or_none(name: str, n: int) -> None:
    skip_without(name)
    for x, y in odd_pairs(n):
        value = BY_NAME[name].measure(x, y)
        assert value is None or math.isfinite(value)


@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in SLOW])
def test_more_bits_of_real_speech_are_better_liked(name: str, shared: Path) -> None:
    skip_without(name)
    original = read_audio((shared / "speech" / "librivox_0870.wav").read_bytes())
    values = [
        BY_NAME[name].measure(original, parse_codec(spec)[0].transmit(original).decoded)
        for spec in ("opus:bitrate=6000", "opus:bitrate=16000", "opus:bitrate=32000")
    ]
    assert None not in values
    assert values == sorted(values)


def test_what_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_quality, "find_spec", lambda name: None)
    for name in ("pesq", "pesq-nb", "visqol", "visqol-speech", "dnsmos", "cdpam"):
        why = BY_NAME[name].unavailable()
        assert (
            why is not None and f"pip install 'machine-perceptual-quality[{name.partition('-')[0]}]'" in why
        )


def test_names_and_columns_are_distinct_and_packages_are_installed() -> None:
    measures = (*audio.MEASURES, *MEASURES)
    assert len({m.name for m in measures}) == len({m.column for m in measures}) == len(measures)
    for measure in measures:
        assert measure.column == measure.name.replace("-", "_")
        if measure.unavailable() is None:
            assert all(version(package) for package in measure.packages)
