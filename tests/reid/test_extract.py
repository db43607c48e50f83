"""Extraction: published numbers on real crops, what a cache may and may not do, and pictures that are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mpq.errors import UserError
from reid.backbones.base import Backbone, load_backbone
from reid.backbones.preprocessing import Preprocessing
from reid.centralize import centralize
from reid.datasets.base import Crop, ReidDataset, read_reid
from reid.extract import extract
from reid.feature_files import About, read_about, save_npz
from reid.features import FeatureError, FeatureSet, read_npz
from reid.gather import gather
from reid.metrics import evaluate
from reid.protocols import MARKET, Protocol, Trial


class Means(torch.nn.Module):
    """Features that can be worked out by hand, of which it counts how many it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def forward(self, x: torch.Tensor, cameras: torch.Tensor | None = None) -> torch.Tensor:
        self.asked += len(x)
        left = x[..., : x.shape[3] // 2].mean((2, 3))
        return left if cameras is None else left + cameras[:, None]


@pytest.fixture
def means() -> Backbone:
    """The mean colour of a crop's left half, 0 to 1."""
    preprocess = Preprocessing((16, 8), (0.0,) * 3, (1.0,) * 3)
    return Backbone(
        name="means",
        network=Means(),
        preprocess=preprocess,
        weights_sha256="0" * 64,
        preprocessing=str(preprocess),
        version="1",
    )


@pytest.fixture
def crops(tmp_path: Path) -> list[Crop]:
    """Five, left half black, right half grey, each lighter than the one before."""
    made = []
    for i in range(5):
        path = tmp_path / f"{i}.png"
        image = Image.new("RGB", (8, 16))
        image.paste((50 * (i + 1),) * 3, (4, 0, 8, 16))
        image.save(path)
        made.append(Crop(f"{i}", path, i + 1, 1))
    return made


def asked(backbone: Backbone) -> int:
    assert isinstance(backbone.network, Means)
    return backbone.network.asked


GREY = np.arange(1, 6)[:, None] * 50 / 255 * np.ones(3)


def test_osnet_on_real_crops_finds_what_was_measured_elsewhere(shared: Path) -> None:
    pytest.importorskip("onnxruntime")
    dataset = read_reid("market1501", shared / "reid" / "motreid")
    backbone = load_backbone(f"onnx:{shared / 'reid' / 'osnet_x0_25_msmt17.onnx'}")
    found = gather(dataset, backbone)
    raw = evaluate(found.query, found.gallery)
    assert (len(found.query), len(found.gallery), found.query.features.shape[1]) == (396, 1270, 512)
    assert 100 * raw.mean_average_precision == pytest.approx(50.99, abs=0.01)
    assert 100 * raw.cmc(1)[0] == pytest.approx(63.64, abs=0.01)
    made = centralize(found.query, found.gallery, k1=2, k2=2)
    after = evaluate(made.query, made.gallery)
    # Pairs that are nearly as near come in either order: a machine's last bit moves a query or two.
    assert 100 * after.mean_average_precision == pytest.approx(54.31, abs=0.1)
    assert 100 * after.cmc(1)[0] == pytest.approx(60.61, abs=0.6)


def test_lite0_with_imagenets_normalisation_finds_what_was_measured_elsewhere(shared: Path) -> None:
    dataset = read_reid("market1501", shared / "reid" / "motreid")
    spec = "efficientnet-lite0:mean=0.485/0.456/0.406,std=0.229/0.224/0.225"
    found = gather(dataset, load_backbone(spec).on("cpu"))
    raw = evaluate(found.query, found.gallery)
    assert 100 * raw.mean_average_precision == pytest.approx(36.84, abs=0.02)
    assert 100 * raw.cmc(1)[0] == pytest.approx(56.82, abs=0.26)  # of a query, which the last bit may move


def test_features_come_in_the_crops_order(means: Backbone, crops: list[Crop]) -> None:
    found = extract(crops, means, flip=False, batch=2)
    assert found.features.dtype == np.float32
    assert found.features == pytest.approx(np.zeros((5, 3)), abs=1e-6)
    seen = extract(crops, means, flip=True, batch=2)
    assert seen.features == pytest.approx(GREY / 2, abs=1e-6)  # the mean of black and of the mirrored grey
    assert found.unreadable == seen.unreadable == {}


def test_batches_do_not_change_features(tmp_path: Path, noise: Callable[..., Image.Image]) -> None:
    backbone = load_backbone("efficientnet-lite0").on("cpu")
    crops = [Crop(str(i), tmp_path / f"{i}.png", 1, 1) for i in range(5)]
    for i, crop in enumerate(crops):
        noise(20, 40, seed=i).save(crop.path)
    whole = extract(crops, backbone).features
    assert np.array_equal(extract(crops, backbone, batch=2).features, whole)
    assert np.array_equal(extract(crops[3:], backbone).features, whole[3:])


def broken(crops: list[Crop], tmp_path: Path) -> list[Crop]:
    whole = crops[0].path.read_bytes()
    contents = {"empty.png": b"", "text.png": b"hello", "cut.png": whole[: len(whole) // 2]}
    made = []
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        made.append(Crop(name, tmp_path / name, 1, 1))
    return [*made, Crop("absent", tmp_path / "absent.png", 1, 1), Crop("folder", tmp_path, 1, 1)]


@pytest.mark.parametrize("cached", [False, True])
def test_broken_pictures_are_told_and_never_given_a_feature(
    cached: bool, means: Backbone, crops: list[Crop], tmp_path: Path
) -> None:
    bad = broken(crops, tmp_path)
    mixed = [bad[0], crops[0], bad[1], bad[2], crops[1], bad[3], bad[4]]
    counted: list[int] = []
    found = extract(
        mixed,
        means,
        flip=True,
        batch=2,
        cache=tmp_path / "cache" if cached else None,
        advanced=counted.append,
    )
    assert list(found.unreadable) == [0, 2, 3, 5, 6]
    assert "not a picture" in found.unreadable[2]
    assert "No such file" in found.unreadable[5]
    assert np.isnan(found.features[[0, 2, 3, 5, 6]]).all()
    assert found.features[[1, 4]] == pytest.approx(GREY[:2] / 2, abs=1e-6)
    assert sum(counted) == len(mixed)
    with pytest.raises(FeatureError, match="5 of 7 rows"):
        FeatureSet(found.features, np.ones(7, int), np.ones(7, int))
    with pytest.raises(UserError, match="none of the 2 pictures has a feature; the first: "):
        extract(bad[:2], means)


def test_a_feature_that_is_not_finite_is_none(means: Backbone, crops: list[Crop], tmp_path: Path) -> None:
    class Odd(Means):
        def forward(self, x: torch.Tensor, cameras: torch.Tensor | None = None) -> torch.Tensor:
            right = x[..., 4:].mean((2, 3))
            return torch.where(right > 0.9, torch.nan, right)

    odd = replace(means, network=Odd())
    for _ in range(2):  # and it is not kept, either
        found = extract(crops, odd, cache=tmp_path / "cache")
        assert found.unreadable == {4: "the backbone's feature of it is not finite"}
        assert np.isnan(found.features[4]).all()
        assert found.features[:4] == pytest.approx(GREY[:4], abs=1e-6)


def test_what_was_computed_is_not_computed_again(means: Backbone, crops: list[Crop], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = extract(crops[:3], means, flip=True, cache=cache)
    assert (first.found, asked(means)) == (0, 8)  # three and their mirror images, in passes of two
    counted: list[int] = []
    second = extract(crops, means, flip=True, cache=cache, advanced=counted.append)
    assert (second.found, asked(means)) == (3, 12)
    assert sum(counted) == 5
    third = extract(crops[::-1], means, flip=True, cache=cache)
    assert (third.found, asked(means)) == (5, 12)
    assert np.array_equal(third.features[::-1], second.features)
    assert np.array_equal(second.features[:3], first.features)


def test_a_picture_is_known_by_its_content(means: Backbone, crops: list[Crop], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    extract(crops[:2], means, flip=True, cache=cache)
    moved = replace(crops[0], path=crops[0].path.rename(tmp_path / "moved.png"), pid=77)
    crops[1].path.write_bytes(crops[4].path.read_bytes())
    found = extract([moved, crops[1]], means, flip=True, cache=cache)
    assert found.found == 1
    assert found.features == pytest.approx(GREY[[0, 4]] / 2, abs=1e-6)


def test_all_that_shapes_a_feature_parts_what_is_kept(
    means: Backbone, crops: list[Crop], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    extract(crops, means, cache=cache)
    others = [replace(means, **{field: "x"}) for field in ("name", "weights_sha256", "preprocessing", "version", "configuration")]  # fmt: skip
    for other in others:
        assert extract(crops, other, cache=cache).found == 0
    assert extract(crops, means, flip=True, cache=cache).found == 0
    assert extract(crops, means, cache=cache).found == 5


def test_cameras_part_what_is_kept_and_reach_the_network(
    means: Backbone, crops: list[Crop], tmp_path: Path
) -> None:
    knowing = replace(means, cameras=3)
    elsewhere = [replace(crop, camid=3) for crop in crops]
    cache = tmp_path / "cache"
    assert extract(crops, knowing, cache=cache).features == pytest.approx(np.zeros((5, 3)), abs=1e-6)
    found = extract(elsewhere, knowing, cache=cache)
    assert found.found == 0
    assert found.features == pytest.approx(np.full((5, 3), 2.0), abs=1e-6)
    with pytest.raises(UserError, match="knows cameras 1 to 3, not camera 4: sie=mean or"):
        extract([*crops, replace(crops[0], camid=4)], knowing)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_cache_is_computed_again(
    damage: str, means: Backbone, crops: list[Crop], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    whole = extract(crops, means, flip=True, cache=cache).features
    (file,) = cache.glob("*/*.npz")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(
        {"cut": data[: len(data) // 2], "flipped": data, "empty": b"", "foreign": b"hello"}[damage]
    )
    for expected in (0, 5):
        again = extract(crops, means, flip=True, cache=cache)
        assert again.found == expected
        assert np.array_equal(again.features, whole)


def test_a_stopped_run_keeps_what_it_had(means: Backbone, crops: list[Crop], tmp_path: Path) -> None:
    def stop(count: int) -> None:
        stop.seen += count  # type: ignore[attr-defined]
        if stop.seen >= 4:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    stop.seen = 0  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        extract(crops, means, batch=2, cache=tmp_path / "cache", advanced=stop)
    assert extract(crops, means, batch=2, cache=tmp_path / "cache").found >= 2
    assert not list(tmp_path.glob("cache/*/.*.tmp"))


def test_a_cache_that_cannot_be_is_one_sentence(means: Backbone, crops: list[Crop], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="features cannot be kept in .*file"):
        extract(crops, means, cache=tmp_path / "file" / "cache")


def test_a_cache_that_fails_meanwhile_costs_no_features(
    means: Backbone, crops: list[Crop], tmp_path: Path
) -> None:
    import shutil

    cache = tmp_path / "cache"
    found = extract(crops, means, flip=True, cache=cache, advanced=lambda _: shutil.rmtree(cache, True))
    assert found.features == pytest.approx(GREY / 2, abs=1e-6)
    assert "features are not kept" in found.notes[0]


# Files of features


def sets() -> tuple[FeatureSet, FeatureSet]:
    rng = np.random.default_rng(0)
    return (
        FeatureSet(rng.normal(size=(3, 4)), np.array([1, 2, 3]), np.array([1, 1, -1])),
        FeatureSet(rng.normal(size=(5, 4)), np.array([1, 2, 3, 0, 3]), np.arange(5)),
    )


def test_a_file_gives_back_what_was_saved_and_what_it_is(tmp_path: Path) -> None:
    query, gallery = sets()
    trials = tuple(
        Trial(np.array(q, dtype=np.int64), np.array(g, dtype=np.int64))
        for q, g in (([0, 2], [1, 2, 3]), ([1], [4]), ([], [0]))
    )
    about = About(
        "sysu-mm01",
        "means",
        Protocol("sysu", "identities", trials),
        ("a", "b", "ç"),
        tuple("vwxyz"),
        tuple(Path("/q") / name for name in "abc"),
        tuple(Path("/g ü") / name for name in "vwxyz"),
    )
    path = tmp_path / "feats.npz"
    save_npz(path, query, gallery, about)
    for saved, read in zip((query, gallery), read_npz(path), strict=True):
        assert np.array_equal(saved.features, read.features)
        assert np.array_equal(saved.pids, read.pids)
        assert np.array_equal(saved.camids, read.camids)
    said = read_about(path)
    assert replace(said, protocol=MARKET) == replace(about, protocol=MARKET)
    assert (said.protocol.rule, said.protocol.cmc) == ("sysu", "identities")
    for saved, read in zip(trials, said.protocol.trials, strict=True):
        assert np.array_equal(saved.query, read.query)
        assert np.array_equal(saved.gallery, read.gallery)
    assert [p.name for p in tmp_path.iterdir()] == ["feats.npz"]


def test_anybodys_file_says_nothing_of_itself(tmp_path: Path) -> None:
    query, gallery = sets()
    save_npz(tmp_path / "bare.npz", query, gallery)
    assert read_about(tmp_path / "bare.npz") == About()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rule": np.array("mine")}, "no protocol of rule 'mine'"),
        ({"ids": np.array(["a"])}, "1 ids for 8 features"),
        ({"trial_query": np.array([7]), "trial_query_counts": np.array([1])}, "a trial asks for query item 7 of 3"),
        ({"trial_query": np.array([-1]), "trial_query_counts": np.array([1])}, "no indices"),
        ({"trial_query": np.array([1]), "trial_query_counts": np.array([2])}, "no indices"),
        ({"trial_query": np.array([0.5]), "trial_query_counts": np.array([1])}, "no indices"),
        ({"trial_query": np.array([0, 1]), "trial_query_counts": np.array([1, 1]),
          "trial_gallery": np.array([0]), "trial_gallery_counts": np.array([1])}, "2 trials of queries and 1"),
        ({"name": np.array([object()])}, "cannot be read"),
    ],
)  # fmt: skip
def test_what_a_file_says_wrongly_is_refused_by_its_name(
    changes: dict[str, np.ndarray], words: str, tmp_path: Path
) -> None:
    query, gallery = sets()
    path = tmp_path / "feats.npz"
    save_npz(path, query, gallery, About("x"))
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **{**arrays, **changes})
    with pytest.raises(FeatureError, match=words) as refused:
        read_about(path)
    assert str(refused.value).startswith(f"{path}: ")


def test_a_file_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    query, gallery = sets()
    with pytest.raises(UserError, match="cannot be written"):
        save_npz(tmp_path / "no" / "such" / "folder.npz", query, gallery)
    (tmp_path / "taken").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        save_npz(tmp_path / "taken", query, gallery)
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_no_crops_are_no_features(means: Backbone) -> None:
    assert extract([], means).features.shape == (0, 0)


def test_a_gallery_that_cannot_be_read_is_told_by_its_own_first_crop(tmp_path: Path, means: Backbone) -> None:
    """Not by the query's broken ones, which come first."""
    crops = {"query": [], "gallery": []}
    for number, (role, good) in enumerate([("query", True), *[("query", False)] * 4, ("gallery", False)]):
        path = tmp_path / f"{role}{number}.png"
        if good:
            Image.new("RGB", (8, 16), (9, 9, 9)).save(path)
        else:
            path.write_text("no picture")
        crops[role].append(Crop(path.name, path, 1, number + 1))
    dataset = ReidDataset("broken", tuple(crops["query"]), tuple(crops["gallery"]), MARKET)
    with pytest.raises(
        UserError, match=r"no crop of the gallery of broken can be read: .*gallery5\.png: not a picture"
    ):
        gather(dataset, means)
