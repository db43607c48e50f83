"""Audio codecs: rates are the bytes', decodes lie where the originals lie, and broken streams are told."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpq.audio import AudioSample, read_audio, resampled
from mpq.audio_files import wav
from mpq.codecs.base import Codec, CodecError, parse_codec, ready_codecs
from mpq.errors import UserError
from mpq.metrics.audio import snr
from tests.conftest import one_sentence
from tests.test_audio import tones

av = pytest.importorskip("av")
soundfile = pytest.importorskip("soundfile")

SPECS = ["mp3:bitrate=32000", "mp3:vbr=6", "opus:bitrate=16000", "aac:bitrate=32000", "vorbis:quality=2"]
RATES = [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000]


def codec_of(spec: str) -> Codec:
    (codec,) = parse_codec(spec)
    return codec


def noise(length: int, channels: int = 1, rate: int = 16_000, level: float = 0.1) -> AudioSample:
    random = np.random.default_rng(length)
    return AudioSample((level * random.standard_normal((channels, length))).astype(np.float32), rate)


def lag(original: np.ndarray, decoded: np.ndarray) -> int:
    """Samples by which a decode is late: where the cross-correlation is highest."""
    size = 1 << (2 * len(original)).bit_length()
    spectrum = np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(original, size))
    peak = int(np.fft.irfft(spectrum, size).argmax())
    return peak - size if peak > size // 2 else peak


def speech(shared: Path) -> AudioSample:
    return read_audio((shared / "speech" / "librivox_0880.wav").read_bytes())


# ---- where and how long


@pytest.mark.parametrize("spec", [*SPECS, "opus:bitrate=24000,application=lowdelay", "opus:bitrate=48000"])
@pytest.mark.parametrize("rate", RATES)
def test_a_decode_lies_where_the_original_lies(spec: str, rate: int) -> None:
    original = noise(rate // 2, 2, rate)  # its correlation has one peak, where a tone's has many
    decoded = codec_of(spec).transmit(original).decoded
    assert (decoded.rate, decoded.samples.shape) == (rate, original.samples.shape)
    allowed = 1 if spec.startswith("opus") else 0  # SILK has phases of its own, and 48 kHz may be no multiple
    for x, y in zip(original.samples, decoded.samples, strict=True):
        assert abs(lag(x, y)) <= allowed


@pytest.mark.parametrize("spec", [*SPECS, "opus:bitrate=6000,application=voip"])
def test_real_speech_lies_within_a_sample(spec: str, shared: Path) -> None:
    original = speech(shared)
    decoded = codec_of(spec).transmit(original).decoded
    assert abs(lag(original.samples[0], decoded.samples[0])) <= 1


@pytest.mark.parametrize("bitrate", [6000, 12_000, 24_000, 32_000, 64_000])
def test_speech_at_48_khz_lies_within_a_tenth_of_a_millisecond(bitrate: int, shared: Path) -> None:
    at_16 = speech(shared)
    original = AudioSample(resampled(at_16.samples, at_16.rate, 48_000), 48_000)
    decoded = codec_of(f"opus:bitrate={bitrate}").transmit(original).decoded
    assert abs(lag(original.samples[0], decoded.samples[0])) <= 4  # SILK's own resampling


@pytest.mark.parametrize("spec", [*SPECS, "opus:bitrate=12000,frame=60", "opus:bitrate=12000,frame=2.5"])
@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 3000), channels=st.integers(1, 2), rate=st.sampled_from([*RATES, 12_345, 4000]))
def test_every_length_comes_back(spec: str, length: int, channels: int, rate: int) -> None:
    original = noise(length, channels, rate)
    codec = codec_of(spec)
    bitstream = codec.encode(original)
    assert codec.decode(bitstream.data).extent == original.extent
    assert 0 < bitstream.payload_bits < bitstream.bits


def test_the_lengths_that_containers_get_wrong() -> None:
    for spec, length, rate in (
        ("mp3:bitrate=32000", 577, 16_000),  # FFmpeg's padding ends at 1105
        ("aac:bitrate=32000", 1, 44_100),  # MP4's edit lists in thousandths of a second
        ("opus:bitrate=16000", 7, 8000),  # FFmpeg's own decoder drops 24 samples
        ("vorbis:quality=3", 1024, 16_000),  # FFmpeg reads 768 of them
    ):
        assert codec_of(spec).transmit(noise(length, rate=rate)).decoded.length == length


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("rate", [16_000, 12_345, 96_000])
def test_any_program_that_knows_the_format_reads_the_file(spec: str, rate: int) -> None:
    original = tones(rate, 0.5)
    codec = codec_of(spec)
    file = read_audio(codec.encode(original).data)
    # As far as FFmpeg alone knows it: at the codec's rate, with at most a frame too much at the end.
    other = resampled(original.samples, rate, file.rate)
    assert 0 <= file.length - other.shape[1] <= 1152
    assert abs(lag(other[0], file.samples[0])) <= 3


@pytest.mark.parametrize("spec", ["mp3:bitrate=32000", "mp3:vbr=5", "opus:bitrate=24000"])
@pytest.mark.parametrize("length", [577, 1000, 12_345])
def test_libsndfile_decodes_the_same_samples(spec: str, length: int) -> None:
    """Through mpg123 and libopus, and cut by its own reading of LAME's tag and of granule positions."""
    original = noise(length, 2, 48_000)
    sent = codec_of(spec).transmit(original)
    theirs, rate = soundfile.read(io.BytesIO(sent.bitstream.data), dtype="float32", always_2d=True)
    assert rate == 48_000 and theirs.T.shape == original.samples.shape
    assert np.abs(theirs.T - sent.decoded.samples).max() < 1e-5


