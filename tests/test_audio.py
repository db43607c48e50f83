"""Sound as it is read: what files hold is what comes out, and what is no sound is one sentence."""

from __future__ import annotations

import io
import re
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpq.audio import AudioSample, read_audio, resampled
from mpq.audio_files import LameTag, lame_tag, ogg_flaw, told_size, wav, with_length, with_serial
from mpq.codecs.base import CodecError, parse_codec
from mpq.samples import SampleError

av = pytest.importorskip("av")


def tones(rate: int = 16_000, seconds: float = 0.5, channels: int = 1, seed: int = 0) -> AudioSample:
    """Two swept tones and some noise: it has an attack everywhere, so that its position can be found."""
    random = np.random.default_rng(seed)
    t = np.arange(round(rate * seconds)) / rate
    sound = [
        0.3 * np.sin(2 * np.pi * (200 + 900 * t / seconds + 150 * c) * t) * (1 + np.sin(2 * np.pi * 7 * t))
        + 0.02 * random.standard_normal(len(t))
        for c in range(channels)
    ]
    return AudioSample(np.array(sound, np.float32), rate)


def muxed(sample: np.ndarray, rate: int, codec: str, format: str, form: str, layout: str) -> bytes:
    """(channels, n) of ``form``'s type, as any file that PyAV writes."""
    file = io.BytesIO()
    with av.open(file, "w", format=format) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.codec_context.format = form
        if codec == "wmav2":
            stream.bit_rate = 64_000  # it has none of its own
        packed = sample if form.endswith("p") else sample.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), format=form, layout=layout)
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 400), st.sampled_from([8000, 16_000, 44_100, 96_000]))
def test_what_a_16_bit_file_holds_is_what_is_read(channels: int, length: int, rate: int) -> None:
    stored = np.random.default_rng(length).integers(-32768, 32768, (channels, length)).astype("<i2")
    data = wav(stored.astype(np.float32) / 32768, rate)
    with wave.open(io.BytesIO(data)) as reader:
        assert reader.readframes(length) == stored.T.tobytes()
    sample = read_audio(data)
    assert (sample.rate, sample.channels, sample.length, sample.stored) == (rate, channels, length, data)
    assert np.array_equal(sample.samples * 32768, stored)
    assert sample.seconds == length / rate


@pytest.mark.parametrize(
    ("codec", "format", "form", "step"),
    [
        ("pcm_u8", "wav", "u8", 2**-7),
        ("pcm_s24le", "wav", "s32", 2**-23),
        ("pcm_s32le", "wav", "s32", 2**-31),
        ("pcm_f32le", "wav", "flt", 0),
        ("pcm_f64le", "wav", "dbl", 0),
        ("flac", "flac", "s16", 2**-15),
    ],
)
def test_every_width_has_full_scale_at_one(codec: str, format: str, form: str, step: float) -> None:
    wanted = np.array([[-1.0, -0.5, 0.0, 0.25, 0.5], [0.5, 0.0, -0.25, 0.75, -1.0]])
    if form == "u8":
        stored = (wanted * 128 + 128).astype(np.uint8)
    elif form.startswith("s"):
        stored = (wanted * 2 ** (int(form[1:]) - 1)).astype(f"i{int(form[1:]) // 8}")
    else:
        stored = wanted.astype({"flt": np.float32, "dbl": np.float64}[form])
    sample = read_audio(muxed(stored, 8000, codec, format, form, "stereo"))
    assert np.abs(sample.samples - wanted).max() <= step
    assert sample.samples.flags.c_contiguous


def test_real_speech_is_read_at_its_rate(shared: Path) -> None:
    data = (shared / "speech" / "librivox_0920.wav").read_bytes()
    with wave.open(io.BytesIO(data)) as reader:
        stored = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
    sample = read_audio(data)
    assert sample.rate == 16_000
    assert np.array_equal(sample.samples[0] * 32768, stored)
    flac = read_audio((shared / "speech" / "librispeech_2412-153948-0000.flac").read_bytes())
    assert (flac.rate, flac.length) == (16_000, 186_560)


def _with_data(change: Callable[[bytearray], bytes | bytearray], kind: str) -> bytes:
    sample = tones(seconds=2.0)
    if kind == "wav":
        data = wav(sample.samples, sample.rate)
    elif kind == "flac":
        data = muxed((sample.samples * 32767).astype("i2"), 16_000, "flac", "flac", "s16", "mono")
    else:
        (codec,) = parse_codec("mp3:bitrate=32000")
        data = codec.encode(sample).data
    return bytes(change(bytearray(data)))


