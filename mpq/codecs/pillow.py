"""JPEG, WebP, AVIF and JPEG 2000 through Pillow: whole files, as Pillow writes them by default.

The picture is always coded as 8-bit RGB (see samples.read_image), without metadata or colour profile.
"""

from __future__ import annotations

import io
from typing import Any, ClassVar

import numpy as np
import PIL
from PIL import features

from mpq.codecs.base import Bitstream, Codec, CodecError, Parameter
from mpq.codecs.containers import avif_payload, jp2_payload, jpeg_payload, webp_payload
from mpq.samples import ImageSample, SampleError, open_image


class _PillowCodec(Codec):
    format: ClassVar[str]
    feature: ClassVar[str]
    library: ClassVar[str]
    payload: ClassVar[Any]
    """staticmethod: a whole file -> payload bits."""

    def options(self) -> dict[str, Any]:
        """What Pillow's ``save`` is told."""
        return dict(self.values)

    def encode(self, sample: ImageSample) -> Bitstream:
        file = io.BytesIO()
        try:
            sample.image.save(file, self.format, **self.options())
        except Exception as error:  # each of Pillow's encoders has its own
            raise CodecError(
                f"{self.spec} cannot code {sample.width} × {sample.height} pixels: {error}"
            ) from error
        data = file.getvalue()
        return Bitstream(data, type(self).payload(data))

    def decode(self, data: bytes) -> ImageSample:
        try:
            image = open_image(data, formats=(self.format,))
        except SampleError as error:
            raise CodecError(f"{self.name} bitstream: {error}") from error
        return ImageSample(np.array(image.convert("RGB")))

    @property
    def version(self) -> str:
        return f"pillow {PIL.__version__}, {self.library} {features.version(self.library)}"

    @classmethod
    def unavailable(cls) -> str | None:
        return None if features.check(cls.feature) else f"this Pillow was built without {cls.library}"


class JPEG(_PillowCodec):
    name = "jpeg"
    summary = "JPEG, baseline, the standard's Huffman tables (libjpeg-turbo)"
    extension = ".jpg"
    format, feature, library = "JPEG", "jpg", "libjpeg_turbo"
    payload = staticmethod(jpeg_payload)
    parameters = (
        Parameter("quality", 75, "libjpeg's quality factor", 1, 100),
        Parameter("subsampling", "420", "chroma resolution", choices=("420", "422", "444")),
        Parameter("optimize", 0, "1: Huffman tables fitted to the picture", choices=(0, 1)),
    )
    ladder = "quality=5,10,15,25,40,60,80"

    def options(self) -> dict[str, Any]:
        subsampling = ":".join(str(self.values["subsampling"]))
        optimize = bool(self.values["optimize"])
        return {"quality": self.values["quality"], "subsampling": subsampling, "optimize": optimize}


class WebP(_PillowCodec):
    name = "webp"
    summary = "WebP, lossy (libwebp)"
    extension = ".webp"
    format, feature, library = "WEBP", "webp", "webp"
    payload = staticmethod(webp_payload)
    parameters = (
        Parameter("quality", 80, "libwebp's quality factor", 0, 100),
        Parameter("method", 4, "effort: 0 fast, 6 thorough", 0, 6),
    )
    ladder = "quality=0,5,10,20,40,60,80"


class AVIF(_PillowCodec):
    name = "avif"
    summary = "AVIF, lossy (libavif, libaom)"
    extension = ".avif"
    format, feature, library = "AVIF", "avif", "avif"
    payload = staticmethod(avif_payload)
    parameters = (
        Parameter("quality", 75, "libavif's quality", 0, 100),
        Parameter("speed", 6, "0 thorough, 10 fast", 0, 10),
        Parameter("subsampling", "420", "chroma resolution", choices=("420", "422", "444")),
    )
    ladder = "quality=5,10,20,30,40,50,65"

    def options(self) -> dict[str, Any]:
        # libaom's bytes depend on the number of threads, and Pillow takes it from the machine. Two gives
        # what most machines give, and the same bytes everywhere.
        subsampling = ":".join(str(self.values["subsampling"]))
        return {
            "quality": self.values["quality"],
            "speed": self.values["speed"],
            "subsampling": subsampling,
            "max_threads": 2,
        }


class JPEG2000(_PillowCodec):
    name = "jpeg2000"
    summary = "JPEG 2000, irreversible wavelet, at a compression ratio (OpenJPEG)"
    extension = ".jp2"
    format, feature, library = "JPEG2000", "jpg_2000", "jpg_2000"
    payload = staticmethod(jp2_payload)
    parameters = (Parameter("ratio", 20.0, "raw size / coded size, aimed at", 1, 10_000),)
    ladder = "ratio=240,160,100,60,30,15,8"

    def options(self) -> dict[str, Any]:
        return {"quality_mode": "rates", "quality_layers": [self.values["ratio"]], "irreversible": True}
