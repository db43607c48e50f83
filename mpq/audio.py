"""Sound: what goes into an audio codec and what comes out of it, read through PyAV, and resampled."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mpq.audio_files import lame_tag, mp4_ends, ogg_flaw, told_size
from mpq.samples import SampleError

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

MAX_VALUES = 2**29
"""Sounds of more channels × samples are refused while they are unpacked: 2 GiB as float32."""

MIN_RATE, MAX_RATE = 1000, 192_000
"""Hz. Beyond them are files that lie about their rate, and filters and sounds that would not fit in memory."""

LOUDEST = 2.0**16
"""Times full scale; beyond it encoders end the process or never end. Whole numbers kept as they are in a file of
floating-point numbers are within it, if they have 16 bits."""

_TIMED = ("matroska,webm", "asf")
"""Formats, by FFmpeg's names, in which damage drops sound silently, but whose duration stands at their start."""

ZEROS, KAISER, ROLLOFF = 64, 14.77, 0.9476
"""The resampling filter: zero crossings on each side, the Kaiser window's β, the cutoff as a share of Nyquist's."""


@dataclass(frozen=True)
class AudioSample:
    """A sound.

    samples: (channels, n) float32, full scale ±1 (codecs and floating-point files may go beyond it).
    rate: in Hz. stored: the file that it was read from, if it was; the baseline's rate is counted on it.
    """

    samples: np.ndarray
    rate: int
    stored: bytes | None = None

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or not self.samples.size or self.samples.dtype != np.float32:
            raise ValueError(
                f"an AudioSample holds (channels, n) float32, not {self.samples.shape} {self.samples.dtype}"
            )
        if not MIN_RATE <= self.rate <= MAX_RATE:
            raise ValueError(f"an AudioSample's rate is {MIN_RATE} to {MAX_RATE} Hz, not {self.rate}")

    @property
    def channels(self) -> int:
        return self.samples.shape[0]

    @property
    def length(self) -> int:
        """Samples of one channel."""
        return self.samples.shape[1]

    @property
    def seconds(self) -> float:
        return self.length / self.rate

    @property
    def extent(self) -> str:
        return f"{self.channels} × {self.length} samples at {self.rate} Hz"


def read_audio(data: bytes) -> AudioSample:
    """Reads a sound file: its first audio stream, all channels, at its own rate.

    Encoders' delays are cut off as the file tells (LAME tag, edit list, pre-skip). Raises SampleError for what is
    no sound, is empty, is shorter than it says, cannot be decoded throughout, holds a NaN or an infinity, or is louder
    than ``LOUDEST``.
    """
    with open_audio(data) as container:
        name = container.format.name
        samples, rate = unpack(container)
        stream = container.streams.audio[0]
        told = slack = 0
        if name == "flac" and stream.duration and stream.time_base:  # elsewhere it may be an estimate
            told = round(stream.duration * stream.time_base * rate)
        elif name == "mp3" and (tag := lame_tag(data)):
            # FFmpeg takes the decoder's own delay from the end, where others' padding may not have room for it.
            told, slack = tag.length, tag.frame_samples
        elif name in _TIMED and len(container.streams) == 1 and container.duration:
            # In its own units of time, and perhaps with the encoder's delay.
            told, slack = container.duration * rate // 1_000_000, rate // 10
    if not samples.size:
        raise SampleError("it holds no sound")
    if name == "ogg" and (flaw := ogg_flaw(data)):
        raise SampleError(f"broken {name} sound: {flaw}")
    if name.startswith("mov,") and not mp4_ends(data):
        raise SampleError("broken MP4 sound: it is cut")
    if samples.shape[1] < told - slack:
        raise SampleError(f"broken {name} sound: {samples.shape[1]:,} samples where it says {told:,}")
    if (size := told_size(data)) and len(data) < size:
        raise SampleError(f"broken {name} sound: {len(data):,} bytes where it says {size:,}")
    if not np.isfinite(samples).all():
        raise SampleError("some of its samples are no numbers (NaN or infinite)")
    if np.abs(samples).max() > LOUDEST:
        raise SampleError(f"it is more than {LOUDEST:,.0f} times as loud as full scale")
    return AudioSample(samples, rate, stored=data)


