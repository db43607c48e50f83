"""Reading pictures: every mode becomes the RGB that a browser shows, and broken files are told."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mpq.samples import ImageSample, SampleError, read_image


def _png(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def test_rgb_is_kept_as_it_is(noise) -> None:
    image = noise(7, 5)
    sample = read_image(_png(image))
    assert np.array_equal(sample.pixels, np.asarray(image))
    assert (sample.width, sample.height) == (7, 5)


def test_grey_has_three_equal_channels() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    pixels = read_image(_png(Image.fromarray(ramp))).pixels
    assert all(np.array_equal(pixels[..., c], ramp) for c in range(3))


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    wide = np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16)
    pixels = read_image(_png(Image.fromarray(wide))).pixels
    assert pixels[0, :, 0].tolist() == [0, 1, 128, 255]


def test_a_sixteen_bit_pgm_is_scaled_too() -> None:
    data = b"P5 2 1 65535 " + (257).to_bytes(2, "big") + (65535).to_bytes(2, "big")
    assert read_image(data).pixels[0, :, 0].tolist() == [1, 255]


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))
    assert read_image(_png(image)).pixels.tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_a_palettes_transparent_entry_is_laid_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert read_image(_png(image, transparency=0)).pixels.tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_a_palette_is_unfolded() -> None:
    image = Image.new("P", (1, 1))
    image.putpalette([10, 20, 30])
    assert read_image(_png(image)).pixels.tolist() == [[[10, 20, 30]]]


def test_cmyk_white_is_white(encoded) -> None:
    data = encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG", quality=95)
    assert read_image(data).pixels.min() >= 250


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation: int, encoded) -> None:
    stored = Image.new("RGB", (40, 20), (255, 255, 255))
    stored.paste((0, 0, 0), (0, 0, 16, 8))  # a black corner, top left as stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    sample = read_image(encoded(stored, "JPEG", exif=exif, quality=95))
    turned = orientation >= 5
    assert (sample.width, sample.height) == ((20, 40) if turned else (40, 20))
    # EXIF 2.3, table 6: where the stored top left corner is shown
    bottom, right = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    corner = sample.pixels[-3 if bottom else 2, -3 if right else 2]
    assert corner.max() < 60
    assert sample.pixels[2 if bottom else -3, 2 if right else -3].min() > 200


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert read_image(file.getvalue()).pixels[0, 0].tolist() == [255, 0, 0]


def _bomb(side: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [14_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(side: int) -> None:
    with pytest.raises(SampleError, match="pixels"):
        read_image(_bomb(side))


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8\xff\xe0", b"RIFF\x00\x00\x00\x00WEBPVP8 "])
def test_what_is_no_picture_is_told(data: bytes) -> None:
    with pytest.raises(SampleError):
        read_image(data)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_is_a_picture_or_a_sample_error(data: st.DataObject) -> None:
    file = io.BytesIO()
    pixels = np.random.default_rng(2).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    format = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM"]))
    Image.fromarray(pixels).save(file, format)
    stream = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    stream = stream[: data.draw(st.integers(0, len(stream)))]
    try:
        sample = read_image(bytes(stream))
    except SampleError as error:
        assert str(error)
    else:
        assert sample.pixels.dtype == np.uint8


def test_a_sample_of_another_shape_is_a_bug() -> None:
    with pytest.raises(ValueError, match="uint8"):
        ImageSample(np.zeros((4, 4), np.uint8))
