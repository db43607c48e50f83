"""One file through one codec setting: what comes out, what it costs, and what a model makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mpq.codecs.base import Codec, CodecError, Sample, Transmission
from mpq.errors import UserError
from mpq.metrics.answers import log_softmax, top_classes
from mpq.metrics.similarity import MEASURES
from mpq.models.classification.base import Classifier
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
    original, sent = send(path, codec, read_image)
    files = keep(path, codec, folder, sent, ".png", lambda decoded, file: decoded.image.save(file))
    similarity = {s.name: s.measure(original, sent.decoded) for s in MEASURES}
    before, after = (_top(model, s) if model else [] for s in (original, sent.decoded))
    return Roundtrip(codec, original, sent, similarity, files, before, after)


def send(path: Path, codec: Codec, read: Callable[[bytes], Sample]) -> tuple[Sample, Transmission[Sample]]:
    """A file's sample, and what became of it. Raises UserError."""
    try:
        original = read(path.read_bytes())
        return original, codec.transmit(original)
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror}") from None
    except (SampleError, CodecError) as error:
        raise UserError(f"'{path}': {error}") from None


def keep(
    path: Path,
    codec: Codec,
    folder: Path,
    sent: Transmission[Sample],
    extension: str,
    write: Callable[[Sample, Path], object],
) -> tuple[Path, Path]:
    """Writes the bitstream and what was decoded from it, the latter by ``write``, with ``extension``; returns the files.

    Raises UserError.
    """
    # A setting may hold a path, of weights.
    name = f"{path.stem}.{''.join(c if c.isalnum() or c in '._=+-' else '-' for c in codec.spec)}"
    files = folder / f"{name}{codec.extension}", folder / f"{name}.decoded{extension}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files[0].write_bytes(sent.bitstream.data)
        write(sent.decoded, files[1])
    except OSError as error:
        raise UserError(f"'{folder}' cannot be written: {error.strerror}") from None
    return files


def _top(model: Classifier, sample: ImageSample) -> list[tuple[str, float]]:
    logits = model.logits(model.preprocess(sample.image)[None]).numpy()[0]
    probabilities = np.exp(log_softmax(logits))
    return [(model.labels.title(int(i)), float(probabilities[i])) for i in top_classes(logits)]
