"""Fusing generated poses: by hand, as published, and what happens to crops that have none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mpq.errors import UserError
from reid.backbones.base import Backbone
from reid.backbones.preprocessing import Preprocessing
from reid.datasets.base import Crop
from reid.features import FeatureError, l2_normalized
from reid.poses import fuse, fuse_generated, generated_pictures


def test_by_hand() -> None:
    features = np.array([[3.0, 0.0], [0.0, 2.0]], dtype=np.float32)
    generated = [np.array([[0.0, 1.0], [0.0, 3.0]]), np.array([[1.0, 0.0], [3.0, 4.0]])]
    # (3, 0) + (0, 4) = (3, 4); (0, 2) + (4, 4) = (4, 6)
    expected = [[0.6, 0.8], np.array([4, 6]) / np.sqrt(52)]
    np.testing.assert_allclose(fuse(features, generated), expected, atol=1e-6)
    # half of that: (3, 2) and (2, 4)
    expected = [np.array([3, 2]) / np.sqrt(13), np.array([2, 4]) / np.sqrt(20)]
    np.testing.assert_allclose(fuse(features, generated, reduce="mean"), expected, atol=1e-6)
    np.testing.assert_allclose(fuse(features, generated, eta=0.5), expected, atol=1e-6)
    np.testing.assert_allclose(fuse(features, generated, eta=0), [[1, 0], [0, 1]], atol=1e-6)


def random_sets(poses: int = 8) -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 5)).astype(np.float32), [rng.normal(size=(poses, 5)) for _ in range(6)]


def test_the_readme_and_the_demonstration_differ_by_a_factor_of_four() -> None:
    features, generated = random_sets()
    torch_features = torch.from_numpy(features)
    total = torch.from_numpy(np.stack(generated).astype(np.float32).sum(1))
    readme = torch.nn.functional.normalize(torch_features + 1 * total, dim=1)
    demonstration = torch.nn.functional.normalize(torch_features + 2 * total / 8, dim=1)
    np.testing.assert_allclose(fuse(features, generated), readme, atol=1e-6)
    np.testing.assert_allclose(fuse(features, generated, eta=2, reduce="mean"), demonstration, atol=1e-6)
    np.testing.assert_allclose(fuse(features, generated, eta=0.25), demonstration, atol=1e-6)


def test_a_crop_fused_with_itself_keeps_its_direction() -> None:
    features, _ = random_sets()
    itself = [np.repeat(one[None], 8, axis=0) for one in features]  # as published for distractors
    np.testing.assert_allclose(fuse(features, itself), l2_normalized(features), atol=1e-6)


def test_a_crop_without_pictures_keeps_its_direction_and_others_do_not_mind() -> None:
    features, generated = random_sets()
    lacking = [*generated[:2], generated[2][:0], generated[3][:3], *generated[4:]]
    made, whole = fuse(features, lacking), fuse(features, generated)
    np.testing.assert_allclose(made[2], l2_normalized(features[2:3])[0], atol=1e-6)
    np.testing.assert_array_equal(made[[0, 1, 4, 5]], whole[[0, 1, 4, 5]])
    assert np.abs(made[3] - whole[3]).max() > 1e-3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f, g: (f, g[:-1]), "generated pictures for 5 crops, not for 6"),
        (lambda f, g: (f, [g[0][:, :3], *g[1:]]), "of crop 0 have 3 dimensions, not 5"),
        (lambda f, g: (f, [*g[:5], g[5] * np.nan]), "of crop 5 has NaN"),
        (lambda f, g: (f * np.inf, g), "NaN or infinity"),
    ],
)
def test_what_does_not_fit_is_refused(change, words: str) -> None:
    with pytest.raises(FeatureError, match=words):
        fuse(*change(*random_sets()))


def test_what_eta_and_reduce_may_be() -> None:
    features, generated = random_sets()
    for eta in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="eta"):
            fuse(features, generated, eta=eta)
    with pytest.raises(ValueError, match="sum, mean"):
        fuse(features, generated, reduce="median")  # type: ignore[arg-type]


class Mean(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


@pytest.fixture
def colour() -> Backbone:
    """The mean colour, 0 to 1."""
    preprocess = Preprocessing((16, 8), (0.0,) * 3, (1.0,) * 3)
    return Backbone(
        name="colour",
        network=Mean(),
        preprocess=preprocess,
        weights_sha256="0" * 64,
        preprocessing=str(preprocess),
        version="1",
    )


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
NAMES = ["0001_c1s1_000001_00.jpg", "0001_c2s1_000002_00.jpg", "0000_c3s1_000003_00.jpg", "0002_c1s1_000004_00.jpg"]  # fmt: skip


def put(path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 16), colour).save(path, "PNG")  # whatever its ending: nobody asks a file's name


@pytest.fixture
def market(tmp_path: Path) -> list[Crop]:
    """One query and three gallery crops, red; generated of the first green in pose 1 and 2, and blue in pose 10."""
    crops = []
    for i, (name, folder) in enumerate(zip(NAMES, ["query", *["bounding_box_test"] * 3], strict=True)):
        put(tmp_path / folder / name, RED)
        crops.append(Crop(name, tmp_path / folder / name, int(name[:4]), i + 1))
    for pose, shade in (("pose10", BLUE), ("pose1", GREEN), ("pose2", GREEN)):
        put(tmp_path / "query_gen" / pose / NAMES[0], shade)
    put(tmp_path / "bounding_box_test_gen" / "pose1" / NAMES[1].replace(".jpg", ".png"), BLUE)
    return crops


def test_pictures_are_found_as_their_authors_published_theirs(market: list[Crop], tmp_path: Path) -> None:
    poses = generated_pictures(market, tmp_path)
    assert list(poses) == ["pose1", "pose2", "pose10"]
    found = {pose: [picture and picture.relative_to(tmp_path) for picture in p] for pose, p in poses.items()}
    query, gallery = Path("query_gen"), Path("bounding_box_test_gen")
    png = NAMES[1].replace(".jpg", ".png")
    assert found["pose1"] == [query / "pose1" / NAMES[0], gallery / "pose1" / png, None, None]
    assert found["pose10"] == [query / "pose10" / NAMES[0], None, None, None]


def test_what_is_fused_and_who_lacks_what_is_told(
    market: list[Crop], tmp_path: Path, colour: Backbone
) -> None:
    features = np.tile([1.0, 0.0, 0.0], (4, 1)).astype(np.float32)
    counted: list[int] = []
    made = fuse_generated(features, market, tmp_path, colour, advanced=counted.append)
    # red + 2 green + blue; red + blue; red; red
    np.testing.assert_allclose(made.features[0], np.array([1, 2, 1]) / np.sqrt(6), atol=1e-6)
    np.testing.assert_allclose(made.features[1], np.array([1, 0, 1]) / np.sqrt(2), atol=1e-6)
    np.testing.assert_allclose(made.features[2:], features[2:], atol=1e-6)
    assert (made.pictures, sum(counted)) == (4, 4)
    assert made.notes == (
        "Fused with 4 generated pictures of 3 poses: 1 × their sum.",
        "Crops without generated pictures, which keep their features: 1 of people, 1 of distractors (as published).",
        "Crops that lack some of the 3 poses and are fused with the others: 1.",
    )
    mean = fuse_generated(features, market, tmp_path, colour, eta=3, reduce="mean")
    # red + 3 (2 green + blue) / 3
    np.testing.assert_allclose(mean.features[0], np.array([1, 2, 1]) / np.sqrt(6), atol=1e-6)
    assert "3 × their mean" in mean.notes[0]


def test_a_broken_generated_picture_counts_as_lacking_and_is_told(
    market: list[Crop], tmp_path: Path, colour: Backbone
) -> None:
    features = np.tile([1.0, 0.0, 0.0], (4, 1)).astype(np.float32)
    broken = tmp_path / "query_gen" / "pose1" / NAMES[0]
    broken.write_bytes(b"hello")
    made = fuse_generated(features, market, tmp_path, colour)
    np.testing.assert_allclose(made.features[0], np.array([1, 1, 1]) / np.sqrt(3), atol=1e-6)
    assert made.pictures == 3
    assert made.notes[-1].startswith(f"Generated pictures that cannot be read: 1; the first is {broken}: ")
    assert made.notes[-2].endswith("fused with the others: 2.")


def test_generated_features_come_from_the_cache_too(
    market: list[Crop], tmp_path: Path, colour: Backbone
) -> None:
    features = np.tile([1.0, 0.0, 0.0], (4, 1)).astype(np.float32)
    first, second = (
        fuse_generated(features, market, tmp_path, colour, cache=tmp_path / "cache") for _ in range(2)
    )
    np.testing.assert_array_equal(first.features, second.features)
    assert first.notes == second.notes


def test_nothing_generated_is_one_sentence(market: list[Crop], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "strange" / "query_gen" / "pose1").mkdir(parents=True)
    put(tmp_path / "strange" / "query_gen" / "pose1" / "somebody.jpg", RED)
    for folder in ("absent", "empty", "strange"):
        with pytest.raises(
            UserError, match=rf"{folder}' holds no picture .* bounding_box_test_gen/pose1 and query_gen/pose1"
        ):
            generated_pictures(market, tmp_path / folder)
    with pytest.raises(UserError):
        generated_pictures([replace(market[0], path=Path("/elsewhere/0001.jpg"))], tmp_path)
