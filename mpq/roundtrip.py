"""One file through one codec setting: what comes out, what it costs, and what a model makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mpq.codecs.base import Codec, CodecError, Transmission
from mpq.errors import UserError
from mpq.metrics.classification import log_softmax, top_classes
from mpq.metrics.similarity import SIMILARITIES
from mpq.models.base import Classifier
from mpq.samples import ImageSample, SampleError, read_image


@dataclass(frozen=True)
class Roundtrip:
    """files: the bitstream's and the decoded picture's. before, after: (class name, probability), best first."""

    codec: Codec
    original: ImageSample
    sent: Transmission
    similarity: dict[str, float | None]
    files: tuple[Path, Path]
    before: list[tuple[str, float]]
    after: list[tuple[str, float]]

    @property
    def bpp(self) -> float:
        return self.sent.bitstream.bits / (self.original.width * self.original.height)


def roundtrip(path: Path, codec: Codec, model: Classifier | None, folder: Path) -> Roundtrip:
    """Writes ``folder/STEM.SETTING.EXT`` (the bitstream) and ``….png`` (what was decoded from it)."""
    try:
        original = read_image(path.read_bytes())
        sent = codec.transmit(original)
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror}") from None
    except (SampleError, CodecError) as error:
        raise UserError(f"'{path}': {error}") from None
    files = file_names(path, codec, folder, ".png")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files[0].write_bytes(sent.bitstream.data)
        sent.decoded.image.save(files[1])
    except OSError as error:
        raise UserError(f"'{folder}' cannot be written: {error.strerror}") from None
    similarity = {s.name: s.measure(original.pixels, sent.decoded.pixels) for s in SIMILARITIES.values()}
    before, after = (_top(model, s) if model else [] for s in (original, sent.decoded))
    return Roundtrip(codec, original, sent, similarity, files, before, after)


def file_names(path: Path, codec: Codec, folder: Path, decoded: str) -> tuple[Path, Path]:
    """Of the bitstream, and of what was decoded from it, with ``decoded`` as its extension."""
    # A setting may hold a path, of weights.
    name = f"{path.stem}.{''.join(c if c.isalnum() or c in '._=+-' else '-' for c in codec.spec)}"
    return folder / f"{name}{codec.extension}", folder / f"{name}.decoded{decoded}"


def _top(model: Classifier, sample: ImageSample) -> list[tuple[str, float]]:
    logits = model.logits(model.preprocess(sample.image)[None]).numpy()[0]
    probabilities = np.exp(log_softmax(logits))
    return [(model.labels.title(int(i)), float(probabilities[i])) for i in top_classes(logits)]
