"""The command line ``reid``, as its user types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import one_sentence

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def small_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of one test serve the next, and none lands in the user's own cache."""
    monkeypatch.setattr("reid.feature_cache.FOLDER", tmp_path_factory.getbasetemp() / "features")


def test_centralize_alone_says_what_it_needs(reid) -> None:
    assert "reid centralize demo" in one_sentence(reid("centralize"))


def test_demo_from_pictures_to_a_page(reid, tmp_path: Path) -> None:
    result = reid("centralize", "demo", "--html", tmp_path / "page.html", "--json")
    assert result.status == 0
    before_after, stages = json.loads(result.out)
    assert before_after["points"][0]["score"] == "mAP"
    assert stages["points"][0]["stage"] == "as they are"
    page = (tmp_path / "page.html").read_text()
    assert "drawn" in page
    assert page.count("<svg") >= 3
    assert "data:image/jpeg" in page


def test_extracted_features_give_the_same_scores(reid, tmp_path: Path) -> None:
    assert reid("extract", "demo", "--out", tmp_path / "demo.npz").status == 0
    from_pictures = json.loads(reid("centralize", "demo", "--json").out)
    from_file = json.loads(reid("centralize", "--features", tmp_path / "demo.npz", "--json").out)
    assert from_file[0]["points"] == from_pictures[0]["points"]


def test_rank_draws_what_a_query_finds(reid, tmp_path: Path) -> None:
    from reid.datasets.base import read_reid

    name = read_reid("demo", None).query[0].id.rsplit("/", 1)[-1]
    result = reid("rank", "demo", "--query", name, "--out", tmp_path / "sheet.png")
    assert result.status == 0
    assert "before" in result.out
    assert "after" in result.out
    assert Image.open(tmp_path / "sheet.png").width > 500
    alone = reid("rank", "demo", "--query", name, "--before", "--json")
    assert {row["list"] for row in json.loads(alone.out)[0]["points"]} == {"before"}


def test_a_query_may_be_named_by_its_file(reid) -> None:
    from reid.datasets.base import read_reid

    crop = read_reid("demo", None).query[0]
    result = reid("rank", "demo", "--query", crop.path, "--before", "--json")
    assert json.loads(result.out)[0]["points"][0]["query"] == crop.id


def test_a_query_that_is_not_there_is_one_sentence(reid) -> None:
    said = one_sentence(reid("rank", "demo", "--query", "nobody.bmp"))
    assert "has no query 'nobody.bmp'" in said
    assert len(said) < 200


def _numbered(path: Path, pids: list[int], *, trials: dict | None = None) -> None:
    """Four queries under camera 1, and the same four features under camera 2."""
    features = np.concatenate([np.eye(4, dtype=np.float32)] * 2)
    arrays = {"feats": features, "pids": np.array(pids), "camids": np.repeat([1, 2], 4)}
    np.savez(path, **arrays, is_query=np.arange(8) < 4, **(trials or {}))


def test_where_a_query_is_of_identity_0_that_is_a_person(reid, tmp_path: Path) -> None:
    _numbered(tmp_path / "f.npz", [0, 1, 2, 3] * 2)
    found = json.loads(reid("centralize", "--features", tmp_path / "f.npz", "--json").out)[0]
    assert "here 0 is a person, called 4" in " ".join(found["notes"])
    assert found["points"][0]["before"]["value"] == 1


def test_a_page_of_features_shows_the_pictures_that_they_are_of(reid, tmp_path: Path) -> None:
    assert reid("extract", "demo", "--out", tmp_path / "demo.npz").status == 0
    result = reid("centralize", "--features", tmp_path / "demo.npz", "--html", tmp_path / "page.html")
    assert result.status == 0
    assert "data:image/jpeg" in (tmp_path / "page.html").read_text()


def test_a_page_leaves_out_trials_and_queries_of_nobody(reid, tmp_path: Path) -> None:
    """The first trial asks for junk alone; a page is then of the second."""
    trials = {"trial_query": np.array([0, 0, 1, 2, 3]), "trial_query_counts": np.array([1, 4])}
    trials |= {"trial_gallery": np.arange(4).repeat(2), "trial_gallery_counts": np.array([4, 4])}
    trials["ids"] = np.array(list("abcdefgh"))
    trials["paths"] = np.array([str(tmp_path / f"{name}.png") for name in trials["ids"]])
    _numbered(tmp_path / "f.npz", [-1, 2, 3, 4, 1, 2, 3, 4], trials=trials)
    result = reid("centralize", "--features", tmp_path / "f.npz", "--html", tmp_path / "page.html")
    assert result.status == 0, result.err
    assert "identity 4" in (tmp_path / "page.html").read_text()


def test_lists_say_what_there_is(reid) -> None:
    assert "market1501" in reid("datasets").out
    assert "efficientnet-lite0" in reid("backbones").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("centralize", "demo", "--scope", "all"), "--scope is one of query, gallery, both, joint"),
        (("centralize", "demo", "--ap", "max"), "--ap is one of mean, trapezoid"),
        (("centralize", "market1502"), "did you mean 'market1501'?"),
        (("centralize", "market1501"), "root"),
        (("centralize", "demo", "--backbone", "osnt:x"), "did you mean 'osnet'?"),
        (("centralize", "--features", "no.npz"), "no such file"),
        (("centralize", "demo", "--html", "no/such/page.html"), "there is no folder 'no/such'"),
        (("extract", "demo", "--out", "/"), "is a folder"),
        (("centralize", "demo", "--features", "no.npz"), "not both"),
    ],
)
def test_mistakes_are_one_sentence(reid, arguments: tuple[str, ...], said: str) -> None:
    assert said in one_sentence(reid(*arguments))


def test_generated_poses_are_fused(reid, tmp_path: Path) -> None:
    """Poses that are the crops themselves change no direction, and so no score."""
    from reid.datasets.base import read_reid

    data = read_reid("demo", None)
    people = [crop for crop in data.gallery if crop.pid > 0]
    for folder, crops in (("query_gen", data.query), ("bounding_box_test_gen", people[:5])):
        place = tmp_path / folder / "pose1"
        place.mkdir(parents=True)
        for crop in crops:
            shutil.copy(crop.path, place / crop.path.name)
    result = reid("centralize", "demo", "--ipg-root", tmp_path, "--no-nfc", "--json")
    assert result.status == 0, result.err
    change = json.loads(result.out)[0]["points"][0]["change"]
    assert change["value"] == pytest.approx(0, abs=1e-6)
    assert f"{len(people) - 5} of people" in " ".join(json.loads(result.out)[0]["notes"])
