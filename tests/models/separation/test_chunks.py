"""A sound goes through a network in chunks: nothing is lost, doubled or heard at the seams."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from mpq.audio import AudioSample
from mpq.models.separation.base import OVERLAP, Separator, seams
from mpq.samples import SampleError

RATE, CHUNK = 8000, 4000


class Copies(torch.nn.Module):
    """Gives the mixture as it is, and turned round; notes what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[torch.Tensor] = []

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        self.given.append(mixture.clone())
        return torch.stack([mixture, -mixture], 1)


class Numbered(torch.nn.Module):
    """Answers its first chunk with 0, its second with 1, …: the seams are all that there is to see."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = -1

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return torch.full_like(mixture, float(self.calls))[:, None]


def separator(network: torch.nn.Module, stems: tuple[str, ...] = ("one", "two"), **options) -> Separator:
    given = {
        "name": "test", "weights_sha256": "", "preprocessing": "", "version": "", "network": network,
        "stems": stems, "rate": RATE, "channels": 2, "chunk": CHUNK,
    }  # fmt: skip
    return Separator(**given | options).on("cpu")


def noise(length: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((channels, length)).astype(np.float32) * 0.1


LENGTHS = [1, 80, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5 * CHUNK + 123, 37_777]
"""80 samples are 10 ms."""


@pytest.mark.parametrize("length", LENGTHS)
def test_a_network_that_changes_nothing_gives_the_sound_back(length: int) -> None:
    sound = noise(length) + np.float32(0.25)
    one, two = separator(Copies()).separated(sound)
    assert one == pytest.approx(sound, abs=1e-6)
    assert one.dtype == np.float32
    # The mean is given back to each stem, as Demucs does: what is turned round is the sound without it.
    assert two == pytest.approx(2 * sound.mean() - sound, abs=1e-6)


@pytest.mark.parametrize("length", LENGTHS)
def test_all_chunks_are_whole_and_overlap_enough(length: int) -> None:
    network = Copies()
    separator(network).separated(noise(length))
    assert {part.shape for part in network.given} == {(1, 2, min(length, CHUNK))}
    starts = [start for start, _, _ in seams(length, CHUNK)]
    assert len(starts) == len(network.given)
    assert starts[0] == 0 and starts[-1] + min(length, CHUNK) == length
    assert all(b - a <= CHUNK - int(OVERLAP * CHUNK) for a, b in pairwise(starts))
    # No more of them than are needed.
    assert len(starts) == 1 or CHUNK + (len(starts) - 2) * (CHUNK - int(OVERLAP * CHUNK)) < length


@pytest.mark.parametrize("length", [CHUNK + 1, 2 * CHUNK, 37_777])
def test_one_chunk_fades_into_the_next_without_a_click(length: int) -> None:
    found = separator(Numbered(), ("one",)).separated(noise(length))[0, 0]
    scale = found[-1] - found[0]  # chunk i says i · deviation + mean
    steps = np.diff(found) / scale * (len(list(seams(length, CHUNK))) - 1)
    assert steps.min() >= -1e-6
    assert steps.max() == pytest.approx(1 / (OVERLAP * CHUNK), rel=1e-3)


def test_the_network_is_given_the_mixture_without_its_mean_and_with_deviation_1() -> None:
    # One channel is louder: what is normalised is the mean of both, over the whole sound, not each chunk.
    sound = noise(3 * CHUNK) * np.array([[1], [3]], np.float32) + np.float32(0.5)
    sound[:, :CHUNK] *= 0.1
    network = Copies()
    separator(network).separated(sound)
    mono = sound.mean(0)
    for part, (start, _, _) in zip(network.given, seams(3 * CHUNK, CHUNK), strict=True):
        expected = (sound[:, start : start + CHUNK] - mono.mean()) / mono.std()
        assert part[0].numpy() == pytest.approx(expected, abs=1e-5)


def test_silence_stays_silence() -> None:
    found = separator(Copies()).separated(np.zeros((2, CHUNK + 1), np.float32))
    assert not found.any()


def test_a_short_sound_gets_silence_behind_it_where_the_network_needs_it() -> None:
    network = Copies()
    sound = noise(80)
    found = separator(network, shortest=1000).separated(sound)
    assert network.given[0].shape == (1, 2, 1000)
    assert not network.given[0][..., 80:].any()
    assert found.shape == (2, 2, 80)
    assert found[0] == pytest.approx(sound, abs=1e-6)


def test_memory_is_that_of_the_answer() -> None:
    class Twice(torch.nn.Module):
        def forward(self, mixture: torch.Tensor) -> torch.Tensor:
            return torch.stack([mixture, mixture], 1)

    model, sound = separator(Twice()), noise(2_000_000)
    tracemalloc.start()
    try:
        answer = model.separated(sound)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.05 * answer.nbytes


def test_it_runs_in_eval_mode_on_one_thread_without_gradients() -> None:
    class Spy(torch.nn.Module):
        def forward(self, mixture: torch.Tensor) -> torch.Tensor:
            self.seen = (self.training, torch.get_num_threads(), torch.is_inference_mode_enabled())
            return mixture[:, None]

    spy, threads = Spy().train(), torch.get_num_threads()
    separator(spy, ("one",)).separated(noise(10))
    assert spy.seen == (False, 1, True)
    assert torch.get_num_threads() == threads


def test_mono_is_heard_in_both_channels_and_other_rates_are_resampled() -> None:
    model = separator(Copies())
    ready = model.preprocess(AudioSample(noise(4001, channels=1), 16_000))
    assert ready.shape == (2, 2001) and ready.dtype == np.float32
    assert np.array_equal(ready[0], ready[1])
    stereo = noise(100)
    assert np.array_equal(model.preprocess(AudioSample(stereo, RATE)), stereo)


def test_a_separator_of_one_channel_hears_the_mean() -> None:
    stereo = noise(100)
    ready = replace(separator(Copies()), channels=1).preprocess(AudioSample(stereo, RATE))
    assert ready == pytest.approx(stereo.mean(0, keepdims=True))


def test_six_channels_are_not_guessed_at() -> None:
    with pytest.raises(SampleError, match="6 channels where test hears 2"):
        separator(Copies()).preprocess(AudioSample(noise(100, channels=6), RATE))