# ---- rates


def demuxed(data: bytes) -> int:
    with av.open(io.BytesIO(data)) as container:
        return sum(8 * packet.size for packet in container.demux(container.streams.audio[0]))


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_payload_is_the_sum_of_the_packets(spec: str, rate: int) -> None:
    bitstream = codec_of(spec).encode(tones(rate, 0.7))
    assert bitstream.payload_bits == demuxed(bitstream.data)
    assert bitstream.bits == 8 * len(bitstream.data)


@pytest.mark.parametrize(
    ("spec", "nominal", "error"),
    [
        ("mp3:bitrate=8000", 8000, 0.04),  # of 3 s of speech; LAME adds two frames at the end
        ("mp3:bitrate=64000", 64_000, 0.04),
        ("opus:bitrate=6000,vbr=off", 6000, 0.02),
        ("opus:bitrate=32000,vbr=off,frame=60", 32_000, 0.02),
        ("opus:bitrate=24000,vbr=constrained", 24_000, 0.2),
        ("aac:bitrate=32000", 32_000, 0.1),
    ],
)
def test_a_bit_rate_is_what_the_payload_has(spec: str, nominal: int, error: float, shared: Path) -> None:
    original = speech(shared)
    sent = codec_of(spec).encode(original)
    assert sent.payload_bits / original.seconds == pytest.approx(nominal, rel=error)


@pytest.mark.parametrize(
    "ladder",
    [
        "mp3",
        "mp3:vbr=9,6,3,0",
        "opus:vbr=off,bitrate=12000,24000,64000",
        "aac:bitrate=8000,16000,24000,48000",
        "vorbis",
    ],
)
def test_more_bits_never_lose_signal_on_speech(ladder: str, shared: Path) -> None:
    original = speech(shared)
    sent = [codec.transmit(original) for codec in parse_codec(ladder)]
    bits = [s.bitstream.bits for s in sent]
    quality = [snr(original.samples, s.decoded.samples) for s in sent]
    assert bits == sorted(bits)
    assert quality == sorted(quality)  # type: ignore[type-var]


@pytest.mark.parametrize("spec", SPECS)
def test_encoding_is_pure_and_has_the_same_bytes_every_time(spec: str) -> None:
    original = tones(seconds=0.4)
    before = original.samples.copy()
    assert codec_of(spec).encode(original).data == codec_of(spec).encode(original).data
    assert np.array_equal(original.samples, before)


