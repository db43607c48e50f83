"""The file of audio codecs without a format of their own: twelve bytes, a check, and codes at their bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpq.codecs.audio_container import HEADER, Header, pack, pack_codes, unpack, unpack_codes
from mpq.codecs.base import CodecError


def test_the_bytes_are_those_that_the_module_says() -> None:
    data = pack(Header(channels=2, rate=44_100, length=1_000_000, mode=9), b"payload", b"id")
    assert data[:10].hex() == "010209" + "44ac00" + "40420f00"
    assert data[12:] == b"payload" and len(data) == HEADER + 7 == 19
    # CRC-16 with the polynomial x^16 + x^12 + x^5 + 1, a bit at a time
    crc = 0xFFFF
    for byte in b"id" + data[:10] + b"payload":
        for bit in range(7, -1, -1):
            crc = crc << 1 ^ (0x1021 if (crc >> 15 ^ byte >> bit) & 1 else 0)
            crc &= 0xFFFF
    assert data[10:12] == crc.to_bytes(2, "little")


@given(
    st.builds(
        Header,
        channels=st.integers(1, 2),
        rate=st.integers(1, 192_000),
        length=st.integers(1, 2**28),
        mode=st.integers(0, 255),
    ),
    st.binary(max_size=40),
)
def test_what_is_packed_comes_back_to_its_decoder_alone(header: Header, payload: bytes) -> None:
    data = pack(header, payload, b"one")
    assert unpack(data, b"one") == (header, payload)
    with pytest.raises(CodecError, match="by another codec or with other weights"):
        unpack(data, b"other")


@pytest.mark.parametrize("claim", [(0, 8000, 9), (3, 8000, 9), (1, 0, 9), (1, 192_001, 9), (1, 8000, 0)])
def test_claims_that_no_sound_has_are_refused(claim: tuple[int, int, int]) -> None:
    with pytest.raises(CodecError, match="claims"):
        unpack(pack(Header(*claim, mode=1), b"", b"id"), b"id")
    with pytest.raises(CodecError, match="claims"):
        unpack(pack(Header(2, 8000, 2**28 + 1, 1), b"", b"id"), b"id")


@given(st.integers(1, 16), st.data())
def test_codes_take_their_bits_and_no_more(bits: int, data: st.DataObject) -> None:
    codes = data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=50))
    packed = pack_codes(np.array(codes, np.int64), bits)
    digits = "".join(f"{code:0{bits}b}" for code in codes)
    assert packed == bytes(int(digits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(digits), 8))
    assert unpack_codes(packed, len(codes), bits).tolist() == codes
    for wrong in (packed + b"\0", packed[:-1] if packed else b"\1"):
        with pytest.raises(CodecError, match="codes should be"):
            unpack_codes(wrong, len(codes), bits)
