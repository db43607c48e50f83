"""What the suite codes, pictures and sound: how they are read, what a row says of them, and what their rate is taken over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mpq.audio import read_audio
from mpq.codecs.base import Kind
from mpq.metrics import audio, deep, similarity, speech_quality
from mpq.metrics.base import Similarity
from mpq.rows import Field, column
from mpq.samples import read_image

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Rate:
    """Bits over something of the original. key: in JSON. title: with its unit. extent: rows -> (samples,) of what it is over."""

    key: str
    title: str
    summary: str
    extent: Callable[[pa.Table], np.ndarray]


@dataclass(frozen=True)
class Medium:
    """read: a file's bytes -> a sample; raises SampleError. fields: of rows. described: a sample -> those fields.

    rates: the first is the one that reports are about. packages: that decode the sources.
    """

    kind: Kind
    read: Callable[[bytes], Any]
    fields: tuple[Field, ...]
    described: Callable[[Any], dict[str, Any]]
    rates: tuple[Rate, ...]
    similarities: dict[str, Similarity]
    packages: tuple[str, ...]

    @property
    def rate(self) -> Rate:
        return self.rates[0]

    @property
    def similarity_fields(self) -> tuple[Field, ...]:
        return tuple(
            Field(s.column, "float64", f"{s.title}, {s.unit}; null if not asked for or not defined")
            for s in self.similarities.values()
        )


def _by_name(*groups: tuple[Similarity, ...]) -> dict[str, Similarity]:
    return {measure.name: measure for group in groups for measure in group}


IMAGE = Medium(
    "image",
    read_image,
    (
        Field("width", "int32", "of the original, in pixels, after EXIF rotation"),
        Field("height", "int32", "of the original, in pixels, after EXIF rotation"),
    ),
    lambda sample: {"width": sample.width, "height": sample.height},
    (Rate("bpp", "bpp", "bits / pixels", lambda rows: column(rows, "width") * column(rows, "height")),),
    _by_name(similarity.MEASURES, deep.MEASURES),
    ("pillow",),
)

AUDIO = Medium(
    "audio",
    read_audio,
    (
        Field("channels", "int32", "of the original"),
        Field("length", "int64", "of the original, in samples of one channel"),
        Field("sample_rate", "int32", "of the original, in Hz"),
    ),
    lambda sample: {"channels": sample.channels, "length": sample.length, "sample_rate": sample.rate},
    (
        Rate(
            "kbps",
            "kbps",
            "bits / seconds / 1000",
            lambda rows: 1000 * column(rows, "length") / column(rows, "sample_rate"),
        ),
        Rate(
            "bits_a_sample",
            "bits a sample",
            "bits / (channels × samples)",
            lambda rows: column(rows, "channels") * column(rows, "length"),
        ),
    ),
    _by_name(audio.MEASURES, speech_quality.MEASURES),
    ("av",),
)

MEDIA: dict[Kind, Medium] = {"image": IMAGE, "audio": AUDIO}
