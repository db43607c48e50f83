"""How many bits of an image file are coded signal, and how many are headers, tables and boxes.

Each function takes a whole, valid file as this suite's encoders write it and returns payload bits. They
read structure only (segment lengths, chunk and box sizes): the file's bits are the rate, and these stand
beside it.
"""

from __future__ import annotations

import struct


def jpeg_payload(data: bytes) -> int:
    """Entropy-coded segments: after each start-of-scan header up to the next marker (ITU-T T.81, B.1)."""
    position, total = 2, 0
    while position + 4 <= len(data):
        marker = data[position + 1]
        if marker == 0xD9:  # end of image
            break
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xDA:
            end = _end_of_scan(data, position)
            total += end - position
            position = end
    return 8 * total


def _end_of_scan(data: bytes, start: int) -> int:
    """The next marker that is neither a stuffed zero nor a restart: the scan ends before it."""
    position = start
    while True:
        position = data.find(b"\xff", position)
        if position < 0 or position + 1 >= len(data):
            return len(data)
        following = data[position + 1]
        if following != 0 and not 0xD0 <= following <= 0xD7:
            return position
        position += 2


def webp_payload(data: bytes) -> int:
    """The ``VP8 ``/``VP8L`` chunk's contents (RFC 9649, section 2.3)."""
    position, total = 12, 0
    while position + 8 <= len(data):
        name, size = (
            data[position : position + 4],
            int.from_bytes(data[position + 4 : position + 8], "little"),
        )
        if name in (b"VP8 ", b"VP8L", b"ALPH"):
            total += size
        position += 8 + size + size % 2
    return 8 * total


def avif_payload(data: bytes) -> int:
    """The media data box's contents (ISO/IEC 14496-12)."""
    return 8 * _box_contents(data, b"mdat")


def jp2_payload(data: bytes) -> int:
    """The contiguous codestream box's contents (ITU-T T.800, annex I)."""
    return 8 * _box_contents(data, b"jp2c")


def _box_contents(data: bytes, wanted: bytes) -> int:
    position, total = 0, 0
    while position + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[position : position + 8])
        header = 8
        if size == 1:
            size, header = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        elif size == 0:  # up to the end of the file
            size = len(data) - position
        if size < header:
            break
        if name == wanted:
            total += size - header
        position += size
    return total
