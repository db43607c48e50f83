"""Re-identification under compression: rows keep features, and the scores are those of a search made with them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
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
from reid.experiment import Options, experiment
from reid.features import FeatureSet
from reid.metrics import evaluate
from reid.protocols import Protocol, Trial
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
        assert groups[view].points[1].rate.value == pytest.approx(bpp)
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


def _cell(codec: str, query: FeatureSet, gallery: FeatureSet, task: dict) -> tuple[dict, pa.Table]:
    """A cell as a store gives it back. Every gallery crop has drifted by 0.2, every query by 0.4."""
    roles = ["query"] * len(query) + ["gallery"] * len(gallery)
    rows = {
        "role": roles,
        "feature": [f.tobytes() for f in np.concatenate([query.features, gallery.features])],
        "pid": np.concatenate([query.pids, gallery.pids]),
        "camid": np.concatenate([query.camids, gallery.camids]),
        "drift": [0.4 if role == "query" else 0.2 for role in roles],
    }
    return {"codec": {"name": codec}, "task": task}, pa.table(rows)


def _people() -> tuple[FeatureSet, FeatureSet]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, 16))
    halves = []
    for cameras in (range(1, 3), range(3, 9)):
        pids, camids = (a.ravel() for a in np.meshgrid(np.arange(1, 13), list(cameras), indexing="ij"))
        features = centres[pids - 1] + 0.9 * rng.normal(size=(len(pids), 16))
        halves.append(FeatureSet(features.astype(np.float32), pids, camids))
    return halves[0], halves[1]


def test_each_trial_is_centralised_by_itself() -> None:
    """As reid centralize does it: over the whole gallery a trial would meet crops that it never draws."""
    query, gallery = _people()
    trials = tuple(Trial(np.arange(len(query)), np.arange(s, len(gallery), 3)) for s in range(3))
    expected = experiment(query, gallery, Options(), protocol=Protocol(trials=trials))
    listed = [{"query": t.query.tolist(), "gallery": t.gallery.tolist()} for t in trials]
    task = {"rule": "same-camera", "cmc": "images", "trials": listed}
    (values,) = Reidentification().views([_cell("none", query, gallery, task)])[0].values
    assert values["ap"].value == pytest.approx(expected.before.retrieval.mean_average_precision)
    assert values["ap_nfc"].value == pytest.approx(expected.after.retrieval.mean_average_precision)
    assert np.isfinite(values["id2_nfc"].each).all()
    assert values["id2_nfc"].value < values["id2"].value


def test_a_junk_query_takes_no_part_in_a_trial() -> None:
    query, gallery = _people()
    junk = FeatureSet(query.features, np.where(query.pids == 1, -1, query.pids), query.camids)
    trials = [{"query": list(range(len(query))), "gallery": list(range(len(gallery)))}]
    task = {"rule": "same-camera", "cmc": "images", "trials": trials}
    (values,) = Reidentification().views([_cell("none", junk, gallery, task)])[0].values
    assert np.isnan(values["ap"].each[:2]).all()
    assert np.isfinite(values["ap"].each[2 : len(query)]).all()


def test_what_is_not_coded_in_a_view_has_not_drifted_in_it() -> None:
    query, gallery = _people()
    task = {"rule": "same-camera", "cmc": "images", "trials": []}
    both, archive = Reidentification().views([_cell(c, query, gallery, task) for c in ("none", "jpeg")])
    assert archive.values[1]["drift"].value == pytest.approx(0.2)
    assert 0.2 < both.values[1]["drift"].value < 0.4


def test_where_nothing_can_be_scored_drift_is_no_score(tmp_path: Path) -> None:
    """All queries are broken: the gallery has drifted all the same."""
    rows = ["path,id,role"]
    for name in "abcd":
        Image.linear_gradient("L").resize((32, 64)).save(tmp_path / f"{name}.png")
        rows.append(f"{name}.png,7,{'query' if name == 'a' else 'gallery'}")
    (tmp_path / "a.png").write_text("no picture")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    plan = Plan(task="reid", codec=("jpeg:quality=5",), data=str(tmp_path), similarity=())
    store = Store(tmp_path / "run")
    Sweep.prepare(plan).run(store, workers=1)
    for group in summarize(store.read()):
        shown = section(group)
        assert shown.answer == "Nothing could be scored: all that is known is drift."
        assert shown.curve is None
        assert not any("weighs" in note for note in shown.notes)


def test_a_zero_has_drifted_from_all_but_a_zero() -> None:
    zero, other = np.zeros(4, np.float32), np.ones(4, np.float32)
    scored = Reidentification().scored
    assert scored(zero, {}, None, other)["drift"] == 1
    assert scored(zero, {}, None, zero)["drift"] == 0


def test_a_manifest_is_known_by_its_file(tmp_path: Path) -> None:
    rows = ["path,id,role"]
    for name, role in (("a.png", "query"), ("b.png", "gallery")):
        Image.new("RGB", (8, 16)).save(tmp_path / name)
        rows.append(f"{name},7,{role}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    for data in (tmp_path, tmp_path / "manifest.csv"):
        assert len(Reidentification().read(Plan(task="reid", data=str(data))).sources) == 2
