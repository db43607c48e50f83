"""The drawn set: the same everywhere, and kept whole on disk."""

from __future__ import annotations

import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mpq.errors import UserError
from reid.datasets import demo
from reid.datasets.base import ReidDataset, read_reid
from reid.datasets.drawing.figure import Pose, draw_figure
from reid.datasets.drawing.person import draw_person


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def drawn(cache: Path) -> ReidDataset:
    return read_reid("demo", cache)


def test_the_demo_has_what_it_says(drawn: ReidDataset) -> None:
    assert (len(drawn.query), len(drawn.gallery)) == (100, 440)
    assert {crop.pid for crop in drawn.query} == set(range(1, 41))
    pids = Counter(crop.pid for crop in drawn.gallery)
    assert (pids[0], pids[-1]) == (24, 16)
    assert {crop.camid for crop in drawn.gallery} == set(range(1, 7))
    under: dict[int, set[int]] = {}
    for crop in drawn.query:
        under.setdefault(crop.pid, set()).add(crop.camid)
    # everybody can be found under another camera
    assert all(len(cameras) in (2, 3) for cameras in under.values())
    assert "mean nothing" in drawn.notes[0]


def test_its_pictures_are_small_and_of_many_colours(drawn: ReidDataset) -> None:
    for crop in drawn.query[::25] + drawn.gallery[::110]:
        with Image.open(crop.path) as image:
            assert (image.size, image.mode, image.format) == ((64, 128), "RGB", "PNG")
            pixels = np.asarray(image)
        assert 8 < pixels.std() < 120


def test_it_is_drawn_once_and_always_the_same(drawn: ReidDataset, cache: Path, tmp_path: Path) -> None:
    before = {crop.path: crop.path.stat().st_mtime_ns for crop in drawn.query}
    assert read_reid("demo", cache).query == drawn.query
    assert {crop.path: crop.path.stat().st_mtime_ns for crop in drawn.query} == before
    kept = {
        crop.path.relative_to(crop.path.parents[1]).as_posix(): crop.path
        for crop in drawn.query + drawn.gallery
    }
    for name, pixels in itertools.islice(demo.pictures(), 40):
        with Image.open(kept[name]) as image:
            np.testing.assert_array_equal(np.asarray(image), pixels)


def test_the_drawing_does_not_hang_on_the_machine() -> None:
    # sums of a few pictures, within what rounding may do
    sums = [int(pixels.sum(dtype=np.int64)) for _, pixels in itertools.islice(demo.pictures(), 3)]
    np.testing.assert_allclose(sums, [2_998_327, 2_858_667, 2_760_546], rtol=1e-4)


@pytest.mark.parametrize("harm", ["changed", "missing", "added", "no index"])
def test_a_damaged_demo_is_drawn_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, harm: str) -> None:
    few = list(itertools.islice(demo.pictures(), 2))
    monkeypatch.setattr(demo, "pictures", lambda: iter(few))
    folder = demo.drawn(tmp_path)
    picture = folder / few[0][0]
    whole = picture.read_bytes()
    if harm == "changed":
        picture.write_bytes(whole[:-1] + b"x")
    elif harm == "missing":
        picture.unlink()
    elif harm == "added":
        (picture.parent / "0007_c1s1_000001_00.png").write_bytes(whole)
    else:
        (folder / "index.json").write_text("{")
    assert demo.drawn(tmp_path) == folder
    assert picture.read_bytes() == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name]
    assert sorted(path.name for path in folder.iterdir()) == ["bounding_box_test", "index.json", "query"]


def test_several_may_draw_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few = list(itertools.islice(demo.pictures(), 6))
    monkeypatch.setattr(demo, "pictures", lambda: iter(few))
    with ThreadPoolExecutor(8) as threads:
        folders = set(threads.map(demo.drawn, [tmp_path / "new"] * 16))
    assert set((tmp_path / "new").iterdir()) == folders


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="MPQ_CACHE"):
        read_reid("demo", tmp_path / "file" / "below")


@pytest.mark.parametrize("variable", ["MPQ_CACHE", "XDG_CACHE_HOME"])
def test_the_users_cache_is_where_it_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    few = list(itertools.islice(demo.pictures(), 2))
    monkeypatch.setattr(demo, "pictures", lambda: iter(few))
    monkeypatch.delenv("MPQ_CACHE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert tmp_path in read_reid("demo", None).query[0].path.parents


def painted(seed: int, facing: float) -> np.ndarray:
    canvas = np.full((128, 64, 3), 0.5, np.float32)
    draw_figure(
        canvas, draw_person(np.random.RandomState(seed)), Pose(facing, 0.3, 0.4, 116, (32, 122), 0.1, 0.0)
    )
    return canvas


def test_a_figure_has_a_front_a_back_and_a_mirror_image() -> None:
    front, back = painted(4, 0.0), painted(4, np.pi)
    assert np.abs(front - back).max() > 0.2
    # the body covers about the same, whichever way it faces
    covers = [(np.abs(view - 0.5).max(axis=2) > 0.03).mean() for view in (front, back)]
    assert 0.1 < min(covers) < max(covers) < 0.4
    left, right = painted(4, -np.pi / 2), painted(4, np.pi / 2)
    assert np.abs(left - right).max() > 0.2


def test_people_differ_and_keep_to_their_clothes() -> None:
    assert np.abs(painted(1, 0.0) - painted(2, 0.0)).max() > 0.2
    np.testing.assert_array_equal(painted(1, 0.0), painted(1, 0.0))
