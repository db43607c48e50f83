"""Training: what a step draws, what a kill costs, where λ goes, and what comes out."""

import json
import math
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mpq.codecs.base import parse_codec
from mpq.errors import UserError
from mpq.networks import trained
from mpq.samples import ImageSample
from mpq.training.adversary import Discriminator
from mpq.training.codec import CONTROL_FROM, Recipe, Run
from mpq.training.perceptual import perceptual
from mpq.training.pictures import crops, gather, whole

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {
    "mean-scale-hyperprior": {"N": 8, "M": 12},
    "hific": {"base": 2, "latent": 6, "hyper": 4, "blocks": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Six smooth pictures, one too small, one broken."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for i in range(6):
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        coarse.resize((160, 120), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    Image.new("RGB", (32, 200)).save(folder / "narrow.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    return folder


def recipe(folder: Path, architecture: str = "mean-scale-hyperprior", **changes) -> Recipe:
    return replace(
        Recipe(
            architecture,
            (str(folder),),
            steps=6,
            batch=2,
            crop=64,
            held_out=2,
            every=3,
            sizes=SMALL[architecture],
            perceptual="none",
            discriminator_width=4,
        ),
        **changes,
    )


def test_pictures_are_split_and_what_cannot_be_used_is_named(folder: Path) -> None:
    pictures = gather([folder], 64, 2, seed=0)
    assert len(pictures.training) == 4
    assert len(pictures.held_out) == 2
    assert {p.name for p in pictures.unusable} == {"narrow.png", "broken.jpg"}
    assert not set(pictures.training) & set(pictures.held_out)
    assert whole(folder / "broken.jpg") is None


def test_a_folder_without_enough_pictures_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="0 pictures of at least 128 × 128"):
        gather([folder], 128, 2, 0)
    with pytest.raises(UserError, match="is not a folder"):
        gather([tmp_path / "nowhere"], 64, 2, 0)


def test_crops_depend_on_seed_and_step_alone(folder: Path) -> None:
    paths = gather([folder], 64, 2, seed=0).training
    first = crops(paths, 4, 64, seed=1, step=7)
    assert first.shape == (4, 3, 64, 64)
    assert first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, crops(paths, 4, 64, seed=1, step=7))
    assert not torch.equal(first, crops(paths, 4, 64, seed=1, step=8))


@pytest.mark.parametrize("architecture", SMALL)
def test_a_run_that_was_stopped_ends_with_the_very_weights_of_one_that_was_not(
    folder: Path, tmp_path: Path, architecture: str
) -> None:
    plan = recipe(folder, architecture, adversarial_steps=6 if architecture == "hific" else 0)
    whole_run = Run(plan, tmp_path / "whole", "cpu")
    list(whole_run.steps())
    stopped = Run(plan, tmp_path / "stopped", "cpu")
    for progress in stopped.steps():
        if progress.step == 4:  # one after the checkpoint: that step is lost, and made again
            break
    again = Run(plan, tmp_path / "stopped", "cpu")
    again.resume()
    assert again.step == 3
    list(again.steps())
    for name, value in trained.load(whole_run.weights).state_dict().items():
        assert torch.equal(value, trained.load(again.weights).state_dict()[name]), name


def test_another_recipe_does_not_take_up_a_run(folder: Path, tmp_path: Path) -> None:
    run = Run(recipe(folder), tmp_path, "cpu")
    run.save()
    other = Run(recipe(folder, learning_rate=1e-5), tmp_path, "cpu")
    with pytest.raises(UserError, match="another learning_rate"):
        other.resume()
    (tmp_path / "checkpoint.pt").write_bytes(b"half a checkp")
    with pytest.raises(UserError, match=r"checkpoint\.pt is no file of tensors"):
        run.resume()


def test_the_adversary_learns_in_the_second_stage_only(folder: Path, tmp_path: Path) -> None:
    run = Run(recipe(folder, "hific", steps=2, adversarial_steps=2, every=100), tmp_path, "cpu")
    weights = [run.adversary.layers[0].parametrizations.weight.original.clone()]
    for _ in run.steps():
        weights.append(run.adversary.layers[0].parametrizations.weight.original.clone())
        if run.step == 2:
            assert torch.equal(weights[0], weights[-1])
    assert not torch.equal(weights[0], run.adversary.layers[0].parametrizations.weight.original)


def test_only_hific_has_an_adversary(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="only hific"):
        Run(recipe(folder, adversarial_steps=1), tmp_path, "cpu")


def test_discriminator_sees_patches_given_latents() -> None:
    network = Discriminator(latent=6, width=4)
    picture, latents = torch.rand(2, 3, 64, 64), torch.randn(2, 6, 4, 4, requires_grad=True)
    logits = network(picture, latents)
    assert logits.shape == (2, 1, 7, 7)
    logits.sum().backward()
    assert latents.grad is None  # the latents do not learn to please it


@pytest.mark.parametrize(("measured", "sign"), [(0.4, 1), (0.1, -1), (0.2, 0)])
def test_lambda_follows_the_rate(folder: Path, tmp_path: Path, measured: float, sign: int) -> None:
    run = Run(recipe(folder, rate=0.2), tmp_path, "cpu")
    run.step, before = CONTROL_FROM, run.state["log_weight"]
    run._follow({"rate": measured, "mse": 1.0, "perceptual": 0.0})
    moved = run.state["log_weight"] - before
    if sign == 0:
        assert moved == pytest.approx(0)
    else:
        assert math.copysign(1, moved) == sign


def test_training_lowers_the_loss(folder: Path, tmp_path: Path) -> None:
    run = Run(recipe(folder, steps=80, every=80, learning_rate=1e-2), tmp_path, "cpu")
    errors = [progress.mse for progress in run.steps()]
    assert errors[-1] < 0.6 * errors[0]


def test_what_was_trained_is_a_codec(folder: Path, tmp_path: Path) -> None:
    run = Run(recipe(folder, steps=1), tmp_path, "cpu")
    list(run.steps())
    architecture, configuration, card = trained.read_header(run.weights)
    assert (architecture, configuration) == ("mean-scale-hyperprior", SMALL["mean-scale-hyperprior"])
    assert card["pictures"] == 4
    (codec,) = parse_codec(f"trained:weights={run.weights}")
    sample = ImageSample(np.array(Image.open(folder / "0.png")))
    bitstream = codec.encode(sample)
    assert codec.decode(bitstream.data).pixels.shape == sample.pixels.shape


def test_weights_to_start_from_must_fit(folder: Path, tmp_path: Path) -> None:
    run = Run(recipe(folder, steps=1), tmp_path / "a", "cpu")
    list(run.steps())
    begun = Run(recipe(folder, initial=str(run.weights)), tmp_path / "b", "cpu")
    for name, value in trained.weights_of(trained.load(run.weights)).items():
        assert torch.equal(begun.network.state_dict()[name], value), name
    with pytest.raises(UserError, match="does not fit"):
        Run(recipe(folder, initial=str(run.weights), sizes={"N": 16, "M": 12}), tmp_path / "c", "cpu")
    with pytest.raises(UserError, match="no codec that was trained"):
        trained.load(folder / "0.png")


def test_perceptual_terms_by_name() -> None:
    assert perceptual("none", "cpu") is None
    same = torch.rand(1, 3, 64, 64)
    distance = perceptual("st-lpips", "cpu")
    assert distance is not None
    assert distance(same, same).item() == pytest.approx(0, abs=1e-9)
    with pytest.raises(UserError, match="there are: st-lpips, lpips, none"):
        perceptual("sharpness", "cpu")


def test_the_command_survives_a_kill_and_prints_its_progress(folder: Path, tmp_path: Path, mpq) -> None:
    arguments = [
        *("train", "codec", "--data", str(folder), "--out", str(tmp_path / "run"), "--steps", "4000"),
        *(
            "--crop",
            "64",
            "--batch",
            "2",
            "--held-out",
            "2",
            "--every",
            "5",
            "--size",
            "N=8",
            "--size",
            "M=12",
        ),
        *("--threads", "1"),
    ]
    process = subprocess.Popen([sys.executable, "-m", "cli", *arguments], stdout=subprocess.DEVNULL)
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    reached = [json.loads(line)["step"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert reached[0] == 5
    shorter = mpq(*[a if a != "4000" else "5" for a in arguments])
    assert shorter.status == 2
    assert "another steps (4000, not 5)" in shorter.err


def test_card_measures_real_bitstreams_beside_rivals(folder: Path, tmp_path: Path, mpq) -> None:
    run = Run(recipe(folder, steps=1), tmp_path, "cpu")
    list(run.steps())
    good = tmp_path / "photographs"
    good.mkdir()
    for name in ("0.png", "1.png"):
        (good / name).write_bytes((folder / name).read_bytes())
    result = mpq("train", "card", str(run.weights), "--data", str(good))
    assert result.status == 0, result.err
    (codec,) = parse_codec(f"trained:weights={run.weights}")
    samples = [ImageSample(np.array(Image.open(path))) for path in sorted(good.iterdir())]
    bits = sum(8 * len(codec.encode(sample).data) for sample in samples)
    assert f"| weights | {bits / (2 * 160 * 120):.3f} |" in result.out
    assert "| jpeg |" in result.out
    assert "| webp |" in result.out


def test_a_run_is_not_taken_up_with_other_pictures(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "pictures"
    mine.mkdir()
    for path in folder.glob("?.png"):
        (mine / path.name).write_bytes(path.read_bytes())
    Run(recipe(mine), tmp_path / "run", "cpu").save()
    (mine / "3.png").unlink()
    with pytest.raises(UserError, match="the pictures are not those"):
        Run(recipe(mine), tmp_path / "run", "cpu").resume()


def test_no_picture_is_held_out_and_trained_on_where_folders_lie_in_each_other(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for i in range(8):
        Image.new("RGB", (64, 64)).save(tmp_path / "inner" / f"{i}.png")
    pictures = gather([tmp_path, tmp_path / "inner"], 64, 3, seed=1)
    assert len(pictures.training) + len(pictures.held_out) == 8


def test_whole_headers_with_broken_bodies_are_not_waited_for(tmp_path: Path) -> None:
    Image.effect_noise((200, 200), 90).save(tmp_path / "whole.jpg")
    cut = (tmp_path / "whole.jpg").read_bytes()[:3_000]
    for i in range(3):
        (tmp_path / f"{i}.jpg").write_bytes(cut)
    (tmp_path / "whole.jpg").unlink()
    paths = gather([tmp_path], 64, 1, seed=0).training
    with pytest.raises(UserError, match="broken bodies"):
        crops(paths, 2, 64, seed=0, step=0)
