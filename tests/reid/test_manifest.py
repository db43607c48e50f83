"""Tables of one's own pictures, with cameras and without."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from mpq.errors import UserError
from reid.datasets.base import read_reid
from reid.protocols import MARKET

Place = Callable[[Path, Iterable[str]], Path]


@pytest.fixture
def table(tmp_path: Path, placed: Place) -> Callable[..., Path]:
    placed(tmp_path / "mine", ["a.jpg", "b.jpg", "c.jpg", "sub/d.png"])

    def write(text: str, name: str = "mine/manifest.csv") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def labels(path: Path) -> list[list[tuple[int, int]]]:
    dataset = read_reid("manifest", path)
    return [[(crop.pid, crop.camid) for crop in crops] for crops in (dataset.query, dataset.gallery)]


def refusal(path: Path | None) -> str:
    with pytest.raises(UserError) as error:
        read_reid("manifest", path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_ids_and_cameras_may_be_any_words(table: Callable[..., Path]) -> None:
    path = table(
        "path,id,camera,role\na.jpg,ann,door,query\nb.jpg,ann,yard,gallery\nc.jpg,bob,yard,gallery\n"
    )
    assert labels(path) == [[(1, 1)], [(1, 2), (2, 2)]]
    dataset = read_reid("manifest", path)
    assert (dataset.protocol, dataset.notes) == (MARKET, ())
    assert [crop.id for crop in dataset.gallery] == ["b.jpg", "c.jpg"]


def test_numbers_stay_what_they_are(table: Callable[..., Path]) -> None:
    path = table("file,pid,cam,role\na.jpg,0017,3,query\nb.jpg,17,12,gallery\nc.jpg,204,3,gallery\n")
    assert labels(path) == [[(17, 3)], [(17, 12), (204, 3)]]


def test_junk_and_distractors_are_markets(table: Callable[..., Path]) -> None:
    path = table(
        "path,id,camera,role\na.jpg,5,1,query\nb.jpg,-1,2,gallery\nc.jpg,0000,2,gallery\nsub/d.png,5,2,gallery\n"
    )
    assert labels(path) == [[(5, 1)], [(-1, 2), (0, 2), (5, 2)]]


def test_identity_zero_with_queries_is_a_person(table: Callable[..., Path]) -> None:
    path = table("path,id,camera,role\na.jpg,0,0,query\nb.jpg,0,1,gallery\nc.jpg,1,1,gallery\n")
    query, gallery = labels(path)
    assert query[0][0] == gallery[0][0] != gallery[1][0]
    assert 0 not in {pid for pid, _ in query + gallery}
    assert query[0][1] != gallery[0][1]


def test_without_cameras_nothing_is_skipped(table: Callable[..., Path]) -> None:
    for head, rest in (("path,id,role", ""), ("path,id,role,camera", ",")):
        path = table(f"{head}\na.jpg,1,query{rest}\nb.jpg,1,gallery{rest}\n")
        dataset = read_reid("manifest", path)
        assert dataset.protocol.rule == "none"
        assert {crop.camid for crop in dataset.query + dataset.gallery} == {-1}
        assert "No cameras" in dataset.notes[0]


def test_without_cameras_a_picture_in_both_roles_does_not_find_itself(table: Callable[..., Path]) -> None:
    path = table("path,id,role\na.jpg,1,both\nb.jpg,1,query\nc.jpg,1,gallery\n./b.jpg,1,gallery\n")
    dataset = read_reid("manifest", path)
    assert dataset.protocol == MARKET
    for query in dataset.query:
        seen = [g.id for g in dataset.gallery if (g.pid, g.camid) != (query.pid, query.camid)]
        assert seen == [name for name in ("a.jpg", "b.jpg", "c.jpg") if name != query.id]


def test_cameras_for_some_are_refused(table: Callable[..., Path]) -> None:
    message = refusal(table("path,id,camera,role\na.jpg,1,1,query\nb.jpg,1,,gallery\n"))
    assert "'b.jpg' has no camera" in message


def test_a_folder_with_a_manifest_and_a_table_elsewhere(table: Callable[..., Path], tmp_path: Path) -> None:
    path = table("path,id,role\na.jpg,1,query\nb.jpg,1,gallery\n")
    assert read_reid("manifest", path.parent).query[0].path == tmp_path / "mine" / "a.jpg"
    away = table(f"path\tid\trole\n{tmp_path}/mine/a.jpg\t1\tquery\nmine/b.jpg\t1\tGallery\n", "list.TSV")
    assert labels(away) == [[(1, -1)], [(1, -1)]]


def test_a_bom_blank_lines_and_quotes(table: Callable[..., Path]) -> None:
    path = table('\ufeffPath, ID ,Role\n\n"a.jpg",1,query\n  ,,\nb.jpg, 1 ,gallery\n')
    assert labels(path) == [[(1, -1)], [(1, -1)]]


def test_missing_pictures_are_told(table: Callable[..., Path]) -> None:
    path = table("path,id,role\na.jpg,1,query\nb.jpg,1,gallery\nx.jpg,1,gallery\n,2,gallery\n")
    assert read_reid("manifest", path).notes[0] == (
        "Not there: 2 pictures that manifest.csv names, the first 'x.jpg'."
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("path,id\na.jpg,1\n", "no column role/set/subset"),
        ("id,role\n1,query\n", "no column path/"),
        ("path,id,role\na.jpg,1\n", "line 2: 2 values for 3 columns"),
        ("path,id,role\na.jpg,1,train\n", "line 2: the role is query, gallery or both, not 'train'"),
        ("path,id,role\na.jpg,,query\n", "line 2: 'a.jpg' has no id"),
        ("path,id,role\nx.jpg,1,query\n", "names no picture that is there: no 'x.jpg'"),
        ("path,id,role\n", "names no picture that is there"),
        ("path,id,role\na.jpg,1,query\n", "no usable picture as a gallery"),
        ("path,id,role\na.jpg,1,query\na.jpg,2,gallery\n", "line 3: 'a.jpg' stood there before"),
        ("path,id,role\na\0.jpg,1,query\n", ""),
        (f"path,id,role\n{'a' * 5000},1,query\n", ""),
        (f"path,id,role\na.jpg,{'9' * 200_000},query\n", ""),
    ],
)
def test_a_wrong_table_is_one_sentence(table: Callable[..., Path], text: str, words: str) -> None:
    assert words in refusal(table(text))


def test_what_is_no_table(tmp_path: Path, table: Callable[..., Path]) -> None:
    assert "--root FILE" in refusal(None)
    assert "cannot be read" in refusal(tmp_path / "absent.csv")
    assert "cannot be read" in refusal(tmp_path)  # a folder without manifest.csv
    path = table("")
    path.write_bytes(b"path,id,role\ncaf\xe9.jpg,1,query\n")
    assert "UTF-8" in refusal(path)


def test_huge_ids_are_words(table: Callable[..., Path]) -> None:
    path = table(f"path,id,role\na.jpg,{'9' * 40},query\nb.jpg,{'9' * 40},gallery\nc.jpg,7,gallery\n")
    query, gallery = labels(path)
    assert query == gallery[:1]
    assert all(0 < pid < 2**31 for pid, _ in query + gallery)


def test_a_table_that_is_not_there_is_told_without_error_numbers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none.csv cannot be read: No such file or directory$"):
        read_reid("manifest", tmp_path / "none.csv")
