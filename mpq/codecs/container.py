"""The file of a learned codec: streams, and what it takes to tell that they decode to what was meant.

    byte      the version, 1
    varints   width, height, and the length of each stream but the last
    2 bytes   CRC-16 of all other bytes, begun with the model's id: damaged, cut or another model's
    4 bytes   CRC-32 of the symbols: decoded on a machine where the entropy parameters come out otherwise
    bytes     the streams

All of it counts as rate: about a dozen bytes a picture.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpq.codecs.base import CodecError
from mpq.samples import MAX_PIXELS

VERSION = 1


@dataclass(frozen=True)
class Container:
    """width, height: of the original picture, in pixels. checksum: see ``checksum``."""

    width: int
    height: int
    streams: tuple[bytes, ...]
    checksum: int


def checksum(symbols: Sequence[np.ndarray]) -> int:
    """CRC-32 of quantised latents: little-endian 32-bit integers, (channels, h, w) in C order."""
    value = 0
    for array in symbols:
        value = zlib.crc32(np.ascontiguousarray(array, dtype="<i4").tobytes(), value)
    return value


def pack(content: Container, model: bytes) -> bytes:
    """model: an id of the weights; it is not stored, but bytes of another model do not unpack."""
    head = bytes([VERSION])
    for number in (content.width, content.height, *(len(stream) for stream in content.streams[:-1])):
        head += _varint(number)
    tail = content.checksum.to_bytes(4, "little") + b"".join(content.streams)
    return head + _guard(model, head, tail) + tail


def unpack(data: bytes, streams: int, model: bytes) -> Container:
    """Raises CodecError where the bytes are not a whole file of this model with so many streams."""
    if not data:
        raise CodecError("an empty bitstream")
    if data[0] != VERSION:
        raise CodecError(f"not a bitstream of a learned codec (its first byte is {data[0]})")
    position, numbers = 1, []
    for _ in range(1 + streams):
        number, position = _read_varint(data, position)
        numbers.append(number)
    head, tail = data[:position], data[position + 2 :]
    width, height, *lengths = numbers
    if len(tail) < 4 + sum(lengths) or data[position : position + 2] != _guard(model, head, tail):
        raise CodecError("the bitstream is cut or damaged, or was made with other weights")
    if not 0 < width * height <= MAX_PIXELS:
        raise CodecError(f"the bitstream claims {width} × {height} pixels")
    parts, start = [], 4
    for length in [*lengths, len(tail) - 4 - sum(lengths)]:
        parts.append(tail[start : start + length])
        start += length
    return Container(width, height, tuple(parts), int.from_bytes(tail[:4], "little"))


def _guard(model: bytes, head: bytes, tail: bytes) -> bytes:
    return binascii.crc_hqx(model + head + tail, 0xFFFF).to_bytes(2, "little")


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    encoded = b""
    while number >= 0x80:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 35, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise CodecError("the bitstream is cut or damaged, or was made with other weights")