def test_settings_change_what_they_say(shared: Path) -> None:
    original = speech(shared)

    def bitstream(spec: str) -> int:
        return codec_of(spec).encode(original).bits

    assert bitstream("opus:frame=60,vbr=off") < bitstream("opus:frame=20,vbr=off")  # fewer packets and pages
    streams = {codec_of(f"opus:application={a}").encode(original).data for a in ("voip", "audio", "lowdelay")}
    assert len(streams) == 3
    assert bitstream("mp3:vbr=9") < bitstream("mp3:vbr=0")


def test_a_low_mp3_bit_rate_is_coded_at_a_lower_rate() -> None:
    codec, music = codec_of("mp3:bitrate=8000"), tones(44_100, 1.0)
    data = codec.encode(music).data
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.audio[0].rate == 24_000  # the highest that has 8 kbit/s
        assert container.metadata["comment"] == "44100 Hz, 44100 samples"
    assert codec.decode(data).extent == music.extent


# ---- what sounds can be


@pytest.mark.parametrize("spec", SPECS)
def test_silence_stays_silent(spec: str) -> None:
    original = AudioSample(np.zeros((2, 8000), np.float32), 16_000)
    assert np.abs(codec_of(spec).transmit(original).decoded.samples).max() < 1e-3


@pytest.mark.parametrize("spec", SPECS)
def test_what_is_clipped_or_beyond_full_scale_is_coded(spec: str) -> None:
    for level in (1.0, 1.5):
        square = np.sign(np.sin(np.arange(8000) / 20)).astype(np.float32)[None] * level
        decoded = codec_of(spec).transmit(AudioSample(square, 16_000)).decoded
        assert np.isfinite(decoded.samples).all() and np.abs(decoded.samples).max() > 0.8


@pytest.mark.parametrize("spec", SPECS)
def test_what_cannot_be_coded_is_an_error(spec: str) -> None:
    codec = codec_of(spec)
    with pytest.raises(CodecError, match="one or two channels"):
        codec.encode(noise(100, channels=6))
    broken = noise(100)
    broken.samples[0, 5] = np.nan
    with pytest.raises(CodecError, match="no numbers"):
        codec.encode(broken)


@pytest.mark.parametrize(
    ("spec", "rate", "told"),
    [
        ("mp3:bitrate=320000", 16_000, "mp3 has no 320000 bit/s at 16000 Hz; .* from 8000 to 160000"),
        ("mp3:bitrate=144000", 48_000, None),  # MPEG-2 has it, at 24 kHz
        ("mp3:bitrate=80000", 8000, "from 8000 to 64000"),
        ("aac:bitrate=64000", 8000, "aac has no 64000 bit/s for one channel at 8000 Hz; it ends at 48000"),
        ("opus:bitrate=400000", 48_000, "ends at 256000"),
    ],
)
def test_a_bit_rate_that_there_is_not_is_one_sentence(spec: str, rate: int, told: str | None) -> None:
    original = tones(rate, 0.3)
    if told is None:
        codec_of(spec).transmit(original)
    else:
        with pytest.raises(CodecError, match=told):
            codec_of(spec).encode(original)


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("mp3:bitrate=6000", "from 8000 to 320000"),
        ("mp3:bitrate=33000", "no 33000 bit/s; it has 8000, 16000"),
        ("mp3:bitrate=32000,vbr=3", "give one of the two"),
        ("opus:bitrate=6", "from 500 to 512000"),
        ("opus:frame=30", "one of 2.5, 5"),
        ("opus:vbr=yes", "one of on, off, constrained"),
        ("vorbis:quality=11", "from 0 to 10"),
        ("opus:aplication=voip", "did you mean 'application'"),
    ],
)
def test_a_wrong_setting_is_named(spec: str, named: str) -> None:
    with pytest.raises(UserError, match=named):
        parse_codec(spec)


# ---- broken streams


