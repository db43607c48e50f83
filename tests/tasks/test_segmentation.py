"""Segmentation through a sweep, with a stand-in whose classes are bands of brightness: its masks can be made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mpq.codecs.base import parse_codec
from mpq.errors import UserError
from mpq.models.base import ModelSource
from mpq.models.segmentation.base import Segmenter
from mpq.plan import Plan
from mpq.registry import models
from mpq.report import section
from mpq.samples import read_image
from mpq.store import Store
from mpq.summary import Group, summarize
from mpq.sweep import Sweep
from mpq.tasks.segmentation import Mask, Segmentation
from reports.export import to_json

CLASSES = ("dark", "middle", "bright")
CODEC = "jpeg:quality=5"


class _Bands(torch.nn.Module):
    """A pixel's class is the band of its brightness: below 85, below 170, above."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        grey = pictures.mean(dim=1, keepdim=True)
        return torch.cat([(85 - grey), 42.5 - (grey - 127.5).abs(), (grey - 170)], dim=1)


class Bands(ModelSource):
    name = "bands"
    task = "segmentation"
    summary = "bands of brightness"

    def load(self, variant: str, weights: Path | None) -> Segmenter:
        return Segmenter(
            name="bands", weights_sha256="", preprocessing="", version="", network=_Bands(), classes=CLASSES,
            preprocess=lambda picture: torch.from_numpy(np.array(picture)).permute(2, 0, 1).float(),
        )  # fmt: skip


@pytest.fixture
def bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(models("segmentation").entries, "bands", Bands)


def _mask(pixels: np.ndarray) -> np.ndarray:
    grey = pixels.astype(np.float32).mean(axis=2)
    return np.stack([85 - grey, 42.5 - abs(grey - 127.5), grey - 170]).argmax(axis=0).astype(np.uint8)


@pytest.fixture
def scenes(tmp_path: Path, photographs: list[Path]) -> Path:
    """Five photographs, their bands as masks with a frame that is unlabelled, one mask of them wrong in size."""
    folder = tmp_path / "scenes"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    for i, path in enumerate(photographs[:5]):
        picture = Image.open(path).convert("RGB").resize((64, 48))
        picture.save(folder / "images" / f"{i}.png")
        mask = np.roll(_mask(np.array(picture)), 3 * i, axis=1)
        mask[:4] = 255
        Image.fromarray(mask if i < 4 else mask[1:]).save(folder / "masks" / f"{i}.png")
    return folder


def _swept(data: Path, folder: Path, **options: object) -> Group:
    store = Store(folder)
    plan = Plan(task="segmentation", data=str(data), model=("bands",), codec=(CODEC,), **options)  # type: ignore[arg-type]
    Sweep.prepare(plan).run(store, workers=1)
    (group,) = summarize(store.read(), resamples=200)
    return group


@pytest.mark.usefixtures("bands")
def test_miou_is_that_of_one_confusion_matrix_over_all_pictures(scenes: Path, tmp_path: Path) -> None:
    group = _swept(scenes, tmp_path / "run", max_failures=0.5)
    (codec,) = parse_codec(CODEC)
    for point, way in ((group.points[0], None), (group.points[1], codec)):
        confusion, micro = np.zeros((3, 3)), []
        for i in range(4):
            sample = read_image((scenes / "images" / f"{i}.png").read_bytes())
            seen = sample if way is None else way.decode(way.encode(sample).data)
            truth = np.array(Image.open(scenes / "masks" / f"{i}.png"))
            own = np.zeros((3, 3))
            np.add.at(own, (truth[truth != 255], _mask(seen.pixels)[truth != 255]), 1)
            right = np.trace(own)
            micro.append(right / (2 * own.sum() - right))
            confusion += own
        hits = confusion.diagonal()
        iou = hits / (confusion.sum(0) + confusion.sum(1) - hits)
        assert point.scores["miou"].value == pytest.approx(iou.mean())
        assert list(point.parts) == list(CLASSES)
        assert list(point.parts.values()) == pytest.approx(iou)
        assert point.scores["pixels"].value == pytest.approx(hits.sum() / confusion.sum())
        assert point.scores["jaccard"].value == pytest.approx(np.mean(micro))
        assert (point.samples, point.unreadable) == (4, 1)
    baseline, jpeg = group.points
    assert baseline.scores["own_miou"].value == 1 and baseline.scores["own_miou"].low is None
    assert 0.3 < jpeg.scores["own_miou"].value < 1
    low, high = jpeg.scores["miou"].low, jpeg.scores["miou"].high
    assert low is not None and high is not None and low < jpeg.scores["miou"].value < high
    shown = section(group)
    assert "keeps" in shown.answer or "No setting" in shown.answer
    assert json.loads(to_json([shown]))[0]["points"][0]["parts"].keys() == set(CLASSES)


