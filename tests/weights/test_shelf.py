"""``mpq weights``: every file that codecs can have, getting one, checking it, and making it safe."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compressai.zoo import image as published
from huggingface_hub import constants

from mpq.codecs.base import parse_codec
from mpq.codecs.neural_audio import NeuralAudioCodec
from mpq.errors import UserError
from mpq.networks import trained
from mpq.networks.hific import HiFiC, load_checkpoint
from mpq.samples import ImageSample
from mpq.weights.shelf import convert, fetch, items, verify
from mpq.weights.sources import FOLDER
from tests.codecs.test_neural_audio import random_network, save, seeded
from tests.networks.test_hific import ARGS, msillm_tensors, tan_tensors

FACTORIZED = "bmshj2018-factorized:quality=1"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Empty caches of torch.hub and of Hugging Face, and a way to the network on which nobody answers."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture(scope="module")
def zoo_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("zoo") / "file.pth.tar"
    torch.save(published.model_architectures["bmshj2018-factorized"](128, 192).state_dict(), path)
    return path.read_bytes()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it is served."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    served = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()
    thread.join()


def put(path: Path, content: bytes | dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    return path


# ---- what there is


def test_every_file_of_every_codec_is_listed_once(cache: Path) -> None:
    found = items()
    zoo = {
        url
        for metrics in published.model_urls.values()
        for files in metrics.values()
        for url in files.values()
    }
    assert len(zoo) == 88
    assert {item.url for item in found if "compressai" in item.url} == zoo
    hub = [item for item in found if "huggingface.co" in item.url]
    assert {item.codec.repository for item in hub if isinstance(item.codec, NeuralAudioCodec)} == {
        *(f"facebook/encodec_{model}" for model in ("24khz", "48khz")),
        *(f"descript/dac_{model}" for model in ("16khz", "24khz", "44khz")),
    }
    names = [item.path.name for item in found if item not in hub]
    assert len(names) == len(set(names)) == 88 + 6 + 3 + 5 and len(hub) == 2 + 3
    assert {name for name in names if name.startswith("msillm")} == {
        f"msillm_target_{rate}bpp.ckpt" for rate in ("0.035", "0.07", "0.14", "0.3", "0.45", "0.9")
    }
    assert {"hific_low.pt", "hific_med.pt", "hific_hi.pt"} < set(names)
    assert {item.path for item in found if not item.url} == {
        *((FOLDER / f"hyperprior-tiny-{rate}.safetensors") for rate in (0.1, 0.2, 0.4)),
        *((FOLDER / f"hific-tiny-{rate}.safetensors") for rate in (0.1, 0.2)),
    }
    for item in found:
        assert item.licence and item.codec.name != "trained"
        if item.url:
            assert item.path == cache / item.url.rsplit("/", 1)[-1] or item in hub
            assert not item.here


def test_specs_choose(cache: Path, zoo_file: bytes) -> None:
    assert [item.codec.spec for item in items(("mbt2018:quality=3", "hific"))] == [
        "mbt2018:quality=3",
        "hific:quality=low",
        "hific:quality=med",
        "hific:quality=high",
    ]
    (item,) = items((FACTORIZED,))
    assert not item.here
    put(item.path, zoo_file)
    assert item.here


@pytest.mark.parametrize(
    "spec", ["jpeg", "jpeg:quality=5", "none", "trained", "mbt2019", "mbt2018:quality=9"]
)
def test_what_has_no_weights_to_have_is_one_sentence(spec: str) -> None:
    for ask in (items, fetch, verify):
        with pytest.raises(UserError):
            ask((spec,))


# ---- getting them


@pytest.mark.parametrize("spec", ["mbt2018:quality=1", "msillm:rate=0.14", "hific:quality=med"])
def test_what_cannot_be_fetched_is_one_sentence_with_file_address_and_place(spec: str, cache: Path) -> None:
    (item,) = items((spec,))
    with pytest.raises(UserError, match=f"the weights of {spec} cannot be had") as error:
        fetch((spec,))
    text = str(error.value)
    assert (
        item.url in text and str(cache / item.path.name) in text and "--weights" in text and "\n" not in text
    )
    assert not list(cache.glob("*"))


def test_a_file_that_is_here_is_not_asked_for(cache: Path, zoo_file: bytes) -> None:
    (item,) = items((FACTORIZED,))
    put(item.path, zoo_file)
    assert [i.path for i in fetch((FACTORIZED,))] == [item.path]
    assert item.path.read_bytes() == zoo_file


def test_a_download_must_fit_the_hash_in_its_name(
    cache: Path, server: tuple[Path, str], zoo_file: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = server
    name = f"factorized-1-{hashlib.sha256(zoo_file).hexdigest()[:8]}.pth.tar"
    monkeypatch.setitem(published.model_urls["bmshj2018-factorized"]["mse"], 1, f"{address}/{name}")
    with pytest.raises(UserError, match="cannot be had: HTTP Error 404"):
        fetch((FACTORIZED,))
    put(folder / name, zoo_file[:-1] + b"?")
    with pytest.raises(UserError, match="cannot be had: invalid hash value"):
        fetch((FACTORIZED,))
    assert not list(cache.glob("*"))  # nothing is left that the next run would take for the file
    put(folder / name, zoo_file)
    (item,) = fetch((FACTORIZED,))
    assert item.here and item.path.read_bytes() == zoo_file
    (codec,) = parse_codec(FACTORIZED)
    assert codec.prepare() == []


def test_all_settings_of_a_model_have_one_file(cache: Path, tmp_path: Path) -> None:
    assert [
        item.codec.spec for item in items(("encodec", "encodec:model=48khz,bitrate=3000,6000", "dac"))
    ] == [
        "encodec:model=24khz",
        "encodec:model=48khz",
        "dac:model=44khz",
    ]
    with pytest.raises(UserError, match="huggingface.co/facebook/encodec_24khz"):
        fetch(("encodec",))
    seeded(
        tmp_path / "hub",
        "facebook/encodec_24khz",
        save(random_network("encodec:model=24khz"), tmp_path / "one"),
    )
    (item,) = fetch(("encodec",))
    assert item.here and item.path.name == "model.safetensors"
    assert [wrong for _, wrong in verify(("encodec",))] == [""]
    blob = item.path.resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + bytes([blob.read_bytes()[-1] ^ 1]))
    ((_, wrong),) = verify(("encodec",))
    assert "is not the published file" in wrong and blob.name[:8] in wrong


# ---- checking them


def test_a_damaged_file_is_told_from_a_whole_one(
    cache: Path, zoo_file: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"factorized-1-{hashlib.sha256(zoo_file).hexdigest()[:8]}.pth.tar"
    monkeypatch.setitem(published.model_urls["bmshj2018-factorized"]["mse"], 1, f"https://example.org/{name}")
    path = put(cache / name, zoo_file)
    assert [wrong for _, wrong in verify((FACTORIZED,))] == [""]
    middle = len(zoo_file) // 2
    for damaged in (
        zoo_file[:middle],
        zoo_file[:middle] + bytes([zoo_file[middle] ^ 1]) + zoo_file[middle + 1 :],
        b"",
        b"<html>404</html>",
    ):
        path.write_bytes(damaged)
        ((item, wrong),) = verify((FACTORIZED,))
        assert item.path == path and name in wrong and "is not the published file" in wrong


def test_a_file_without_a_hash_in_its_name_must_at_least_load(cache: Path) -> None:
    path = put(cache / "msillm_target_0.3bpp.ckpt", dict(msillm_tensors()))
    assert [wrong for _, wrong in verify(("msillm:rate=0.3",))] == [""]
    whole = path.read_bytes()
    lacking = dict(msillm_tensors())
    del lacking["decoder.blocks.4.bias"]
    for damaged in (whole[: len(whole) // 2], b"", b"text", lacking, {"a": torch.zeros(1)}):
        put(path, damaged)
        ((_, wrong),) = verify(("msillm:rate=0.3",))
        assert str(path) in wrong and "\n" not in wrong


def test_without_specs_what_is_here_is_checked_and_what_is_not_is_no_mistake(cache: Path) -> None:
    put(cache / "hific_low.pt", {"model_state_dict": dict(tan_tensors()), "args": ARGS})
    put(cache / "hific_med.pt", b"no file of tensors")
    results = {item.codec.spec: wrong for item, wrong in verify(())}
    assert results.pop("hific:quality=low") == ""
    assert "hific_med.pt" in results.pop("hific:quality=med")
    assert set(results.values()) <= {""} and all("-tiny" in spec for spec in results)
    with pytest.raises(
        UserError, match="the weights of hific:quality=high are not here; mpq weights fetch gets them"
    ):
        verify(("hific:quality=high",))


# ---- making them safe


def tan(**arguments: Any) -> dict[str, Any]:
    return {"model_state_dict": dict(tan_tensors()), "args": ARGS | arguments, "epoch": 3}


@pytest.mark.parametrize(
    "make",
    [
        lambda: dict(msillm_tensors()),
        lambda: dict(msillm_tensors(old=False, tables="filled")),
        tan,
        lambda: tan(likelihood_type="logistic", normalize_input_image=True),
    ],
    ids=["msillm", "msillm with tables", "tan", "tan, logistic and signed"],
)
def test_a_converted_checkpoint_is_the_same_network(
    make: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    source, target = put(tmp_path / "published.ckpt", make()), tmp_path / "safe.safetensors"
    words = convert(source, target)
    assert words.startswith("HiFiC, Shape(")
    before, after = load_checkpoint(source), load_checkpoint(target)
    assert isinstance(after, HiFiC) and after.shape == before.shape
    x = torch.rand(1, 3, 70, 50, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for name, value in before(x).items():
            other = after(x)[name]
            for a, b in zip(
                *(v.values() if isinstance(v, dict) else [v] for v in (value, other)), strict=True
            ):
                assert torch.equal(a, b)
    architecture, _, card = trained.read_header(target)
    assert architecture == "hific"
    assert card == {
        "converted_from": "published.ckpt",
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
    }


def test_a_converted_checkpoint_codes_as_its_original_did(tmp_path: Path) -> None:
    source, target = put(tmp_path / "published.pt", tan()), tmp_path / "safe.safetensors"
    convert(source, target)
    picture = ImageSample(np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8))
    (before,), (after,) = parse_codec("hific", source), parse_codec("hific", target)
    one, two = before.transmit(picture), after.transmit(picture)
    assert one.bitstream.payload_bits == two.bitstream.payload_bits > 0
    assert (
        one.bitstream.data[-one.bitstream.payload_bits // 8 :]
        == two.bitstream.data[-one.bitstream.payload_bits // 8 :]
    )
    assert np.array_equal(one.decoded.pixels, two.decoded.pixels)


@pytest.mark.parametrize(
    ("source", "target", "named"),
    [
        ("good.ckpt", "out.pt", "should end in .safetensors"),
        ("good.ckpt", "no/folder/out.safetensors", "out.safetensors' cannot be written"),
        ("text.ckpt", "out.safetensors", "text.ckpt is no file of tensors"),
        ("other.ckpt", "out.safetensors", "other.ckpt holds no HiFiC that is known here"),
        ("none.ckpt", "out.safetensors", "none.ckpt cannot be read"),
    ],
)
def test_what_cannot_be_converted_is_one_sentence_and_leaves_nothing(
    source: str, target: str, named: str, tmp_path: Path
) -> None:
    put(tmp_path / "good.ckpt", dict(msillm_tensors()))
    put(tmp_path / "text.ckpt", b"text")
    put(tmp_path / "other.ckpt", {"conv.weight": torch.zeros(3)})
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=named):
        convert(tmp_path / source, tmp_path / target)
    assert set(tmp_path.rglob("*")) == before
