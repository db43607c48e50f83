"""torchaudio's bundles, around a Hybrid Demucs of 2 instead of 48 channels: all else is theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from mpq.errors import UserError
from mpq.models.base import load_model

pipelines = pytest.importorskip("torchaudio.pipelines")
STEMS = ["drums", "bass", "other", "vocals"]
FILE = "hdemucs_high_musdbhq_only.pt"


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[partial]:
    from torchaudio.models import HDemucs

    factory = partial(HDemucs, STEMS, channels=4, nfft=4096, depth=6, dconv_comp=2)
    for name in ("HDEMUCS_HIGH_MUSDB", "HDEMUCS_HIGH_MUSDB_PLUS"):
        bundle = replace(getattr(pipelines, name), _model_factory_func=factory)
        monkeypatch.setattr(pipelines, name, bundle)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return factory


def saved(network: torch.nn.Module, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)
    return path


def noise(length: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, length)).astype(np.float32) * 0.1


def test_it_is_torchaudios_network_with_the_level_undone(tmp_path: Path, small: partial) -> None:
    torch.manual_seed(0)
    network = small().eval()
    path = saved(network, tmp_path / "mine.pt")
    model = load_model("separation", "hdemucs", path)
    assert (model.stems, model.rate, model.channels) == (tuple(STEMS), 44_100, 2)
    assert model.chunk == 441_000
    assert model.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    sound = noise(8000) + np.float32(0.1)
    mixture = torch.from_numpy(sound)
    level = mixture.mean(0)
    with torch.inference_mode():
        expected = network(((mixture - level.mean()) / level.std())[None])[0] * level.std() + level.mean()
    assert model.on("cpu").separated(sound) == pytest.approx(expected.numpy(), abs=1e-5)


@pytest.mark.parametrize("length", [1, 441, 2559, 4097])
def test_sounds_of_milliseconds_are_separated(length: int, tmp_path: Path, small: partial) -> None:
    model = load_model("separation", "hdemucs", saved(small(), tmp_path / "mine.pt")).on("cpu")
    found = model.separated(noise(length))
    assert found.shape == (4, 2, length)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("place", [f"torchaudio/models/{FILE}", f"checkpoints/{FILE}"])
def test_weights_that_torchaudio_or_we_have_kept_are_found(
    place: str, tmp_path: Path, small: partial
) -> None:
    path = saved(small(), tmp_path / "hub" / place)
    model = load_model("separation", "hdemucs")
    assert model.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_weights_that_cannot_be_had_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpq.weights.sources._answers", lambda host: False)
    address = f"https://download.pytorch.org/torchaudio/models/{FILE}"
    with pytest.raises(UserError, match=f"weights of hdemucs cannot be had.*{address} at .*--weights"):
        load_model("separation", "hdemucs")
    with pytest.raises(UserError, match=r"models/hdemucs_high_trained\.pt at"):
        load_model("separation", "hdemucs-plus")


def test_weights_of_another_network_are_refused(tmp_path: Path, small: partial) -> None:
    other = saved(small(channels=8), tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"other\.pt does not fit hdemucs: it has .* of another shape"):
        load_model("separation", "hdemucs", other)
    state = small().state_dict()
    torch.save({k: v for k, v in state.items() if "freq_emb" not in k}, other)
    with pytest.raises(UserError, match="lacks freq_emb"):
        load_model("separation", "hdemucs", other)


def test_a_file_that_would_run_code_does_not(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "harm",))

    torch.save({"weight": Harm()}, tmp_path / "harmful.pt")
    with pytest.raises(UserError, match="no file of tensors that can be read safely"):
        load_model("separation", "hdemucs", tmp_path / "harmful.pt")
    assert not (tmp_path / "harm").exists()


def test_hdemucs_is_one_model() -> None:
    with pytest.raises(UserError, match="one model and takes no ':plus'"):
        load_model("separation", "hdemucs:plus")
