"""What a recogniser is, and how it is asked about sounds that are longer or shorter than it was made for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from mpq.audio import AudioSample, resampled
from mpq.errors import UserError
from mpq.models.base import Model

Transcribe: TypeAlias = Callable[[list[np.ndarray]], list[str]]
"""(n,) float32 each, mono, at the recogniser's rate -> a text each. No text depends on the other sounds."""

WINDOW = 30.0
"""Seconds: of Whisper's window, and of the longest sounds that the other recognisers were trained on, about."""

SHORTEST = 0.1
"""Seconds. Shorter sounds are filled up with zeros: below some 25 ms convolutional front ends give no frame."""

PAUSE = 0.2
"""Seconds over which loudness is taken where a long sound is to be cut."""


@dataclass(frozen=True, kw_only=True)
class Recogniser(Model):
    """Speech to text.

    rate: in Hz, that it hears. language: a code such as "en" or "de"; says how texts are normalised, too.
    open: device -> its ``Transcribe``; loads the network and may raise UserError. transcribe: there once it is ``on`` a
    device.
    """

    open: Callable[[str], Transcribe]
    transcribe: Transcribe | None = None
    rate: int = 16_000
    language: str = "en"

    def preprocess(self, sample: AudioSample) -> np.ndarray:
        """The mean of the channels at ``rate``: (⌈n · rate / sample.rate⌉,) float32."""
        mono = sample.samples.mean(axis=0, dtype=np.float32, keepdims=True)
        return resampled(mono, sample.rate, self.rate)[0]

    def on(self, device: str) -> Recogniser:
        return replace(self, transcribe=self.open(device))

    def transcripts(self, sounds: list[np.ndarray]) -> list[str]:
        """A text a sound, as the network spells it: case, digits and punctuation are its own."""
        assert self.transcribe is not None, "a recogniser answers once it is on a device"
        return self.transcribe(sounds)


def one_by_one(transcribe: Callable[[np.ndarray], str]) -> Transcribe:
    """Sounds of different lengths are not put into one batch: padding and batched sums would change the texts."""
    return lambda sounds: [transcribe(sound) for sound in sounds]


def cut_at_pauses(sound: np.ndarray, rate: int, longest: float = WINDOW) -> Iterator[np.ndarray]:
    """Parts of (n,) of at most ``longest`` seconds, and at least ``SHORTEST`` through zeros at their end.

    A part ends within the second half of the time that it may take, where the ``PAUSE`` around is quietest (the first of
    equals).
    """
    most, pause = int(longest * rate), int(PAUSE * rate)
    while len(sound) > most:
        energy = np.concatenate([[0.0], np.cumsum(np.square(sound[:most], dtype=np.float64))])
        first = most // 2
        loudness = energy[first + pause :] - energy[first:-pause]
        end = first + int(loudness.argmin()) + pause // 2
        yield sound[:end]
        sound = sound[end:]
    yield np.pad(sound, (0, max(0, int(SHORTEST * rate) - len(sound))))


def split_language(variant: str, spec: str) -> tuple[str, str | None]:
    """``NAME:language=de`` -> ("NAME", "de"); None where it says none. Raises UserError."""
    name, mark, language = variant.partition(":language=")
    if mark and not re.fullmatch(r"[a-z]{2,3}", language):
        raise UserError(f"{spec}: a language is a code such as en, de or yue, not '{language}'")
    return name, language or None