@pytest.mark.usefixtures("bands")
def test_without_masks_the_models_own_are_what_is_right(scenes: Path, tmp_path: Path) -> None:
    group = _swept(scenes / "images", tmp_path / "run")
    assert group.score.key == "own_miou"
    assert group.points[0].samples == 5
    assert group.points[1].changes["own_miou"].difference.value < 0
    assert section(group).notes[0].startswith("No mIoU: there are no masks")


@pytest.mark.usefixtures("bands")
def test_masks_without_a_labelled_pixel_score_nothing(scenes: Path, tmp_path: Path) -> None:
    for path in (scenes / "masks").iterdir():
        Image.fromarray(np.full((48, 64), 255, np.uint8)).save(path)
    group = _swept(scenes, tmp_path / "run")
    assert [score.key for score in group.scores] == ["own_miou", "own_pixels"]
    assert [point.scored for point in group.points] == [5, 5]
    assert not group.points[0].parts
    assert "none that can be used and has a labelled pixel" in section(group).notes[0]


@pytest.mark.usefixtures("bands")
def test_a_mask_without_a_labelled_pixel_is_in_no_true_score(scenes: Path, tmp_path: Path) -> None:
    whole = _swept(scenes, tmp_path / "whole", max_failures=0.5)
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(scenes / "masks" / "4.png")
    group = _swept(scenes, tmp_path / "run")
    for before, after in zip(whole.points, group.points, strict=True):
        assert (after.samples, after.scored) == (5, 4)
        for key in ("miou", "pixels", "jaccard"):
            assert after.scores[key].value == before.scores[key].value
            assert after.scores[key].low == pytest.approx(before.scores[key].low, abs=0.05)


@pytest.mark.usefixtures("bands")
def test_classes_that_the_model_lacks_are_named(scenes: Path) -> None:
    (scenes / "classes.txt").write_text("dark\nmiddle\nbright\ndusk\ndawn")
    made = Sweep.prepare(Plan(task="segmentation", data=str(scenes), model=("bands",)))
    assert (
        "bands has no class for 2 of the data set's 5: dusk, dawn; where they are, it is wrong" in made.notes
    )


@pytest.mark.usefixtures("bands")
def test_what_a_reader_has_to_say_is_among_the_notes(scenes: Path) -> None:
    (scenes / "classes.txt").write_text("dark\nbright")
    for path in (scenes / "masks").iterdir():
        Image.fromarray(255 * (np.array(Image.open(path)) == 2).astype(np.uint8)).save(path)
    made = Sweep.prepare(Plan(task="segmentation", data=str(scenes), model=("bands",)))
    assert made.notes == [
        "the masks hold 0 and 255 alone: 255 is read as 'bright', whose value is 1 by classes.txt"
    ]


@pytest.mark.usefixtures("bands")
def test_a_model_of_other_classes_is_refused(scenes: Path) -> None:
    (scenes / "classes.txt").write_text("cat\ndog\ncow\nelk")
    with pytest.raises(UserError, match="have no name in common"):
        Sweep.prepare(Plan(task="segmentation", data=str(scenes), model=("bands",)))


def test_without_data_it_is_said_where_some_is_had() -> None:
    with pytest.raises(UserError, match=r"--data FOLDER.*CamVid.*ADE20K.*VOC"):
        Sweep.prepare(Plan(task="segmentation"))


def test_a_class_that_the_data_lack_is_wrong_and_takes_nothing_from_others() -> None:
    """The model knows a fourth class: 2 of 4 pixels are right, and 'a' is missed once."""
    answer = Mask(np.array([[0, 3], [1, 1]], np.uint8), ("a", "b", "c", "d"))
    truth = Mask(np.array([[0, 0], [1, 255]], np.uint8), ("a", "b"), 255)
    found = Segmentation().scored(answer, {}, truth, answer)
    assert found["intersections"] == [1, 1]
    assert found["unions"] == [2, 1]
    assert (found["correct"], found["labelled"]) == (2, 3)
