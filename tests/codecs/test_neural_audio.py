"""EnCodec and DAC: streams hold the library's own codes, at their bits, and decode to what the library decodes.

Their weights are random here, in small networks of the published kinds, saved as transformers saves them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DacConfig, DacModel, EncodecConfig, EncodecModel, logging

from mpq.audio import AudioSample, resampled
from mpq.audio_files import wav
from mpq.codecs.base import CodecError, parse_codec, ready_codecs
from mpq.codecs.neural_audio import NeuralAudioCodec
from mpq.errors import UserError
from mpq.networks.audio_coders import WholeCoder
from mpq.weights.sources import sha256_of
from tests.conftest import one_sentence

pytestmark = pytest.mark.usefixtures("one_thread")

STEREO = {
    "target_bandwidths": [3.0, 6.0, 12.0, 24.0],
    "sampling_rate": 48_000,
    "audio_channels": 2,
    "normalize": True,
    "chunk_length_s": 1.0,
    "overlap": 0.01,
    "norm_type": "time_group_norm",
    "use_causal_conv": False,
}
"""What sets EnCodec at 48 kHz apart from that at 24."""

HEADER = 12
MODELS = [
    "encodec:model=24khz",
    "encodec:model=48khz",
    "dac:model=16khz",
    "dac:model=24khz",
    "dac:model=44khz",
]


def _dac(rate: int, ratios: list[int], codebooks: int, size: int = 1024) -> Any:
    return DacModel(
        DacConfig(
            encoder_hidden_size=4,
            decoder_hidden_size=32,
            downsampling_ratios=ratios,
            n_codebooks=codebooks,
            codebook_size=size,
            sampling_rate=rate,
        )
    )


def random_network(model: str, seed: int = 0) -> Any:
    """Of the published kind, but narrow; with codes that differ from frame to frame."""
    torch.manual_seed(seed)
    small = {"num_filters": 2, "hidden_size": 8}
    make: dict[str, Callable[[], Any]] = {
        "encodec:model=24khz": lambda: EncodecModel(EncodecConfig(**small)),
        "encodec:model=48khz": lambda: EncodecModel(EncodecConfig(**small, **STEREO)),
        "dac:model=16khz": lambda: _dac(16_000, [2, 4, 5, 8], 12),
        "dac:model=24khz": lambda: _dac(24_000, [2, 4, 5, 8], 32, size=32),  # codes of 5 bits
        "dac:model=44khz": lambda: _dac(44_100, [2, 4, 8, 8], 9),
    }
    network = make[model]().eval().requires_grad_(False)
    for module in network.modules():
        if model.startswith("dac") and isinstance(module, torch.nn.Conv1d):
            module.reset_parameters()  # transformers' own are so small that nothing of the sound is left
    _spread(network, model.endswith("48khz"))
    for i, layer in enumerate(getattr(network.quantizer, "layers", ())):
        layer.codebook.embed.copy_(0.7**i * torch.randn(layer.codebook.embed.shape))
    return network


def _spread(network: Any, stereo: bool) -> None:
    """Gives latents of noise mean 0 and variance 1, as training would, by the encoder's last layer."""
    latents = network.encoder(0.1 * torch.randn(1, 2 if stereo else 1, 20 * 320))
    mean, deviation = latents.mean(dim=(0, 2)), latents.std(dim=(0, 2))
    layers = getattr(network.encoder, "layers", None)
    last = network.encoder.conv2 if layers is None else layers[-1].norm if stereo else layers[-1].conv
    gain = last.parametrizations.weight.original0 if hasattr(last, "parametrizations") else last.weight
    gain.div_(deviation.view(-1, *[1] * (gain.dim() - 1)))
    last.bias.sub_(mean).div_(deviation)


