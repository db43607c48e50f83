"""What is coded again for a page is what the run coded: the same files, found where the run found them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mpq.gallery.recoding import Gone, Material, materials
from mpq.plan import Plan
from mpq.store import Store
from mpq.summary import summarize
from mpq.sweep import Sweep


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A run over ``pictures`` of the current directory: files of one size, coded at a rate of one size."""
    (tmp_path / "pictures").mkdir()
    for seed in range(3):
        noise = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "pictures" / f"{seed}.bmp")
    monkeypatch.chdir(tmp_path)
    made = Sweep.prepare(Plan(data="pictures", codec=("jpeg2000:ratio=20",), similarity=()))
    store = Store(tmp_path / "run")
    store.write_invocation({"plan": made.described, "environment": {"directory": str(tmp_path)}})
    made.run(store, workers=1)
    return store


def material(store: Store) -> Material:
    (one,) = materials(store, summarize(store.read(), resamples=50))
    return one


def test_files_that_changed_places_are_other_files(store: Store, tmp_path: Path) -> None:
    assert [material(store).decoded(material(store).points[0], i).pixels.shape for i in range(3)] == [
        (64, 64, 3)
    ] * 3
    files = [tmp_path / "pictures" / f"{i}.bmp" for i in range(3)]
    contents = [file.read_bytes() for file in files]
    for file, content in zip(files, contents[1:] + contents[:1], strict=True):
        file.write_bytes(content)
    for i in range(3):
        with pytest.raises(Gone, match=rf"{i}\.bmp is another file now"):
            material(store).original(i)


def test_a_relative_path_is_found_from_elsewhere(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "pictures").mkdir(parents=True)  # of the same name, but not where the command ran
    monkeypatch.chdir(elsewhere)
    assert material(store).original(0).width == 64


def test_two_versions_of_a_codec_are_two_points_with_rows_of_their_own(store: Store) -> None:
    cells = store.read()
    (identity, table) = next(cell for cell in cells if cell[0]["codec"]["name"] == "jpeg2000")
    other = {**identity, "codec": {**identity["codec"], "version": "another"}}
    (group,) = summarize([*cells, (other, table)], resamples=50)
    settings = [point.setting for point in group.points if not point.is_baseline]
    assert sorted(settings) == sorted(
        ["ratio=20.0 [another]", f"ratio=20.0 [{identity['codec']['version']}]"]
    )
    found = Material(group, store.read_invocations())
    versions = {point.setting: found.group.rows[point.spec][0]["codec"]["version"] for point in found.points}
    assert all(setting == f"ratio=20.0 [{version}]" for setting, version in versions.items())
