"""One sound file through one codec setting: what comes out, what it costs, and how it is told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from mpq.audio import AudioSample, read_audio
from mpq.audio_files import wav
from mpq.codecs.base import Codec, Transmission
from mpq.metrics.audio import log_spectral_distance, si_sdr, snr
from mpq.metrics.transcripts import normalised, word_errors
from mpq.roundtrip import keep, send
from reports.content import Column, Section, Table

if TYPE_CHECKING:
    from mpq.models.speech.base import Recogniser


@dataclass(frozen=True)
class AudioRoundtrip:
    """files: the bitstream's and the decoded sound's. snr, si_sdr, log_spectral_distance: in dB, see their functions.

    before, after: what a recogniser heard, where one was asked.
    """

    codec: Codec
    original: AudioSample
    sent: Transmission[AudioSample]
    files: tuple[Path, Path]
    snr: float | None
    si_sdr: float | None
    log_spectral_distance: float
    before: str | None = None
    after: str | None = None
    language: str = "en"

    def kbps(self, bits: int) -> float:
        """Kilobits a second of the original."""
        return bits / self.original.seconds / 1000

    @property
    def bits_a_sample(self) -> float:
        """Bits of the bitstream / (channels × samples)."""
        return self.sent.bitstream.bits / self.original.samples.size


def roundtrip_audio(
    path: Path, codec: Codec, folder: Path, recogniser: Recogniser | None = None
) -> AudioRoundtrip:
    """Writes ``folder/STEM.SETTING.EXT`` (the bitstream) and ``….decoded.wav`` (what was decoded from it, 16 bits)."""
    original, sent = send(path, codec, read_audio)
    files = keep(path, codec, folder, sent, ".wav", lambda s, file: file.write_bytes(wav(s.samples, s.rate)))
    pair = original.samples, sent.decoded.samples
    distance = log_spectral_distance(*pair, original.rate)
    before, after, language = None, None, "en"
    if recogniser is not None:
        asked, language = recogniser.on("cpu"), recogniser.language
        before, after = asked.transcripts([asked.preprocess(sound) for sound in (original, sent.decoded)])
    return AudioRoundtrip(
        codec, original, sent, files, snr(*pair), si_sdr(*pair), distance, before, after, language
    )


def audio_roundtrip_section(result: AudioRoundtrip) -> Section:
    """``mpq roundtrip``: the figures of one sound."""
    sent, original = result.sent, result.original
    bitstream, stored = sent.bitstream, len(original.stored or b"")
    channels = {1: "mono", 2: "stereo"}.get(original.channels, f"{original.channels} channels")
    rate = f"{result.kbps(bitstream.bits):.2f} kbps"
    figures = {
        "sound": f"{original.seconds:.3f} s, {original.rate} Hz, {channels}",
        "bitstream": f"{len(bitstream.data):,} bytes, {rate}, {result.bits_a_sample:.4f} bits a sample",
        "payload": f"{result.kbps(bitstream.payload_bits):.2f} kbps, "
        f"{100 * bitstream.payload_bits / bitstream.bits:.1f} % of the bitstream",
        "stored file": f"{stored:,} bytes, {result.kbps(8 * stored):.2f} kbps",
        "SNR": _decibels(result.snr),
        "SI-SDR": _decibels(result.si_sdr),
        "log-spectral distance": _decibels(result.log_spectral_distance),
        "encode, decode": ", ".join(_pace(ms, original.seconds) for ms in (sent.encode_ms, sent.decode_ms)),
        "written": ", ".join(str(file) for file in result.files),
    }
    rows = [{"what": name, "value": escape(value)} for name, value in figures.items()]
    answer = f"{rate}."
    if result.before is not None and result.after is not None:
        rows += [
            {"what": f"heard {when}", "value": escape(text or "(nothing)")}
            for when, text in (("before", result.before), ("after", result.after))
        ]
        errors = word_errors(*(normalised(text, result.language) for text in (result.before, result.after)))
        answer = f"At {rate} the model hears {errors.total} of {errors.length} words otherwise."
    columns = [Column("what", "", right=False), Column("value", "", right=False)]
    note = "The decoded sound is written with 16 bits and clipped at full scale; it is measured as it was decoded."
    return Section(result.codec.spec, answer, Table(columns, rows), notes=[note])


def _decibels(value: float | None) -> str:
    if value is None:
        return "not defined: the original is silent"
    if math.isinf(value):
        return "∞ dB: equal" if value > 0 else "−∞ dB: nothing of the original is left"
    return f"{value:.2f} dB".replace("-", "−")


def _pace(ms: float, seconds: float) -> str:
    """Its share of real time: 0.01 is a hundred times as fast as it sounds."""
    return f"{ms:.1f} ms ({ms / 1e3 / seconds:.4f} × real time)"