def save(network: Any, folder: Path) -> Path:
    logging.disable_progress_bar()
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model -> a folder with its network."""
    parent = tmp_path_factory.mktemp("saved")
    return {model: save(random_network(model), parent / str(i)) for i, model in enumerate(MODELS)}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache of Hugging Face's, and a way to the network on which nobody answers."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    return tmp_path / "hub"


def codec_of(spec: str, folder: Path | None = None) -> NeuralAudioCodec:
    (codec,) = parse_codec(spec, folder)
    assert isinstance(codec, NeuralAudioCodec)
    return codec


def sound(length: int, channels: int = 1, rate: int = 24_000, seed: int = 0) -> AudioSample:
    """Noise whose loudness changes."""
    random = np.random.default_rng(seed)
    swell = 0.1 + 0.1 * np.sin(np.arange(length) / rate * 9)
    return AudioSample((swell * random.standard_normal((channels, length))).astype(np.float32), rate)


def payload_of(
    data: bytes, scales: int, bits: int, frames: int, codebooks: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scales, and codes (frames, codebooks), read digit by digit."""
    digits = "".join(f"{byte:08b}" for byte in data[HEADER + 4 * scales :])
    assert (
        len(digits) - frames * codebooks * bits in range(8) and "1" not in digits[frames * codebooks * bits :]
    )
    codes = [int(digits[i : i + bits], 2) for i in range(0, frames * codebooks * bits, bits)]
    return np.frombuffer(data[HEADER:], "<f4", scales), np.array(codes).reshape(frames, codebooks)


# ---- the library's codes, and its decodes


@pytest.mark.parametrize(("bitrate", "codebooks"), [(1500, 2), (6000, 8), (24_000, 32)])
@pytest.mark.parametrize("length", [1, 30_001])
def test_the_24_khz_codes_are_those_that_transformers_makes(
    bitrate: int, codebooks: int, length: int, folders: dict[str, Path]
) -> None:
    folder = folders["encodec:model=24khz"]
    network = EncodecModel.from_pretrained(folder)
    codec, original = codec_of(f"encodec:bitrate={bitrate}", folder), sound(length)
    sent = codec.encode(original)
    frames = ceil(length / 320)
    assert sent.payload_bits == 10 * codebooks * frames
    assert sent.bits == 8 * (HEADER + ceil(sent.payload_bits / 8))
    _, codes = payload_of(sent.data, 0, 10, frames, codebooks)
    with torch.inference_mode():
        theirs = network.encode(torch.from_numpy(original.samples)[None], bandwidth=bitrate / 1000)
        assert np.array_equal(codes, theirs.audio_codes[0, 0].T.numpy())
        decoded = network.decode(theirs.audio_codes, theirs.audio_scales).audio_values[0, :, :length].numpy()
    assert np.array_equal(codec.decode(sent.data).samples, decoded)
    assert length < 24_000 or len(np.unique(codes)) > 50  # or equality would say little


@pytest.mark.parametrize("length", [100, 48_000, 60_000, 110_000])
def test_the_48_khz_chunks_are_those_that_transformers_makes(length: int, folders: dict[str, Path]) -> None:
    folder = folders["encodec:model=48khz"]
    network = EncodecModel.from_pretrained(folder)
    codec, original = codec_of("encodec:model=48khz,bitrate=3000", folder), sound(length, 2, 48_000)
    sent = codec.encode(original)
    sizes = [min(48_000, length - start) for start in range(0, max(1, length - 480), 47_520)]
    frames = [ceil(size / 320) for size in sizes]
    assert sent.payload_bits == 32 * len(sizes) + 10 * 2 * sum(frames)
    scales, codes = payload_of(sent.data, len(sizes), 10, sum(frames), 2)
    with torch.inference_mode():
        theirs = network.encode(torch.from_numpy(original.samples)[None], bandwidth=3.0)
        starts = np.cumsum([0, *frames])
        for i, size in enumerate(frames):
            assert np.array_equal(codes[starts[i] :][:size], theirs.audio_codes[i, 0, :, :size].T.numpy())
            assert scales[i] == float(theirs.audio_scales[i])
        decoded = network.decode(
            theirs.audio_codes, theirs.audio_scales, last_frame_pad_length=theirs.last_frame_pad_length
        ).audio_values[0, :, :length]
    ours = codec.decode(sent.data).samples
    same = slice(
        0, min(length, 47_520) if length == 48_000 else length
    )  # there, theirs sends its last 480 again
    assert np.abs(ours[:, same] - decoded.numpy()[:, same]).max() < 1e-6 < np.abs(ours).max()


