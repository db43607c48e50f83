"""Training a segmenter: what a step draws, what a kill costs, what is chosen, and what comes out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mpq.datasets.segmentation.camvid import CamVid
from mpq.errors import UserError
from mpq.metrics.segmentation import class_counts
from mpq.models.base import load_model
from mpq.networks import segmenter
from mpq.training import scenes as scenes_module
from mpq.training.scenes import Census, Gallery, Views, crops, parts
from mpq.training.segmentation import Recipe, Run, segmentation_loss, train_segmentation

pytestmark = pytest.mark.usefixtures("one_thread")


def scene(seed: int) -> tuple[Image.Image, Image.Image]:
    """96 × 64: a bright sky over green ground with a red box on it; a strip at the bottom is unlabelled."""
    random = np.random.default_rng(seed)
    pixels, mask = np.zeros((64, 96, 3), np.uint8), np.zeros((64, 96), np.uint8)
    line, left = random.integers(20, 40), random.integers(4, 60)
    pixels[:line], pixels[line:] = (120, 170, 250), (40, 140, 30)
    mask[line:] = 1
    pixels[line : line + 16, left : left + 24], mask[line : line + 16, left : left + 24] = (220, 30, 30), 2
    mask[60:] = 255
    noise = random.integers(-20, 21, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)), Image.fromarray(mask)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Eight pictures with masks, and one whose mask is broken."""
    base = tmp_path_factory.mktemp("scenes")
    for name in ("images", "masks"):
        (base / name).mkdir()
    for i in range(8):
        picture, mask = scene(i)
        picture.save(base / "images" / f"{i}.png")
        mask.save(base / "masks" / f"{i}.png")
    scene(8)[0].save(base / "images" / "broken.png")
    (base / "masks" / "broken.png").write_bytes(b"no picture")
    (base / "classes.txt").write_text("sky\nground\nbox\n")
    return base


def recipe(folder: Path, **changes) -> Recipe:
    small = Recipe(
        str(folder),
        steps=4,
        batch=2,
        crop=(96, 64),
        pixels=96 * 64,
        width=16,
        held_out=0.25,
        every=2,
        ema=0.5,
    )
    return replace(small, **changes)


def test_data_is_split_and_no_picture_is_on_both_sides(folder: Path) -> None:
    training, choosing = parts(str(folder), 0.25, seed=0)
    assert (len(training.sources), len(choosing.sources)) == (7, 2)
    assert not {s.id for s in training.sources} & {s.id for s in choosing.sources}
    assert parts(str(folder), 0.25, seed=0)[1].sources == choosing.sources
    assert parts(str(folder), 0.25, seed=1)[1].sources != choosing.sources


def test_camvid_is_trained_on_train_and_chosen_on_val(shared: Path) -> None:
    training, choosing = parts(str(shared / "camvid"), 0.125, seed=0)
    assert (training.name, len(training.sources)) == ("camvid-train", 184)
    assert (choosing.name, len(choosing.sources)) == ("camvid-val", 26)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("", "needs --data.*CamVid is had from.*ADE20K.*VOC"),
        ("/nowhere", "is not a folder"),
        ("images", "holds no pictures with masks in a layout that is known"),
    ],
)
def test_no_data_says_what_to_give(data: str, sentence: str, folder: Path) -> None:
    place = str(folder / data) if data == "images" else data
    with pytest.raises(UserError, match=sentence):
        parts(place, 0.125, seed=0)


def test_crops_depend_on_seed_and_step_alone_and_masks_follow_their_pictures(folder: Path) -> None:
    training = Gallery(parts(str(folder), 0.25, seed=0)[0])
    views, census = Views((96, 64), 96 * 64, (0.6, 1.3), light=0.0), Census(training, seed=0)
    x, truth = crops(training, census, views, 6, seed=0, step=3)
    assert (x.shape, truth.shape) == ((6, 3, 64, 96), (6, 32, 48))
    assert all(
        torch.equal(a, b) for a, b in zip((x, truth), crops(training, census, views, 6, 0, 3), strict=True)
    )
    assert not torch.equal(x, crops(training, census, views, 6, 0, 4)[0])
    assert set(truth.unique().tolist()) <= {0, 1, 2, 255}
    # What is called a box is red, and what is called ground green, but for borders.
    red, green = x[:, 0, ::2, ::2], x[:, 1, ::2, ::2]
    assert ((red > green)[truth == 2]).float().mean() > 0.9
    assert ((green > red)[truth == 1]).float().mean() > 0.9


