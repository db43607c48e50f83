"""The package demucs, with small networks in the form in which it publishes its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mpq.errors import UserError
from mpq.models.base import load_model

pytest.importorskip("demucs.hf")

STEMS = ["drums", "bass", "other", "vocals"]
RATE = 8000
SEGMENT = Fraction(39, 40)
"""Seconds. Like the published networks', it is a fraction that no float says exactly."""


def htdemucs() -> tuple[Any, dict[str, Any]]:
    from demucs.htdemucs import HTDemucs

    options = {
        "sources": STEMS, "channels": 8, "growth": 2, "nfft": 1024, "depth": 3, "bottom_channels": 0, "t_layers": 1,
        "t_heads": 2, "samplerate": RATE, "segment": SEGMENT, "freq_emb": 0.2,
    }  # fmt: skip
    return HTDemucs(**options).eval(), options


def encoded(value: Any) -> Any:
    if isinstance(value, Fraction):
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
    return value


@pytest.fixture
def published(tmp_path: Path) -> Callable[..., Any]:
    """Writes a network as demucs' own tools do; returns it."""

    def write(file: str, **changes: str) -> Any:
        network, options = htdemucs()
        told = {
            "klass": "demucs.htdemucs.HTDemucs",
            "args": "[]",
            # A setting that a later release has dropped is dropped, as the package itself does.
            "kwargs": json.dumps({k: encoded(v) for k, v in options.items()} | {"long_gone": 1}),
        }
        save_file(network.state_dict(), tmp_path / file, told | changes)
        return network

    return write


def noise(length: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, length)).astype(np.float32) * 0.1


@pytest.mark.filterwarnings("ignore:Dropping")
def test_it_is_the_packages_own_answer(tmp_path: Path, published) -> None:
    from demucs.apply import apply_model
    from demucs.hf import load_safetensors_model

    torch.manual_seed(0)
    published("mine.safetensors")
    path = tmp_path / "mine.safetensors"
    model = load_model("separation", "demucs:htdemucs", path).on("cpu")
    assert (model.stems, model.rate, model.channels) == (tuple(STEMS), RATE, 2)
    assert model.chunk == int(SEGMENT * RATE)
    assert model.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    sound = noise(model.chunk)
    mixture = torch.from_numpy(sound)
    level = mixture.mean(0)
    given = ((mixture - level.mean()) / level.std())[None]
    expected = apply_model(load_safetensors_model(path), given, shifts=0, split=False)[0]
    expected = expected * level.std() + level.mean()
    assert model.separated(sound) == pytest.approx(expected.numpy(), abs=1e-5)


@pytest.mark.parametrize("length", [1, 80, 20_000])
def test_any_length_is_separated(length: int, tmp_path: Path, published) -> None:
    published("mine.safetensors")
    model = load_model("separation", "demucs:htdemucs", tmp_path / "mine.safetensors").on("cpu")
    found = model.separated(noise(length))
    assert found.shape == (4, 2, length)
    assert np.isfinite(found).all()


def test_a_bag_takes_each_stem_from_the_networks_that_its_recipe_names(tmp_path: Path, published) -> None:
    # htdemucs_ft: the first for drums, the second for bass, …
    signatures = ["f7e0c4bc", "d12395a8", "92cfc3b6", "04573f0d"]
    networks = [published(f"{signature}.safetensors") for signature in signatures]
    bag = load_model("separation", "demucs:htdemucs_ft", tmp_path).on("cpu")
    single = [
        load_model("separation", "demucs:htdemucs", tmp_path / f"{s}.safetensors").on("cpu")
        for s in signatures
    ]
    sound = noise(5000)
    found, alone = bag.separated(sound), [model.separated(sound) for model in single]
    assert len(networks) == len({model.weights_sha256 for model in single}) == 4
    for i in range(4):
        assert found[i] == pytest.approx(alone[i][i], abs=1e-6)


def test_a_bag_without_shares_is_a_mean(tmp_path: Path, published) -> None:
    for signature in ("e51eebcc", "a1d90b5c", "5d2d6c55", "cfa93e08"):
        published(f"{signature}.safetensors")
    bag = load_model("separation", "demucs:mdx_extra", tmp_path).on("cpu")
    sound = noise(5000)
    alone = [
        load_model("separation", "demucs:htdemucs", path).on("cpu").separated(sound)
        for path in sorted(tmp_path.glob("*.safetensors"))
    ]
    assert bag.separated(sound) == pytest.approx(np.mean(alone, axis=0), abs=1e-6)


def test_a_seeded_hub_cache_is_used(tmp_path: Path, published, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("mpq.weights.sources._answers", lambda host: False)
    commit = "0" * 40
    repository = tmp_path / "cache" / "models--adefossez--HTDemucs"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    published("955717e8.safetensors")
    file = tmp_path / "955717e8.safetensors"
    file.rename(repository / "snapshots" / commit / file.name)
    assert load_model("separation", "demucs:htdemucs").stems == tuple(STEMS)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        # What the package itself would import and call.
        (
            {"klass": "subprocess.check_output", "args": '[["touch", "harm"]]'},
            "names the network 'subprocess",
        ),
        ({"klass": "os.HTDemucs"}, "names the network 'os.HTDemucs'"),
        ({"structure": "{}"}, "diffq has quantised"),
        ({"kwargs": "{"}, "no HTDemucs that can be built"),
        ({"kwargs": "{}"}, "no HTDemucs that can be built"),
        ({"kwargs": json.dumps({"sources": STEMS, "t_layers": 0})}, "does not fit demucs:htdemucs"),
    ],
)
def test_a_file_that_names_something_else_is_one_sentence(
    changes: dict[str, str], named: str, tmp_path: Path, published
) -> None:
    published("mine.safetensors", **changes)
    with pytest.raises(UserError, match=named):
        load_model("separation", "demucs:htdemucs", tmp_path / "mine.safetensors")


def test_weights_that_cannot_be_had_or_do_not_suffice_are_one_sentence(tmp_path: Path, published) -> None:
    with pytest.raises(
        UserError, match=r"cannot be had.*955717e8\.safetensors of huggingface\.co/adefossez/HTD"
    ):
        load_model("separation", "demucs:htdemucs")
    published("f7e0c4bc.safetensors")
    with pytest.raises(UserError, match=r"lacks d12395a8\.safetensors"):
        load_model("separation", "demucs:htdemucs_ft", tmp_path)
    with pytest.raises(UserError, match="4 networks: --weights takes a folder"):
        load_model("separation", "demucs:htdemucs_ft", tmp_path / "f7e0c4bc.safetensors")
    (tmp_path / "old.th").write_bytes(b"")
    with pytest.raises(UserError, match="no safetensors file"):
        load_model("separation", "demucs:htdemucs", tmp_path / "old.th")
    (tmp_path / "cut.safetensors").write_bytes(b"\x08")
    with pytest.raises(UserError, match="cannot be read|read safely"):
        load_model("separation", "demucs:htdemucs", tmp_path / "cut.safetensors")
    with pytest.raises(UserError, match="no model 'htdemuks'; did you mean 'htdemucs'"):
        load_model("separation", "demucs:htdemuks")