@pytest.mark.parametrize("model", MODELS[2:])
@pytest.mark.parametrize("length", [1, 20_000, 20_480])
def test_the_dac_codes_are_those_that_transformers_makes(
    model: str, length: int, folders: dict[str, Path]
) -> None:
    network = DacModel.from_pretrained(folders[model])
    config = network.config
    hop, bits = int(np.prod(config.downsampling_ratios)), int(np.log2(config.codebook_size))
    codec, original = (
        codec_of(f"{model},codebooks=3", folders[model]),
        sound(length, rate=config.sampling_rate),
    )
    sent = codec.encode(original)
    short = (
        8 if 5 in config.downsampling_ratios else 0
    )  # transformers decodes T frames to 320 T - 8 samples there
    frames = ceil((length + short) / hop)
    assert sent.payload_bits == 3 * bits * frames
    _, codes = payload_of(sent.data, 0, bits, frames, 3)
    padded = np.pad(original.samples, ((0, 0), (0, frames * hop - length)))
    with torch.inference_mode():
        theirs = network.encode(torch.from_numpy(padded)[None], n_quantizers=3).audio_codes
        assert np.array_equal(codes, theirs[0].T.numpy())
        decoded = network.decode(audio_codes=theirs).audio_values
    assert decoded.shape[1] == frames * hop - short
    assert np.array_equal(codec.decode(sent.data).samples, decoded[:, :length].numpy())
    assert length < 20_000 or len(np.unique(codes)) > 20


@pytest.mark.parametrize("model", ["encodec:model=24khz", "dac:model=24khz", "dac:model=44khz"])
def test_pieces_change_nothing_and_cost_no_bits(model: str, folders: dict[str, Path]) -> None:
    whole = codec_of(model, folders[model]).coder
    assert isinstance(whole, WholeCoder) and whole.piece > whole.before
    pieces = replace(whole, piece=40, before=min(whole.before, 60))
    one = sound(130 * whole.hop + 7).samples
    with torch.inference_mode():
        coded, again = whole.encode(one, 2), pieces.encode(one, 2)
        decoded, faded = whole.decode(coded, one.shape[1]), pieces.decode(coded, one.shape[1])
    assert coded.codes.shape == again.codes.shape and coded.codes.shape[0] in (131, 132)
    assert (coded.codes == again.codes).mean() > 0.99  # two distances may be equal to the last bit
    assert decoded.shape == faded.shape == one.shape
    assert np.abs(decoded - faded).max() < 1e-4 * np.abs(decoded).max()


def test_without_context_pieces_would_be_heard(folders: dict[str, Path]) -> None:
    """Or the test above would say nothing."""
    whole = codec_of("dac:model=44khz", folders["dac:model=44khz"]).coder
    assert isinstance(whole, WholeCoder)
    alone = replace(whole, piece=40, before=0, after=0)
    one = sound(130 * whole.hop).samples
    with torch.inference_mode():
        coded = whole.encode(one, 2)
        decoded, cut = whole.decode(coded, one.shape[1]), alone.decode(coded, one.shape[1])
    assert np.abs(decoded - cut).max() > 1e-2 * np.abs(decoded).max()


# ---- what sounds can be


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=8, deadline=None)
@given(
    length=st.integers(1, 9000),
    channels=st.integers(1, 2),
    rate=st.sampled_from([8000, 12_345, 16_000, 44_100, 48_000, 96_000]),
)
def test_every_length_and_rate_comes_back_and_the_same_again(
    model: str, length: int, channels: int, rate: int, folders: dict[str, Path]
) -> None:
    codec, original = codec_of(model, folders[model]), sound(length, channels, rate)
    sent = codec.transmit(original)
    assert sent.decoded.extent == original.extent
    assert sent.bitstream.data == codec.encode(original).data
    assert 0 <= sent.bitstream.bits - sent.bitstream.payload_bits - 8 * HEADER < 8
    # Another instance, at another setting, knows nothing of the sound but its bytes.
    other = codec_of(
        f"{model},{'bitrate=12000' if model.startswith('encodec') else 'codebooks=2'}", folders[model]
    )
    assert np.array_equal(other.decode(sent.bitstream.data).samples, sent.decoded.samples)


@pytest.mark.parametrize("model", MODELS)
def test_silence_clipping_and_10_ms_are_coded(model: str, folders: dict[str, Path]) -> None:
    codec = codec_of(model, folders[model])
    square = np.sign(np.sin(np.arange(8000) / 20)).astype(np.float32)[None]
    for samples in (np.zeros((2, 8000), np.float32), square, 1.5 * square, sound(160).samples):
        decoded = codec.transmit(AudioSample(samples, 16_000)).decoded
        assert decoded.samples.shape == samples.shape and np.isfinite(decoded.samples).all()


def test_silence_stays_silent_where_chunks_have_scales(folders: dict[str, Path]) -> None:
    codec = codec_of("encodec:model=48khz", folders["encodec:model=48khz"])
    decoded = codec.transmit(AudioSample(np.zeros((2, 60_000), np.float32), 48_000)).decoded
    assert np.abs(decoded.samples).max() < 1e-6


