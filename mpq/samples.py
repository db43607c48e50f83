"""Samples: what goes into a codec and what comes out of it."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

MAX_PIXELS = 178_956_970
"""Pictures with more pixels are refused before they are unpacked (Pillow's own limit against bombs)."""


class SampleError(Exception):
    """A sample that cannot be read. It becomes a row with this sentence and without a score."""


@dataclass(frozen=True)
class ImageSample:
    """A picture.

    pixels: (H, W, 3) uint8, RGB, row by row from the top left, as a browser would show it.
    stored: the file that it was read from, if it was; the baseline's rate is counted on it.
    """

    pixels: np.ndarray
    stored: bytes | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8:
            raise ValueError(
                f"an ImageSample holds (H, W, 3) uint8, not {self.pixels.shape} {self.pixels.dtype}"
            )

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def extent(self) -> str:
        return f"{self.width} × {self.height} pixels"

    @property
    def image(self) -> Image.Image:
        return Image.fromarray(self.pixels)


def read_image(data: bytes) -> ImageSample:
    """Reads an image file as an 8-bit RGB picture.

    The first frame; turned as its EXIF orientation says; a palette unfolded; what is transparent laid on
    white; CMYK, YCbCr and LAB converted by Pillow; grey given three equal channels; 16-bit grey scaled by
    1/257. Embedded colour profiles are ignored. Raises SampleError.
    """
    image = open_image(data)
    try:
        pixels = _to_rgb(ImageOps.exif_transpose(image), image.format)
    except SampleError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a hostile file provokes
        raise SampleError(f"broken {image.format} picture: {error}") from error
    return ImageSample(pixels, stored=data)


def open_image(data: bytes, formats: tuple[str, ...] | None = None) -> Image.Image:
    """Opens and unpacks an image file of one of ``formats`` (any, unless told). Raises SampleError."""
    with warnings.catch_warnings():
        # Our own limit is an error; Pillow's remarks on odd metadata are not for the user of a sweep.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(data), formats=formats)
        except Image.UnidentifiedImageError:
            raise SampleError(f"not a picture ({len(data)} bytes that no decoder knows)") from None
        except Exception as error:  # as above: anything may come out of a hostile header
            raise SampleError(f"broken picture: {error}") from error
        if image.width * image.height > MAX_PIXELS:
            raise SampleError(f"{image.width} × {image.height} pixels are more than {MAX_PIXELS:,}")
        try:
            image.load()
        except Exception as error:
            raise SampleError(f"broken {image.format} picture: {error}") from error
    return image


def _to_rgb(image: Image.Image, format: str | None) -> np.ndarray:
    if image.mode.startswith("I;16") or (image.mode == "I" and format in ("PPM", "PNG")):
        # Pillow's own conversion clips 16-bit values to 255 instead of scaling them.
        wide = np.asarray(image, dtype=np.float64)
        grey = np.round(wide / 257).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise SampleError(f"pictures of mode '{image.mode}' have no agreed range")
    if "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))
