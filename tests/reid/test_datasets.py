"""Data sets that are searched once: names, layouts, counts on real labels, and what is off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from mpq.errors import UserError
from reid.datasets.base import Crop, ReidDataset, read_reid
from reid.protocols import MARKET

Place = Callable[[Path, Iterable[str]], Path]

QUERY = ["0001_c1s1_000001_00.jpg", "0002_c2s1_000002_00.jpg"]
GALLERY = [
    "-1_c1s1_000009_00.jpg",
    "0000_c3s1_000008_00.jpg",
    "0001_c2s1_000003_00.jpg",
    "0002_c1s2_000004_00.jpg",
]


def labels(crops: tuple[Crop, ...]) -> list[tuple[int, int]]:
    return [(crop.pid, crop.camid) for crop in crops]


def market(place: Place, folder: Path, query: list[str] = QUERY, gallery: list[str] = GALLERY) -> Path:
    place(folder / "query", query)
    place(folder / "bounding_box_test", gallery)
    return folder


def refusal(spec: str, root: Path | None) -> str:
    with pytest.raises(UserError) as error:
        read_reid(spec, root)
    message = str(error.value)
    assert "\n" not in message
    return message


# Market-1501 and its relatives


def test_the_protocols_counts_on_markets_real_labels(tmp_path: Path, shared: Path, placed: Place) -> None:
    real = np.load(shared / "reid" / "market1501_labels_real.npz")

    def names(pids: np.ndarray, camids: np.ndarray) -> list[str]:
        spelt = [f"{p:04d}" if p >= 0 else "-1" for p in pids]
        return [f"{p}_c{c}s1_{i:06d}_00.jpg" for i, (p, c) in enumerate(zip(spelt, camids, strict=True))]

    root = market(
        placed,
        tmp_path / "Market-1501-v15.09.15",
        names(real["q_pids"], real["q_camids"]),
        names(real["g_pids"], real["g_camids"]),
    )
    dataset = read_reid("market1501", root)
    assert len(dataset.query) == 3_368
    assert len({crop.pid for crop in dataset.query}) == 750
    pids = np.array([crop.pid for crop in dataset.gallery])
    assert (len(pids), (pids > 0).sum(), (pids == 0).sum(), (pids == -1).sum()) == (
        19_732,
        13_115,
        2_798,
        3_819,
    )
    assert dataset.notes == ()
    assert dataset.protocol == MARKET
    for crops, side in ((dataset.query, "q"), (dataset.gallery, "g")):
        expected = zip(real[f"{side}_pids"].tolist(), real[f"{side}_camids"].tolist(), strict=True)
        assert sorted(labels(crops)) == sorted(expected)


def test_a_subset_is_read_and_told(tmp_path: Path, placed: Place) -> None:
    dataset = read_reid("market1501", market(placed, tmp_path / "m"))
    assert labels(dataset.query) == [(1, 1), (2, 2)]
    assert labels(dataset.gallery) == [(-1, 1), (0, 3), (1, 2), (2, 1)]
    (note,) = dataset.notes
    assert "2 queries instead of 3,368" in note
    assert "1 junk instead of 3,819" in note


def test_any_folder_of_photographs_in_markets_naming(shared: Path) -> None:
    dataset = read_reid("folder", shared / "reid" / "motreid")
    assert (len(dataset.query), len(dataset.gallery)) == (396, 1_270)
    assert len({crop.pid for crop in dataset.query}) == 103
    assert sum(crop.pid == 0 for crop in dataset.gallery) == 280
    assert dataset.notes == ()
    assert read_reid("market1501", shared / "reid" / "motreid").notes != ()


@pytest.mark.parametrize(
    "inner", [".", "Market-1501-v15.09.15", "Market-1501", "market1501/Market-1501-v15.09.15"]
)
def test_the_root_is_the_folder_or_what_holds_it(tmp_path: Path, placed: Place, inner: str) -> None:
    market(placed, tmp_path / "data" / inner)
    market(placed, tmp_path / "data" / "DukeMTMC-reID", query=["0007_c1_f0000001.jpg"])
    dataset = read_reid("market1501", tmp_path / "data")
    assert [crop.id for crop in dataset.query] == QUERY


def test_what_is_no_picture_or_hidden_is_passed_over(tmp_path: Path, placed: Place) -> None:
    strange = ["Thumbs.db", "._0003_c1s1_000001_00.jpg", "0003_c1s1_000001_00.txt", ".DS_Store"]
    root = market(
        placed, tmp_path / "m", query=[*QUERY, *strange, "0003_c2s1_000009_00.JPG", "0003_c1s1_01.Png"]
    )
    (root / "query" / "0009_c1s1_000001_00.jpg").mkdir()
    dataset = read_reid("folder", root)
    assert labels(dataset.query) == [(1, 1), (2, 2), (3, 1), (3, 2)]
    assert dataset.notes == ()


def test_names_that_tell_nothing_are_told_and_left_out(tmp_path: Path, placed: Place) -> None:
    root = market(placed, tmp_path / "m", gallery=[*GALLERY, "picture.jpg", "-7_c1s1_1.jpg"])
    dataset = read_reid("folder", root)
    assert len(dataset.gallery) == 4
    assert dataset.notes == (
        "Left out: 2 pictures in 'bounding_box_test' (such as '-7_c1s1_1.jpg'), whose names tell no identity and camera.",
    )


def test_a_name_that_is_no_utf8_keeps_its_identity(tmp_path: Path, placed: Place) -> None:
    root = market(placed, tmp_path / "m")
    try:
        Path(root / "query" / "0005_c1s1_caf\udce9.jpg").hardlink_to(root / "query" / QUERY[0])
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    crop = read_reid("folder", root).query[-1]
    assert (crop.id, crop.pid, crop.path.is_file()) == ("0005_c1s1_caf\\xe9.jpg", 5, True)


def test_cameras_of_two_digits_are_not_cut(tmp_path: Path, placed: Place) -> None:
    root = market(
        placed, tmp_path / "m", query=["0001_c1_1.jpg"], gallery=["0001_c12_1.jpg", "0001_c1s2_1.jpg"]
    )
    assert labels(read_reid("folder", root).gallery) == [(1, 12), (1, 1)]


def test_identity_zero_with_queries_is_a_person(tmp_path: Path, placed: Place) -> None:
    root = market(placed, tmp_path / "m", query=["0000_c1_1.jpg"], gallery=["0000_c2_1.jpg", "0006_c2_1.jpg"])
    dataset = read_reid("folder", root)
    assert labels(dataset.query) == [(7, 1)]
    assert labels(dataset.gallery) == [(7, 2), (6, 2)]
    assert "identity 0" in dataset.notes[0]


def test_further_distractors_match_nobody_whatever_they_are_called(tmp_path: Path, placed: Place) -> None:
    root = market(placed, tmp_path / "Market-1501-v15.09.15")
    assert "images/" in refusal("market1501:500k", root)
    placed(root / "images", ["0001_c4s1_000001_00.jpg", "0000_c5s1_1.jpg", "00000017.jpg"])
    dataset = read_reid("market1501:500k", root)
    assert labels(dataset.gallery)[4:] == [(0, -1), (0, 5), (0, 4)]
    assert "3 further distractors instead of 500,000." in dataset.notes[-1]
    assert len({crop.id for crop in dataset.gallery}) == 7
    assert len(read_reid("market1501", root).gallery) == 4


def test_duke_and_occluded_duke(tmp_path: Path, placed: Place) -> None:
    market(placed, tmp_path / "DukeMTMC-reID", ["0005_c2_f0046985.jpg"], ["0005_c8_f0000120.jpg"])
    market(placed, tmp_path / "Occluded_Duke", ["0019_c1_f0051230.jpg"], ["0002_c1_f0044158.jpg"])
    duke, occluded = read_reid("dukemtmc-reid", tmp_path), read_reid("occluded-duke", tmp_path)
    assert labels(duke.query + duke.gallery) == [(5, 2), (5, 8)]
    assert labels(occluded.query + occluded.gallery) == [(19, 1), (2, 1)]
    assert "2,228" in duke.notes[0]
    assert "519" in occluded.notes[0]


def test_veris_cameras_have_three_digits(tmp_path: Path, placed: Place) -> None:
    placed(tmp_path / "VeRi" / "image_query", ["0002_c002_00030600_0.jpg"])
    placed(tmp_path / "VeRi" / "image_test", ["0002_c020_00030605_1.jpg", "0776_c013_00030600_0.jpg"])
    dataset = read_reid("veri", tmp_path)
    assert labels(dataset.query + dataset.gallery) == [(2, 2), (2, 20), (776, 13)]
    assert dataset.protocol == MARKET


# occluded queries among whole people


def test_occluded_reid_has_a_camera_for_each_role(tmp_path: Path, placed: Place) -> None:
    people = range(1, 201)
    for role in ("occluded", "whole"):
        names = [f"{p:03d}/{p:03d}_{k:02d}.tif" for p in people for k in range(1, 6)]
        placed(tmp_path / "Occluded_REID" / f"{role}_body_images", names)
    dataset = read_reid("occluded-reid", tmp_path)
    assert (len(dataset.query), len(dataset.gallery), dataset.notes) == (1_000, 1_000, ())
    assert {crop.camid for crop in dataset.query} == {1}
    assert {crop.camid for crop in dataset.gallery} == {2}
    assert dataset.query[-1].id == "200/200_05.tif"
    assert {crop.pid for crop in dataset.query} == set(people)


def test_occluded_pictures_may_lie_flat(tmp_path: Path, placed: Place) -> None:
    placed(tmp_path / "occluded_body_images", ["001_01.jpg"])
    placed(tmp_path / "whole_body_images", ["001_01.jpg", "002_01.jpg", "mask.jpg"])
    dataset = read_reid("occluded-reid", tmp_path)
    assert labels(dataset.gallery) == [(1, 2), (2, 2)]
    assert (
        dataset.notes[0]
        == "Left out: 1 picture in 'whole_body_images' (such as 'mask.jpg'), whose names tell no identity."
    )


def test_p_duke_lies_in_test(tmp_path: Path, placed: Place) -> None:
    folder = tmp_path / "P-DukeMTMC-reid" / "test"
    placed(folder / "occluded_body_images", ["0005/0005_c2_f0046985.jpg"])
    placed(folder / "whole_body_images", ["0005/0005_c2_f0047105.jpg", "0011/0011_c1_f0000001.jpg"])
    dataset = read_reid("p-duke", tmp_path)
    assert labels(dataset.query + dataset.gallery) == [(5, 1), (5, 2), (11, 2)]
    assert "own camera" in dataset.notes[-1]


# MSMT17


def msmt17(place: Place, folder: Path, pictures: str = "test") -> Path:
    query = ["0000/0000_000_01_0303morning_0015_0.jpg", "0001/0001_000_15_0113noon_0046_1.jpg"]
    gallery = ["0000/0000_001_07_0303morning_0018_0.jpg", "0001/0001_001_02_0113noon_0047_1.jpg"]
    place(folder / pictures, [*query, *gallery])
    for role, names in (("query", query), ("gallery", gallery)):
        lines = [f"{name} {int(name[:4])}\n" for name in names]
        (folder / f"list_{role}.txt").write_text("".join(lines))
    return folder


def test_msmt17s_lists_say_whose_a_picture_is(tmp_path: Path, placed: Place) -> None:
    dataset = read_reid("msmt17", msmt17(placed, tmp_path / "MSMT17_V1").parent)
    # the lists count from 0, which here would be a distractor
    assert labels(dataset.query) == [(1, 1), (2, 15)]
    assert labels(dataset.gallery) == [(1, 7), (2, 2)]
    assert all(crop.path.is_file() for crop in dataset.query)
    assert "82,161" in dataset.notes[0]


def test_msmt17s_two_versions_are_told_apart(tmp_path: Path, placed: Place) -> None:
    msmt17(placed, tmp_path / "MSMT17_V1")
    assert "mask_test_v2" in refusal("msmt17:v2", tmp_path)
    msmt17(placed, tmp_path / "MSMT17_V2", "mask_test_v2")
    for version in ("v1", "v2"):
        dataset = read_reid(f"msmt17:{version}", tmp_path)
        assert f"MSMT17_{version.upper()}" in dataset.query[0].path.parts
        assert any("blurred" in note for note in dataset.notes) == (version == "v2")


def test_msmt17_without_some_pictures(tmp_path: Path, placed: Place) -> None:
    root = msmt17(placed, tmp_path)
    (root / "test/0001/0001_000_15_0113noon_0046_1.jpg").unlink()
    dataset = read_reid("msmt17", root)
    assert labels(dataset.query) == [(1, 1)]
    assert dataset.notes[0].startswith("Not there: 1 picture that list_query.txt names")
    for path in (root / "test").rglob("*_07_*"):
        path.unlink()
    (root / "list_gallery.txt").write_text("0000/0000_001_07_0303morning_0018_0.jpg 0\n")
    assert f"{root / 'test'}" in refusal("msmt17", root)


@pytest.mark.parametrize(
    "line",
    ["nonsense", "0000/0000.jpg 0", "../../secret_000_01_x.jpg 0", "/a_b_01_c.jpg 1", "a_b_01_c.jpg x"],
)
def test_a_wrong_line_in_a_list_is_named(tmp_path: Path, placed: Place, line: str) -> None:
    root = msmt17(placed, tmp_path)
    with (root / "list_query.txt").open("a") as file:
        file.write(f"\n{line}\n")
    assert "list_query.txt line 4" in refusal("msmt17", root)


# what users get wrong


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("market1502", "did you mean 'market1501'"),
        ("Market-1501", "did you mean 'market1501'"),
        ("sysu-mm1", "did you mean 'sysu-mm01'"),
        ("", "unknown data set"),
        ("market1501:600k", "no variant '600k'; did you mean '500k'"),
        ("market1501:", "no variant ''"),
        ("veri:all", "no variant 'all'"),
        ("market1501@1", "no splits"),
        ("regdb@11", "splits are 1 to 10, not '11'"),
        ("regdb@0", "splits are 1 to 10"),
        ("regdb@", "splits are 1 to 10"),
        ("regdb:thermal-to-visible@two", "splits are 1 to 10"),
        ("regdb:visible", "did you mean 'visible-to-thermal'"),
    ],
)
def test_a_wrong_name_is_one_sentence(tmp_path: Path, spec: str, words: str) -> None:
    assert words in refusal(spec, tmp_path)


def test_a_path_in_the_names_place_is_told_where_it_goes(tmp_path: Path) -> None:
    assert f"folder --root {tmp_path}" in refusal(str(tmp_path), None)
    table = tmp_path / "mine.csv"
    table.touch()
    assert f"manifest --root {table}" in refusal(str(table), None)


NAMES = [
    "cuhk03",
    "dukemtmc-reid",
    "folder",
    "market1501",
    "msmt17",
    "occluded-duke",
    "occluded-reid",
    "p-duke",
]
NAMES += ["regdb", "sysu-mm01", "veri", "cuhk03:classic-labeled"]


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_root_says_what_it_should_hold(tmp_path: Path, name: str) -> None:
    assert "--root" in refusal(name, None)
    assert "there is no folder" in refusal(name, tmp_path / "absent")
    message = refusal(name, tmp_path)
    assert str(tmp_path) in message
    assert "should hold" in message


def test_half_a_root_says_what_is_missing(tmp_path: Path, placed: Place) -> None:
    placed(tmp_path / "query", QUERY)
    message = refusal("market1501", tmp_path)
    assert "there is no bounding_box_test;" in message


def test_a_folder_without_usable_pictures_is_named(tmp_path: Path, placed: Place) -> None:
    root = market(placed, tmp_path / "m", gallery=[])
    assert refusal("market1501", root) == f"'{root / 'bounding_box_test'}' holds no picture"
    placed(root / "bounding_box_test", ["cat.jpg"])
    message = refusal("market1501", root)
    assert f"{root / 'bounding_box_test'}" in message
    assert "'cat.jpg'" in message


def test_a_plugin_may_add_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from reid.datasets import base

    class Twice(base.ReidReader):
        name = "twice"
        summary = layout = "nothing"

        def read(self, root: Path | None, variant: str) -> ReidDataset:
            crop = Crop("a", tmp_path / "a.jpg", 1, 1)
            return ReidDataset("twice", (crop,), (), MARKET)

    monkeypatch.setitem(base.registry.entries, "twice", Twice)
    assert "no usable picture as a gallery" in refusal("twice", None)


@pytest.mark.parametrize(
    ("query", "gallery", "role"),
    [(QUERY, ["-1_c1s1_1.jpg"], "gallery"), (["-1_c1s1_1.jpg"], GALLERY, "query")],
)
def test_junk_alone_is_no_half_of_a_data_set(
    tmp_path: Path, placed: Place, query: list[str], gallery: list[str], role: str
) -> None:
    said = refusal("folder", market(placed, tmp_path / "m", query=query, gallery=gallery))
    assert f"nothing but junk, of identity −1, as a {role}" in said
