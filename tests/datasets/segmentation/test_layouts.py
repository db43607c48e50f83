"""The public layouts, on trees made here: who recognises what, which part is taken, and what a mask's values mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mpq.datasets.base import Dataset, read_dataset
from mpq.datasets.segmentation import above, ade20k, camvid, cityscapes, folder, voc
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
        above.Above,
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
        (None, r"classes\.txt, which .*, cannot be read: No such file or directory$"),
        (b"caf\xe9\n", "cannot be read: it is not UTF-8"),
        (b"".join(b"c%d\n" % i for i in range(70_000)), "names 70,000 values; more than 4,096"),
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


def flat(root: Path) -> None:
    """a.jpg and c.jpg with their masks beside them, b.jpg without, and a list of classes."""
    for name in "abc":
        picture(root / f"{name}.jpg")
    mask(root / "a.png", plain(0, 1))
    mask(root / "c.PNG", plain(1, 0))
    (root / "classes.txt").write_text("road\ntree\n")


def test_pairs_side_by_side(tmp_path: Path) -> None:
    flat(tmp_path)
    mask(tmp_path / "d.png", plain(0, 1))
    assert READERS["masks"].recognises(tmp_path)
    found = scenes("masks", tmp_path)
    assert [source.id for source in found.sources] == ["a.jpg", "c.jpg"]
    assert [source.mask.name for source in found.sources] == ["a.png", "c.PNG"]
    assert found.problems == ("b.jpg has no mask", "d.png is the mask of no JPEG")
    assert found.read_mask(found.sources[0]).tolist() == plain(0, 1)


def test_pairs_side_by_side_without_a_list_are_pictures_and_it_is_said(tmp_path: Path) -> None:
    flat(tmp_path)
    (tmp_path / "classes.txt").unlink()
    found = scenes("folder", tmp_path)
    assert len(found.sources) == 5
    assert found.notes == (
        "a.png may be a mask, and is taken for a picture: masks are read where there is a classes.txt",
    )
    (tmp_path / "a.png").unlink()
    (tmp_path / "c.PNG").unlink()
    picture(tmp_path / "a.png")
    assert scenes("folder", tmp_path).notes == ()


@pytest.mark.parametrize("masks", ["gt", "nothing"])
def test_a_list_of_classes_without_masks_is_asked_for_them(masks: str, tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    if masks == "gt":
        mask(tmp_path / "gt" / "a.png", plain(0, 1))
    (tmp_path / "classes.txt").write_text("road\ntree\n")
    with pytest.raises(
        UserError, match=r"has no images/ and masks/, nor a PNG beside .*masks/NAME\.png.*--data folder:"
    ):
        read_dataset(str(tmp_path), task="segmentation")
    if masks == "nothing":
        assert len(scenes("folder", tmp_path).sources) == 1


@pytest.mark.parametrize(
    ("pictures", "masks"),
    [
        ("images/a.jpg", "gt/a.png"),
        ("test/a.png", "test_labels/a_L.png"),
        ("x/train/a.jpg", "x/train_masks/a_mask.gif"),
    ],
)
def test_masks_in_an_unknown_layout_are_not_taken_for_pictures(
    pictures: str, masks: str, tmp_path: Path
) -> None:
    picture(tmp_path / pictures)
    mask(tmp_path / masks, plain(0, 1))
    alone = (tmp_path / pictures).parent
    with pytest.raises(UserError, match=rf"{masks} looks like the mask of {pictures}.*--data {alone}$"):
        read_dataset(str(tmp_path), task="segmentation")
    assert len(read_dataset(str(alone), task="segmentation").sources) == 1


@pytest.mark.parametrize("other", ["low/a.png", "labelled/b.png", "gt/b_a.png"])
def test_folders_of_pictures_side_by_side_are_pictures(other: str, tmp_path: Path) -> None:
    picture(tmp_path / "high" / "a.png")
    picture(tmp_path / other)
    assert len(read_dataset(str(tmp_path), task="segmentation").sources) == 2


@pytest.mark.parametrize("name", MAKERS)
def test_a_folder_above_one_that_is_known(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path / "unpacked")
    (tmp_path / "readme.txt").write_text("")
    found = read_dataset(str(tmp_path), task="segmentation")
    assert isinstance(found, Scenes)
    same = scenes(name, tmp_path / "unpacked")
    assert (found.sources, found.classes) == (same.sources, same.classes)
    assert found.notes[0] == f"'{tmp_path}' is read as {name}:{tmp_path / 'unpacked'}"
    theirs, ours = READERS[name].trained(tmp_path / "unpacked"), READERS["above"].trained(tmp_path)
    assert [part and part.sources for part in ours] == [part and part.sources for part in theirs]


def test_a_folder_above_several_or_beside_pictures(tmp_path: Path) -> None:
    make_camvid(tmp_path / "one")
    picture(tmp_path / "holiday.jpg")
    with pytest.raises(
        UserError, match="one/testannot/e.png looks like the mask of one/test/e.png, but .* as a whole"
    ):
        read_dataset(str(tmp_path), task="segmentation")
    (tmp_path / "holiday.jpg").unlink()
    make_ade20k(tmp_path / "two")
    with pytest.raises(UserError, match="holds several folders with pictures and masks: one, two; name one"):
        read_dataset(str(tmp_path), task="segmentation")
    with pytest.raises(UserError, match="holds no folder with pictures and masks"):
        READERS["above"].read(str(tmp_path / "one" / "val"), None)


def test_endings_of_masks_are_taken_in_any_case_and_jpegs_are_not_masks(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        picture(tmp_path / "images" / f"{name}.JPG")
    mask(tmp_path / "masks" / "a.PNG", plain(0, 1))
    mask(tmp_path / "masks" / "b.TIF", plain(0, 1))
    picture(tmp_path / "masks" / "c.jpg")
    (tmp_path / "classes.txt").write_text("road\ntree\n")
    found = scenes("masks", tmp_path)
    assert [source.id for source in found.sources] == ["a.JPG", "b.JPG"]
    assert found.problems == (
        "c.JPG has no mask but c.jpg: a JPEG does not keep class indices, a PNG does",
        "d.JPG has no mask",
    )


def own(root: Path, classes: str, *masks: list[list[int]], kind: str = "uint8") -> Scenes:
    for i, rows in enumerate(masks):
        picture(root / "images" / f"{i}.jpg")
        mask(root / "masks" / f"{i}.png", rows, kind)
    (root / "classes.txt").write_text(classes)
    return scenes("masks", root)


def test_16_bit_masks_may_leave_out_65535(tmp_path: Path) -> None:
    found = own(tmp_path, "road\ntree\nsky", plain(2, 65_535), plain(2, 255), kind="uint16")
    assert [set(found.read_mask(scene).ravel()) for scene in found.sources] == [{2, 255}, {2, 255}]
    assert found.unlabelled == (255, 65_535)


def test_in_a_long_list_255_is_a_class(tmp_path: Path) -> None:
    found = own(tmp_path, "\n".join(f"c{i}" for i in range(256)), plain(2, 255))
    assert set(found.read_mask(found.sources[0]).ravel()) == {2, 255}
    assert (found.ignored, found.unlabelled) == (65_535, (65_535,))


@pytest.mark.parametrize(("white", "kind"), [(255, "uint8"), (65_535, "uint16")])
@pytest.mark.parametrize("classes", ["ground\ncrack", "ground\ncrack\nvoid"])
def test_black_and_white_masks_of_two_classes(classes: str, white: int, kind: str, tmp_path: Path) -> None:
    found = own(tmp_path, classes, plain(0, white), plain(white, 0), plain(0, 0), kind=kind)
    masks = [found.read_mask(scene).tolist() for scene in found.sources]
    assert masks == [plain(0, 1), plain(1, 0), plain(0, 0)]
    assert found.notes == (
        f"the masks hold 0 and {white} alone: {white} is read as 'crack', whose value is 1 by classes.txt",
    )


@pytest.mark.parametrize("masks", [(plain(0, 1), plain(0, 255)), (plain(0, 0),), (plain(0, 1),)])
def test_masks_of_two_classes_by_the_list(masks: tuple[list[list[int]], ...], tmp_path: Path) -> None:
    found = own(tmp_path, "ground\ncrack", *masks)
    assert [found.read_mask(s).tolist() for s in found.sources] == list(masks)
    assert found.notes == ()


def test_classes_in_no_mask_are_named_where_255_is_there(tmp_path: Path) -> None:
    found = own(tmp_path, "road\ntree\nsky", plain(0, 255), plain(2, 255))
    assert found.notes == (
        "no pixel of the 2 masks looked at is tree (1 of 3 classes); the value 255, which is there, is not scored",
    )
    assert own(tmp_path / "more", "road\ntree\nsky", plain(0, 2)).notes == ()
    assert found.without_labels().notes == ()


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