@pytest.mark.parametrize("model", [m for m in MODELS if m != "encodec:model=48khz"])
def test_a_network_of_one_channel_codes_each_for_itself(model: str, folders: dict[str, Path]) -> None:
    codec, both = codec_of(model, folders[model]), sound(5000, 2)
    sent = codec.transmit(both)
    each = [codec.transmit(AudioSample(channel[None], both.rate)) for channel in both.samples]
    assert sent.bitstream.payload_bits == sum(one.bitstream.payload_bits for one in each)
    assert np.array_equal(sent.decoded.samples, np.concatenate([one.decoded.samples for one in each]))


def test_a_network_of_two_channels_codes_a_mono_sound_once(folders: dict[str, Path]) -> None:
    codec, mono = codec_of("encodec:model=48khz", folders["encodec:model=48khz"]), sound(50_000, 1, 48_000)
    one, two = codec.transmit(mono), codec.transmit(AudioSample(np.repeat(mono.samples, 2, axis=0), 48_000))
    assert one.bitstream.data[HEADER:] == two.bitstream.data[HEADER:]
    assert np.array_equal(one.decoded.samples[0], two.decoded.samples.mean(axis=0))


def test_another_rate_is_resampled_there_and_back(folders: dict[str, Path]) -> None:
    codec, original = codec_of("encodec", folders["encodec:model=24khz"]), sound(10_000, rate=16_000)
    sent = codec.transmit(original)
    inner = codec.transmit(AudioSample(resampled(original.samples, 16_000, 24_000), 24_000))
    assert sent.bitstream.data[HEADER:] == inner.bitstream.data[HEADER:]
    assert np.array_equal(sent.decoded.samples, resampled(inner.decoded.samples, 24_000, 16_000)[:, :10_000])


@pytest.mark.parametrize("model", MODELS)
def test_what_cannot_be_coded_is_an_error(model: str, folders: dict[str, Path]) -> None:
    codec = codec_of(model, folders[model])
    with pytest.raises(CodecError, match="one or two channels here, not 6"):
        codec.encode(sound(100, channels=6))
    for value in (np.nan, np.inf):
        broken = sound(100)
        broken.samples[0, 5] = value
        with pytest.raises(CodecError, match="no numbers"):
            codec.encode(broken)


# ---- streams that are not what they should be


@pytest.mark.parametrize("model", MODELS)
def test_cut_flipped_and_longer_streams_are_refused(model: str, folders: dict[str, Path]) -> None:
    codec = codec_of(model, folders[model])
    data = codec.encode(sound(2000, 2, 16_000)).data
    random = np.random.default_rng(0)
    damaged = [data[: int(n)] for n in random.integers(0, len(data), 30)] + [data + b"\0", b"", data[::-1]]
    for place in [*range(8 * HEADER), *random.integers(0, 8 * len(data), 60).tolist()]:
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        damaged.append(bytes(flipped))
    for other in damaged:
        with pytest.raises(CodecError):
            codec.decode(other)


@pytest.mark.parametrize(
    "claim",
    [
        (0, 24_000, 2000, 8),
        (3, 24_000, 2000, 8),
        (1, 0, 2000, 8),
        (1, 24_000, 0, 8),
        (1, 24_000, 2000, 33),
        (1, 24_000, 2000, 0),
        (1, 24_000, 2641, 8),
        (1, 24_000, 2**32 - 1, 8),
        (1, 1, 2**29, 8),
    ],
)
def test_claims_that_the_payload_does_not_hold_are_refused_before_memory_is_asked_for(
    claim: tuple[int, int, int, int], folders: dict[str, Path]
) -> None:
    from mpq.codecs.audio_container import Header, pack

    for model in MODELS[:2]:
        codec = codec_of(model, folders[model])
        payload = codec.encode(sound(2000)).data[HEADER:]
        with pytest.raises(CodecError):
            codec.decode(pack(Header(*claim), payload, codec._decoder))


def test_streams_of_other_weights_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    other = codec_of("dac:model=16khz", save(random_network("dac:model=16khz", seed=1), tmp_path / "other"))
    data = other.encode(sound(500)).data
    for codec in (codec_of(model, folders[model]) for model in MODELS):
        with pytest.raises(CodecError, match="with other weights"):
            codec.decode(data)
        with pytest.raises(CodecError, match="with other weights"):
            other.decode(codec.encode(sound(500)).data)


