"""CompressAI's zoo: its streams both ways, all bits counted, and files that are something else told apart.

Its weights are random here, in networks of the published sizes and files of the published names.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compressai.zoo import image as published
from torch import Tensor
from torch.nn import functional

from mpq.codecs.base import CodecError, Transmission, parse_codec
from mpq.codecs.container import Container, pack, unpack
from mpq.codecs.learned import SPOT_CHECK, LearnedCodec, spot_checked
from mpq.errors import UserError
from mpq.samples import ImageSample

FACTORIZED = "bmshj2018-factorized:quality=1"
SPECS = [FACTORIZED, "bmshj2018-hyperprior:quality=1", "mbt2018-mean:quality=1", "mbt2018:quality=1"]
SIZES = [(1, 1), (33, 17), (64, 64), (130, 70)]


pytestmark = pytest.mark.usefixtures("one_thread")


def random_network(name: str, quality: int = 1) -> Any:
    """Of the published size, with latents of several values."""
    torch.manual_seed(0)
    network = published.model_architectures[name](*published.cfgs[name][quality]).eval().requires_grad_(False)
    network.g_a[-1].weight.mul_(20)
    if hasattr(network, "h_a"):
        network.h_a[-1].weight.mul_(20)
    medians = network.entropy_bottleneck.quantiles
    medians.add_(torch.rand(len(medians), 1, 1) - 0.5)
    network.update()
    return network


@dataclass
class Zoo:
    """home: a TORCH_HOME with a file for each of ``SPECS``. networks: spec -> as CompressAI loads that file."""

    home: Path
    networks: dict[str, Any]

    def file(self, spec: str) -> Path:
        codec = codec_of(spec)
        return self.home / "hub/checkpoints" / codec.url.rsplit("/", 1)[-1]


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    zoo = Zoo(tmp_path_factory.mktemp("torch"), {})
    (zoo.home / "hub/checkpoints").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(zoo.home))
        for spec in SPECS:
            name = spec.partition(":")[0]
            torch.save(random_network(name).state_dict(), zoo.file(spec))
            load = getattr(published, name.replace("-", "_"))
            zoo.networks[spec] = load(quality=1, pretrained=True).eval().requires_grad_(False)
    return zoo


@pytest.fixture
def zoo(seeded: Zoo, monkeypatch: pytest.MonkeyPatch) -> Zoo:
    monkeypatch.setenv("TORCH_HOME", str(seeded.home))
    return seeded


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty torch.hub cache, and a way to the network on which nobody answers."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    return tmp_path / "hub" / "checkpoints"


def codec_of(spec: str, weights: Path | None = None) -> LearnedCodec:
    (codec,) = parse_codec(spec, weights)
    assert isinstance(codec, LearnedCodec)
    return codec


def sample(width: int, height: int, seed: int = 0) -> ImageSample:
    """Smooth, with some noise on it."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width][..., None]
    waves = 128 + 90 * np.sin(x / 9 + random.uniform(0, 6, 3)) * np.cos(y / 13 + random.uniform(0, 6, 3))
    return ImageSample(np.clip(waves + random.normal(0, 9, (height, width, 3)), 0, 255).astype(np.uint8))


def padded(picture: ImageSample, multiple: int) -> Tensor:
    """(1, 3, h, w): the last row and column repeated until both sides are multiples."""
    x = torch.from_numpy(picture.pixels).permute(2, 0, 1)[None] / 255
    right, below = -picture.width % multiple, -picture.height % multiple
    return functional.pad(x, (0, right, 0, below), mode="replicate")


