"""Codec 2: the library's own bits at exactly their rate, decodes that repeat and lie where the originals lie."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpq.audio import AudioSample, read_audio, resampled
from mpq.audio_files import wav
from mpq.codecs import codec2
from mpq.codecs.base import CodecError, parse_codec, ready_codecs
from mpq.codecs.codec2 import MODES, Codec2
from mpq.errors import UserError
from tests.conftest import one_sentence
from tests.test_audio import tones

HEADER = 12
FRAMES = {
    "3200": (160, 64),
    "2400": (160, 48),
    "1600": (320, 64),
    "1400": (320, 56),
    "1300": (320, 52),
    "1200": (320, 48),
    "700C": (320, 28),
}
"""Bit rate -> samples and bits of a frame, as Codec 2's documentation has them."""

# Not importorskip: once pycodec2 is imported it holds the library, whose noise then goes on from decode to decode.
needs_library = pytest.mark.skipif(find_spec("pycodec2") is None, reason="needs pycodec2")


def codec_of(bitrate: str) -> Codec2:
    (codec,) = parse_codec(f"codec2:bitrate={bitrate}")
    assert isinstance(codec, Codec2)
    return codec


def speech(shared: Path, name: str = "librivox_0870.wav") -> AudioSample:
    return read_audio((shared / "speech" / name).read_bytes())


def noise(length: int, channels: int = 1, rate: int = 8000) -> AudioSample:
    random = np.random.default_rng(length)
    return AudioSample((0.1 * random.standard_normal((channels, length))).astype(np.float32), rate)


# ---- rates


@needs_library
@pytest.mark.parametrize("bitrate", FRAMES)
def test_a_second_costs_what_the_mode_says(bitrate: str) -> None:
    samples, bits = FRAMES[bitrate]
    delay = 240 if bitrate == "700C" else 160
    for length, channels, rate in ((8000, 1, 8000), (80_000, 1, 16_000), (44_100, 2, 44_100), (80, 1, 8000)):
        sent = codec_of(bitrate).encode(noise(length, channels, rate))
        frames = ceil((ceil(length * 8000 / rate) + delay) / samples)
        assert sent.payload_bits == channels * frames * bits
        assert sent.bits == 8 * (HEADER + ceil(sent.payload_bits / 8))


OTHER = """
import sys, numpy, pycodec2
speech = numpy.frombuffer(sys.stdin.buffer.read(), "<i2")
for mode in map(int, sys.argv[1:]):
    coder, decoder = pycodec2.Codec2(mode), pycodec2.Codec2(mode)
    size = coder.samples_per_frame()
    frames = [coder.encode(speech[i:i + size]) for i in range(0, len(speech) // size * size, size)]
    digits = numpy.unpackbits(numpy.frombuffer(b"".join(frames), "u1").reshape(len(frames), -1), axis=1)
    print("".join(map(str, digits[:, :coder.bits_per_frame()].reshape(-1))))
"""


@needs_library
def test_the_bits_are_those_that_pycodec2_makes(shared: Path) -> None:
    original = speech(shared, "librivox_0880.wav")
    samples = np.clip(np.rint(resampled(original.samples, original.rate, 8000) * 32768), -32768, 32767)
    given = np.pad(samples[0].astype("<i2"), (0, 640)).tobytes()
    modes = [bitrate.rstrip("C") for bitrate in FRAMES]
    theirs = subprocess.run(
        [sys.executable, "-c", OTHER, *modes], input=given, capture_output=True, check=True, timeout=60
    ).stdout.split()
    for bitrate, digits in zip(FRAMES, theirs, strict=True):
        sent = codec_of(bitrate).encode(original)
        ours = "".join(f"{byte:08b}" for byte in sent.data[HEADER:])[: sent.payload_bits]
        assert digits.decode().startswith(ours) and len(ours) > 1500


