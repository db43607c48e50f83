"""The command line ``reid``, as its user types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

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


def test_a_query_that_is_not_there_is_one_sentence(reid) -> None:
    assert "has no query 'nobody.jpg'" in one_sentence(reid("rank", "demo", "--query", "nobody.jpg"))


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
