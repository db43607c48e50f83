"""Payload bits, counted a second way."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mpq.codecs.base import parse_codec
from mpq.codecs.containers import avif_payload, jp2_payload, jpeg_payload, webp_payload
from mpq.samples import ImageSample, read_image


def _stream(spec: str, path: Path) -> bytes:
    return parse_codec(spec)[0].encode(read_image(path.read_bytes())).data


@pytest.mark.parametrize("optimize", [0, 1])
def test_jpeg_payload_is_all_that_follows_the_only_scan_header(
    optimize: int, photographs: list[Path]
) -> None:
    data = _stream(f"jpeg:quality=30,optimize={optimize}", photographs[0])
    (scan,) = [m.start() for m in re.finditer(b"\xff\xda\x00\x0c\x03", data)]
    assert data.endswith(b"\xff\xd9")
    assert jpeg_payload(data) == 8 * (len(data) - 2 - (scan + 14))


def test_jpeg_header_is_the_same_whatever_the_picture(photographs: list[Path]) -> None:
    overheads = {
        8 * len(data) - jpeg_payload(data)
        for data in (_stream("jpeg:quality=30", p) for p in photographs[:5])
    }
    assert overheads == {8 * (623 + 2)}  # headers with the standard tables, and the end marker


def test_webp_payload_is_the_file_less_riff_and_chunk_headers(photographs: list[Path]) -> None:
    data = _stream("webp:quality=30", photographs[0])
    size = int.from_bytes(data[16:20], "little")
    assert data[12:16] == b"VP8 "
    assert webp_payload(data) == 8 * size
    assert len(data) == 20 + size + size % 2


def test_avif_payload_is_the_media_data(photographs: list[Path]) -> None:
    data = _stream("avif:quality=30,speed=9", photographs[0])
    start = data.index(b"mdat")
    assert avif_payload(data) == 8 * (len(data) - start - 4)


def test_jpeg2000_payload_is_the_codestream(photographs: list[Path]) -> None:
    data = _stream("jpeg2000:ratio=50", photographs[0])
    start, end = data.index(b"\xff\x4f\xff\x51"), data.rindex(b"\xff\xd9") + 2
    assert jp2_payload(data) == 8 * (end - start)


def test_nothing_is_found_in_nothing() -> None:
    for payload in (jpeg_payload, webp_payload, avif_payload, jp2_payload):
        assert payload(b"") == 0
        assert payload(b"\xff\xd8\xff") == 0


def test_flat_pictures_cost_almost_only_headers() -> None:
    bitstream = parse_codec("jpeg:quality=30")[0].encode(ImageSample(np.full((64, 64, 3), 128, np.uint8)))
    assert bitstream.payload_bits < bitstream.bits / 10
