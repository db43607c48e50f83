"""The public layouts, on trees made here: who recognises what, which part is taken, and what a mask's values mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mpq.datasets.base import Dataset
from mpq.datasets.segmentation import ade20k, camvid, cityscapes, folder, voc
from mpq.datasets.segmentation.base import SceneReader, Scenes
from mpq.errors import UserError
from mpq.registry import datasets

READERS = {
    c.name: c()
    for c in (
        camvid.CamVid,
        voc.PascalVOC,
        cityscapes.Cityscapes,
        ade20k.ADE20K,
        folder.Pairs,
        folder.Pictures,
    )
}


def picture(path: Path, size: tuple[int, int] = (4, 3)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 150)).save(path)


def mask(path: Path, rows: list[list[int]], kind: str = "uint8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(rows, kind)).save(path)


def plain(value: int, other: int) -> list[list[int]]:
    """4 × 3 of a value, but for the last pixel."""
    rows = [[value] * 4 for _ in range(3)]
    rows[-1][-1] = other
    return rows


def make_camvid(root: Path) -> None:
    for part, names in {"train": "abc", "val": "d", "test": "ef"}.items():
        for name in names:
            picture(root / part / f"{name}.png")
            mask(root / f"{part}annot" / f"{name}.png", plain(8, 11))


def make_voc(root: Path) -> None:
    base = root / "VOCdevkit" / "VOC2012"
    for name in ("2007_000001", "2007_000002", "2008_000003"):
        picture(base / "JPEGImages" / f"{name}.jpg")
    for name in ("2007_000001", "2007_000002"):
        image = Image.fromarray(np.array(plain(15, 255), np.uint8)).convert("P")
        image.putdata([15] * 11 + [255])
        image.putpalette([value for i in range(256) for value in ((i * 37) % 256, i, 255 - i)])
        (base / "SegmentationClass").mkdir(exist_ok=True)
        image.save(base / "SegmentationClass" / f"{name}.png")
    lists = base / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("2007_000002\n2009_000009\n")
    (lists / "train.txt").write_text("2007_000001\n")


def make_cityscapes(root: Path, kind: str = "labelIds", rows: list[list[int]] | None = None) -> None:
    for part, city in (("val", "ulm"), ("train", "bonn"), ("train", "kiel")):
        stem = f"{city}_000000_000019"
        picture(root / "leftImg8bit" / part / city / f"{stem}_leftImg8bit.png")
        mask(root / "gtFine" / part / city / f"{stem}_gtFine_{kind}.png", rows or plain(33, 4))
        mask(root / "gtFine" / part / city / f"{stem}_gtFine_instanceIds.png", plain(0, 1))


def make_ade20k(root: Path) -> None:
    for part, name in (("validation", "ADE_val_00000001"), ("training", "ADE_train_00000001")):
        picture(root / "images" / part / f"{name}.jpg")
        mask(root / "annotations" / part / f"{name}.png", plain(150, 0))


def make_pairs(root: Path) -> None:
    for name in ("a", "sub/b"):
        picture(root / "images" / f"{name}.jpg")
        mask(root / "masks" / f"{name}.png", plain(2, 1))
    (root / "classes.txt").write_text("road\nvoid\ntree\n")


MAKERS = {
    "camvid": make_camvid, "voc": make_voc, "cityscapes": make_cityscapes, "ade20k": make_ade20k, "masks": make_pairs,
}  # fmt: skip


def scenes(reader: str, folder: Path) -> Scenes:
    found = READERS[reader].read(str(folder), None)
    assert isinstance(found, Scenes)
    return found


@pytest.mark.parametrize("name", MAKERS)
def test_a_bare_folder_goes_to_its_own_reader(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    readers = sorted(READERS.values(), key=lambda reader: reader.priority)
    assert next(reader.name for reader in readers if reader.recognises(tmp_path)) == name


def test_all_readers_are_found_and_are_this_tasks() -> None:
    entries = datasets("segmentation").entries
    assert set(entries) >= set(READERS)
    assert all(entries[name].task == "segmentation" for name in READERS)


@pytest.mark.parametrize(
    ("name", "ids", "classes", "first", "values"),
    [
        ("camvid", ["e.png", "f.png"], 11, "Sky", {8, 255}),
        ("voc", ["2007_000002.jpg"], 21, "background", {15, 255}),
        ("cityscapes", ["ulm/ulm_000000_000019_leftImg8bit.png"], 19, "road", {18, 255}),
        ("ade20k", ["ADE_val_00000001.jpg"], 150, "wall", {149, 255}),
        ("masks", ["a.jpg", "sub/b.jpg"], 2, "road", {1, 255}),
    ],
)
def test_what_is_scored_and_what_values_mean(
    name: str, ids: list[str], classes: int, first: str, values: set[int], tmp_path: Path
) -> None:
    MAKERS[name](tmp_path)
    found = scenes(name, tmp_path)
    assert [source.id for source in found.sources] == ids
    assert (len(found.classes), found.classes[0], found.ignored) == (classes, first, 255)
    read = found.read_mask(found.sources[0])
    assert (read.shape, read.dtype) == ((3, 4), np.uint8)
    assert set(read.ravel()) == values
    assert found.labelled
    assert found.sources[0].companions == (found.sources[0].mask,)


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_that_is_scored_is_trained_on_where_there_are_parts(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    training, choosing = READERS[name].trained(tmp_path)
    assert training.sources
    if name != "masks":
        scored = {source.path for source in scenes(name, tmp_path).sources}
        assert not scored & {source.path for source in training.sources}
    assert (choosing is not None) == (name == "camvid")


def test_camvid_by_part_and_a_part_that_is_missing(tmp_path: Path) -> None:
    make_camvid(tmp_path)
    assert scenes("camvid", tmp_path / "train").name == "camvid-train"
    assert READERS["camvid"].recognises(tmp_path / "val")
    picture(tmp_path / "test" / "g.png")
    assert scenes("camvid", tmp_path).problems == ("g.png has no mask",)
    with pytest.raises(UserError, match="has none of test/ with testannot/"):
        READERS["camvid"].read(str(tmp_path / "trainannot"), None)


def test_cityscapes_train_ids_stand_in_for_label_ids(tmp_path: Path) -> None:
    make_cityscapes(tmp_path, "labelTrainIds", plain(18, 255))
    found = scenes("cityscapes", tmp_path)
    assert set(found.read_mask(found.sources[0]).ravel()) == {18, 255}


def test_cityscapes_scores_the_nineteen_and_no_more(tmp_path: Path) -> None:
    make_cityscapes(tmp_path, rows=[[7, 8, 11, 12], [0, 6, 9, 29], [255, 13, 17, 19]])
    found = scenes("cityscapes", tmp_path)
    assert found.read_mask(found.sources[0]).tolist() == [
        [0, 1, 2, 3], [255, 255, 255, 255], [255, 4, 5, 6],
    ]  # fmt: skip


def test_voc_takes_what_its_list_says_and_names_what_is_missing(tmp_path: Path) -> None:
    make_voc(tmp_path)
    for place in (tmp_path, tmp_path / "VOCdevkit", tmp_path / "VOCdevkit" / "VOC2012"):
        found = scenes("voc", place)
        assert [source.id for source in found.sources] == ["2007_000002.jpg"]
        assert found.problems == ("val.txt: there is no JPEGImages/2009_000009.jpg",)
    (tmp_path / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").unlink()
    with pytest.raises(UserError, match=r"val\.txt, which says which pictures to take"):
        READERS["voc"].read(str(tmp_path), None)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("camvid", "has none of test/"),
        ("voc", "has no JPEGImages/"),
        ("cityscapes", "has no leftImg8bit/val/"),
        ("ade20k", "has no images/validation/"),
        ("masks", "has no images/ and masks/"),
    ],
)
def test_a_folder_of_something_else_is_one_sentence(name: str, sentence: str, tmp_path: Path) -> None:
    assert not READERS[name].recognises(tmp_path)
    with pytest.raises(UserError, match=sentence):
        READERS[name].read(str(tmp_path), None)
    with pytest.raises(UserError, match="is not a folder"):
        READERS[name].read(str(tmp_path / "nowhere"), None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, r"classes\.txt, which names the masks' values"),
        (b"road\n\ntree\n", "line 2 is empty"),
        (b"road\nroad\n", "names 'road' twice"),
        (b"void\nignored\n", "names no class"),
        (b"caf\xe9\n", "cannot be read"),
        (b"", "names no class"),
    ],
)
def test_a_list_of_classes_that_is_wrong(text: bytes | None, sentence: str, tmp_path: Path) -> None:
    make_pairs(tmp_path)
    (tmp_path / "classes.txt").unlink()
    if text is not None:
        (tmp_path / "classes.txt").write_bytes(text)
    with pytest.raises(UserError, match=sentence):
        READERS["masks"].read(str(tmp_path), None)


def test_pictures_without_masks_are_for_fidelity(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "b.jpg")
    found = READERS["folder"].read(str(tmp_path), None)
    assert isinstance(found, Dataset)
    assert not found.labelled
    assert found.sources[0].companions == ()
    with pytest.raises(UserError, match="nothing to train on"):
        READERS["folder"].trained(tmp_path)


def test_a_table_of_labels_is_refused(tmp_path: Path) -> None:
    make_pairs(tmp_path)
    with pytest.raises(UserError, match="no table of labels"):
        READERS["masks"].read(str(tmp_path), "labels.csv")


def test_the_shared_camvid_is_as_described(shared: Path) -> None:
    reader: SceneReader = READERS["camvid"]
    test = scenes("camvid", shared / "camvid")
    training, choosing = reader.trained(shared / "camvid")
    assert choosing is not None
    assert [len(part.sources) for part in (training, choosing, test)] == [184, 26, 59]
    seen = set()
    for scene in test.sources[::10]:
        read = test.read_mask(scene)
        assert read.shape == (360, 480)
        seen |= set(read.ravel())
    assert seen <= {*range(11), 255}
    assert len(seen) > 8