def test_a_gallery_that_may_keep_nothing_reads_the_same(folder: Path, monkeypatch) -> None:
    training, _ = parts(str(folder), 0.25, seed=0)
    kept = Gallery(training)
    monkeypatch.setattr(scenes_module, "KEPT", 0)
    for place in range(len(kept)):
        once, again, fresh = kept.read(place), kept.read(place), Gallery(training).read(place)
        if training.sources[place].id == "broken.png":
            assert once is again is fresh is None
        else:
            assert once is not None and fresh is not None
            assert once[0].tobytes() == fresh[0].tobytes()
            assert (once[1] == fresh[1]).all()


def test_a_class_that_is_sought_is_found(folder: Path) -> None:
    training = Gallery(parts(str(folder), 0.25, seed=0)[0])
    names = [source.id for source in training.scenes.sources]
    census = Census(training, seed=0)
    assert census.present.tolist() == [0, 1, 2]
    assert len(census.holders[2]) == sum(name != "broken.png" for name in names)
    assert census.counts.sum() == 96 * 60 * len(census.holders[2])
    close = Views((64, 64), 960 * 640, (1.0, 1.0), light=0.0)  # a hundredth of a picture
    census.present = np.array([2])
    shares = []
    for sought in (0.0, 1.0):
        views = replace(close, sought=sought)
        truths = [crops(training, census, views, 4, 0, step)[1] for step in range(10)]
        shares.append(sum((t == 2).flatten(1).any(dim=1).sum().item() for t in truths) / 40)
    assert shares[0] < 0.5
    assert shares[1] > 0.95


def test_the_loss_by_hand() -> None:
    logits = torch.tensor([[[[2.0, 0.0, 0.0]], [[0.0, 1.0, 5.0]]]])
    truth = torch.tensor([[[0, 1, 255]]])
    p = torch.sigmoid(torch.tensor([2.0, -1.0]))  # of class 0 at the two labelled pixels
    entropy = -(1.0 * torch.log(p[0]) + 3.0 * torch.log(1 - p[1])) / 4
    shared = torch.stack([p[0], 1 - p[1]])
    either = torch.stack([p[0] + p[1] + 1, 2 - p[0] - p[1] + 1]) - shared
    jaccard = 1 - ((shared + 1) / (either + 1)).mean()
    found = segmentation_loss(logits, truth, torch.tensor([1.0, 3.0]), 0.5, 255)
    assert found.item() == pytest.approx((entropy + 0.5 * jaccard).item(), abs=1e-6)
    assert segmentation_loss(logits, torch.full_like(truth, 255), torch.ones(2), 0.5, 255).item() == 0


def test_rare_classes_weigh_more_and_pixels_one_on_average(folder: Path, tmp_path: Path) -> None:
    weights = {b: Run(recipe(folder, balance=b), tmp_path, "cpu").weights_of_classes for b in (0.0, 0.5)}
    assert weights[0.0].tolist() == pytest.approx([1, 1, 1])
    sky, ground, box = weights[0.5].tolist()
    assert box > max(sky, ground)
    assert box > 1 > min(sky, ground)


def test_a_run_that_was_stopped_ends_with_the_very_weights_of_one_that_was_not(
    folder: Path, tmp_path: Path
) -> None:
    plan = recipe(folder)
    list(train_segmentation(plan, tmp_path / "whole", "cpu"))
    for progress in train_segmentation(plan, tmp_path / "stopped", "cpu"):
        if progress.step == 3:  # one after the checkpoint: that step is lost, and made again
            break
    again = Run(plan, tmp_path / "stopped", "cpu")
    again.resume()
    assert again.step == 2
    list(again.steps())
    whole, stopped = (
        segmenter.load(tmp_path / name / "weights.safetensors")[0] for name in ("whole", "stopped")
    )
    for name, value in whole.state_dict().items():
        assert torch.equal(value, stopped.state_dict()[name]), name


def test_another_recipe_other_pictures_and_a_broken_checkpoint(folder: Path, tmp_path: Path) -> None:
    run = Run(recipe(folder), tmp_path, "cpu")
    run.save()
    with pytest.raises(UserError, match="another learning_rate"):
        Run(recipe(folder, learning_rate=1e-5), tmp_path, "cpu").resume()
    run.training = replace(run.training, sources=run.training.sources[1:])
    with pytest.raises(UserError, match="pictures are not those"):
        run.resume()
    (tmp_path / "checkpoint.pt").write_bytes(b"half a checkp")
    with pytest.raises(UserError, match=r"checkpoint\.pt is no file of tensors"):
        run.resume()


