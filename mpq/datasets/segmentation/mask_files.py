"""Masks as files: whole numbers that say what each pixel shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mpq.samples import SampleError, open_image

MASK_SUFFIXES = (".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm")
"""Of files that keep whole numbers as they are; a JPEG's would come back as other classes."""

TURNED = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""

ORIENTATION = 0x0112
BITS_PER_SAMPLE = 258
"""TIFF's tag."""

LOOKED_AT = 100
"""Masks at most that are read to learn which values occur."""


def read_values(path: Path) -> np.ndarray:
    """(h, w) uint8 or uint16: a mask's values as they are stored, a palette's indices. Raises SampleError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SampleError(f"the mask {path.name} cannot be read: {error.strerror}") from None
    try:
        image = open_image(data)
    except SampleError as error:
        raise SampleError(f"the mask {path.name}: {error}") from None
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode == "P" or image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16 if image.mode.startswith("I") else np.uint8)
    # Other than a picture's, a mask's 32-bit numbers need no agreed range: each is what it is, or no class.
    if image.mode in ("L", "I"):
        stored = _unspread(image, data)
        if image.mode == "L" or stored.size == 0 or 0 <= stored.min() <= stored.max() < 65_536:
            return stored.astype(np.uint8 if image.mode == "L" else np.uint16)
    raise SampleError(f"the mask {path.name} has pixels of mode '{image.mode}', not class indices")


def _unspread(image: Image.Image, data: bytes) -> np.ndarray:
    """Grey values as the file has them: Pillow spreads those of fewer bits, or of a PGM's own range, over its own."""
    values, highest = np.asarray(image), None
    if image.format == "PNG" and data[12:16] == b"IHDR":
        highest = 2 ** data[24] - 1
    elif image.format == "TIFF":
        highest = 2 ** image.tag_v2.get(BITS_PER_SAMPLE, (8,))[0] - 1  # type: ignore[attr-defined]
    elif image.format == "PPM":
        header = rb"P[25](?:\s|#[^\r\n]*)+\d+(?:\s|#[^\r\n]*)+\d+(?:\s|#[^\r\n]*)+(\d+)"
        highest = int(found[1]) if (found := re.match(header, data)) else None
        if image.mode == "I" and highest:
            return np.rint(values * (highest / 65_535))
    if image.mode == "L" and highest and highest < 255:
        return np.rint(values * (highest / 255))
    return values


def values_in(masks: Sequence[Path], until: frozenset[int]) -> tuple[frozenset[int], int]:
    """The values in at most ``LOOKED_AT`` masks from all over the list, and how many were read.

    It ends when all of ``until`` have been seen; masks that cannot be read are passed over.
    """
    seen: set[int] = set()
    count = 0
    for path in masks[:: -(-len(masks) // LOOKED_AT) or 1]:
        try:
            stored = read_values(path)
        except SampleError:
            continue
        seen |= set(np.flatnonzero(np.bincount(stored.ravel())).tolist())
        count += 1
        if until <= seen:
            break
    return frozenset(seen), count


def shown_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture as it is shown, by its header alone. Raises SampleError."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(ORIENTATION) in TURNED
    except Exception as error:  # anything may come out of a hostile header
        raise SampleError(f"broken picture: {error}") from error
    return (height, width) if turned else (width, height)