@needs_library
def test_codec2s_own_decoder_makes_the_same_sound(shared: Path) -> None:
    """In a process of its own, where the noise begins as it does here."""
    original = speech(shared, "librivox_0880.wav")
    sent = codec_of("3200").transmit(original)
    script = (
        "import sys, numpy, pycodec2; c = pycodec2.Codec2(3200); d = sys.stdin.buffer.read()\n"
        # A draw, as this suite makes one to see whether anybody was there before.
        "import ctypes, pathlib; p = next((pathlib.Path(pycodec2.__file__).parents[1] / 'pycodec2.libs').iterdir())\n"
        "ctypes.CDLL(str(p)).codec2_rand()\n"
        "sys.stdout.buffer.write(b''.join(c.decode(d[i:i + 8]).tobytes() for i in range(0, len(d), 8)))"
    )
    theirs = subprocess.run(
        [sys.executable, "-c", script],
        input=sent.bitstream.data[HEADER:],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    sound = np.frombuffer(theirs, "<i2")[None, 160:].astype(np.float32) / 32768
    back = resampled(sound[:, : ceil(original.length / 2)], 8000, 16_000)[:, : original.length]
    assert original.rate == 16_000 and np.array_equal(sent.decoded.samples, back)


# ---- decodes


@needs_library
@pytest.mark.parametrize("bitrate", FRAMES)
def test_every_decode_of_the_same_bytes_is_the_same(bitrate: str) -> None:
    codec, one, other = codec_of(bitrate), noise(4000), noise(2000)
    sent = codec.encode(one)
    first = codec.decode(sent.data).samples
    codec.transmit(other)
    codec_of("2400").transmit(other)
    assert np.array_equal(codec.decode(sent.data).samples, first)
    assert np.array_equal(codec_of("1200").decode(sent.data).samples, first)
    assert codec.encode(one) == sent


@needs_library
@settings(max_examples=40, deadline=None)
@given(
    bitrate=st.sampled_from(list(FRAMES)),
    length=st.integers(1, 5000),
    channels=st.integers(1, 2),
    rate=st.sampled_from([4000, 8000, 11_025, 16_000, 44_100, 48_000]),
)
def test_every_length_and_rate_comes_back(bitrate: str, length: int, channels: int, rate: int) -> None:
    original = noise(length, channels, rate)
    assert codec_of(bitrate).transmit(original).decoded.extent == original.extent


def envelope(samples: np.ndarray) -> np.ndarray:
    """Level in dB every millisecond of sound at 8 kHz, over windows of 20 ms."""
    power = np.convolve(samples**2, np.hanning(161) / 80, "same")[::8]
    return 10 * np.log10(power + 1e-6)


@needs_library
@pytest.mark.parametrize("bitrate", FRAMES)
def test_a_decode_lies_where_the_original_lies(bitrate: str, shared: Path) -> None:
    """A vocoder keeps no waveform, so the envelope tells: it fits best within 3 ms of where it was, 4 with 700C."""
    lags = []
    for name in ("librivox_0870.wav", "librivox_0890.wav", "librivox_0920.wav"):
        original = speech(shared, name)
        decoded = codec_of(bitrate).transmit(original).decoded
        one, other = (envelope(resampled(s.samples, s.rate, 8000)[0]) for s in (original, decoded))
        inner = slice(100, len(one) - 100)
        fits = [np.corrcoef(one[inner], np.roll(other, -lag)[inner])[0, 1] for lag in range(-60, 61)]
        lags.append(int(np.argmax(fits)) - 60)
        assert max(fits) > 0.85
    assert abs(float(np.median(lags))) <= (4 if bitrate == "700C" else 3), lags


@needs_library
def test_silence_clipping_and_10_ms_are_coded() -> None:
    square = np.sign(np.sin(np.arange(8000) / 20)).astype(np.float32)[None]
    for bitrate in FRAMES:
        codec = codec_of(bitrate)
        silence = codec.transmit(AudioSample(np.zeros((2, 8000), np.float32), 16_000)).decoded
        assert np.abs(silence.samples).max() < 0.01
        for samples in (square, 1.5 * square, noise(160).samples):
            decoded = codec.transmit(AudioSample(samples, 16_000)).decoded
            assert decoded.samples.shape == samples.shape and np.isfinite(decoded.samples).all()


@needs_library
def test_ten_minutes_are_coded() -> None:
    minutes = AudioSample(np.tile(noise(8000).samples, (1, 600)), 8000)
    sent = codec_of("700C").transmit(minutes)
    assert sent.decoded.extent == minutes.extent
    assert sent.bitstream.payload_bits == 28 * (600 * 25 + 1)


@needs_library
def test_channels_are_coded_one_after_the_other() -> None:
    codec, both = codec_of("1300"), noise(4000, 2)
    sent = codec.encode(both)
    digits = "".join(f"{byte:08b}" for byte in sent.data[HEADER:])
    each = [codec.encode(AudioSample(channel[None], both.rate)) for channel in both.samples]
    theirs = ["".join(f"{byte:08b}" for byte in one.data[HEADER:])[: one.payload_bits] for one in each]
    assert digits[: sent.payload_bits] == "".join(theirs)


# ---- what is told


@needs_library
def test_what_cannot_be_coded_is_an_error() -> None:
    codec = codec_of("3200")
    with pytest.raises(CodecError, match="one or two channels here, not 6"):
        codec.encode(noise(100, channels=6))
    broken = noise(100)
    broken.samples[0, 5] = np.nan
    with pytest.raises(CodecError, match="no numbers"):
        codec.encode(broken)


@needs_library
def test_cut_flipped_and_longer_streams_are_refused() -> None:
    codec = codec_of("1300")
    data = codec.encode(noise(4000, 2)).data
    damaged = [data[:n] for n in range(len(data))] + [data + b"\0", data[::-1]]
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        damaged.append(bytes(flipped))
    for other in damaged:
        with pytest.raises(CodecError):
            codec.decode(other)


@needs_library
@pytest.mark.parametrize(
    "claim", [(1, 8000, 4000, 7), (1, 8000, 8001, 4), (1, 8000, 2**29, 4), (1, 1, 2**29, 4)]
)
def test_claims_that_the_payload_does_not_hold_are_refused(claim: tuple[int, int, int, int]) -> None:
    from mpq.codecs.audio_container import Header, pack

    payload = codec_of("1300").encode(noise(4000)).data[HEADER:]
    with pytest.raises(CodecError):
        codec_of("1300").decode(pack(Header(*claim), payload, b"codec2"))


@needs_library
def test_a_library_that_is_in_use_is_told() -> None:
    script = (
        "import numpy, pycodec2; from mpq.audio import AudioSample; from mpq.codecs.base import parse_codec\n"
        "c = pycodec2.Codec2(3200); codec = parse_codec('codec2:bitrate=3200')[0]\n"
        "s = AudioSample(numpy.ones((1, 800), 'float32') / 9, 8000); b = codec.encode(s); codec.decode(b.data)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "CodecError: libcodec2 is in use in this process already" in done.stderr


@pytest.mark.parametrize("spec", ["codec2:bitrate=700", "codec2:bitrate=2000", "codec2:mode=1300"])
def test_a_wrong_setting_is_named(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec2, "_library", lambda: Path("libcodec2.so"))
    with pytest.raises(UserError, match="one of 700C, 1200, 1300|no parameter 'mode'"):
        parse_codec(spec)


def test_without_the_package_one_sentence_says_how_to_get_it(
    mpq: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec2, "_library", lambda: None)
    with pytest.raises(UserError, match="codec2 cannot run here: it needs pycodec2 .*quality\\[codec2\\]"):
        ready_codecs(["codec2"])
    assert "needs pycodec2" in one_sentence(mpq("sweep", "--codec", "codec2"))


@needs_library
def test_a_sound_goes_through_the_command_line(mpq: Callable, tmp_path: Path) -> None:
    (tmp_path / "talk.wav").write_bytes(wav(tones(16_000, 0.5).samples, 16_000))
    shown = mpq("roundtrip", tmp_path / "talk.wav", "--codec", "codec2:bitrate=700C", "--out", tmp_path)
    assert shown.status == 0, shown.err
    (stream,) = tmp_path.glob("*.mpq")
    assert stream.stat().st_size == HEADER + ceil(28 * ceil(4240 / 320) / 8)


def test_the_ladder_is_all_modes_cheapest_first() -> None:
    rates = [int(bitrate.rstrip("C")) for bitrate in Codec2.ladder.removeprefix("bitrate=").split(",")]
    assert rates == sorted(rates) and len(rates) == len(MODES) == 7
