"""The file of a learned codec: its bytes by hand, and what is damaged, cut or somebody else's is told."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpq.codecs.base import CodecError
from mpq.codecs.container import Container, checksum, pack, unpack
from mpq.samples import MAX_PIXELS

MODEL = bytes(range(32))
SMALL = Container(300, 5, (b"ab", b"xyz"), 0x01020304)

sizes = st.integers(1, 13_000)
numbers = st.integers(0, 2**32 - 1)
streams = st.lists(
    st.one_of(st.binary(max_size=40), st.integers(0, 20_000).map(bytes)), min_size=1, max_size=3
)
containers = st.builds(Container, sizes, sizes, streams.map(tuple), numbers)


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE, bit by bit: x^16 + x^12 + x^5 + 1, begun with ones."""
    value = 0xFFFF
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = value << 1 ^ (0x11021 if value & 0x8000 else 0)
    return value


def file_of(head: bytes, tail: bytes, model: bytes = MODEL) -> bytes:
    """A file with a valid guard, whatever it says."""
    return head + struct.pack("<H", crc16(model + head + tail)) + tail


def test_the_bytes_of_a_small_file_are_these() -> None:
    assert crc16(b"123456789") == 0x29B1  # the published check value
    head = bytes([1, 0b1010_1100, 0b10, 5, 2])  # 300 = 2·128 + 44; z's length is what is left
    tail = bytes([4, 3, 2, 1]) + b"abxyz"
    assert pack(SMALL, MODEL) == file_of(head, tail)
    assert unpack(file_of(head, tail), 2, MODEL) == SMALL


def test_a_photographs_two_streams_cost_thirteen_bytes_more() -> None:
    photograph = Container(768, 512, (bytes(5_000), bytes(300)), 0)
    assert len(pack(photograph, MODEL)) == 5_300 + 1 + 2 + 2 + 2 + 2 + 4


@given(containers)
def test_what_is_packed_is_unpacked(content: Container) -> None:
    assert unpack(pack(content, MODEL), len(content.streams), MODEL) == content


@pytest.mark.parametrize("content", [SMALL, Container(1, 1, (b"",), 0), Container(200, 200, (b"", b""), 1)])
def test_every_flipped_bit_every_cut_and_every_byte_more_is_told(content: Container) -> None:
    data = pack(content, MODEL)
    damaged = [data[:n] for n in range(len(data))]
    damaged += [data + bytes([byte]) for byte in range(256)]
    for position in range(len(data)):
        for bit in range(8):
            damaged.append(data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1 :])
    for other in damaged:
        with pytest.raises(CodecError, match="bitstream"):
            unpack(other, len(content.streams), MODEL)


@given(data=st.data(), content=containers)
def test_a_burst_of_up_to_16_bits_in_the_streams_is_always_told(
    data: st.DataObject, content: Container
) -> None:
    file = pack(content, MODEL)
    begin = 8 * (len(file) - 4 - sum(map(len, content.streams)))
    burst = data.draw(st.integers(1, 0xFFFF))
    start = data.draw(st.integers(begin, 8 * len(file) - burst.bit_length()))
    mask = burst << 8 * len(file) - burst.bit_length() - start
    other = (int.from_bytes(file, "big") ^ mask).to_bytes(len(file), "big")
    with pytest.raises(CodecError, match="cut or damaged"):
        unpack(other, len(content.streams), MODEL)


@given(st.integers(0, 8 * len(MODEL) - 1))
def test_another_models_file_is_refused(bit: int) -> None:
    other = (int.from_bytes(MODEL, "big") ^ 1 << bit).to_bytes(len(MODEL), "big")
    with pytest.raises(CodecError, match="other weights"):
        unpack(pack(SMALL, MODEL), 2, other)


def test_a_file_with_another_number_of_streams_is_refused() -> None:
    for number in (1, 3):
        with pytest.raises(CodecError, match="cut or damaged"):
            unpack(pack(SMALL, MODEL), number, MODEL)


@pytest.mark.parametrize(
    ("width", "height"),
    [(0, 0), (0, 7), (7, 0), (MAX_PIXELS + 1, 1), (20_000, 20_000), (2**35 - 1, 2**35 - 1)],
)
def test_a_size_that_no_picture_has_is_refused(width: int, height: int) -> None:
    with pytest.raises(CodecError, match=f"claims {width} × {height} pixels"):
        unpack(pack(Container(width, height, (b"x",), 0), MODEL), 1, MODEL)


def test_the_largest_picture_is_not_refused() -> None:
    largest = Container(MAX_PIXELS, 1, (b"x",), 0)
    assert unpack(pack(largest, MODEL), 1, MODEL) == largest


@pytest.mark.parametrize(
    "lengths",
    [
        b"\x06",  # one byte more than follow the checksum
        b"\xff\xff\xff\xff\x7f",
        b"\x81\x80\x80\x80\x80\x00",  # a one, but numbers end within five bytes
        b"\x80",
        b"",
    ],
)
def test_a_length_that_cannot_be_is_refused_though_its_guard_fits(lengths: bytes) -> None:
    with pytest.raises(CodecError, match="cut or damaged"):
        unpack(file_of(b"\x01\x07\x07" + lengths, b"\0\0\0\0abcde"), 2, MODEL)


def test_other_versions_and_other_formats_are_refused() -> None:
    data = pack(SMALL, MODEL)
    for first in (0, 2, 4, 5, 0x89, 0xFF):
        with pytest.raises(CodecError, match="not a bitstream of a learned codec"):
            unpack(bytes([first]) + data[1:], 2, MODEL)
    with pytest.raises(CodecError, match="not a bitstream of a learned codec"):
        unpack(b"\x89PNG\r\n\x1a\n", 2, MODEL)
    with pytest.raises(CodecError, match="empty"):
        unpack(b"", 2, MODEL)


@given(st.binary(max_size=40), st.integers(1, 3))
def test_any_bytes_are_refused_or_a_picture_of_some_size(rest: bytes, number: int) -> None:
    for data in (rest, b"\x01" + rest):
        try:
            content = unpack(data, number, MODEL)
        except CodecError:
            continue
        assert 0 < content.width * content.height <= MAX_PIXELS and len(content.streams) == number


def test_the_checksum_is_zips_crc_of_little_endian_32_bit_integers() -> None:
    y = np.array([[[1, -1], [0, 70_000]]], np.int32)
    z = np.array([[[-5]]], np.int32)
    assert checksum([y, z]) == zlib.crc32(struct.pack("<5i", 1, -1, 0, 70_000, -5))
    assert checksum([z, y]) != checksum([y, z])
    assert checksum([]) == 0


def test_the_checksum_sees_numbers_and_not_how_they_lie_in_memory() -> None:
    plain = np.random.default_rng(0).integers(-300, 300, (3, 4, 5), dtype=np.int32)
    wide = np.zeros((6, 4, 10), np.int32)
    wide[::2, :, ::2] = plain
    for same in (
        np.asfortranarray(plain),
        plain.transpose(2, 0, 1).copy().transpose(1, 2, 0),
        wide[::2, :, ::2],
        plain.astype(np.int64),
        plain.astype(">i4"),
        plain.astype(np.int16),
    ):
        assert checksum([same]) == checksum([plain])


@given(st.integers(0, 59), st.integers(-(2**31), 2**31 - 1))
def test_any_other_number_is_another_checksum(place: int, number: int) -> None:
    plain = np.arange(60, dtype=np.int32).reshape(3, 4, 5)
    other = plain.copy()
    other.flat[place] = number
    assert (checksum([other]) == checksum([plain])) == (number == place)
