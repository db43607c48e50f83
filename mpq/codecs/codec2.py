"""Codec 2 (David Rowe): a vocoder for speech at 8 kHz, through the libcodec2 inside pycodec2's wheel.

The library is called directly: pycodec2 packs 52 bits into 56, and the noise that the decoder puts into unvoiced
sounds comes from a generator whose state is the process's, so that no decode would be like the one before. Here the
library is loaded anew each time, and a decode depends on nothing but the bytes.

A decode comes back aligned. What Codec 2 makes of a moment lies 160 samples (20 ms) later in its output: its window
of 320 samples ends with the newest 80, and the synthesis reaches the moment of a window at the end of its own 80.
700C is another 80 later, because it begins each frame with the model of the frame before. That is how the sources
read, and how amplitude-modulated tones measure (the phase of the envelope, median of 12: 158 to 165, and 249).
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from threading import Lock
from typing import ClassVar

import numpy as np

from mpq.audio import AudioSample, resampled
from mpq.codecs.audio_container import header_of, pack, pack_codes, unpack, unpack_codes
from mpq.codecs.base import Bitstream, Codec, CodecError, Parameter

RATE = 8000
"""Hz, the only one."""

MODES = {"700C": 8, "1200": 5, "1300": 4, "1400": 3, "1600": 2, "2400": 1, "3200": 0}
"""Bit/s -> the library's number."""

DELAY = {mode: 240 if mode == MODES["700C"] else 160 for mode in MODES.values()}
"""In samples."""

FIRST_NOISE = 16838
"""What the noise generator says first in a library that nobody has used yet."""

_loading = Lock()


class Codec2(Codec[AudioSample]):
    name = "codec2"
    summary = "Codec 2, a vocoder for speech at 8 kHz; a channel after the other"
    takes = ("audio",)
    extension = ".mpq"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("bitrate", "1300", "bit/s of a channel", choices=tuple(MODES)),
    )
    ladder = "bitrate=" + ",".join(MODES)

    def encode(self, sample: AudioSample) -> Bitstream:
        mode = MODES[str(self.values["bitrate"])]
        header = header_of(sample, mode, self.name)
        speech = resampled(sample.samples, sample.rate, RATE)
        speech = np.clip(np.rint(speech * 32768), -32768, 32767).astype(np.int16)
        with _vocoder(mode) as vocoder:
            size = vocoder.frames(speech.shape[1]) * vocoder.samples
            speech = np.pad(speech, ((0, 0), (0, size - speech.shape[1])))
            bits = np.concatenate([vocoder.encode(channel) for channel in speech])
        return Bitstream(pack(header, pack_codes(bits, 1), self.name.encode()), bits.size)

    def decode(self, data: bytes) -> AudioSample:
        header, payload = unpack(data, self.name.encode())
        if header.mode not in DELAY:
            raise CodecError(f"the bitstream claims mode {header.mode}, which Codec 2 has not")
        length = -(-header.length * RATE // header.rate)
        with _vocoder(header.mode) as vocoder:
            shape = header.channels, vocoder.frames(length), vocoder.bits
            bits = unpack_codes(payload, int(np.prod(shape)), 1).reshape(shape)
            speech = np.stack([vocoder.decode(channel) for channel in bits])
        speech = speech[:, DELAY[header.mode] :][:, :length].astype(np.float32) / 32768
        samples = resampled(speech, RATE, header.rate)[:, : header.length]
        return AudioSample(np.ascontiguousarray(samples), header.rate)

    @property
    def version(self) -> str:
        return f"container 1, pycodec2 {version('pycodec2')}, scipy {version('scipy')}"

    @classmethod
    def unavailable(cls) -> str | None:
        if _library() is None:
            return "it needs pycodec2 (pip install 'machine-perceptual-quality[codec2]')"
        return None


class _Vocoder:
    """One mode of a library. samples, bits: of a frame."""

    def __init__(self, library: ctypes.CDLL, mode: int) -> None:
        self.library, self.mode = library, mode
        library.codec2_create.restype = ctypes.c_void_p
        with self._state() as state:
            self.samples: int = library.codec2_samples_per_frame(state)
            self.bits: int = library.codec2_bits_per_frame(state)

    def frames(self, length: int) -> int:
        """Of a sound of so many samples, with what the delay adds."""
        return -(-(length + DELAY[self.mode]) // self.samples)

    def encode(self, speech: np.ndarray) -> np.ndarray:
        """(frames · samples,) int16 -> (frames · bits,) of 0 and 1."""
        frames = np.ascontiguousarray(speech).reshape(-1, self.samples)
        coded = np.zeros((len(frames), -(-self.bits // 8)), np.uint8)
        with self._state() as state:
            for frame, into in zip(frames, coded, strict=True):
                self.library.codec2_encode(state, _pointer(into), _pointer(frame))
        return np.unpackbits(coded, axis=1, count=self.bits).reshape(-1)

    def decode(self, bits: np.ndarray) -> np.ndarray:
        """(frames, bits) of 0 and 1 -> (frames · samples,) int16."""
        coded = np.packbits(bits.astype(np.uint8), axis=1)
        frames = np.zeros((len(coded), self.samples), np.int16)
        with self._state() as state:
            for frame, into in zip(coded, frames, strict=True):
                self.library.codec2_decode(state, _pointer(into), _pointer(frame))
        return frames.reshape(-1)

    @contextmanager
    def _state(self) -> Iterator[ctypes.c_void_p]:
        state = ctypes.c_void_p(self.library.codec2_create(self.mode))
        try:
            yield state
        finally:
            self.library.codec2_destroy(state)


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@contextmanager
def _vocoder(mode: int) -> Iterator[_Vocoder]:
    """In a library that nobody has used. Raises CodecError where somebody else in this process holds it loaded."""
    with _loading:
        library = ctypes.CDLL(str(_library()))
        try:
            if library.codec2_rand() != FIRST_NOISE:
                raise CodecError(
                    "libcodec2 is in use in this process already, so no decode would be like another"
                )
            yield _Vocoder(library, mode)
        finally:
            unload = ctypes.CDLL(None).dlclose
            unload.argtypes = [ctypes.c_void_p]
            unload(library._handle)


@cache
def _library() -> Path | None:
    """The libcodec2 that pycodec2's wheel brings along."""
    try:
        inside = files("pycodec2") or []
    except PackageNotFoundError:
        return None
    found = [file for file in inside if re.match(r"libcodec2\b.*\.(so|dylib)\b", file.name)]
    return Path(str(found[0].locate())) if found else None
