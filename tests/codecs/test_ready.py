"""What specs come to on this machine: what runs, what stands in and says so, and what is lacking, in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compressai.zoo.image import model_architectures
from PIL import Image

from mpq.codecs.base import Codec, parse_codec, ready_codecs
from mpq.codecs.learned import LearnedCodec
from mpq.errors import UserError
from mpq.networks import trained
from mpq.samples import ImageSample
from mpq.store import Store
from mpq.weights.sources import sha256_of
from tests.conftest import one_sentence
from tests.networks.test_hific import ARGS, msillm_tensors, tan_tensors

SIZES: dict[str, dict[str, Any]] = {
    "mean-scale-hyperprior": {"N": 8, "M": 12},
    "hific": {"base": 4, "latent": 6, "hyper": 5, "blocks": 1},
}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty torch.hub cache, and a way to the network on which nobody answers. Where files would lie."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def written(path: Path, architecture: str = "mean-scale-hyperprior", seed: int = 0) -> Path:
    """A small file as ``mpq train codec`` writes them, with random weights."""
    torch.manual_seed(seed)
    network = trained.build(architecture, SIZES[architecture])
    if architecture == "mean-scale-hyperprior":
        network.g_a[-1].weight.data.mul_(20)
    trained.save(path, network, architecture, SIZES[architecture], {})
    return path


def picture(width: int = 40, height: int = 24, seed: int = 0) -> ImageSample:
    random = np.random.default_rng(seed)
    return ImageSample(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


def specs(codecs: list[Codec]) -> list[str]:
    return [codec.spec for codec in codecs]


# ---- what runs


def test_hific_with_no_published_weights_is_hific_tiny_and_says_so() -> None:
    asked = ready_codecs(["hific", "jpeg:quality=5"])
    assert specs(asked.codecs) == ["hific-tiny:rate=0.1", "hific-tiny:rate=0.2", "jpeg:quality=5"]
    assert asked.lacking == []
    (note,) = asked.notes
    assert note.startswith("hific: no published weights are at hand, so this is hific-tiny")
    # No row and no cell calls the small one by the big one's name.
    for codec in asked.codecs[:2]:
        assert codec.name == codec.identity["name"] == "hific-tiny"
        sent = codec.transmit(picture())
        assert sent.decoded.pixels.shape == (24, 40, 3) and sent.bitstream.payload_bits > 0


@pytest.mark.parametrize("name", ["hyperprior-tiny", "hific-tiny"])
def test_the_embedded_ones_say_which_file_they_are(name: str) -> None:
    for codec in parse_codec(name):
        assert isinstance(codec, LearnedCodec)
        if not codec.file.is_file():
            pytest.skip(f"{codec.file.name} does not lie in mpq/weights/ yet")
        assert codec.prepare() == []
        assert codec.weights_sha256 in codec.version and codec.url == ""


def test_published_weights_that_are_at_hand_go_before_the_small_ones(offline: Path) -> None:
    torch.save(dict(msillm_tensors()), offline / "msillm_target_0.14bpp.ckpt")
    asked = ready_codecs(["hific"])
    assert specs(asked.codecs) == ["msillm:rate=0.14"] and asked.lacking == []
    assert asked.notes[0] == "hific: of the published weights, msillm:rate=0.14 is at hand"
    assert "not for commercial use" in asked.notes[1]
    for name in ("hific_low.pt", "hific_hi.pt"):
        torch.save({"model_state_dict": dict(tan_tensors()), "args": ARGS}, offline / name)
    assert specs(ready_codecs(["hific"]).codecs) == ["hific:quality=low", "hific:quality=high"]


def test_hific_that_is_asked_for_by_its_quality_is_never_replaced(offline: Path) -> None:
    with pytest.raises(UserError, match="the weights of hific:quality=low cannot be had") as error:
        ready_codecs(["hific:quality=low"])
    text = str(error.value)
    assert (
        str(offline / "hific_low.pt") in text
        and "https://zenodo.org/record/4026003/files/hific_low.pt" in text
    )


def test_what_lacks_weights_is_one_sentence_and_the_rest_runs(offline: Path) -> None:
    asked = ready_codecs(["mbt2018", "jpeg:quality=5,10", "cheng2020-attn:quality=3"])
    assert specs(asked.codecs) == ["jpeg:quality=5", "jpeg:quality=10"]
    several, one = asked.lacking
    assert several.startswith("the weights of mbt2018:quality=1 cannot be had")
    assert several.endswith("(mbt2018: the same goes for 7 more settings)")
    assert str(offline / "mbt2018-1-3f36cd77.pth.tar") in several
    assert (
        one.startswith("the weights of cheng2020-attn:quality=3 cannot be had") and "more settings" not in one
    )


def test_settings_of_one_codec_run_and_lack_on_their_own(offline: Path) -> None:
    torch.manual_seed(0)
    network = model_architectures["bmshj2018-factorized"](128, 192)
    torch.save(network.state_dict(), offline / "bmshj2018-factorized-prior-2-87279a02.pth.tar")
    asked = ready_codecs(["bmshj2018-factorized:quality=1,2,3"])
    assert specs(asked.codecs) == ["bmshj2018-factorized:quality=2"]
    assert len(asked.notes) == 1 and "is not the published file" in asked.notes[0]
    assert len(asked.lacking) == 1 and "quality=1 cannot be had" in asked.lacking[0]


def test_where_nothing_can_run_the_first_lack_is_the_error() -> None:
    with pytest.raises(UserError, match="the weights of mbt2018:quality=2 cannot be had"):
        ready_codecs(["mbt2018:quality=2", "trained"])
    with pytest.raises(
        UserError, match="trained needs a file that mpq train codec wrote: trained:weights=FILE"
    ):
        ready_codecs(["trained"])


def test_no_specs_are_no_codecs() -> None:
    asked = ready_codecs([])
    assert (asked.codecs, asked.notes, asked.lacking) == ([], [], [])


@pytest.mark.parametrize(
    "spec", ["jpgg", "mbt2018:quality=9", "hific-tiny:rate=0.3", "mbt2018:metric=psnr", "trained:"]
)
def test_a_wrong_word_is_an_error_whatever_else_would_run(spec: str) -> None:
    with pytest.raises(UserError):
        ready_codecs(["jpeg:quality=5", spec])


# ---- a file of one's own


def test_a_bare_name_with_a_file_is_one_setting(tmp_path: Path) -> None:
    file = written(tmp_path / "mine.safetensors")
    (codec,) = ready_codecs(["trained"], {"trained": file}).codecs
    assert codec.values == {"weights": str(file)}
    torch.save({"model_state_dict": dict(tan_tensors()), "args": ARGS}, tmp_path / "tan.pt")
    asked = ready_codecs(["hific"], {"hific": tmp_path / "tan.pt"})
    assert [codec.name for codec in asked.codecs] == ["hific"]
    (note,) = asked.notes  # its real name, and no mistaking it for the real size
    assert "not of the published size" in note
    (zoo,) = parse_codec("mbt2018", tmp_path / "any.pth")
    assert zoo.values == {"quality": 1, "metric": "mse", "weights": str(tmp_path / "any.pth")}


def test_one_file_is_not_the_weights_of_several_settings(tmp_path: Path) -> None:
    file = written(tmp_path / "mine.safetensors")
    with pytest.raises(UserError, match="is 2 settings, but '.*mine.safetensors' is the weights of one"):
        ready_codecs(["hyperprior-tiny:rate=0.1,0.2"], {"hyperprior-tiny:rate=0.1,0.2": file})


def test_a_codec_without_weights_takes_none(tmp_path: Path) -> None:
    for spec in ("jpeg", "jpeg:quality=5", "none"):
        with pytest.raises(UserError, match="has no weights, so '.*x.pth' cannot be its"):
            ready_codecs([spec], {spec: tmp_path / "x.pth"})


def test_a_file_goes_to_the_spec_that_it_is_given_for(tmp_path: Path) -> None:
    file = written(tmp_path / "mine.safetensors")
    asked = ready_codecs(["hyperprior-tiny:rate=0.1", "trained"], {"trained": file})
    assert [codec.values["weights"] for codec in asked.codecs if codec.name == "trained"] == [str(file)]
    assert all(codec.values["weights"] == "" for codec in asked.codecs if codec.name != "trained")


@pytest.mark.parametrize("architecture", SIZES)
def test_trained_weights_code_pictures_of_any_size(architecture: str, tmp_path: Path) -> None:
    file = written(tmp_path / "mine.safetensors", architecture)
    (codec,) = ready_codecs([f"trained:weights={file}"]).codecs
    pictures = [picture(*size) for size in [(1, 1), (64, 64), (33, 100), (129, 7)]]
    for original, sent in zip(pictures, codec.transmit_all(pictures), strict=True):
        assert not isinstance(sent, Exception)
        assert sent.bitstream == codec.encode(original)
        assert sent.decoded.pixels.shape == original.pixels.shape
        assert np.array_equal(codec.decode(sent.bitstream.data).pixels, sent.decoded.pixels)


def test_trained_weights_are_told_apart_by_content_and_not_by_place(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one.safetensors"), written(tmp_path / "two.safetensors", seed=1)
    copy = tmp_path / "elsewhere.safetensors"
    copy.write_bytes(one.read_bytes())

    def identity(path: Path) -> str:
        (codec,) = parse_codec("trained", path)
        return json.dumps(codec.identity, sort_keys=True)

    assert identity(one) == identity(copy) != identity(two)
    assert str(tmp_path) not in identity(one)
    before = identity(copy)
    copy.write_bytes(two.read_bytes())
    assert identity(copy) == identity(two) != before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.safetensors", b"no tensors at all"),
        ("cut.safetensors", None),
        ("other.pth", b"\x80\x02}q\x00."),
    ],
)
def test_a_file_that_training_never_wrote_is_one_sentence(
    name: str, content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(
        written(tmp_path / "whole.safetensors").read_bytes()[:5_000] if content is None else content
    )
    with pytest.raises(UserError) as error:
        ready_codecs(["trained"], {"trained": path})
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_hyperprior_is_not_called_hific_tiny(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        ready_codecs(["hific-tiny:rate=0.1"], {"hific-tiny:rate=0.1": written(tmp_path / "mine.safetensors")})


# ---- the command line


def test_a_sweep_runs_what_it_can_and_its_status_says_that_something_lacked(
    mpq: Callable, offline: Path, tmp_path: Path
) -> None:
    file, out = written(tmp_path / "mine.safetensors"), tmp_path / "run"
    given = ["hific", "mbt2018", f"trained:weights={file}", "jpeg:quality=10"]
    options = [part for spec in given for part in ("--codec", spec)]
    result = mpq("sweep", *options, "--limit", 2, "--workers", 1, "--out", out, "--json")
    assert result.status == 3, result
    settings = {point["setting"] for point in _points(result.out)}
    assert settings == {
        "none",
        "hific-tiny:rate=0.1",
        "hific-tiny:rate=0.2",
        f"trained:weights={file.name}@{sha256_of(file)[:8]}",
        "jpeg:quality=10",
    }
    said = [line for line in result.err.splitlines() if "hific" in line or "mbt2018" in line]
    assert len(said) == 2 and "so this is hific-tiny" in said[0]
    assert (
        said[1].startswith("the weights of mbt2018:quality=1 cannot be had") and "7 more settings" in said[1]
    )
    assert str(offline / "mbt2018-1-3f36cd77.pth.tar") in said[1]
    _assert_rates_are_counted_on_the_originals(out, file)


def _points(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def search(value: Any) -> None:
        if isinstance(value, dict) and {"codec", "setting"} <= value.keys():
            name = value["codec"]
            found.append(value | {"setting": f"{name}:{value['setting']}" if value["setting"] else name})
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            search(inner)

    search(json.loads(text))
    return found


def _assert_rates_are_counted_on_the_originals(run: Path, weights: Path) -> None:
    from mpq.datasets.base import read_dataset

    paths = {source.id: source.path for source in read_dataset("embedded").sources}
    (codec,) = parse_codec("trained", weights)
    rows = [row for _, table in Store(run).read() for row in table.to_pylist() if row["codec"] == "trained"]
    assert len(rows) == 2
    for row in rows:
        original = Image.open(paths[row["sample"]]).convert("RGB")
        sent = codec.encode(ImageSample(np.array(original)))
        assert (row["bits"], row["payload_bits"]) == (8 * len(sent.data), sent.payload_bits)
        assert (row["width"], row["height"]) == original.size
        assert row["decoded_from"] in ("encoder", "bitstream") and row["error"] is None


def test_a_sweep_of_nothing_but_what_lacks_weights_is_one_sentence(mpq: Callable, tmp_path: Path) -> None:
    sentence = one_sentence(mpq("sweep", "--codec", "mbt2018:quality=1", "--out", tmp_path / "run"))
    assert "the weights of mbt2018:quality=1 cannot be had" in sentence and "--weights" in sentence


@pytest.mark.parametrize("way", ["weights=", "--weights"])
def test_roundtrip_takes_weights_of_ones_own(way: str, mpq: Callable, tmp_path: Path) -> None:
    file = written(tmp_path / "mine.safetensors")
    picture().image.save(tmp_path / "picture.png")
    options = (
        ("--codec", f"trained:weights={file}")
        if way == "weights="
        else ("--codec", "trained", "--weights", f"trained={file}")
    )
    result = mpq(
        "roundtrip", tmp_path / "picture.png", *options, "--model", "none", "--out", tmp_path / "out"
    )
    assert result.status == 0, result
    (stream,) = (tmp_path / "out").glob("*.mpq")
    (codec,) = parse_codec("trained", file)
    assert stream.read_bytes() == codec.encode(picture()).data
