"""What sound files say of their own length: LAME's tag, the pages of Ogg, the sizes of WAV, AIFF, Matroska …

They read and mend structure only; FFmpeg decodes.
"""

from __future__ import annotations

import io
import wave
import zlib
from dataclasses import dataclass

import numpy as np

_TAG_CRC = 34
"""Of LAME's tag: where its own CRC stands."""


@dataclass(frozen=True)
class LameTag:
    """The first frame of an MP3 file, which holds no sound but says how much the others hold.

    position: of LAME's part in the file. frame: of the frame. size: bytes from it to the end. frames: those that
    hold sound. delay, padding: samples at the start and the end that are the encoder's, not the sound's.
    frame_samples: 1152 or 576.
    """

    position: int
    frame: int
    size: int
    frames: int
    frame_samples: int
    delay: int
    padding: int

    @property
    def length(self) -> int:
        """Samples of one channel."""
        return self.frames * self.frame_samples - self.delay - self.padding


def lame_tag(data: bytes) -> LameTag | None:
    """The tag of an MP3 file (as LAME and FFmpeg write it, with all of Xing's fields), None where there is none."""
    start = 0
    if data[:3] == b"ID3" and len(data) > 10:  # ID3v2: its size in four times seven bits
        start = 10 + sum(
            (byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True)
        )
    head = data[start : start + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    first, mono = head[1] >> 3 & 3 == 3, head[3] >> 6 == 3  # MPEG-1, or 2 and 2.5
    xing = start + 4 + ((17 if mono else 32) if first else (9 if mono else 17))
    position = xing + 120
    if data[xing : xing + 4] not in (b"Xing", b"Info") or data[xing + 7] != 15:
        return None
    if len(data) < position + _TAG_CRC + 2:
        return None
    delays = int.from_bytes(data[position + 21 : position + 24], "big")
    frames, size = (int.from_bytes(data[xing + i : xing + i + 4], "big") for i in (8, 12))
    return LameTag(position, start, size, frames, 1152 if first else 576, delays >> 12, delays & 0xFFF)


def with_length(data: bytes, length: int) -> bytes:
    """An MP3 file whose tag says how long the sound is.

    FFmpeg writes a padding of at most a frame and a bit, and where the last frame is nearly empty it is longer:
    the file would then say up to 46 samples too many.
    """
    tag = lame_tag(data)
    if tag is None or tag.length == length:
        return data
    padding = tag.frames * tag.frame_samples - tag.delay - length
    if not 0 <= padding < 4096:
        return data
    file = bytearray(data)
    file[tag.position + 21 : tag.position + 24] = (tag.delay << 12 | padding).to_bytes(3, "big")
    crc = slice(tag.position + _TAG_CRC, tag.position + _TAG_CRC + 2)
    file[crc] = bytes(2)  # it covers the frame's first 190 bytes, itself where it is among them
    file[crc] = _crc16(bytes(file[tag.frame : tag.frame + 190])).to_bytes(2, "big")
    return bytes(file)


def _crc16(data: bytes) -> int:
    """CRC-16/ARC."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def ogg_flaw(data: bytes) -> str | None:
    """What is wrong with an Ogg file (RFC 3533, section 6), None where it is whole.

    Whole: page follows page, each with its checksum, each stream's numbered without a gap up to one that says it is
    the last.
    """
    numbers: dict[bytes, int] = {}
    ended: set[bytes] = set()
    page = 0
    while page < len(data):
        if data[page : page + 4] != b"OggS" or len(data) < page + 27:
            return f"no page begins at byte {page:,}"
        lacing = data[page + 27 : page + 27 + data[page + 26]]
        end = page + 27 + data[page + 26] + sum(lacing)
        if end > len(data):
            return "its last page is cut"
        whole = data[page : page + 22] + bytes(4) + data[page + 26 : end]
        if _ogg_crc(whole) != int.from_bytes(data[page + 22 : page + 26], "little"):
            return f"the page at byte {page:,} is damaged"
        serial, number = data[page + 14 : page + 18], int.from_bytes(data[page + 18 : page + 22], "little")
        if numbers.get(serial, number - 1) != number - 1:
            return f"pages are missing before byte {page:,}"
        numbers[serial] = number
        if data[page + 5] & 4:
            ended.add(serial)
        page = end
    return None if numbers and numbers.keys() == ended else "its end is missing"


def with_serial(data: bytes, serial: int) -> bytes:
    """An Ogg file whose stream has this serial number instead of the one that its writer drew."""
    file, page = bytearray(data), 0
    while page + 27 <= len(data):
        count = data[page + 26]
        end = page + 27 + count + sum(data[page + 27 : page + 27 + count])
        file[page + 14 : page + 18] = serial.to_bytes(4, "little")
        file[page + 22 : page + 26] = bytes(4)
        file[page + 22 : page + 26] = _ogg_crc(bytes(file[page:end])).to_bytes(4, "little")
        page = end
    return bytes(file)


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _ogg_crc(data: bytes) -> int:
    """Ogg's CRC has zlib's polynomial the other way round, starts at 0 and is not inverted at the end."""
    crc = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)


def mp4_ends(data: bytes) -> bool:
    """Whether an MP4 file's last box is whole (ISO/IEC 14496-12)."""
    position = 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        if size == 0:  # to the end of the file
            return True
        if size == 1:  # of more than 4 GiB
            size = int.from_bytes(data[position + 8 : position + 16], "big")
        position += max(size, 8)
    return position == len(data)


def told_size(data: bytes) -> int | None:
    """Bytes that a file says it has (WAV, RF64, W64, AIFF, Matroska and WebM, MP3 with LAME's tag); None where it says nothing, or
    its writer could not know."""
    if data[:4] == b"RIFF":
        size = int.from_bytes(data[4:8], "little")
        return size + 8 if 0 < size < 0x7FFFF000 else None
    if data[:4] == b"RF64" and data[12:16] == b"ds64":
        return int.from_bytes(data[20:28], "little") + 8
    if data[:4] == b"riff":  # W64, whose sizes count their own heads
        return int.from_bytes(data[16:24], "little")
    if data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        return int.from_bytes(data[4:8], "big") + 8
    if data[:4] == b"\x1a\x45\xdf\xa3":
        return _matroska_size(data)
    tag = lame_tag(data)
    return tag.frame + tag.size if tag else None


def _matroska_size(data: bytes) -> int | None:
    """Up to the end of the segment, where its writer went back to say how long it is (RFC 8794)."""
    head, start = _vint(data, 4)
    if head is None or data[start + head : start + head + 4] != b"\x18\x53\x80\x67":
        return None
    size, begins = _vint(data, start + head + 4)
    return None if size is None else begins + size


def _vint(data: bytes, position: int) -> tuple[int | None, int]:
    """A size of EBML's, None where it is unknown, and what follows it."""
    first = data[position] if position < len(data) else 0
    length = 9 - first.bit_length()
    if length > 8:
        return None, position
    value = int.from_bytes(data[position : position + length], "big") & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 else value), position + length


def wav(samples: np.ndarray, rate: int) -> bytes:
    """(channels, n) float32 as a 16-bit WAV file; what is beyond full scale is clipped."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(len(samples))
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(np.clip(np.rint(samples.T * 32768), -32768, 32767).astype("<i2").tobytes())
    return file.getvalue()
