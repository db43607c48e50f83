"""Image codecs: rates are the bytes', decodes are the decoder's, and broken streams are told."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mpq.codecs.base import Codec, CodecError, parse_codec
from mpq.metrics.similarity import psnr
from mpq.samples import ImageSample, read_image

SPECS = ["jpeg:quality=20", "webp:quality=20", "avif:quality=30,speed=9", "jpeg2000:ratio=20"]
LADDERS = [
    "jpeg:quality=5,30,80",
    "webp:quality=0,30,80",
    "avif:quality=5,40,70,speed=9",
    "jpeg2000:ratio=100,30,8",
]


def _codec(spec: str) -> Codec:
    (codec,) = parse_codec(spec)
    return codec


def _photograph(path: Path) -> ImageSample:
    return read_image(path.read_bytes())


@pytest.mark.parametrize("spec", SPECS)
@settings(max_examples=25, deadline=None)
@given(width=st.integers(1, 40), height=st.integers(1, 40), seed=st.integers(0, 9))
def test_every_size_comes_back_in_shape(spec: str, width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    codec = _codec(spec)
    bitstream = codec.encode(ImageSample(pixels))
    assert codec.decode(bitstream.data).pixels.shape == pixels.shape
    assert 0 < bitstream.payload_bits < bitstream.bits == 8 * len(bitstream.data)


@pytest.mark.parametrize(
    ("spec", "format", "options"),
    [
        ("jpeg:quality=10", "JPEG", {"quality": 10}),
        (
            "jpeg:quality=90,subsampling=444,optimize=1",
            "JPEG",
            {"quality": 90, "subsampling": 0, "optimize": True},
        ),
        ("webp:quality=5", "WEBP", {"quality": 5}),
        ("webp:quality=50,method=6", "WEBP", {"quality": 50, "method": 6}),
        ("avif:quality=20", "AVIF", {"quality": 20, "max_threads": 2}),
    ],
)
def test_the_bitstream_is_the_file_that_pillow_writes(
    spec: str, format: str, options: dict, photographs: list[Path]
) -> None:
    sample = _photograph(photographs[1])
    file = io.BytesIO()
    Image.open(photographs[1]).convert("RGB").save(file, format, **options)
    sent = _codec(spec).transmit(sample)
    assert sent.bitstream.data == file.getvalue()
    expected = np.array(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))
    assert np.array_equal(sent.decoded.pixels, expected)
    assert sent.decoded_from == "bitstream"


@pytest.mark.parametrize("ladder", LADDERS)
def test_more_bits_never_lose_psnr_on_a_photograph(ladder: str, photographs: list[Path]) -> None:
    sample = _photograph(photographs[3])
    sent = [codec.transmit(sample) for codec in parse_codec(ladder)]
    bits = [s.bitstream.bits for s in sent]
    quality = [psnr(sample.pixels, s.decoded.pixels) for s in sent]
    assert bits == sorted(bits)
    assert quality == sorted(quality)


@pytest.mark.parametrize("spec", SPECS)
def test_encoding_is_pure(spec: str, photographs: list[Path]) -> None:
    sample = _photograph(photographs[0])
    before = sample.pixels.copy()
    codec = _codec(spec)
    assert codec.encode(sample).data == codec.encode(sample).data
    assert np.array_equal(sample.pixels, before)


@pytest.mark.parametrize("spec", SPECS)
def test_a_truncated_stream_is_told_or_still_a_picture(spec: str, photographs: list[Path]) -> None:
    codec = _codec(spec)
    sample = _photograph(photographs[2])
    data = codec.encode(sample).data
    for keep in (0, 1, 11, len(data) // 10, len(data) // 2, len(data) - 40):
        _decodes_or_tells(codec, data[:keep], sample)
    for keep in (0, 1, 11, len(data) // 10):
        with pytest.raises(CodecError, match=codec.name):
            codec.decode(data[:keep])


@pytest.mark.parametrize("spec", SPECS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_is_told_or_still_a_picture(spec: str, data: st.DataObject) -> None:
    codec = _codec(spec)
    sample = ImageSample(np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8))
    stream = bytearray(codec.encode(sample).data)
    position = data.draw(st.integers(0, len(stream) - 1))
    stream[position] ^= 1 << data.draw(st.integers(0, 7))
    _decodes_or_tells(codec, bytes(stream), sample)


def _decodes_or_tells(codec: Codec, data: bytes, sample: ImageSample) -> None:
    try:
        decoded = codec.decode(data)
    except CodecError as error:
        assert codec.name in str(error)
    else:
        assert decoded.pixels.dtype == np.uint8


@pytest.mark.parametrize("spec", SPECS)
def test_another_codecs_stream_is_told(spec: str, photographs: list[Path]) -> None:
    codec = _codec(spec)
    other = _codec("webp:quality=1" if codec.name != "webp" else "jpeg:quality=1")
    with pytest.raises(CodecError, match=codec.name):
        codec.decode(other.encode(_photograph(photographs[0])).data)


def test_a_decode_of_another_size_is_an_error_and_not_a_score() -> None:
    sample = ImageSample(np.zeros((8, 8, 3), np.uint8))
    codec = _codec("jpeg:quality=20")
    larger = codec.encode(ImageSample(np.zeros((8, 9, 3), np.uint8)))
    codec.encode = lambda sample: larger  # type: ignore[method-assign]
    with pytest.raises(CodecError, match="8 × 8 pixels to 9 × 8"):
        codec.transmit(sample)


def test_what_a_format_cannot_hold_is_an_error() -> None:
    with pytest.raises(CodecError, match="webp:quality=20 cannot code 17000 × 1"):
        _codec("webp:quality=20").encode(ImageSample(np.zeros((1, 17_000, 3), np.uint8)))


def test_an_encoders_own_error_is_the_samples() -> None:
    with pytest.raises(CodecError, match="avif:quality=5,speed=10 cannot code 70000 × 1"):
        _codec("avif:quality=5,speed=10").encode(ImageSample(np.zeros((1, 70_000, 3), np.uint8)))


def test_the_baseline_is_the_stored_file(photographs: list[Path]) -> None:
    sample = _photograph(photographs[0])
    sent = _codec("none").transmit(sample)
    assert sent.bitstream.bits == 8 * photographs[0].stat().st_size
    assert np.array_equal(_codec("none").decode(sent.bitstream.data).pixels, sample.pixels)
