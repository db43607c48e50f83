"""Hugging Face data sets: a local one is streamed for real; a name with no network is one sentence."""

from __future__ import annotations

from pathlib import Path

import datasets
import pytest
from PIL import Image

from mpq.datasets.base import read_dataset
from mpq.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MPQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A data set folder as the hub has them: Parquet with an image and a ClassLabel column."""
    folder = tmp_path / "beans"
    folder.mkdir()
    paths = []
    for i in range(5):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.new("RGB", (6, 4), (i, 0, 0)).save(paths[-1])
    features = datasets.Features(
        {"image": datasets.Image(), "labels": datasets.ClassLabel(names=["angular_leaf_spot", "healthy"])}
    )
    table = datasets.Dataset.from_dict({"image": paths, "labels": [0, 1, 0, 1, 1]}, features=features)
    table.to_parquet(folder / "test-00000-of-00001.parquet")
    return folder


def test_samples_are_kept_as_they_are_encoded(local: Path, tmp_path: Path) -> None:
    dataset = read_dataset(f"hf:{local}@test")
    assert [s.label for s in dataset.sources] == ["angular_leaf_spot", "healthy"] * 2 + ["healthy"]
    assert dataset.sources[3].read() == (tmp_path / "3.png").read_bytes()
    assert dataset.classes == ("angular_leaf_spot", "healthy")


def test_a_count_stops_the_stream(local: Path) -> None:
    assert len(read_dataset(f"hf:{local}@test#2").sources) == 2


def test_a_wrong_split_names_those_there_are(local: Path) -> None:
    with pytest.raises(UserError, match="no split 'nosuch'; it has: test"):
        read_dataset(f"hf:{local}@nosuch")


def test_a_name_without_a_network_is_one_sentence() -> None:
    with pytest.raises(UserError, match="hf:nobody/nothing cannot be had"):
        read_dataset("hf:nobody/nothing")
