"""A sweep's rows against a plain loop over the same files, and the sweep's promises about failure and resumption."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mpq.codecs.base import Bitstream, Codec
from mpq.datasets.base import read_dataset
from mpq.errors import UserError
from mpq.models.base import load_model
from mpq.models.classification.base import Classifier
from mpq.plan import Plan
from mpq.rows import TIMINGS
from mpq.samples import ImageSample
from mpq.store import Store
from mpq.sweep import Sweep
from mpq.tasks.classification import Classification


def _run(plan: Plan, folder: Path, device: str = "cpu", **options) -> Store:
    store = Store(folder)
    Sweep.prepare(plan, device).run(store, **options)
    return store


def _rows(store: Store) -> list[dict]:
    """All rows, in an order of their own, without what differs from run to run."""
    rows = [row for _, table in store.read() for row in table.drop_columns([*TIMINGS, "cell"]).to_pylist()]
    return sorted(rows, key=lambda row: (row["model"], row["codec"], row["setting"], row["sample"]))


BLACK = np.zeros((8, 8, 3), np.uint8)

PLAN = Plan(
    codec=("jpeg:quality=5,40", "webp:quality=10"),
    model=("efficientnet-lite0", "efficientnet-lite1"),
    limit=6,
    similarity=("psnr",),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return _run(PLAN, tmp_path_factory.mktemp("run"), workers=1)


def test_rows_are_those_of_a_plain_loop(store: Store) -> None:
    """Pillow, timm's transform and the network, one picture at a time, as anybody would write it."""
    torch.set_num_threads(1)
    sources = read_dataset("embedded").subset(6, seed=0).sources
    rows = {(r["model"], r["codec"], r["setting"], r["sample"]): r for r in _rows(store)}
    assert len(rows) == 2 * 4 * 6
    for name in PLAN.model:
        model = load_model("classification", name)
        for codec, setting, format, options in (
            ("jpeg", "quality=5", "JPEG", {"quality": 5}),
            ("jpeg", "quality=40", "JPEG", {"quality": 40}),
            ("webp", "quality=10", "WEBP", {"quality": 10}),
        ):
            for source in sources:
                original = Image.open(source.path).convert("RGB")
                file = io.BytesIO()
                original.save(file, format, **options)
                decoded = Image.open(io.BytesIO(file.getvalue())).convert("RGB")
                with torch.inference_mode():
                    before = model.network(model.preprocess(original)[None]).double().log_softmax(1)[0]
                    after = model.network(model.preprocess(decoded)[None]).double().log_softmax(1)[0]
                row = rows[name, codec, setting, source.id]
                assert row["bits"] == 8 * len(file.getvalue())
                assert (row["width"], row["height"]) == original.size
                assert row["label"] == int(source.label or -1)
                assert row["prediction"] == int(after.argmax())
                assert row["top1"] == (int(after.argmax()) == row["label"])
                assert row["top5"] == (row["label"] in after.topk(5).indices.tolist())
                assert row["agreement"] == (int(after.argmax()) == int(before.argmax()))
                assert row["kl"] == pytest.approx(float((before.exp() * (before - after)).sum()), abs=1e-4)
                error = np.asarray(original, float) - np.asarray(decoded, float)
                assert row["psnr"] == pytest.approx(10 * math.log10(255**2 / np.mean(error**2)))
                assert row["error"] is None


def test_the_baseline_is_the_stored_file_and_agrees_with_itself(store: Store) -> None:
    sources = {s.id: s for s in read_dataset("embedded").sources}
    baseline = [row for row in _rows(store) if row["codec"] == "none"]
    assert len(baseline) == 12
    for row in baseline:
        assert row["bits"] == 8 * sources[row["sample"]].path.stat().st_size
        assert (row["agreement"], row["kl"], row["psnr"]) == (True, 0, math.inf)


@pytest.mark.parametrize("options", [{"workers": 3}, {"workers": 2, "device": "elsewhere"}])
def test_rows_are_the_same_to_the_last_bit_whoever_ran_them(
    store: Store, tmp_path: Path, monkeypatch, options
) -> None:
    if "device" in options:
        # With a device of its own this process scores what the workers coded; here that device is the CPU.
        on = Classifier.on
        monkeypatch.setattr(Classifier, "on", lambda model, device: on(model, "cpu"))
        monkeypatch.setattr("mpq.engine.cores", lambda: 1)
    assert _rows(_run(PLAN, tmp_path, **options)) == _rows(store)