# ---- weights


def seeded(hub: Path, repository: str, folder: Path) -> None:
    """A cache as huggingface_hub fills it."""
    place = hub / f"models--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / ("0" * 40)
    for kind in ("refs", "blobs"):
        (place / kind).mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text("0" * 40)
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        blob = place / "blobs" / sha256_of(folder / name)
        shutil.copy(folder / name, blob)
        (snapshot / name).symlink_to(blob)


@pytest.mark.parametrize("model", MODELS)
def test_lacking_weights_are_one_sentence_that_says_where_they_are(model: str, offline: Path) -> None:
    codec = codec_of(model)
    with pytest.raises(UserError, match=f"the weights of {model} cannot be had") as error:
        codec.prepare()
    text = str(error.value)
    assert "\n" not in text and f"huggingface.co/{codec.repository}" in text and "--weights" in text
    with pytest.raises(CodecError, match="cannot be had"):
        codec.transmit(sound(100))
    assert not codec.place.is_file() and type(codec).unavailable() is None


def test_bare_names_lack_their_weights_and_other_codecs_run(offline: Path) -> None:
    asked = ready_codecs(["encodec", "dac", "mp3:bitrate=32000"])
    assert [codec.name for codec in asked.codecs] == ["mp3"]
    encodec, dac = asked.lacking
    assert encodec.endswith("(encodec: the same goes for 4 more settings)")
    assert dac.endswith("(dac: the same goes for 4 more settings)")
    for name in ("encodec", "dac"):
        assert type(codec_of(f"{name}:model=24khz")).lacking() == f"no weights: mpq weights fetch {name}"


@pytest.mark.parametrize("model", MODELS)
def test_weights_in_hugging_faces_cache_are_found(
    model: str, offline: Path, folders: dict[str, Path]
) -> None:
    codec = codec_of(model)
    seeded(offline, codec.repository, folders[model])
    assert codec.prepare() == [] and codec.place.is_file()
    own = codec_of(model, folders[model])
    original = sound(3000)
    assert codec.encode(original) == own.encode(original)
    assert codec.identity["version"] == own.identity["version"]
    assert codec.weights_sha256 in codec.version and codec.weights_sha256 == sha256_of(codec.file)


def test_a_ladder_shares_one_network(offline: Path, folders: dict[str, Path]) -> None:
    seeded(offline, "facebook/encodec_24khz", folders["encodec:model=24khz"])
    asked = ready_codecs(["encodec"], kind="audio")
    assert [codec.spec for codec in asked.codecs] == [
        f"encodec:bitrate={bitrate}" for bitrate in (1500, 3000, 6000, 12_000, 24_000)
    ]
    assert len({id(codec.coder) for codec in asked.codecs if isinstance(codec, NeuralAudioCodec)}) == 1
    rates = [codec.encode(sound(24_000)).payload_bits for codec in asked.codecs]
    assert rates == [1500, 3000, 6000, 12_000, 24_000]
    assert type(asked.codecs[0]).lacking() is None


def test_a_folder_of_ones_own_is_called_by_its_name_and_its_content(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["encodec:model=24khz"], tmp_path / "mine")
    codec, same = codec_of(f"encodec:bitrate=3000,weights={folder}"), codec_of("encodec:bitrate=3000", folder)
    digest = sha256_of(folder / "model.safetensors")
    assert codec.spec == same.spec == f"encodec:bitrate=3000,weights=mine@{digest[:8]}"
    assert codec.identity == codec_of("encodec:bitrate=3000", folders["encodec:model=24khz"]).identity
    before = same.identity
    configuration = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(configuration | {"pad_mode": "constant"}))
    assert codec_of("encodec:bitrate=3000", folder).identity != before


def test_weights_that_change_under_a_sweep_are_told(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["dac:model=16khz"], tmp_path / "mine")
    codec = codec_of("dac:model=16khz", folder)
    codec.prepare()
    save(random_network("dac:model=16khz", seed=2), folder)
    with pytest.raises(CodecError, match="has changed since the sweep began"):
        codec.transmit(sound(100))


