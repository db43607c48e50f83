"""Folders: every layout is recognised, and every row that is wrong is named and left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from mpq.datasets.base import read_dataset
from mpq.errors import UserError


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (4, 4), (len(name), 0, 0)).save(folder / name)
    return folder


def test_an_unlabelled_folder_is_read_at_any_depth_in_order(pictures: Path) -> None:
    (pictures / "deep" / "er").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(pictures / "deep" / "er" / "d.JPG", "JPEG")
    (pictures / ".hidden.png").write_bytes(b"")
    (pictures / "notes.txt").write_text("no picture")
    dataset = read_dataset(str(pictures))
    assert [source.id for source in dataset.sources] == ["a.png", "b.png", "c.png", "deep/er/d.JPG"]
    assert not dataset.labelled


def test_labels_are_read_beside_the_pictures(pictures: Path) -> None:
    (pictures / "labels.csv").write_text("file,class_index,name\na.png,7,cock\nb.png,8,hen\n")
    dataset = read_dataset(str(pictures))
    assert [(s.id, s.label) for s in dataset.sources] == [("a.png", "7"), ("b.png", "8")]


def test_a_table_elsewhere_in_another_dialect(pictures: Path, tmp_path: Path) -> None:
    table = tmp_path / "truth.tsv"
    table.write_bytes(b"\xef\xbb\xbfimage\tlabel\r\na.png\tgreat white shark, white shark\r\n")
    dataset = read_dataset(str(pictures), str(table))
    assert [s.label for s in dataset.sources] == ["great white shark, white shark"]


def test_wrong_rows_are_named_and_the_rest_is_kept(pictures: Path) -> None:
    rows = ["file,label", "a.png,1", "nosuch.png,2", "b.png", "c.png,", "a.png,3", ",4", "", "c.png,5"]
    (pictures / "labels.csv").write_text("\n".join(rows))
    dataset = read_dataset(str(pictures))
    assert [(s.id, s.label) for s in dataset.sources] == [("a.png", "1"), ("c.png", "5")]
    assert dataset.problems == (
        "labels.csv line 3: no file 'nosuch.png'",
        "labels.csv line 4: 1 values for 2 columns",
        "labels.csv line 5: no label for 'c.png'",
        "labels.csv line 6: 'a.png' stands there twice",
        "labels.csv line 7: no file ''",
    )


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "is empty"),
        (b"picture,truth\na.png,1\n", "has no column file/path"),
        (b"file,truth\na.png,1\n", "has no column class_index/label"),
        (b"file,label\n\xff\xfe.png,1\n", "UTF-8"),
        (b"file,label\nnosuch.png,1\n", "no usable picture.*nosuch.png"),
    ],
)
def test_a_wrong_table_is_one_sentence(pictures: Path, content: bytes, named: str) -> None:
    (pictures / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=named):
        read_dataset(str(pictures))


def test_imagefolder_takes_the_first_folders_name(pictures: Path) -> None:
    for wnid in ("n01440764", "n01443537"):
        (pictures / wnid / "sub").mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(pictures / wnid / "sub" / "x.png")
    for loose in pictures.glob("*.png"):
        loose.unlink()
    dataset = read_dataset(str(pictures))
    assert [s.label for s in dataset.sources] == ["n01440764", "n01443537"]
    assert dataset.classes == ("n01440764", "n01443537")


def test_links_are_followed_and_those_to_nowhere_are_told(pictures: Path, tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    (album / "linked").symlink_to(pictures)
    (album / "loop").symlink_to(album)
    (album / "gone.jpg").symlink_to(tmp_path / "nosuch.jpg")
    dataset = read_dataset(str(album))
    assert [source.id for source in dataset.sources] == ["linked/a.png", "linked/b.png", "linked/c.png"]
    assert len(dataset.problems) == 1
    assert "gone.jpg cannot be read" in dataset.problems[0]


def test_a_file_name_need_not_be_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    Image.new("RGB", (4, 4)).save(tmp_path / name)
    assert [source.id for source in read_dataset(str(tmp_path)).sources] == ["caf\\xe9.png"]


def test_one_file_under_two_names_counts_once(pictures: Path) -> None:
    (pictures / "labels.csv").write_text("file,label\na.png,1\n./a.png,1\n" + "x" * 300 + ".png,1\n")
    dataset = read_dataset(str(pictures))
    assert len(dataset.sources) == 1
    assert len(dataset.problems) == 2


@pytest.mark.parametrize("data", ["~nosuchuser/x", "x" * 5000, "a\0b"])
def test_what_is_no_path_is_one_sentence(data: str) -> None:
    with pytest.raises(UserError, match="no path that can be used|neither a folder nor"):
        read_dataset(data)


def test_what_is_no_data_set_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a folder nor a data set"):
        read_dataset(str(tmp_path / "nosuch"))
    with pytest.raises(UserError, match="holds no picture"):
        read_dataset(str(tmp_path))
    file = tmp_path / "x.png"
    file.write_bytes(b"")
    with pytest.raises(UserError, match="is a file"):
        read_dataset(str(file))


def test_a_subset_is_drawn_and_smaller_ones_lie_in_larger() -> None:
    whole = read_dataset("embedded")
    five, ten = whole.subset(5, seed=1), whole.subset(10, seed=1)
    assert len(five.sources) == 5
    assert set(five.sources) < set(ten.sources) < set(whole.sources)
    assert [s for s in whole.sources if s in ten.sources] == list(ten.sources)
    assert whole.subset(5, seed=2).sources != five.sources
    assert whole.subset(100, seed=1) is whole


def test_the_fingerprint_is_of_the_content(pictures: Path) -> None:
    before = read_dataset(str(pictures)).fingerprint
    (pictures / "a.png").touch()
    assert read_dataset(str(pictures)).fingerprint == before
    Image.new("RGB", (4, 4), (9, 9, 9)).save(pictures / "a.png")
    assert read_dataset(str(pictures)).fingerprint != before


def test_the_embedded_photographs() -> None:
    dataset = read_dataset("embedded")
    assert len(dataset.sources) == 20
    assert dataset.sources[0].label == "243"