def test_only_what_is_missing_runs(store: Store, tmp_path: Path) -> None:
    counts: list[tuple[int, int]] = []
    first = replace(PLAN, codec=("jpeg:quality=5",))
    folder = _run(first, tmp_path, workers=1, started=lambda *c: counts.append(c))
    _run(first, tmp_path, workers=1, started=lambda *c: counts.append(c))
    # With more settings only theirs run, and the baseline's answers once more.
    _run(PLAN, tmp_path, workers=1, started=lambda *c: counts.append(c))
    blocks = 2
    assert counts == [(2 * blocks, 0), (2 * blocks, 2 * blocks), (4 * blocks, blocks)]
    assert _rows(folder) == _rows(store)


def test_rows_cut_off_anywhere_are_completed_to_the_same(store: Store, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop_after(pieces: int):
        seen = []

        def advanced(n: int) -> None:
            seen.append(n)
            if len(seen) == pieces:
                raise Stop

        return advanced

    for pieces in (1, 4, 5, 2):  # of 8; the fifth is reached with one of the two blocks kept
        with pytest.raises(Stop):
            _run(PLAN, tmp_path, workers=1, advanced=stop_after(pieces))
    assert _rows(_run(PLAN, tmp_path, workers=1)) == _rows(store)


def test_what_shapes_a_row_shapes_its_cell(tmp_path: Path) -> None:
    def hashes(**changes) -> set[str]:
        return Sweep.prepare(replace(PLAN, limit=2, model=("efficientnet-lite0",), **changes)).hashes

    base = hashes()
    assert hashes() == base
    assert hashes(out="elsewhere", max_failures=0.5) == base
    assert len(base & hashes(codec=("jpeg:quality=5", "avif:quality=5"))) == 2
    assert not base & hashes(similarity=())
    assert not base & hashes(seed=1)
    assert not base & hashes(no_labels=True)


def test_the_device_and_the_libraries_shape_a_cell(monkeypatch) -> None:
    plan = replace(PLAN, limit=2, model=("efficientnet-lite0",))
    base = Sweep.prepare(plan).hashes
    assert not base & Sweep.prepare(plan, "elsewhere").hashes
    monkeypatch.setattr("mpq.sweep.version", lambda package: "0")
    assert not base & Sweep.prepare(plan).hashes


def test_an_answer_that_is_no_number_is_an_error_and_no_score(tmp_path: Path, monkeypatch) -> None:
    real = Classifier.answers

    def answers(model: Classifier, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits, features = real(model, batch)
        logits[0] = math.nan
        return logits, features

    monkeypatch.setattr(Classifier, "answers", answers)
    plan = replace(PLAN, limit=3, model=("efficientnet-lite0",), codec=("jpeg:quality=5",))
    rows = _rows(_run(plan, tmp_path, workers=1))
    assert [row["error"] for row in rows] == ["model: its answer is not finite", None, None] * 2
    assert rows[0]["agreement"] is rows[0]["top1"] is rows[0]["kl"] is None


def test_a_network_that_fails_costs_its_block_and_not_the_sweep(tmp_path: Path, monkeypatch) -> None:
    def answers(model: Classifier, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr(Classifier, "answers", answers)
    plan = replace(PLAN, limit=2, model=("efficientnet-lite0",), codec=("jpeg:quality=5",))
    store = _run(plan, tmp_path, workers=1)
    assert {row["error"] for row in _rows(store)} == {"model: RuntimeError: out of memory"}
    # Such cells have failed, and are made anew when that is asked for.
    monkeypatch.undo()
    sweep = Sweep.prepare(plan)
    assert sweep.failed(store) == sweep.hashes
    store.forget(sweep.failed(store))
    sweep.run(store, workers=1)
    assert {row["error"] for row in _rows(store)} == {None}


def test_broken_sources_are_rows_with_an_error_and_the_rest_goes_on(tmp_path: Path, photographs) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "good.jpg").write_bytes(photographs[0].read_bytes())
    (pictures / "fake.jpg").write_text("I am no picture")
    (pictures / "half.jpg").write_bytes(photographs[1].read_bytes()[:5000])
    Image.new("RGB", (1, 1), (200, 0, 0)).save(pictures / "tiny.png")
    plan = Plan(codec=("jpeg:quality=5",), data=str(pictures))
    store = _run(plan, tmp_path / "run", workers=1)
    rows = [row for row in _rows(store) if row["codec"] == "jpeg"]
    errors = {row["sample"]: row["error"] for row in rows}
    assert errors["good.jpg"] is errors["tiny.png"] is None
    assert errors["fake.jpg"].startswith("source: not a picture")
    assert errors["half.jpg"].startswith("source: broken JPEG")
    broken = [row for row in rows if row["error"]]
    assert all(row["agreement"] is row["prediction"] is row["bits"] is None for row in broken)
    assert [text.partition(":")[0] for text in Sweep.prepare(plan).unreadable(store)] == [
        "fake.jpg",
        "half.jpg",
    ]


def test_a_bug_in_somebodys_codec_or_preprocessing_costs_its_sample(tmp_path: Path, monkeypatch) -> None:
    def encode(codec: Codec, sample: ImageSample) -> Bitstream:
        if sample.width == 800:
            raise ZeroDivisionError("oops")
        return Bitstream(b"", 0)

    monkeypatch.setattr("mpq.codecs.pillow._PillowCodec.encode", encode)
    monkeypatch.setattr("mpq.codecs.pillow._PillowCodec.decode", lambda codec, data: ImageSample(BLACK))
    for name, size in (("bug.png", (800, 8)), ("good.png", (8, 8)), ("wide.png", (60_000, 1))):
        Image.new("RGB", size).save(tmp_path / name)
    preprocess = Classifier.on

    def on(model: Classifier, device: str) -> Classifier:
        ready = preprocess(model, device)

        def fails_when_wide(image: Image.Image) -> torch.Tensor:
            if image.width > 10_000:
                raise MemoryError
            return ready.preprocess(image)

        return replace(ready, preprocess=fails_when_wide)

    monkeypatch.setattr(Classifier, "on", on)
    store = _run(Plan(codec=("jpeg:quality=5",), data=str(tmp_path)), tmp_path / "run", workers=1)
    errors = {(r["codec"], r["sample"]): r["error"] for r in _rows(store)}
    assert errors["jpeg", "bug.png"] == "codec: ZeroDivisionError: oops"
    assert errors["none", "wide.png"] == "model: preprocessing 60000 × 1 pixels: MemoryError"
    assert errors["none", "bug.png"] is errors["jpeg", "good.png"] is errors["none", "good.png"] is None


def test_labels_that_are_no_class_are_named_and_left_out(tmp_path: Path, photographs) -> None:
    for i in range(3):
        (tmp_path / f"{i}.jpg").write_bytes(photographs[i].read_bytes())
    (tmp_path / "labels.csv").write_text("file,label\n0.jpg,243\n1.jpg,no such dog\n2.jpg,n03930630\n")
    sweep = Sweep.prepare(Plan(data=str(tmp_path)))
    assert [s.id for s in sweep.dataset.sources] == ["0.jpg", "2.jpg"]
    assert sweep.dataset.problems == ("1.jpg: 'no such dog' is not a class of efficientnet-lite0",)
    (tmp_path / "labels.csv").write_text("file,label\n0.jpg,rex\n1.jpg,fido\n")
    with pytest.raises(UserError, match="no label of .*'rex'.*--no-labels"):
        Sweep.prepare(Plan(data=str(tmp_path)))


def test_folders_whose_names_are_no_classes_are_a_folder_of_pictures(tmp_path: Path, photographs) -> None:
    for year in ("Paris 2019", "Rome", "castle"):  # a castle is a class, and these are still trips
        (tmp_path / year).mkdir()
        (tmp_path / year / "x.jpg").write_bytes(photographs[0].read_bytes())
    sweep = Sweep.prepare(Plan(data=str(tmp_path)))
    assert not sweep.dataset.labelled
    assert "labels are not used" in sweep.notes[0]


def test_rows_carry_what_they_were_made_with(store: Store) -> None:
    for identity, table in store.read():
        assert set(table.column_names) == {f.name for f in Classification().row_fields}
        assert identity["model"]["weights"] == table.column("weights_sha256")[0].as_py()
        assert "pillow" in identity["codec"]["version"] or identity["codec"]["name"] == "none"
        json.dumps(identity)
