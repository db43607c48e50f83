"""Data sets whose galleries are drawn or split: SYSU-MM01, RegDB, CUHK03."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mpq.errors import UserError
from reid.datasets.base import read_reid
from reid.protocols import MARKET

Place = Callable[[Path, Iterable[str]], Path]

# SYSU-MM01: identity -> how many pictures under cameras 1 to 6; not everybody was under every camera
PICTURES = {6: (3, 4, 2, 5, 4, 3), 10: (0, 0, 3, 4, 6, 2), 333: (5, 7, 0, 3, 2, 1), 17: (2, 2, 2, 2, 2, 2)}
TEST = (333, 6, 10)


def sysu(place: Place, root: Path) -> Path:
    for pid, counts in PICTURES.items():
        for camid, count in enumerate(counts, start=1):
            place(root / f"cam{camid}", [f"{pid:04d}/{k:04d}.jpg" for k in range(1, count + 1)])
    (root / "exp").mkdir()
    (root / "exp" / "test_id.txt").write_text(",".join(map(str, TEST)) + "\n")
    return root


@pytest.mark.parametrize(("search", "visible"), [("all", (1, 2, 4, 5)), ("indoor", (1, 2))])
def test_sysus_galleries_are_drawn_as_in_the_literature(
    tmp_path: Path, placed: Place, search: str, visible: tuple[int, ...]
) -> None:
    root = sysu(placed, tmp_path / "SYSU-MM01")
    dataset = read_reid(f"sysu-mm01:{search}", tmp_path)
    assert (dataset.protocol.rule, dataset.protocol.cmc) == ("sysu", "identities")
    assert len(dataset.protocol.trials) == 10
    for number, trial in enumerate(dataset.protocol.trials):
        random.seed(number)
        published = [
            str(random.choice(files))
            for pid in sorted(TEST)
            for camid in visible
            if (files := sorted((root / f"cam{camid}" / f"{pid:04d}").glob("*")))
        ]
        assert [str(dataset.gallery[i].path) for i in trial.gallery] == published
        assert trial.query.tolist() == list(range(len(dataset.query)))


def test_sysus_queries_are_all_infrared_pictures_of_test_identities(tmp_path: Path, placed: Place) -> None:
    dataset = read_reid("sysu-mm01", sysu(placed, tmp_path))
    assert [(crop.pid, crop.camid) for crop in dataset.query] == (
        [(6, 3)] * 2 + [(6, 6)] * 3 + [(10, 3)] * 3 + [(10, 6)] * 2 + [(333, 6)]
    )
    assert {crop.camid for crop in dataset.gallery} == {1, 2, 4, 5}
    assert len({crop.id for crop in dataset.gallery}) == len(dataset.gallery)
    assert "10 pictures in each gallery instead of 301" in dataset.notes[0]


def test_one_of_sysus_trials(tmp_path: Path, placed: Place) -> None:
    root = sysu(placed, tmp_path)
    every, fourth = read_reid("sysu-mm01", root), read_reid("sysu-mm01@4", root)
    assert len(fourth.protocol.trials) == 1
    ids = [fourth.gallery[i].id for i in fourth.protocol.trials[0].gallery]
    assert ids == [every.gallery[i].id for i in every.protocol.trials[3].gallery]


def test_a_file_of_windows_does_not_shift_sysus_draws(tmp_path: Path, placed: Place) -> None:
    root = sysu(placed, tmp_path)
    before = read_reid("sysu-mm01", root)
    placed(root, ["cam1/0006/Thumbs.db", "cam5/0010/.hidden.jpg"])
    after = read_reid("sysu-mm01", root)
    assert after.gallery == before.gallery
    for old, new in zip(before.protocol.trials, after.protocol.trials, strict=True):
        assert old.gallery.tolist() == new.gallery.tolist()


@pytest.mark.parametrize("text", ["", "6,x,10", "6 10 17", "-6,10"])
def test_sysus_identities_must_be_a_line_of_numbers(tmp_path: Path, placed: Place, text: str) -> None:
    root = sysu(placed, tmp_path)
    (root / "exp" / "test_id.txt").write_text(text)
    with pytest.raises(UserError, match=r"test_id\.txt"):
        read_reid("sysu-mm01", root)


def test_sysu_without_the_test_identities_pictures(tmp_path: Path, placed: Place) -> None:
    root = sysu(placed, tmp_path)
    (root / "exp" / "test_id.txt").write_text("400,401\n")
    with pytest.raises(UserError, match="no infrared or no visible picture"):
        read_reid("sysu-mm01", root)


# RegDB


def regdb(place: Place, root: Path, splits: dict[int, list[int]], folder: str = "{person}/") -> Path:
    """splits: number -> the persons tested, whose labels are their places."""
    (root / "idx").mkdir(parents=True)
    made: set[str] = set()
    for number in range(1, 11):
        people = splits.get(number, splits[1])
        for modality in ("visible", "thermal"):
            lines = []
            for label, person in enumerate(people):
                for shot in range(2):
                    where = folder.format(person=person)
                    file = f"{modality.title()}/{where}male_{modality[0]}_{shot:05d}_{person}.bmp"
                    lines.append(f"{file} {label}\n")
                    made.add(file)
            (root / "idx" / f"test_{modality}_{number}.txt").write_text("".join(lines))
    place(root, sorted(made))
    return root


SPLITS = {1: [3, 8], 2: [8, 41], 7: [41, 3]}


@pytest.mark.parametrize("direction", ["visible-to-thermal", "thermal-to-visible"])
def test_regdbs_splits_are_searched_either_way(tmp_path: Path, placed: Place, direction: str) -> None:
    root = regdb(placed, tmp_path / "RegDB", SPLITS)
    dataset = read_reid(f"regdb:{direction}", tmp_path)
    asked, searched = (1, 2) if direction == "visible-to-thermal" else (2, 1)
    assert {crop.camid for crop in dataset.query} == {asked}
    assert {crop.camid for crop in dataset.gallery} == {searched}
    # each picture once, though labels are counted anew in each split
    assert len(dataset.query) == len(dataset.gallery) == 6
    assert len(dataset.protocol.trials) == 10
    for number, trial in enumerate(dataset.protocol.trials, start=1):
        for crops, indices in ((dataset.query, trial.query), (dataset.gallery, trial.gallery)):
            whose = [crops[i].path.parent.name for i in indices]
            assert whose == [str(person) for person in SPLITS.get(number, SPLITS[1]) for _ in range(2)]
            assert len({crops[i].pid for i in indices}) == 2
    pids = {crop.path.parent.name: crop.pid for crop in dataset.query}
    assert all(crop.pid == pids[crop.path.parent.name] for crop in dataset.gallery)
    assert 0 not in pids.values()
    assert all(crop.path.is_file() for crop in dataset.query)
    assert root in dataset.query[0].path.parents


def test_one_of_regdbs_splits_needs_only_its_lists(tmp_path: Path, placed: Place) -> None:
    root = regdb(placed, tmp_path, SPLITS)
    (root / "idx" / "test_thermal_3.txt").unlink()
    dataset = read_reid("regdb:thermal-to-visible@7", root)
    assert {crop.path.parent.name for crop in dataset.query} == {"3", "41"}
    assert len(dataset.protocol.trials) == 1
    with pytest.raises(UserError, match=r"test_thermal_3\.txt"):
        read_reid("regdb", root)


def test_regdb_where_folders_tell_no_identity(tmp_path: Path, placed: Place) -> None:
    root = regdb(placed, tmp_path, SPLITS, folder="")
    dataset = read_reid("regdb", root)
    for trial, people in zip(
        dataset.protocol.trials, [SPLITS.get(n, SPLITS[1]) for n in range(1, 11)], strict=True
    ):
        for crops, indices in ((dataset.query, trial.query), (dataset.gallery, trial.gallery)):
            assert [crops[i].path.stem.rpartition("_")[2] for i in indices] == [
                str(p) for p in people for _ in "ab"
            ]
        assert {dataset.query[i].pid for i in trial.query} == {dataset.gallery[i].pid for i in trial.gallery}
        assert len({dataset.query[i].pid for i in trial.query}) == 2
    assert len({crop.id for crop in dataset.query}) == len(dataset.query)


def test_regdb_without_some_pictures_and_without_all(tmp_path: Path, placed: Place) -> None:
    root = regdb(placed, tmp_path, SPLITS)
    (root / "Visible/3/male_v_00000_3.bmp").unlink()
    dataset = read_reid("regdb", root)
    assert len(dataset.query) == 5
    assert "Not there: 1 picture that idx/ names, the first 'Visible/3/male_v_00000_3.bmp'." in dataset.notes
    for path in (root / "Thermal").rglob("*.bmp"):
        path.unlink()
    with pytest.raises(UserError, match="none of the pictures"):
        read_reid("regdb", root)


def test_a_wrong_line_of_regdb_is_named(tmp_path: Path, placed: Place) -> None:
    root = regdb(placed, tmp_path, SPLITS)
    (root / "idx" / "test_visible_2.txt").write_text("Visible/8/a.bmp 0\n../../etc/a.bmp 1\n")
    with pytest.raises(UserError, match=r"test_visible_2\.txt line 2"):
        read_reid("regdb", root)


# CUHK03


@pytest.mark.parametrize("boxes", ["detected", "labeled"])
def test_cuhk03_in_markets_layout(tmp_path: Path, placed: Place, boxes: str) -> None:
    folder = tmp_path / "CUHK03-NP" / boxes
    placed(folder / "query", ["0003_c1_22.png", "0003_c2_28.png"])
    placed(folder / "bounding_box_test", ["0003_c1_21.png", "0003_c2_27.png", "0006_c1_51.png"])
    dataset = read_reid(f"cuhk03:{boxes}", tmp_path)
    assert [(c.pid, c.camid) for c in dataset.gallery] == [(3, 1), (3, 2), (6, 1)]
    assert dataset.protocol == MARKET
    assert f"instead of {5332 if boxes == 'detected' else 5328:,}" in dataset.notes[0]


NAMES = [
    f"{pair}_{person:03d}_{view}_{5 * (view - 1) + k:02d}.png"
    for pair in (1, 2)
    for person in (1, 3)
    for view in (1, 2)
    for k in (1, 2)
]


def config(root: Path, boxes: str = "detected", **changes: object) -> None:
    pids = [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4]
    content = {
        "filelist": np.array(NAMES, dtype=object)[:, None],
        "labels": np.array(pids, np.uint16)[:, None],
        "camId": np.array([int(name[6]) for name in NAMES], np.uint8)[:, None],
        "query_idx": np.array([5, 7, 13, 15], np.uint16)[:, None],
        "gallery_idx": np.array([6, 8, 14, 16], np.uint16)[:, None],
    }
    savemat(root / f"cuhk03_new_protocol_config_{boxes}.mat", content | changes)


@pytest.mark.parametrize("folder", ["images_detected", "cuhk03_detected"])
def test_cuhk03_by_the_protocols_own_table(tmp_path: Path, placed: Place, folder: str) -> None:
    placed(tmp_path / folder, NAMES)
    config(tmp_path)
    dataset = read_reid("cuhk03", tmp_path)
    # Matlab counts from 1
    assert [c.id for c in dataset.query] == [NAMES[4], NAMES[6], NAMES[12], NAMES[14]]
    assert [(c.pid, c.camid) for c in dataset.gallery] == [(2, 1), (2, 2), (4, 1), (4, 2)]
    assert dataset.protocol == MARKET
    with pytest.raises(UserError, match="should hold"):
        read_reid("cuhk03:labeled", tmp_path)


def test_cuhk03s_table_without_pictures_or_damaged(tmp_path: Path, placed: Place) -> None:
    config(tmp_path)
    with pytest.raises(UserError, match="torchreid"):
        read_reid("cuhk03", tmp_path)
    placed(tmp_path / "images_detected", NAMES[:8])
    dataset = read_reid("cuhk03", tmp_path)
    assert (len(dataset.query), len(dataset.gallery)) == (2, 2)
    assert dataset.notes[0].startswith(
        "Not there: 4 pictures that cuhk03_new_protocol_config_detected.mat names"
    )
    for changes in ({"query_idx": np.array([99])}, {"labels": np.array(["x"])}):
        config(tmp_path, **changes)
        with pytest.raises(UserError, match="is not the 767/700 protocol's table"):
            read_reid("cuhk03", tmp_path)
    (tmp_path / "cuhk03_new_protocol_config_detected.mat").write_bytes(b"junk" * 99)
    with pytest.raises(UserError, match="is not the 767/700 protocol's table"):
        read_reid("cuhk03", tmp_path)


def classic(place: Place, root: Path, sets: list[list[str]]) -> Path:
    place(root / "images_labeled", NAMES)
    rows = [
        {"query": [[f"/elsewhere/images_labeled/{name}", 0, 0] for name in NAMES if name[:5] in one]}
        for one in sets
    ]
    (root / "splits_classic_labeled.json").write_text(json.dumps(rows))
    return root


def test_cuhk03s_classic_protocol_draws_one_picture_a_person(tmp_path: Path, placed: Place) -> None:
    root = classic(placed, tmp_path, [["1_001", "2_003"], ["1_003", "2_001"], ["1_001", "1_003"]])
    dataset = read_reid("cuhk03:classic-labeled", root)
    # persons are counted anew in each pair of cameras
    assert len({crop.pid for crop in dataset.gallery}) == 4
    trials = dataset.protocol.trials
    assert len(trials) == 3 * 10 * 2
    for place, trial in enumerate(trials):
        people = [{"1_001", "2_003"}, {"1_003", "2_001"}, {"1_001", "1_003"}][place // 20]
        query, gallery = [dataset.query[i] for i in trial.query], [dataset.gallery[i] for i in trial.gallery]
        assert {crop.id[:5] for crop in query} == {crop.id[:5] for crop in gallery} == people
        assert (len(query), len(gallery)) == (4, 2)
        assert ({crop.camid for crop in query}, {crop.camid for crop in gallery}) == (({1}, {2}), ({2}, {1}))[
            place % 2
        ]
    assert "not comparable with 767/700" in dataset.notes[0]
    assert "3 sets instead of 20" in dataset.notes[1]
    second = read_reid("cuhk03:classic-labeled@2", root)
    assert {crop.id[:5] for crop in second.query} == {"1_003", "2_001"}
    for one, other in zip(second.protocol.trials, trials[20:40], strict=True):
        ids = [second.gallery[i].id for i in one.gallery]
        assert ids == [dataset.gallery[i].id for i in other.gallery]


def test_the_two_protocols_of_cuhk03_do_not_mix(tmp_path: Path, placed: Place) -> None:
    root = classic(placed, tmp_path, [["1_001"]])
    with pytest.raises(UserError, match="cuhk03_new_protocol_config_labeled"):
        read_reid("cuhk03:labeled", root)
    with pytest.raises(UserError, match="no splits to choose from"):
        read_reid("cuhk03:labeled@3", root)
    with pytest.raises(UserError, match="splits_classic_detected"):
        read_reid("cuhk03:classic-detected", root)
    with pytest.raises(UserError, match="no test set 2"):
        read_reid("cuhk03:classic-labeled@2", root)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[1]",
        '[{"query": []}]',
        '[{"query": [["a.png", 0, 0]]}]',
        '[{"query": [[1]]}]',
        "[" * 99999,
    ],
)
def test_a_damaged_list_of_test_sets_is_one_sentence(tmp_path: Path, placed: Place, text: str) -> None:
    root = classic(placed, tmp_path, [["1_001"]])
    (root / "splits_classic_labeled.json").write_text(text)
    with pytest.raises(UserError, match=r"splits_classic_labeled\.json"):
        read_reid("cuhk03:classic-labeled", root)


def test_of_many_missing_files_the_first_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="test_visible_1.txt") as refused:
        read_reid("regdb", tmp_path)
    assert "and 17 more; it should hold" in str(refused.value)
    assert len(str(refused.value)) < 400
