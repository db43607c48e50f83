"""Re-identification under compression: rows keep features, and the scores are those of a search made with them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mpq.errors import UserError
from mpq.plan import Plan
from mpq.report import section
from mpq.store import Store
from mpq.summary import summarize
from mpq.sweep import Sweep
from mpq.tasks.reid import Reidentification
from reid.backbones.base import load_backbone
from reid.centralize import centralize
from reid.datasets.base import read_reid
from reid.features import FeatureSet
from reid.metrics import evaluate
from tests.conftest import one_sentence

pytestmark = pytest.mark.usefixtures("one_thread")

PLAN = Plan(task="reid", codec=("jpeg:quality=5",), limit=60, similarity=())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("run"))
    Sweep.prepare(PLAN).run(store, workers=1)
    return store


@pytest.fixture(scope="module")
def groups(store: Store):
    return {group.view: group for group in summarize(store.read())}


def _by_hand(paths: list[Path], quality: int | None) -> np.ndarray:
    """Pillow and the backbone, one crop at a time."""
    backbone = load_backbone("efficientnet-lite0").on("cpu")
    made = []
    for path in paths:
        image = Image.open(path).convert("RGB")
        if quality is not None:
            file = io.BytesIO()
            image.save(file, "JPEG", quality=quality)
            image = Image.open(file).convert("RGB")
        made.append(backbone.features(backbone.preprocess(image)[None])[0])
    return np.stack(made)


def test_scores_are_those_of_a_search_by_hand(store: Store, groups) -> None:
    crops = Reidentification().read(PLAN).subset(PLAN.limit, PLAN.seed).sources
    halves = {role: [c for c in crops if c.role == role] for role in ("query", "gallery")}

    def sets(quality: int | None) -> dict[str, FeatureSet]:
        return {
            role: FeatureSet(
                _by_hand([c.path for c in half], quality),
                np.array([c.pid for c in half]),
                np.array([c.camid for c in half]),
            )
            for role, half in halves.items()
        }

    raw, coded = sets(None), sets(5)
    for view, pair in {
        "query and gallery coded": (coded["query"], coded["gallery"]),
        "only the gallery coded": (raw["query"], coded["gallery"]),
    }.items():
        point = groups[view].points[1]
        found = evaluate(*pair)
        assert point.scores["ap"].value == pytest.approx(found.mean_average_precision, abs=1e-6)
        assert point.scores["rank1"].value == pytest.approx(found.cmc(1)[0], abs=1e-6)
        made = centralize(*pair)
        after = evaluate(made.query, made.gallery).mean_average_precision
        assert point.scores["ap_nfc"].value == pytest.approx(after, abs=1e-6)
        original = evaluate(raw["query"], raw["gallery"]).mean_average_precision
        assert point.scores["won_back"].value == pytest.approx(after - original, abs=1e-6)


def test_only_what_was_coded_counts_as_rate(store: Store, groups) -> None:
    rows = [row for _, table in store.read() for row in table.to_pylist() if row["codec"] == "jpeg"]
    for view, roles in {
        "query and gallery coded": ("query", "gallery"),
        "only the gallery coded": ("gallery",),
    }.items():
        counted = [row for row in rows if row["role"] in roles]
        bpp = sum(r["bits"] for r in counted) / sum(r["width"] * r["height"] for r in counted)
        assert groups[view].points[1].bpp.value == pytest.approx(bpp)
        assert groups[view].points[1].samples == len(counted)


def test_the_original_does_not_drift_and_the_archive_keeps_its_queries(groups) -> None:
    both, archive = groups["query and gallery coded"], groups["only the gallery coded"]
    assert both.points[0].scores["drift"].value == pytest.approx(0, abs=1e-6)
    assert both.points[1].scores["drift"].value > 0.01
    assert both.points[0].scores["ap"].value == archive.points[0].scores["ap"].value


def test_the_report_asks_whether_centralising_wins_it_back(groups) -> None:
    shown = section(groups["query and gallery coded"])
    assert "query and gallery coded" in shown.title
    keys = [column.key for column in shown.table.columns]
    assert {"score", "ap_nfc", "won_back", "rank1", "id2"} <= set(keys)
    assert any("one query weighs" in note for note in shown.notes)
    assert any("wins back" in note for note in shown.notes)


def test_a_limit_draws_whole_people() -> None:
    crops = Reidentification().read(PLAN).subset(60, 0).sources
    asked = {c.pid for c in crops if c.role == "query"}
    every = Reidentification().read(PLAN).sources
    assert {c.id for c in crops} == {c.id for c in every if c.pid in asked}
    assert len(crops) < 90


def test_junk_is_neither_coded_nor_searched() -> None:
    dataset = read_reid("demo", None)
    junk = sum(crop.pid == -1 for crop in dataset.gallery)
    sources = Reidentification().read(PLAN).sources
    assert junk
    assert len(sources) == len(dataset.query) + len(dataset.gallery) - junk


def test_labels_are_refused() -> None:
    with pytest.raises(UserError, match="takes no labels"):
        Reidentification().read(Plan(task="reid", no_labels=True))


def test_an_unknown_task_is_one_sentence(mpq) -> None:
    assert "did you mean 'reid'?" in one_sentence(mpq("sweep", "--task", "ried"))


def test_a_folder_that_is_no_data_set_is_one_sentence(mpq, tmp_path: Path) -> None:
    assert str(tmp_path) in one_sentence(mpq("sweep", "--task", "reid", "--data", tmp_path))