@pytest.mark.parametrize(
    ("changes", "sentence"), [({"batch": 1}, "two pictures"), ({"crop": (100, 64)}, "multiples of 32")]
)
def test_recipes_that_cannot_be(changes: dict, sentence: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        Run(recipe(folder, **changes), tmp_path, "cpu")


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory) -> Run:
    run = Run(recipe(folder, steps=60, every=20, batch=4, ema=0.9), tmp_path_factory.mktemp("run"), "cpu")
    list(run.steps())
    return run


def test_it_learns_and_the_best_is_kept(trained: Run) -> None:
    log = [json.loads(line) for line in (trained.folder / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [20, 40, 60]
    best = max(entry["miou"] for entry in log)
    assert best > 0.7
    card = segmenter.load(trained.weights)[3]
    assert card["held_out_miou"] == pytest.approx(best, abs=1e-4)
    assert card["best_step"] in [entry["step"] for entry in log if entry["miou"] == best]


def test_what_was_trained_is_a_model_that_scores_as_the_log_says(trained: Run) -> None:
    model = load_model("segmentation", f"trained:{trained.weights}")
    assert model.classes == ("sky", "ground", "box")
    ready = model.on("cpu")
    intersections, unions = np.zeros((2, 3), np.int64)
    for source in trained.choosing.sources:
        if source.id == "broken.png":
            continue
        picture = Image.open(source.path).convert("RGB")
        mask = ready.masks([model.preprocess(picture)], [(64, 96)])[0]
        counts = class_counts(trained.choosing.read_mask(source), mask, 3, 255)  # type: ignore[arg-type]
        intersections, unions = intersections + counts.intersections, unions + counts.unions
    assert (intersections / unions).mean() == pytest.approx(trained.state["best"], abs=0.01)


def test_the_head_alone_is_in_the_file_and_nothing_of_the_trunk_learns(trained: Run) -> None:
    from safetensors import safe_open

    fresh = segmenter.fold(segmenter.Trunk()).state_dict()
    assert all(torch.equal(value, fresh[name]) for name, value in trained.trunk.state_dict().items())
    with safe_open(trained.weights, "pt") as file:
        assert set(file.keys()) == set(trained.head.state_dict())
    assert trained.weights.stat().st_size < 200_000


def test_files_that_hold_no_segmenter(trained: Run, tmp_path: Path) -> None:
    from mpq.weights.sources import FOLDER

    other = FOLDER / "hyperprior-tiny-0.1.safetensors"
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    for path in (other, tmp_path / "junk.safetensors"):
        with pytest.raises(UserError, match="no segmenter that was trained"):
            load_model("segmentation", f"trained:{path}")
    with pytest.raises(UserError, match="there is no file"):
        load_model("segmentation", f"trained:{tmp_path / 'nothing'}")


def test_batch_norms_that_are_folded_answer_alike() -> None:
    torch.manual_seed(0)
    head = segmenter.Head(segmenter.Shape(5, width=16))
    for layer in head.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.running_var, 0.5, 2)  # type: ignore[arg-type]
            torch.nn.init.normal_(layer.running_mean)  # type: ignore[arg-type]
            torch.nn.init.normal_(layer.weight)
    network = segmenter.Network(segmenter.Trunk(), head).eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        before = network(x)
        after = segmenter.fold(network)(x)
    assert torch.allclose(before, after, atol=1e-4 * before.abs().max())
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules())


@pytest.mark.parametrize("size", [(480, 360), (960, 720), (64, 64), (10_000, 10), (1, 3000)])
def test_prepared_pictures_keep_their_form_within_reason(size: tuple[int, int]) -> None:
    width, height = segmenter.prepared_size(*size, 960 * 704)
    assert width % 32 == height % 32 == 0
    assert min(width, height) >= 32
    if max(size) / min(size) < 5:
        assert width / height == pytest.approx(size[0] / size[1], rel=0.06)
        assert width * height == pytest.approx(960 * 704, rel=0.1)


def test_the_one_that_ships_scores_on_camvids_validation_pictures(shared: Path) -> None:
    model = load_model("segmentation", "lite0-camvid").on("cpu")
    scenes = CamVid().read(str(shared / "camvid" / "val"), None)
    intersections, unions = np.zeros((2, 11), np.int64)
    for source in scenes.sources[::6]:
        picture = Image.open(source.path).convert("RGB")
        mask = model.masks([model.preprocess(picture)], [(picture.height, picture.width)])[0]
        counts = class_counts(scenes.read_mask(source), mask, 11, scenes.ignored)  # type: ignore[attr-defined]
        intersections, unions = intersections + counts.intersections, unions + counts.unions
    assert (intersections[unions > 0] / unions[unions > 0]).mean() > 0.6
