"""What a separator is: a network that takes a mixture apart into its stems, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mpq.audio import AudioSample, resampled
from mpq.models.base import Model
from mpq.samples import SampleError

if TYPE_CHECKING:
    import torch

CHUNK = 10.0
"""Seconds that a network sees at once, as in torchaudio's own example. 20 s take Hybrid Demucs 0.55 GB more, and a fifth
more time a second."""

OVERLAP = 0.1
"""The share of a chunk over which two chunks are faded into each other."""

TINY = 1e-8
"""Is added to a mixture's deviation: digital silence stays silence."""


@dataclass(frozen=True, kw_only=True)
class Separator(Model):
    """A network with its own preprocessing.

    stems: their names, in the order of the network's answers. rate, channels: that it hears. network:
    (1, channels, n) float32 -> (1, stems, channels, n), in eval mode. chunk: the longest n, and shortest: the
    shortest one, in samples.
    """

    stems: tuple[str, ...]
    rate: int
    channels: int
    network: Callable[[torch.Tensor], torch.Tensor]
    chunk: int
    shortest: int = 1

    def preprocess(self, sample: AudioSample) -> np.ndarray:
        """(channels, ⌈n · rate / sample.rate⌉) float32: one channel is copied to each, or all are averaged to one.

        Raises SampleError for other numbers of channels than the network's: which of six is the left one, no
        array tells.
        """
        sound = sample.samples
        if self.channels == 1 and len(sound) > 1:
            sound = sound.mean(axis=0, keepdims=True)
        sound = resampled(sound, sample.rate, self.rate)
        if len(sound) == 1:
            sound = np.repeat(sound, self.channels, axis=0)
        if len(sound) != self.channels:
            raise SampleError(f"it has {len(sound)} channels where {self.name} hears {self.channels}")
        return sound

    def on(self, device: str) -> Separator:
        """This separator, ready to answer many times on ``device``."""
        import torch

        assert isinstance(self.network, torch.nn.Module)
        return replace(self, network=self.network.to(torch.device(device)).eval())

    def without_network(self) -> Separator:
        import torch

        return replace(self, network=torch.nn.Identity())

    def separated(self, sound: np.ndarray) -> np.ndarray:
        """(channels, n) float32 -> (stems, channels, n) float32, on the CPU.

        The mixture is given to the network without its mean and with deviation 1, both taken over all of it and
        all channels together (as Demucs was trained), and both are given back to the stems. The network
        sees one chunk at a time, so what is held beside the answer does not grow with the sound.
        """
        import torch

        assert isinstance(self.network, torch.nn.Module)
        device = next((p.device for p in self.network.parameters()), torch.device("cpu"))
        mean, deviation = _level(sound)
        answer = np.empty((len(self.stems), *sound.shape), np.float32)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # a sum's last bits hang on their number, and sweeps run a process a core
        try:
            with torch.inference_mode():
                for start, seam, fade in seams(sound.shape[1], self.chunk):
                    part = (sound[:, start : start + self.chunk] - mean) / deviation
                    short = max(0, self.shortest - part.shape[1])
                    given = torch.from_numpy(np.pad(part, ((0, 0), (0, short))))[None].to(device)
                    stems = self.network(given)[0, ..., : part.shape[1]].float().cpu().numpy()
                    stems = stems * deviation + mean
                    # Faded in from what the chunk before says; the one after replaces what it knows better.
                    faded = answer[..., seam : seam + fade]
                    rise = (np.arange(fade, dtype=np.float32) + np.float32(0.5)) / np.float32(fade or 1)
                    faded += rise * (stems[..., seam - start : seam - start + fade] - faded)
                    answer[..., seam + fade : start + self.chunk] = stems[..., seam - start + fade :]
        finally:
            torch.set_num_threads(threads)
        return answer


def in_words(channels: int, rate: int, chunk: int) -> str:
    """What is done to a sound before a network hears it."""
    return (
        f"{channels} channels at {rate} Hz, mean 0 and deviation 1 over the mixture, "
        f"chunks of {chunk / rate:g} s that overlap by {OVERLAP:.0%} or more"
    )


def _level(sound: np.ndarray) -> tuple[np.float32, np.float32]:
    """The mean, and the deviation plus ``TINY``, of the mean of (channels, n) over channels."""
    mono = sound.mean(axis=0)
    return np.float32(mono.mean(dtype=np.float64)), np.float32(mono.std(dtype=np.float64) + TINY)


def seams(length: int, chunk: int) -> Iterator[tuple[int, int, int]]:
    """(start, seam, fade) of each chunk of a sound of ``length`` samples, at even distances.

    All are ``chunk`` long, so that none is padded; only the sole chunk of a short sound is shorter. Where two lie over
    each other, the one is faded into the other over ``OVERLAP`` · chunk samples around the middle (``fade`` samples from
    ``seam`` on; none for the first): what they share beyond is left out, because it is near a chunk's edge.
    """
    if length <= chunk:
        yield 0, 0, 0
        return
    fade = int(OVERLAP * chunk)
    more = -((chunk - length) // (chunk - fade))  # chunks after the first, up to the next whole one
    before = 0
    for i in range(more + 1):
        start = i * (length - chunk) // more
        yield start, (before + start + chunk - fade) // 2 if i else 0, fade if i else 0
        before = start