def _damaged(data: bytearray) -> bytearray:
    data[len(data) // 2 : len(data) // 2 + 500] = np.random.default_rng(3).bytes(500)
    return data


@pytest.mark.parametrize(
    ("kind", "change", "told"),
    [
        ("wav", lambda d: b"", "not a sound"),
        ("wav", lambda d: b"hello " * 200, "not a sound"),
        ("wav", lambda d: d[:44], "holds no sound"),
        ("wav", lambda d: d[: len(d) // 2], "bytes where it says"),
        ("flac", lambda d: d[: len(d) // 2], "broken flac sound"),
        ("flac", _damaged, "broken flac sound"),
        ("mp3", lambda d: d[: len(d) // 2], "samples where it says 32,000"),
        ("mp3", _damaged, "broken mp3 sound"),
    ],
)
def test_what_is_no_whole_sound_is_one_sentence(kind: str, change: Callable, told: str) -> None:
    with pytest.raises(SampleError, match=told) as error:
        read_audio(_with_data(change, kind))
    assert "\n" not in str(error.value)


CONTAINERS = {
    "opus": ("libopus", "ogg", "flt"),
    "webm": ("libopus", "webm", "flt"),
    "aiff": ("pcm_s16be", "aiff", "s16"),
    "w64": ("pcm_s16le", "w64", "s16"),
    "wma": ("wmav2", "asf", "fltp"),
    "m4a": ("aac", "mp4", "fltp"),
    "vorbis": ("", "OGG", ""),
    "mp3": ("", "", ""),
}


@pytest.fixture(scope="module")
def contained() -> dict[str, bytes]:
    """Six seconds at 48 kHz in each kind of file."""
    import soundfile

    sample = tones(48_000, 6.0)
    files = {}
    for kind, (codec, format, form) in CONTAINERS.items():
        if kind == "vorbis":
            file = io.BytesIO()
            soundfile.write(file, sample.samples.T, 48_000, format=format, subtype="VORBIS")
            files[kind] = file.getvalue()
        elif kind == "mp3":
            files[kind] = parse_codec("mp3:bitrate=64000")[0].encode(sample).data
        else:
            sound = (sample.samples * 32767).astype("i2") if form == "s16" else sample.samples
            files[kind] = muxed(sound, 48_000, codec, format, form, "mono")
    return files


@pytest.mark.parametrize("kind", CONTAINERS)
def test_what_lacks_a_part_is_broken_and_the_whole_is_not(kind: str, contained: dict[str, bytes]) -> None:
    data = contained[kind]
    middle = len(data) // 2
    assert read_audio(data).seconds == pytest.approx(6.0, abs=0.05)
    for broken in (data[:middle], data[: middle - 2000] + data[middle + 2000 :]):
        with pytest.raises(SampleError):
            read_audio(broken)


@pytest.mark.parametrize("kind", ["opus", "vorbis"])
def test_a_page_that_is_damaged_or_away_is_told(kind: str, contained: dict[str, bytes]) -> None:
    data = contained[kind]
    middle = len(data) // 2
    with pytest.raises(SampleError, match="broken ogg sound: the page at byte .* is damaged"):
        read_audio(data[:middle] + bytes(200) + data[middle + 200 :])
    pages = [match.start() for match in re.finditer(b"OggS", data)] + [len(data)]
    with pytest.raises(SampleError, match="broken ogg sound: pages are missing before byte"):
        read_audio(data[: pages[3]] + data[pages[4] :])
    with pytest.raises(SampleError, match="broken ogg sound: its end is missing"):
        read_audio(data[: pages[-2]])


def test_a_frame_that_is_away_is_missed_where_the_tag_counts_bytes(contained: dict[str, bytes]) -> None:
    data = contained["mp3"]
    tag = lame_tag(data)
    assert tag is not None
    size = (len(data) - tag.frame) // (tag.frames + 1)
    start = tag.frame + 20 * size
    with pytest.raises(SampleError, match="bytes where it says"):
        read_audio(data[:start] + data[start + size :])


def test_what_is_louder_than_any_sound_is_refused() -> None:
    sound = tones().samples / np.abs(tones().samples).max()
    file = muxed(sound * 32768, 16_000, "pcm_f32le", "wav", "flt", "mono")
    assert np.abs(read_audio(file).samples).max() == 32768  # whole numbers, kept as they were
    with pytest.raises(SampleError, match="times as loud as full scale"):
        read_audio(muxed(sound * 1e6, 16_000, "pcm_f32le", "wav", "flt", "mono"))
    for spec in ("mp3:bitrate=8000", "aac:bitrate=16000", "opus:bitrate=6000"):
        with pytest.raises(CodecError, match="times as loud as full scale"):
            parse_codec(spec)[0].encode(AudioSample(sound * np.float32(1e8), 16_000))


def test_a_rate_that_no_sound_has_is_refused() -> None:
    with pytest.raises(SampleError, match="its rate of 1 Hz is not within 1000 to 192000"):
        read_audio(wav(tones().samples, 1))


def test_a_picture_is_no_sound(photographs: list[Path]) -> None:
    with pytest.raises(SampleError, match="no sound|not a sound"):
        read_audio(photographs[0].read_bytes())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_number_is_told(value: float) -> None:
    sound = tones().samples.copy()
    sound[0, 100] = value
    with pytest.raises(SampleError, match="no numbers"):
        read_audio(muxed(sound, 16_000, "pcm_f32le", "wav", "flt", "mono"))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_sound_or_one_sentence(data: bytes) -> None:
    for head in (b"", b"RIFF\xff\xff\xff\x7fWAVEfmt ", b"fLaC", b"OggS", b"ID3", b"\xff\xfb\x90\x00"):
        try:
            assert read_audio(head + data).samples.dtype == np.float32
        except SampleError as error:
            assert str(error)


@pytest.mark.parametrize("shape", [(0, 5), (1, 0), (5,)])
def test_an_empty_sample_cannot_be_made(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="channels, n"):
        AudioSample(np.zeros(shape, np.float32), 8000)


# ---- rates


@pytest.mark.parametrize(
    ("old", "new"), [(16_000, 48_000), (48_000, 16_000), (44_100, 48_000), (96_000, 44_100)]
)
def test_resampling_keeps_what_fits_and_drops_what_does_not(old: int, new: int) -> None:
    t = np.arange(old // 2) / old
    inner = slice(new // 8, 3 * new // 8)
    for share in (0.01, 0.5, 0.85):
        frequency = share * min(old, new) / 2
        sine = np.sin(2 * np.pi * frequency * t).astype(np.float32)[None]
        out = resampled(sine, old, new)
        assert out.shape == (1, -(-sine.shape[1] * new // old)) and out.dtype == np.float32
        error = out[0] - np.sin(2 * np.pi * frequency * np.arange(out.shape[1]) / new)
        assert np.abs(error[inner]).max() < 1e-5, frequency  # −100 dB
    if new < old:
        above = resampled(np.sin(2 * np.pi * 0.55 * new * t).astype(np.float32)[None], old, new)
        assert np.abs(above[0][inner]).max() < 1e-5


def test_an_equal_rate_changes_nothing() -> None:
    sound = tones().samples
    assert resampled(sound, 16_000, 16_000) is sound


# ---- what files say of their length


def test_lames_tag_is_read_and_mended() -> None:
    (codec,) = parse_codec("mp3:bitrate=32000")
    data = codec.encode(tones(seconds=577 / 16_000)).data
    tag = lame_tag(data)
    assert isinstance(tag, LameTag) and (tag.frames, tag.frame_samples, tag.delay) == (4, 576, 576)
    assert tag.length == 577  # FFmpeg alone writes 623
    longer = lame_tag(with_length(data, 600))
    assert longer is not None and longer.length == 600
    assert with_length(with_length(data, 600), 577) == data
    assert with_length(data, 10**9) == data and with_length(b"", 5) == b"" and lame_tag(data[:60]) is None


def test_a_serial_number_leaves_an_ogg_file_valid() -> None:
    (codec,) = parse_codec("opus:bitrate=16000")
    data = codec.encode(tones()).data
    other = with_serial(data, 12345)
    assert other != data and with_serial(other, int.from_bytes(data[14:18], "little")) == data
    assert np.array_equal(codec.decode(other).samples, codec.decode(data).samples)
    assert ogg_flaw(data) is None
    assert all(ogg_flaw(cut) for cut in (data[:-1], data[:40], b"", data + b"x"))


def test_a_streamed_wav_says_no_size() -> None:
    data = bytearray(wav(tones().samples, 16_000))
    assert told_size(data) == len(data)
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    assert told_size(data) is None
    assert read_audio(bytes(data)).length == 8000


def test_a_decoded_file_is_clipped_and_not_wrapped() -> None:
    loud = np.array([[2.0, -3.0, 1.0, 0.5]], np.float32)
    assert np.allclose(read_audio(wav(loud, 8000)).samples, [[1, -1, 1, 0.5]], atol=2**-15)
