"""MP3, Opus and AAC through PyAV, Vorbis through libsndfile: whole files, coded and decoded in memory.

A decode comes back at the original's rate, aligned and of its length, from what the file says: LAME's tag, Opus's
pre-skip and granule positions, MP4's edit list. A rate that the format does not have is resampled to one that it
has, and back; the file then says the original's rate and length in its comment, which is part of the bitstream.
"""

from __future__ import annotations

import io
import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mpq.audio import LOUDEST, MAX_RATE, MAX_VALUES, MIN_RATE, AudioSample, open_audio, resampled, unpack
from mpq.audio_files import lame_tag, mp4_ends, ogg_flaw, with_length, with_serial
from mpq.codecs.base import Bitstream, Codec, CodecError, Parameter, Value
from mpq.errors import UserError
from mpq.samples import SampleError

if TYPE_CHECKING:
    from av.container import InputContainer

PIECE = 48_000
"""Samples that encoders are handed at once: a long sound must not be copied as a whole."""


@dataclass(frozen=True)
class _File:
    """A file decoded: (channels, n) float32 at ``decoded_rate``, of which it says that it holds ``length`` samples
    of one channel at ``rate``, which divides the former; and its comment."""

    samples: np.ndarray
    decoded_rate: int
    length: int
    rate: int
    comment: str


class _AudioCodec(Codec[AudioSample]):
    """library: the package that codes, in its import's spelling. format: the container's name there."""

    takes = ("audio",)
    library: ClassVar[str] = "av"
    format: ClassVar[str]

    def prepare(self) -> list[str]:
        # Here and not within the first sample's time.
        for module in (self.library, "av", "scipy.signal"):
            import_module(module)
        return []

    @abstractmethod
    def coded_rate(self, sample: AudioSample) -> int:
        """In Hz, of what is given to the encoder. Raises CodecError where the setting and the rate do not go together."""

    @abstractmethod
    def write(self, samples: np.ndarray, rate: int, comment: str) -> tuple[bytes, int]:
        """(channels, n) float32 -> a file, and the bits of its packets."""

    @abstractmethod
    def read(self, data: bytes) -> _File:
        """Raises SampleError."""

    def encode(self, sample: AudioSample) -> Bitstream:
        if sample.channels > 2:
            raise CodecError(f"{self.name} codes one or two channels here, not {sample.channels}")
        if not np.isfinite(sample.samples).all():
            raise CodecError(f"{self.name} cannot code samples that are no numbers (NaN or infinite)")
        if np.abs(sample.samples).max() > LOUDEST:
            raise CodecError(f"{self.name} cannot code what is {LOUDEST:,.0f} times as loud as full scale")
        rate = self.coded_rate(sample)
        comment = "" if rate == sample.rate else f"{sample.rate} Hz, {sample.length} samples"
        try:
            data, payload = self.write(resampled(sample.samples, sample.rate, rate), rate, comment)
        except Exception as error:  # each of FFmpeg's encoders has its own
            raise CodecError(f"{self.spec} cannot code {sample.extent}: {error}") from error
        return Bitstream(data, payload)

    def decode(self, data: bytes) -> AudioSample:
        try:
            file = self.read(data)
            whole = file.length * file.decoded_rate // file.rate
            if whole <= 0 or file.samples.shape[1] < whole:
                raise SampleError(f"{file.samples.shape[1]:,} samples where it says {whole:,}")
            length, rate = _original(file)
        except SampleError as error:
            raise CodecError(f"{self.name} bitstream: {error}") from error
        samples = resampled(file.samples[:, :whole], file.decoded_rate, rate)[:, :length]
        samples = np.pad(samples, ((0, 0), (0, length - samples.shape[1])))
        return AudioSample(np.ascontiguousarray(samples), rate)

    @property
    def version(self) -> str:
        # PyAV brings FFmpeg, LAME and libopus along, soundfile libvorbis; scipy resamples.
        packages = dict.fromkeys([self.library, "av", "scipy"])
        return ", ".join(f"{package} {version(package)}" for package in packages)

    @classmethod
    def unavailable(cls) -> str | None:
        missing = [package for package in dict.fromkeys((cls.library, "av")) if find_spec(package) is None]
        return f"it needs {' and '.join(missing)} (pip install {' '.join(missing)})" if missing else None