def test_a_hop_length_that_is_wrong_in_the_configuration_is_not_believed(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """descript/dac_24khz says 512, and its ratios say 320."""
    folder = shutil.copytree(folders["dac:model=24khz"], tmp_path / "mine")
    configuration = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(configuration | {"hop_length": 512}))
    sent = codec_of("dac:model=24khz", folder).encode(sound(24_000))
    assert (
        sent.data[HEADER:]
        == codec_of("dac:model=24khz", folders["dac:model=24khz"]).encode(sound(24_000)).data[HEADER:]
    )


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("encodec:model=48khz,bitrate=1500", "encodec's 48khz has no 1500 bit/s; it has 3000, 6000"),
        ("encodec:bitrate=8000", "one of 1500, 3000"),
        ("encodec:model=32khz", "one of 24khz, 48khz"),
        ("dac:codebooks=10", "dac's 44khz has 9 codebooks, not 10"),
        ("dac:codebooks=0", "from 1 to 32"),
        ("dac:model=16khz,codebooks=13", "dac's 16khz has 12 codebooks, not 13"),
        ("dac:bitrate=6000", "no parameter 'bitrate'"),
    ],
)
def test_a_wrong_setting_is_named(spec: str, named: str) -> None:
    with pytest.raises(UserError, match=named):
        parse_codec(spec)


@pytest.mark.parametrize(
    ("spec", "model", "named"),
    [
        ("encodec", "encodec:model=48khz", "say model=48khz"),
        ("encodec:model=48khz", "encodec:model=24khz", "say model=24khz"),
        ("dac", "dac:model=16khz", "for 16000 Hz.*say model=16khz"),
        ("encodec", "dac:model=24khz", "EncodecModel"),
        ("dac:model=24khz", "encodec:model=24khz", "does not fit|DacModel"),
    ],
)
def test_another_network_than_was_asked_for_is_told(
    spec: str, model: str, named: str, folders: dict[str, Path]
) -> None:
    with pytest.raises(UserError, match=named) as error:
        ready_codecs([spec], {spec: folders[model]})
    assert "\n" not in str(error.value) and str(folders[model]) in str(error.value)


def test_a_smaller_network_lacks_the_codebooks_that_are_asked_for(tmp_path: Path) -> None:
    folder = save(_dac(16_000, [2, 4, 5, 8], 2), tmp_path / "small")
    assert codec_of("dac:model=16khz,codebooks=2", folder).transmit(sound(500)).decoded.length == 500
    with pytest.raises(UserError, match="these weights have 1, 2 codebooks, not 3"):
        ready_codecs(["dac:model=16khz,codebooks=3"], {"dac:model=16khz,codebooks=3": folder})


@pytest.mark.parametrize(
    "change", ["no folder", "no weights", "no configuration", "cut", "no JSON", "lacking"]
)
def test_folders_that_are_no_saved_network_are_one_sentence(
    change: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(folders["encodec:model=24khz"], tmp_path / "mine")
    weights = folder / "model.safetensors"
    if change == "no folder":
        folder = tmp_path / "nowhere"
    elif change == "no weights":
        weights.unlink()
    elif change == "no configuration":
        (folder / "config.json").unlink()
    elif change == "cut":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif change == "no JSON":
        (folder / "config.json").write_text("{")
    else:
        tensors = load_file(weights)
        tensors.pop(next(name for name in tensors if "lstm" in name))
        save_file(tensors, weights, {"format": "pt"})
    with pytest.raises(UserError) as error:
        ready_codecs(["encodec:bitrate=6000"], {"encodec:bitrate=6000": folder})
    assert str(folder) in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 1000


# ---- the command line


def test_a_sound_goes_through_the_command_line(
    mpq: Callable, folders: dict[str, Path], tmp_path: Path
) -> None:
    original = sound(22_050, 2, 44_100)
    path = tmp_path / "music.wav"
    path.write_bytes(wav(original.samples, original.rate))
    spec = f"encodec:model=48khz,bitrate=6000,weights={folders['encodec:model=48khz']}"
    shown = mpq("roundtrip", path, "--codec", spec, "--out", tmp_path / "small")
    assert shown.status == 0, shown.err
    (stream,) = (tmp_path / "small").glob("*.mpq")
    size = stream.stat().st_size
    assert f"{size:,} bytes, {8 * size / 0.5 / 1000:.2f} kbps" in shown.out
    assert codec_of(spec).decode(stream.read_bytes()).extent == original.extent
    complaint = one_sentence(
        mpq("roundtrip", path, "--codec", "dac:codebooks=2", "--out", tmp_path / "small")
    )
    assert "huggingface.co/descript/dac_44khz" in complaint
