"""Word error rates for the recognisers' tests, and what is measured with them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import jiwer

from mpq.audio import AudioSample, read_audio
from mpq.codecs.base import parse_codec
from mpq.models.speech.base import Recogniser

NARRATIVE = "librispeech_2412-153948-0000.flac", "librivox_0870.wav", "librivox_0890.wav"
"""24 s, 72 words."""

NUMBERS = {"four": "4", "five": "5", "seven": "7", "eight": "8", "ten": "10", "mister": "mr"}


def plain(text: str) -> str:
    """Lower-case words without punctuation, small numbers in digits."""
    words = re.sub(r"[^a-z0-9' ]", " ", text.lower()).split()
    return " ".join(NUMBERS.get(word, word) for word in words)


def wer(said: list[str], heard: list[str]) -> float:
    """Wrong, missing and extra words over all words."""
    return jiwer.wer([plain(text) for text in said], [plain(text) for text in heard])


def read_speech(shared: Path, *names: str) -> list[tuple[AudioSample, str]]:
    """Utterances by their files' names, with what is said."""
    folder = shared / "speech"
    with (folder / "transcripts.tsv").open() as file:
        said = {row["path"]: row["sentence"] for row in csv.DictReader(file, delimiter="\t")}
    return [(read_audio((folder / name).read_bytes()), said[name]) for name in names]


def wer_after(spec: str, model: Recogniser, speech: list[tuple[AudioSample, str]]) -> float:
    """WER of ``model`` on what is left of ``speech`` by the codec ``spec``."""
    (codec,) = parse_codec(spec)
    decoded = [codec.decode(codec.encode(sample).data) for sample, _ in speech]
    return wer([said for _, said in speech], model.transcripts([model.preprocess(s) for s in decoded]))