def their_pixels(
    network: Any, streams: list[bytes], padded_size: torch.Size, picture: ImageSample
) -> np.ndarray:
    strings = [[stream] for stream in streams]
    side = 16 if len(streams) == 1 else 64
    x = network.decompress(strings, (padded_size[2] // side, padded_size[3] // side))["x_hat"]
    x = torch.round(255 * x[0, :, : picture.height, : picture.width]).permute(1, 2, 0)
    return x.numpy().astype(np.int32)


def varint_bytes(number: int) -> int:
    return max(1, -(-number.bit_length() // 7))


def model_id(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def one_sentence(error: BaseException, path: Path) -> str:
    text = str(error)
    assert str(path) in text and "\n" not in text and len(text) < 1_000
    return text


# ---- streams and rates


@pytest.mark.parametrize("spec", SPECS)
def test_streams_and_their_bits_are_those_that_compressai_makes(spec: str, zoo: Zoo) -> None:
    codec, network, streams = codec_of(spec), zoo.networks[spec], 1 if spec == FACTORIZED else 2
    for width, height in SIZES:
        picture = sample(width, height)
        x = padded(picture, 16 if streams == 1 else 64)
        strings = [of_batch[0] for of_batch in network.compress(x)["strings"]]
        assert all(map(len, strings)) and len(strings[0]) > 100
        sent = codec.encode(picture)
        assert sent.data.endswith(b"".join(strings))
        assert sent.payload_bits == 8 * sum(map(len, strings))
        header = 1 + varint_bytes(width) + varint_bytes(height) + 2 + 4
        header += sum(varint_bytes(len(string)) for string in strings[:-1])
        assert sent.bits == 8 * len(sent.data) == 8 * header + sent.payload_bits
        content = unpack(sent.data, streams, model_id(zoo.file(spec)))
        assert (content.width, content.height, list(content.streams)) == (width, height, strings)


@pytest.mark.parametrize("spec", SPECS)
def test_compressai_decodes_what_is_sent_to_the_picture_that_is_scored(spec: str, zoo: Zoo) -> None:
    codec, network, streams = codec_of(spec), zoo.networks[spec], 1 if spec == FACTORIZED else 2
    for width, height in SIZES:
        picture = sample(width, height, seed=1)
        sent = codec.transmit(picture)
        assert sent.decoded.pixels.shape == picture.pixels.shape and sent.decoded_from == "bitstream"
        assert len(np.unique(sent.decoded.pixels)) > min(20, width * height)  # or equality would say little
        content = unpack(sent.bitstream.data, streams, model_id(zoo.file(spec)))
        size = padded(picture, 16 if streams == 1 else 64).shape
        theirs = their_pixels(network, list(content.streams), size, picture)
        assert np.array_equal(sent.decoded.pixels, theirs)


@pytest.mark.parametrize("spec", SPECS)
def test_pictures_sent_together_are_as_each_is_alone(spec: str, zoo: Zoo) -> None:
    codec = codec_of(spec)
    pictures = [sample(*size, seed=2) for size in [*SIZES, (64, 128), (5, 100)]]
    for picture, sent in zip(pictures, codec.transmit_all(pictures), strict=True):
        assert isinstance(sent, Transmission)
        assert sent.bitstream == codec.encode(picture)
        assert np.array_equal(sent.decoded.pixels, codec.decode(sent.bitstream.data).pixels)
        assert sent.encode_ms > 0 and sent.decode_ms > 0
    assert codec.transmit_all([]) == []


def test_pictures_that_are_too_many_to_hold_at_once_are_sent_all_the_same(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec, pictures = codec_of(FACTORIZED), [sample(*size, seed=3) for size in [*SIZES, *SIZES[::-1]]]
    whole = codec.transmit_all(pictures)
    monkeypatch.setattr("mpq.codecs.learned.WALK_PIXELS", 5_000)  # fewer than the largest has
    parts = codec.transmit_all(pictures)
    for one, other in zip(whole, parts, strict=True):
        assert isinstance(one, Transmission) and isinstance(other, Transmission)
        assert one.bitstream == other.bitstream
        assert np.array_equal(one.decoded.pixels, other.decoded.pixels)


# ---- spot checks


def test_one_picture_in_32_is_really_decoded_whatever_the_codec() -> None:
    random = np.random.default_rng(0)
    checked = sum(
        spot_checked(ImageSample(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))) for _ in range(6_400)
    )
    assert SPOT_CHECK == 32
    assert abs(checked - 200) < 4 * 14  # four standard deviations of a binomial count


def pictures_of_either_kind() -> tuple[ImageSample, ImageSample]:
    """One that is spot-checked, one that is not."""
    pictures = [sample(16, 16, seed=seed) for seed in range(200)]
    checked = [spot_checked(picture) for picture in pictures]
    return pictures[checked.index(True)], pictures[checked.index(False)]


def test_a_transmission_says_whether_its_picture_was_decoded(zoo: Zoo) -> None:
    checked, other = pictures_of_either_kind()
    sent = codec_of(FACTORIZED).transmit_all([other, checked, other])
    assert [s.decoded_from for s in sent if isinstance(s, Transmission)] == [
        "encoder",
        "bitstream",
        "encoder",
    ]


def test_an_encoder_that_holds_another_picture_is_found_out(zoo: Zoo) -> None:
    checked, other = pictures_of_either_kind()
    codec = codec_of(FACTORIZED)
    really = codec.decode(codec.encode(checked).data).pixels.copy()
    really[3, 5, 1] ^= 1
    codec.decode = lambda data: ImageSample(really)  # type: ignore[method-assign]
    good, bad = codec.transmit_all([other, checked])
    assert isinstance(good, Transmission)
    assert isinstance(bad, CodecError) and "another picture than the encoder holds" in str(bad)


def test_a_picture_that_cannot_be_coded_costs_nobody_else(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = codec_of(FACTORIZED)
    coder, compress = codec.coder, codec.coder.compress

    def short_of_memory(latents: Any) -> Any:
        if any(y.shape[3] > 4 for y in latents):
            raise MemoryError
        return compress(latents)

    monkeypatch.setattr(coder, "compress", short_of_memory)
    one, wide, other = codec.transmit_all([sample(16, 16), sample(160, 16), sample(32, 48)])
    assert isinstance(wide, CodecError)
    assert isinstance(one, Transmission) and isinstance(other, Transmission)


# ---- streams that are not what they should be


@pytest.mark.parametrize("spec", [FACTORIZED, "mbt2018:quality=1"])
def test_cut_flipped_and_longer_streams_are_refused(spec: str, zoo: Zoo) -> None:
    codec = codec_of(spec)
    data = codec.encode(sample(20, 12)).data
    random = np.random.default_rng(0)
    damaged = [data[: int(n)] for n in random.integers(0, len(data), 60)] + [data + b"\0", b"", data[::-1]]
    for place in random.integers(0, 8 * len(data), 120).tolist():
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        damaged.append(bytes(flipped))
    for other in damaged:
        with pytest.raises(CodecError):
            codec.decode(other)


def test_streams_of_other_weights_and_other_codecs_are_refused(zoo: Zoo, tmp_path: Path) -> None:
    network = random_network("bmshj2018-factorized")
    network.g_s[0].bias.add_(1e-6)
    torch.save(network.state_dict(), tmp_path / "other.pth")
    picture = sample(20, 12)
    data = codec_of(FACTORIZED).encode(picture).data
    other = codec_of(FACTORIZED, tmp_path / "other.pth")
    with pytest.raises(CodecError, match="made with other weights"):
        other.decode(data)
    with pytest.raises(CodecError, match="made with other weights"):
        codec_of(FACTORIZED).decode(other.encode(picture).data)
    for spec in SPECS[1:]:
        with pytest.raises(CodecError):
            codec_of(spec).decode(data)
        with pytest.raises(CodecError):
            codec_of(FACTORIZED).decode(codec_of(spec).encode(picture).data)


@pytest.mark.parametrize("spec", SPECS)
def test_what_decodes_to_other_latents_is_told_and_never_a_picture(spec: str, zoo: Zoo) -> None:
    """As on a machine that computes the entropy parameters otherwise: the guard fits, the symbols do not."""
    codec, identity, number = codec_of(spec), model_id(zoo.file(spec)), 1 if spec == FACTORIZED else 2
    content = unpack(codec.encode(sample(70, 40)).data, number, identity)
    others: list[Container] = [
        replace(content, checksum=content.checksum ^ 1),
        replace(content, streams=content.streams[::-1], checksum=content.checksum + (number == 1)),
        replace(content, streams=(content.streams[0][:-8], *content.streams[1:])),
        replace(content, streams=tuple(stream[4:] for stream in content.streams)),
        replace(content, streams=(b"",) * number),
    ]
    for other in others:
        with pytest.raises(CodecError, match="decodes to other latents than were encoded"):
            codec.decode(pack(other, identity))


def test_a_size_that_the_latents_do_not_have_is_told(zoo: Zoo) -> None:
    codec, identity = codec_of(FACTORIZED), model_id(zoo.file(FACTORIZED))
    content = unpack(codec.encode(sample(70, 40)).data, 1, identity)
    with pytest.raises(CodecError, match="other latents"):
        codec.decode(pack(replace(content, width=90), identity))


# ---- weights: the cache


def test_a_seeded_file_that_is_not_the_published_one_is_said_to_be_so(zoo: Zoo) -> None:
    for spec in SPECS:
        begins = model_id(zoo.file(spec)).hex()[:8]
        (note,) = codec_of(spec).prepare()
        assert note == (
            f"{spec}: {zoo.file(spec).name} is not the published file: its sha256 begins with {begins}"
        )


def test_a_file_whose_name_is_right_needs_no_note(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    data = zoo.file(FACTORIZED).read_bytes()
    named = zoo.file(FACTORIZED).with_name(f"published-1-{hashlib.sha256(data).hexdigest()[:8]}.pth.tar")
    named.write_bytes(data)
    monkeypatch.setitem(
        published.model_urls["bmshj2018-factorized"]["mse"], 1, f"https://example.org/{named.name}"
    )
    assert codec_of(FACTORIZED).prepare() == []


def test_every_setting_names_a_file_of_the_zoo() -> None:
    urls = set()
    for name in (*(spec.partition(":")[0] for spec in SPECS), "cheng2020-anchor", "cheng2020-attn"):
        codecs = [
            c for metric in ("mse", "ms-ssim") for c in parse_codec(f"{name}:metric={metric},{_ladder(name)}")
        ]
        urls |= {codec.url for codec in codecs if isinstance(codec, LearnedCodec)}
    every = {
        url
        for name, metrics in published.model_urls.items()
        for files in metrics.values()
        for url in files.values()
        if name != "bmshj2018-factorized-relu"
    }
    assert urls == every and len(urls) == 88


def _ladder(name: str) -> str:
    return "quality=" + ",".join(map(str, published.cfgs[name]))


@pytest.mark.parametrize(
    "spec", [*SPECS, "cheng2020-anchor:quality=6,metric=ms-ssim", "cheng2020-attn:quality=2"]
)
def test_lacking_weights_are_one_sentence_with_file_address_and_place(spec: str, offline: Path) -> None:
    codec = codec_of(spec)
    with pytest.raises(UserError) as error:
        codec.prepare()
    text = one_sentence(error.value, offline / codec.url.rsplit("/", 1)[-1])
    assert codec.url in text and codec.spec in text and "--weights" in text
    assert not list(offline.glob("*"))


# ---- weights: a file of one's own


def test_a_file_of_ones_own_needs_no_cache_and_no_note(zoo: Zoo, offline: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pth"
    copy.write_bytes(zoo.file(FACTORIZED).read_bytes())
    codec = codec_of(FACTORIZED, copy)
    assert codec.prepare() == []
    (named,) = parse_codec(f"{FACTORIZED},weights={copy}")
    assert named.encode(sample(9, 9)) == codec.encode(sample(9, 9))


def test_weights_are_told_apart_by_what_they_are_and_not_by_where_they_lie(zoo: Zoo, tmp_path: Path) -> None:
    copy, other = tmp_path / "copy.pth", tmp_path / "other.pth"
    copy.write_bytes(zoo.file(FACTORIZED).read_bytes())
    network = random_network("bmshj2018-factorized")
    network.g_s[0].bias.add_(1e-6)
    torch.save(network.state_dict(), other)
    usual = codec_of(FACTORIZED).identity
    assert codec_of(FACTORIZED, copy).identity == usual
    assert codec_of(FACTORIZED, other).identity != usual
    assert codec_of("bmshj2018-factorized:quality=2", copy).identity != usual


def _old(key: str, pattern: str) -> str:
    for new, old in (
        ("matrices", pattern.format("matrix", "matrices")),
        ("biases", pattern.format("bias", "biases")),
        ("factors", pattern.format("factor", "factors")),
    ):
        key = key.replace(f"entropy_bottleneck.{new}.", f"entropy_bottleneck.{old}")
    return key


@pytest.mark.parametrize(
    "kind", ["_matrix0", "_matrices.0", "module.", "state_dict", "before update()", "no tables"]
)
def test_files_of_all_times_are_the_same_network(kind: str, zoo: Zoo, tmp_path: Path) -> None:
    tensors: dict[str, Any] = torch.load(zoo.file(FACTORIZED), weights_only=True)
    if kind == "_matrix0":
        tensors = {_old(key, "_{0}"): value for key, value in tensors.items()}
        assert "entropy_bottleneck._matrix0" in tensors and "entropy_bottleneck._bias4" in tensors
    elif kind == "_matrices.0":
        tensors = {_old(key, "_{1}."): value for key, value in tensors.items()}
        assert "entropy_bottleneck._matrices.0" in tensors and "entropy_bottleneck._factors.3" in tensors
    elif kind == "module.":
        tensors = {f"module.{key}": value for key, value in tensors.items()}
    elif kind == "state_dict":
        tensors = {"epoch": 7, "state_dict": tensors}
    else:
        tables = ("_quantized_cdf", "_offset", "_cdf_length")
        for key in [key for key in tensors if key.endswith(tables)]:
            if kind == "no tables":
                del tensors[key]
            else:
                tensors[key] = torch.empty(0, dtype=torch.int32)
    path = tmp_path / "old.pth.tar"
    torch.save(tensors, path)
    picture = sample(40, 24)
    codec = codec_of(FACTORIZED, path)
    assert codec.prepare() == []
    old = unpack(codec.encode(picture).data, 1, model_id(path))
    new = unpack(codec_of(FACTORIZED).encode(picture).data, 1, model_id(zoo.file(FACTORIZED)))
    assert old == new and len(old.streams[0]) > 100
    shown = codec.decode(pack(old, model_id(path))).pixels
    assert np.array_equal(
        shown, codec_of(FACTORIZED).decode(pack(new, model_id(zoo.file(FACTORIZED)))).pixels
    )


@pytest.mark.parametrize("spec", ["bmshj2018-hyperprior:quality=1", "mbt2018-mean:quality=1"])
def test_a_hyperprior_saved_before_its_tables_were_made_codes_the_same(
    spec: str, zoo: Zoo, tmp_path: Path
) -> None:
    tensors = torch.load(zoo.file(spec), weights_only=True)
    path = tmp_path / "fresh.pth.tar"
    tables = ("_quantized_cdf", "_offset", "_cdf_length", "scale_table")
    torch.save(
        {k: torch.empty(0, dtype=v.dtype) if k.endswith(tables) else v for k, v in tensors.items()}, path
    )
    old = unpack(codec_of(spec, path).encode(sample(40, 24)).data, 2, model_id(path))
    new = unpack(codec_of(spec).encode(sample(40, 24)).data, 2, model_id(zoo.file(spec)))
    assert old == new


class Evil:
    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.sentinel),)


def _changed(zoo: Zoo, path: Path, **changes: Any) -> None:
    """The factorised codec's file, with other tensors in it: names have '__' where keys have a full stop."""
    tensors = torch.load(zoo.file(FACTORIZED), weights_only=True)
    tensors |= {key.replace("__", "."): value for key, value in changes.items()}
    torch.save(tensors, path)


def _nan(zoo: Zoo, path: Path) -> None:
    tensors = torch.load(zoo.file(FACTORIZED), weights_only=True)
    kept = {k: v for k, v in tensors.items() if not k.endswith(("_quantized_cdf", "_offset", "_cdf_length"))}
    torch.save({k: v * torch.nan if v.is_floating_point() else v for k, v in kept.items()}, path)


def _endless(zoo: Zoo, path: Path) -> None:
    """A damaged exponent: tables of such a width fit into no memory."""
    tensors = torch.load(zoo.file(FACTORIZED), weights_only=True)
    kept = {k: v for k, v in tensors.items() if not k.endswith(("_quantized_cdf", "_offset", "_cdf_length"))}
    torch.save({k: v * 1e8 if k.endswith("quantiles") else v for k, v in kept.items()}, path)


WRONG: dict[str, Callable[[Zoo, Path], Any]] = {
    "text": lambda zoo, path: path.write_text("hello\nworld\n"),
    "nothing": lambda zoo, path: path.write_bytes(b""),
    "cut": lambda zoo, path: path.write_bytes(zoo.file(FACTORIZED).read_bytes()[:100_000]),
    "folder": lambda zoo, path: path.mkdir(),
    "no file": lambda zoo, path: None,
    "another codec's": lambda zoo, path: path.write_bytes(zoo.file(SPECS[1]).read_bytes()),
    "another quality's": lambda zoo, path: torch.save(
        random_network("bmshj2018-factorized", 6).state_dict(), path
    ),
    "no tensors": lambda zoo, path: torch.save({"a": 1}, path),
    "a list": lambda zoo, path: torch.save([torch.zeros(1)], path),
    "a tensor": lambda zoo, path: torch.save(torch.zeros(1), path),
    "numbers for names": lambda zoo, path: torch.save({0: torch.zeros(1)}, path),
    "a strange name": lambda zoo, path: _changed(zoo, path, entropy_bottlenecks=torch.zeros(1)),
    "no numbers": _nan,
    "quantiles without end": _endless,
    "half of its tables": lambda zoo, path: _changed(
        zoo, path, entropy_bottleneck___quantized_cdf=torch.zeros(0).int()
    ),
    "tables for three channels": lambda zoo, path: _changed(
        zoo, path, entropy_bottleneck___offset=torch.zeros(3).int()
    ),
    "a module": lambda zoo, path: torch.save(torch.nn.Linear(2, 2), path),
    "code": lambda zoo, path: torch.save({"a": Evil(path.with_name("ran"))}, path),
    "code alone": lambda zoo, path: path.write_bytes(pickle.dumps(Evil(path.with_name("ran")), protocol=2)),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_file_that_is_something_else_is_one_sentence_and_runs_nothing(
    kind: str, zoo: Zoo, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth.tar"
    WRONG[kind](zoo, path)
    codec = codec_of(f"{FACTORIZED},weights={path}")
    with pytest.raises(UserError) as error:
        codec.prepare()
    assert not (tmp_path / "ran").exists()
    text = one_sentence(error.value, path)
    assert "weights_only" not in text and "trust" not in text


def test_what_a_file_would_run_it_would_really_run(tmp_path: Path) -> None:
    """That the test above can fail."""
    torch.save({"a": Evil(tmp_path / "ran")}, tmp_path / "evil.pth")
    torch.load(tmp_path / "evil.pth", weights_only=False)
    assert (tmp_path / "ran").exists()


def test_a_quality_does_not_run_on_the_network_of_another(zoo: Zoo) -> None:
    path = zoo.file(FACTORIZED)
    codec_of(FACTORIZED, path).encode(sample(8, 8))
    with pytest.raises(UserError, match="does not fit"):
        codec_of("bmshj2018-factorized:quality=6", path).encode(sample(8, 8))