def _original(file: _File) -> tuple[int, int]:
    """The original's length and rate: the comment's, where there is one and it can be true. Raises SampleError."""
    found = re.fullmatch(r"(\d{1,6}) Hz, (\d{1,12}) samples", file.comment, re.ASCII)
    if not found:
        return file.length, file.rate
    rate, length = int(found[1]), int(found[2])
    if not MIN_RATE <= rate <= MAX_RATE or not length or -(-length * file.rate // rate) != file.length:
        raise SampleError(f"its comment '{file.comment}' fits no {file.length:,} samples at {file.rate} Hz")
    return length, rate


class _FFmpegCodec(_AudioCodec):
    """encoder, sample_format: FFmpeg's names. rates: in Hz, that the format has."""

    encoder: ClassVar[str]
    sample_format: ClassVar[str] = "fltp"
    rates: ClassVar[tuple[int, ...]]

    def coded_rate(self, sample: AudioSample) -> int:
        return min((rate for rate in self.rates if rate >= sample.rate), default=max(self.rates))

    def options(self) -> dict[str, str]:
        """The encoder's, by FFmpeg's names."""
        return {}

    def muxer(self, rate: int, comment: str) -> dict[str, str]:
        """The container's options, by FFmpeg's names."""
        return {}

    def write(self, samples: np.ndarray, rate: int, comment: str) -> tuple[bytes, int]:
        import av

        file = io.BytesIO()
        layout = "mono" if len(samples) == 1 else "stereo"
        # Without bitexact files hold random serial numbers and the encoder's version.
        options = {"flags": "+bitexact", **self.options()}
        payload = 0
        with av.open(
            file, "w", format=self.format, options={"fflags": "+bitexact", **self.muxer(rate, comment)}
        ) as container:
            if comment:
                container.metadata["comment"] = comment
            stream: Any = container.add_stream(self.encoder, rate=rate, layout=layout, options=options)
            stream.codec_context.format = self.sample_format
            stream.codec_context.thread_count = 1
            if "global_quality" not in options:
                stream.bit_rate = int(self.values["bitrate"])
            for frame in chain(_frames(samples, rate, layout), [None]):
                for packet in stream.encode(frame):
                    payload += 8 * packet.size
                    container.mux(packet)
        return file.getvalue(), payload

    @abstractmethod
    def length(self, container: InputContainer, data: bytes) -> tuple[int, int]:
        """What the file says: samples of one channel, and their rate in Hz. Raises SampleError."""

    def read(self, data: bytes) -> _File:
        with open_audio(data, self.format) as container:
            stream = container.streams.audio[0]
            coded = stream.codec_context.codec.canonical_name
            if coded != self.name:
                raise SampleError(f"it holds {coded}")
            length, rate = self.length(container, data)
            comment = {**container.metadata, **stream.metadata}.get("comment", "")
            return _File(*unpack(container), length, rate, comment)


def _frames(samples: np.ndarray, rate: int, layout: str) -> Iterator:
    import av

    for start in range(0, samples.shape[1], PIECE):
        piece = np.ascontiguousarray(samples[:, start : start + PIECE])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, start
        yield frame


class MP3(_FFmpegCodec):
    """MPEG-1, 2 or 2.5 after its rate; each has its own bit rates (ISO/IEC 11172-3, 13818-3)."""

    name = "mp3"
    summary = "MP3 (LAME); a bit rate that the sound's rate does not have is coded at a lower one"
    extension = ".mp3"
    format = "mp3"
    encoder = "libmp3lame"
    rates = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
    bitrates: ClassVar[dict[int, tuple[int, ...]]] = {
        rate: tuple(1000 * b for b in kbps)
        for versions, kbps in (
            (rates[:3], (8, 16, 24, 32, 40, 48, 56, 64)),
            (rates[3:6], (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)),
            (rates[6:], (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)),
        )
        for rate in versions
    }
    parameters = (
        Parameter("bitrate", 64_000, "bit/s, constant", 8000, 320_000),
        Parameter("vbr", "off", "LAME's -V instead: 0 best, 9 smallest", choices=("off", *"0123456789")),
    )
    ladder = "bitrate=8000,16000,24000,32000,48000,64000"

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        known = sorted({bitrate for table in self.bitrates.values() for bitrate in table})
        if self.values["bitrate"] not in known:
            raise UserError(f"mp3 has no {self.values['bitrate']} bit/s; it has {', '.join(map(str, known))}")
        if "bitrate" in values and self.values["vbr"] != "off":
            raise UserError(f"mp3: vbr={self.values['vbr']} has no bit rate of its own; give one of the two")

    def coded_rate(self, sample: AudioSample) -> int:
        rate = super().coded_rate(sample)
        wanted = int(self.values["bitrate"])
        if self.values["vbr"] != "off" or wanted in self.bitrates[rate]:
            return rate
        lower = [r for r in self.rates if r < rate and wanted in self.bitrates[r]]
        if wanted > self.bitrates[rate][-1] or not lower:
            table = self.bitrates[rate]
            raise CodecError(
                f"mp3 has no {wanted} bit/s at {rate} Hz; its bit rates there go from {table[0]} to {table[-1]}"
            )
        return lower[-1]

    def options(self) -> dict[str, str]:
        if self.values["vbr"] == "off":
            return {}
        quality = 118 * int(self.values["vbr"])  # in FFmpeg's λ units
        return {"flags": "+bitexact+qscale", "global_quality": str(quality)}

    def muxer(self, rate: int, comment: str) -> dict[str, str]:
        return {"write_xing": "1", "id3v2_version": "4" if comment else "0"}

    def write(self, samples: np.ndarray, rate: int, comment: str) -> tuple[bytes, int]:
        data, payload = super().write(samples, rate, comment)
        return with_length(data, samples.shape[1]), payload

    def length(self, container: InputContainer, data: bytes) -> tuple[int, int]:
        tag = lame_tag(data)
        if tag is None or tag.frame + tag.size > len(data):
            raise SampleError("it is cut, or has no LAME tag")
        return tag.length, container.streams.audio[0].rate


class Opus(_FFmpegCodec):
    """Decoders run at 48 kHz whatever they are given (RFC 6716); Ogg holds the original's rate (RFC 7845).

    Where libopus codes speech by SILK, its own resampling moves the sound by up to 0.1 ms either way beyond what the
    stream says; nothing tells by how much.
    """

    name = "opus"
    summary = "Opus in Ogg (libopus)"
    extension = ".opus"
    format = "ogg"
    encoder = "libopus"
    sample_format = "flt"
    rates = (8000, 12000, 16000, 24000, 48000)
    parameters = (
        Parameter("bitrate", 16_000, "bit/s, aimed at", 500, 512_000),
        Parameter("vbr", "on", "bit rate follows the sound", choices=("on", "off", "constrained")),
        Parameter("frame", "20", "ms a packet", choices=("2.5", "5", "10", "20", "40", "60")),
        Parameter("application", "audio", "what it is tuned for", choices=("voip", "audio", "lowdelay")),
    )
    ladder = "bitrate=6000,8000,12000,16000,24000,32000,64000"

    def coded_rate(self, sample: AudioSample) -> int:
        _at_most(self, 256_000 * sample.channels, sample)
        return super().coded_rate(sample)

    def options(self) -> dict[str, str]:
        frame, vbr, application = (str(self.values[key]) for key in ("frame", "vbr", "application"))
        return {"frame_duration": frame, "vbr": vbr, "application": application}

    def length(self, container: InputContainer, data: bytes) -> tuple[int, int]:
        stream = container.streams.audio[0]
        head = bytes(stream.codec_context.extradata or b"")
        rate = int.from_bytes(head[12:16], "little")
        if head[:8] != b"OpusHead" or rate not in self.rates or stream.duration is None or ogg_flaw(data):
            raise SampleError("it is cut, or its header is not Opus's")
        skip = int.from_bytes(head[10:12], "little")
        return (stream.duration - skip) * rate // 48_000, rate


class AAC(_FFmpegCodec):
    name = "aac"
    summary = "AAC-LC in MP4 (FFmpeg's own encoder, not the best there is; above 16 kHz it does not go as low as asked)"
    extension = ".m4a"
    format = "mp4"
    encoder = "aac"
    rates = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
    parameters = (Parameter("bitrate", 64_000, "bit/s, aimed at", 8000, 576_000),)
    ladder = "bitrate=8000,12000,16000,24000,32000,48000"

    def coded_rate(self, sample: AudioSample) -> int:
        rate = super().coded_rate(sample)
        _at_most(self, 6 * rate * sample.channels, sample)  # 6144 bits a channel in 1024 samples
        return rate

    def muxer(self, rate: int, comment: str) -> dict[str, str]:
        return {"movie_timescale": str(rate)}  # of edit lists; a thousandth, the default, is too coarse

    def length(self, container: InputContainer, data: bytes) -> tuple[int, int]:
        stream = container.streams.audio[0]
        if stream.duration is None or stream.time_base is None or not mp4_ends(data):
            raise SampleError("it is cut, or has no duration")
        return round(stream.duration * stream.time_base * stream.rate), stream.rate


def _at_most(codec: Codec, most: int, sample: AudioSample) -> None:
    if int(codec.values["bitrate"]) > most:
        channels = "one channel" if sample.channels == 1 else f"{sample.channels} channels"
        raise CodecError(
            f"{codec.name} has no {codec.values['bitrate']} bit/s for {channels} at {sample.rate} Hz; "
            f"it ends at {most}"
        )


class Vorbis(_AudioCodec):
    """By libsndfile, because the only Vorbis encoder in PyAV is FFmpeg's experimental one, without bit rates."""

    name = "vorbis"
    summary = "Vorbis in Ogg (libvorbis, variable bit rate)"
    extension = ".ogg"
    format = "OGG"
    library = "soundfile"
    parameters = (Parameter("quality", 3.0, "libvorbis's, as oggenc -q", 0, 10),)
    ladder = "quality=0,1,2,3,5,7"

    def coded_rate(self, sample: AudioSample) -> int:
        return max(8000, sample.rate)

    def write(self, samples: np.ndarray, rate: int, comment: str) -> tuple[bytes, int]:
        import soundfile

        file = io.BytesIO()
        with soundfile.SoundFile(
            file,
            "w",
            rate,
            len(samples),
            format=self.format,
            subtype="VORBIS",
            compression_level=1 - float(self.values["quality"]) / 10,
        ) as writer:
            if comment:
                writer.comment = comment
            for start in range(0, samples.shape[1], PIECE):
                writer.write(np.ascontiguousarray(samples[:, start : start + PIECE].T))
        data = with_serial(file.getvalue(), 1)
        with open_audio(data, "ogg") as container:
            payload = sum(8 * packet.size for packet in container.demux(container.streams.audio[0]))
        return data, payload

    def read(self, data: bytes) -> _File:
        import soundfile

        if ogg_flaw(data):
            raise SampleError(f"it is cut, or no Ogg file ({len(data)} bytes)")
        try:
            with soundfile.SoundFile(io.BytesIO(data)) as file:
                if (file.format, file.subtype) != ("OGG", "VORBIS"):
                    raise SampleError(f"it holds {file.subtype.lower()}")
                if file.frames * file.channels > MAX_VALUES or not 0 < file.samplerate <= MAX_RATE:
                    raise SampleError(f"it says {file.frames:,} samples at {file.samplerate} Hz")
                rate, length, comment = file.samplerate, file.frames, file.comment
                samples = file.read(dtype="float32", always_2d=True).T
        except soundfile.SoundFileError as error:
            raise SampleError(f"broken: {error}") from error
        return _File(samples, rate, length, rate, comment)