@contextmanager
def open_audio(data: bytes, format: str | None = None) -> Iterator[InputContainer]:
    """A file of ``format`` (a demuxer of FFmpeg's; any, unless told) with an audio stream. Raises SampleError."""
    import av

    try:
        container = av.open(io.BytesIO(data), "r", format=format)
    except Exception as error:  # FFmpeg's demuxers raise whatever a hostile file provokes
        raise SampleError(f"not a sound ({len(data)} bytes that no decoder knows)") from error
    with container:
        if not container.streams.audio:
            raise SampleError("it holds no sound")
        stream = container.streams.audio[0]
        if stream.codec_context is None:  # nor has it then a rate or any other attribute of sound
            raise SampleError("it is coded in a way that no decoder knows")
        rate = stream.rate
        if not rate or not MIN_RATE <= rate <= MAX_RATE:
            raise SampleError(
                f"its rate of {rate} Hz is not within {MIN_RATE} to {MAX_RATE}"
                if rate
                else "it tells no rate"
            )
        yield container


def unpack(container: InputContainer) -> tuple[np.ndarray, int]:
    """The first audio stream decoded: (channels, n) float32 and its rate in Hz. Raises SampleError."""
    stream = container.streams.audio[0]
    parts: list[np.ndarray] = []
    values, form = 0, None
    try:
        decoder = _decoder(stream)
        for frame in (frame for packet in container.demux(stream) for frame in decoder.decode(packet)):
            part = _planar(frame)
            form = form or (len(part), frame.sample_rate)
            if form != (len(part), frame.sample_rate):
                raise SampleError("its rate or its number of channels changes midway")
            values += part.size
            if values > MAX_VALUES:
                raise SampleError(f"more than {MAX_VALUES:,} channels × samples")
            parts.append(part)
    except SampleError:
        raise
    except Exception as error:  # as above
        raise SampleError(f"broken {container.format.name} sound: {error}") from error
    if form is None:
        raise SampleError("it holds no sound")
    return np.concatenate(parts, axis=1), form[1]


def _decoder(stream: av.AudioStream) -> av.AudioCodecContext:
    import av

    decoder = stream.codec_context
    # Without it damaged frames are silently replaced by something that sounds better than the truth.
    options = {"err_detect": "+bitstream+buffer+explode"}
    if decoder.name == "opus":
        # FFmpeg's own decoder loses a few samples and lies up to 6 late where SILK codes; this is the reference.
        decoder = av.AudioCodecContext.create("libopus", "r")
        decoder.extradata = stream.codec_context.extradata
        options["request_sample_fmt"] = "flt"
    decoder.options = options
    decoder.thread_count = 1
    return decoder


def _planar(frame: av.AudioFrame) -> np.ndarray:
    """(channels, n) float32, full scale ±1; whole numbers are divided by 2 to the power of their bits less one."""
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, frame.layout.nb_channels).T
    if array.dtype == np.uint8:
        array = (array.astype(np.float32) - 128) / 128
    elif np.issubdtype(array.dtype, np.integer):
        array = array / float(2 ** (8 * array.itemsize - 1))
    return np.ascontiguousarray(array, np.float32)


def resampled(samples: np.ndarray, old: int, new: int) -> np.ndarray:
    """(channels, n) float32 at ``old`` Hz -> (channels, ⌈n · new / old⌉) at ``new`` Hz, without delay.

    One long Kaiser-windowed sinc for all ratios: sines up to 0.85 of the lower Nyquist frequency come back within
    −100 dB, and what would alias from 1.1 times on is below −100 dB. (The defaults of scipy and torchaudio leave
    −16 and −10 dB of it.)
    """
    if old == new:
        return samples
    from scipy.signal import resample_poly

    common = math.gcd(old, new)
    up, down = new // common, old // common
    return resample_poly(samples, up, down, axis=1, window=_filter(max(up, down))).astype(np.float32)


@lru_cache(maxsize=8)
def _filter(factor: int) -> np.ndarray:
    from scipy.signal import firwin

    taps = firwin(2 * ZEROS * factor + 1, ROLLOFF / factor, window=("kaiser", KAISER))
    return taps.astype(np.float32)