@pytest.mark.parametrize("spec", SPECS)
def test_a_cut_stream_is_told(spec: str) -> None:
    codec = codec_of(spec)
    data = codec.encode(tones(seconds=1.0)).data
    for keep in (0, 1, 11, 60, len(data) // 2, len(data) - 40):
        with pytest.raises(CodecError, match=codec.name):
            codec.decode(data[:keep])


@pytest.mark.parametrize("spec", SPECS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_is_told_or_still_a_sound(spec: str, data: st.DataObject) -> None:
    codec = codec_of(spec)
    stream = bytearray(codec.encode(tones(12_345, 0.2)).data)
    position = data.draw(st.integers(0, len(stream) - 1))
    stream[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        assert codec.decode(bytes(stream)).samples.dtype == np.float32
    except CodecError as error:
        assert codec.name in str(error)


@pytest.mark.parametrize("spec", SPECS)
def test_another_codecs_stream_is_told(spec: str) -> None:
    codec = codec_of(spec)
    for other in SPECS:
        if codec_of(other).name != codec.name:
            with pytest.raises(CodecError, match=codec.name):
                codec.decode(codec_of(other).encode(tones()).data)


def test_a_comment_that_lies_about_the_length_is_told() -> None:
    codec = codec_of("mp3:bitrate=32000")
    data = codec.encode(tones(12_345, 1.0)).data
    assert b"12345 Hz, 12345 samples" in data
    with pytest.raises(CodecError, match="fits no"):
        codec.decode(data.replace(b"12345 samples", b"99999 samples"))


# ---- the command line


def test_a_sound_goes_through_the_command_line(mpq: Callable, tmp_path: Path) -> None:
    original = tones(22_050, 0.5, channels=2)
    path = tmp_path / "talk.wav"
    path.write_bytes(wav(original.samples, original.rate))
    shown = mpq("roundtrip", path, "--codec", "opus:bitrate=24000", "--out", tmp_path / "small")
    assert shown.status == 0, shown.err
    stream = tmp_path / "small" / "talk.opus-bitrate=24000.opus"
    size = stream.stat().st_size
    assert f"{size:,} bytes, {8 * size / 0.5 / 1000:.2f} kbps, {8 * size / 22_050:.4f} bits" in shown.out
    assert "0.500 s, 22050 Hz, stereo" in shown.out and "× real time" in shown.out
    decoded = read_audio((tmp_path / "small" / "talk.opus-bitrate=24000.decoded.wav").read_bytes())
    assert decoded.extent == original.extent
    again = codec_of("opus:bitrate=24000").decode(stream.read_bytes())
    assert np.abs(np.clip(again.samples, -1, 1) - decoded.samples).max() <= 2**-15


def test_pictures_and_sound_do_not_mix(mpq: Callable, photographs: list[Path], tmp_path: Path) -> None:
    assert "opus codes sound; these samples are pictures" in one_sentence(mpq("sweep", "--codec", "opus"))
    with pytest.raises(UserError, match="jpeg codes pictures; these samples are sound"):
        ready_codecs(["none", "mp3", "jpeg"], kind="audio")
    assert "no" in one_sentence(mpq("roundtrip", photographs[0], "--codec", "mp3:vbr=5", "--out", tmp_path))
    (tmp_path / "a.wav").write_bytes(wav(tones().samples, 16_000))
    complaint = one_sentence(
        mpq("roundtrip", tmp_path / "a.wav", "--codec", "jpeg:quality=5", "--model", "none")
    )
    assert "not a picture" in complaint


def test_the_baseline_is_the_stored_file() -> None:
    sample = read_audio(wav(tones().samples, 16_000))
    sent = codec_of("none").transmit(sample)
    assert sent.bitstream.data == sample.stored
    assert np.array_equal(codec_of("none").decode(sent.bitstream.data).samples, sample.samples)


def test_the_baseline_takes_pictures_and_sounds_alike(
    mpq: Callable, photographs: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "a.wav").write_bytes(wav(tones().samples, 16_000))
    shown = mpq("roundtrip", tmp_path / "a.wav", "--codec", "none", "--out", tmp_path)
    assert shown.status == 0
    assert "kbps" in shown.out
    shown = mpq("roundtrip", photographs[0], "--codec", "none", "--out", tmp_path, "--model", "none")
    assert shown.status == 0
    assert "bpp" in shown.out
