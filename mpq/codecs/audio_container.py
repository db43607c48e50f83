"""The file of audio codecs that have no format of their own: what the original was, a check, and codes in bits.

    byte      the version, 1
    byte      channels of the original, 1 or 2
    byte      the mode: codebooks in use, or Codec 2's number of the bit rate
    3 bytes   the original's rate in Hz, the lowest byte first
    4 bytes   its length in samples of one channel, likewise
    2 bytes   CRC-16 of all other bytes, begun with the decoder's id: cut, damaged or another decoder's
    bytes     the payload

All of it counts as rate: 12 bytes a sound beside the payload.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

import numpy as np

from mpq.audio import MAX_RATE, MAX_VALUES, AudioSample
from mpq.codecs.base import CodecError

VERSION = 1
HEADER = 12
"""Bytes."""


@dataclass(frozen=True)
class Header:
    """channels, rate (Hz), length (samples of one channel): the original's. mode: 0 to 255."""

    channels: int
    rate: int
    length: int
    mode: int


def header_of(sample: AudioSample, mode: int, codec: str) -> Header:
    """Raises CodecError for a sound that neither the file nor a codec can hold."""
    if sample.channels > 2:
        raise CodecError(f"{codec} codes one or two channels here, not {sample.channels}")
    if not np.isfinite(sample.samples).all():
        raise CodecError(f"{codec} cannot code samples that are no numbers (NaN or infinite)")
    return Header(sample.channels, sample.rate, sample.length, mode)


def pack(header: Header, payload: bytes, decoder: bytes) -> bytes:
    """decoder: an id of what decodes; it is not stored, but the bytes of another do not unpack."""
    head = bytes([VERSION, header.channels, header.mode])
    head += header.rate.to_bytes(3, "little") + header.length.to_bytes(4, "little")
    return head + _guard(decoder, head, payload) + payload


def unpack(data: bytes, decoder: bytes) -> tuple[Header, bytes]:
    """The header and the payload. Raises CodecError where the bytes are not a whole file for this decoder."""
    if len(data) < HEADER:
        raise CodecError(f"{len(data)} bytes are no bitstream of an audio codec")
    head, guard, payload = data[: HEADER - 2], data[HEADER - 2 : HEADER], data[HEADER:]
    if head[0] != VERSION or guard != _guard(decoder, head, payload):
        raise CodecError(
            "the bitstream is cut or damaged, or was made by another codec or with other weights"
        )
    header = Header(head[1], int.from_bytes(head[3:6], "little"), int.from_bytes(head[6:], "little"), head[2])
    values = header.channels * header.length
    if header.channels not in (1, 2) or not 0 < header.rate <= MAX_RATE or not 0 < values <= MAX_VALUES:
        raise CodecError(f"the bitstream claims {values:,} values at {header.rate} Hz")
    return header, payload


def _guard(decoder: bytes, head: bytes, payload: bytes) -> bytes:
    return binascii.crc_hqx(payload, binascii.crc_hqx(decoder + head, 0xFFFF)).to_bytes(2, "little")


def pack_codes(codes: np.ndarray, bits: int) -> bytes:
    """Whole numbers below 2 to the power of ``bits``, in C order, each in so many bits, the highest first."""
    digits = np.arange(bits - 1, -1, -1, dtype=np.uint32)
    spread = (codes.reshape(-1, 1).astype(np.uint32) >> digits & 1).astype(np.uint8)
    return np.packbits(spread).tobytes()


def unpack_codes(data: bytes, count: int, bits: int) -> np.ndarray:
    """(count,) int64. Raises CodecError where ``data`` is not what so many codes take, to the byte."""
    if len(data) != -(-count * bits // 8):
        raise CodecError(f"the bitstream holds {len(data):,} bytes where {count:,} codes should be")
    spread = np.unpackbits(np.frombuffer(data, np.uint8), count=count * bits).reshape(count, bits)
    return spread @ (1 << np.arange(bits - 1, -1, -1, dtype=np.int64))
