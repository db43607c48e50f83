"""Fusing generated poses (IPG): a crop's feature, drawn towards those of pictures of the same person in other poses.

Yuan, Zhang, Ma, Zhang, Niu, "From Poses to Identity: Training-Free Person Re-Identification via Feature
Centralization", CVPR 2025. The pictures are made elsewhere, by its generator, and lie as its authors published
theirs for Market-1501, eight poses of each crop:

    ROOT/bounding_box_test_gen/pose1/0001_c1s1_001051_03.jpg, …/pose8/…   for those in bounding_box_test
    ROOT/query_gen/pose1/0001_c1s1_001051_00.jpg, …/pose8/…               for those in query
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from mpq.errors import UserError
from reid.backbones.base import Backbone
from reid.extract import extract
from reid.features import FeatureError, checked_features, l2_normalized

if TYPE_CHECKING:
    from reid.datasets.base import Crop

Reduce = Literal["sum", "mean"]
"""What η weighs of the generated pictures' features. The paper's README takes 1 × their sum, its demonstration on
Market-1501 2 × their mean: of eight pictures, four times less."""


@dataclass(frozen=True)
class Fused:
    """features: (N, D) float32 of length 1. pictures: how many were fused. notes: who lacked which."""

    features: np.ndarray
    pictures: int
    notes: tuple[str, ...]


def fuse(
    features: np.ndarray,
    generated: Sequence[np.ndarray],
    *,
    eta: float = 1.0,
    reduce: Reduce = "sum",
) -> np.ndarray:
    """(N, D) features and for each crop (p, D) of its generated pictures, p ≥ 0 -> (N, D) float32 of length 1.

    f + η · Σ g, or f + η · Σ g / p, and then L2-normalised, as published: features go in as the backbone gives
    them, so long ones weigh more. A crop without generated pictures keeps its direction. Raises FeatureError
    where shapes do not fit or a number is not finite.
    """
    features = checked_features(features)
    if len(generated) != len(features):
        raise FeatureError(
            f"there are generated pictures for {len(generated)} crops, not for {len(features)}"
        )
    sums, counts = np.zeros_like(features), np.zeros(len(features), np.int64)
    for i, own in enumerate(generated):
        if len(own):
            own = checked_features(own, f"generated features of crop {i}")
            if own.shape[1] != features.shape[1]:
                raise FeatureError(
                    f"generated features of crop {i} have {own.shape[1]} dimensions, not {features.shape[1]}"
                )
            sums[i], counts[i] = own.sum(axis=0), len(own)
    return _fused(features, sums, counts, eta, reduce)


def fuse_generated(
    features: np.ndarray,
    crops: Sequence[Crop],
    root: Path,
    backbone: Backbone,
    *,
    eta: float = 1.0,
    reduce: Reduce = "sum",
    flip: bool = False,
    batch: int | None = None,
    cache: Path | None = None,
    advanced: Callable[[int], None] = lambda count: None,
) -> Fused:
    """``fuse`` of (N, D) features of crops with the pictures generated of them in ``root``.

    Crops that lack some or all are told in notes; so are pictures that cannot be read, which count as lacking.
    flip, batch, cache, advanced: of ``extract``; ``advanced`` counts generated pictures. Raises UserError where
    there is not one.
    """
    features = checked_features(features)
    poses = generated_pictures(crops, root)
    sums, counts = np.zeros_like(features), np.zeros(len(features), np.int64)
    broken: list[str] = []
    for pictures in poses.values():
        rows = np.array([i for i, picture in enumerate(pictures) if picture is not None], dtype=np.int64)
        asked = [replace(crops[i], path=picture) for i, picture in enumerate(pictures) if picture is not None]
        made = extract(asked, backbone, flip=flip, batch=batch, cache=cache, advanced=advanced)
        broken += [f"{asked[i].path}: {why}" for i, why in made.unreadable.items()]
        there = np.array([i not in made.unreadable for i in range(len(asked))])
        sums[rows[there]] += made.features[there]
        counts[rows[there]] += 1
    notes = _notes(crops, counts, len(poses), broken, eta, reduce)
    return Fused(_fused(features, sums, counts, eta, reduce), int(counts.sum()), notes)


def generated_pictures(crops: Sequence[Crop], root: Path) -> dict[str, list[Path | None]]:
    """Pose -> for each crop the picture generated of it, or None: ``ROOT/FOLDER_gen/POSE/FILE``.

    FOLDER is the one that the crop lies in, FILE has its name with any ending. Raises UserError where there is not one.
    """
    folders = {crop.path.parent.name for crop in crops}
    found: dict[str, dict[tuple[str, str], Path]] = {}
    for folder in sorted(folders):
        for pose in _folders(root / f"{folder}_gen"):
            held = found.setdefault(pose.name, {})
            held.update(
                ((folder, path.stem), path) for path in pose.iterdir() if not path.name.startswith(".")
            )
    poses = {
        pose: [found[pose].get((crop.path.parent.name, crop.path.stem)) for crop in crops]
        for pose in sorted(found, key=_by_number)
    }
    poses = {pose: pictures for pose, pictures in poses.items() if any(pictures)}
    if not poses:
        wanted = " and ".join(f"{folder}_gen/pose1" for folder in sorted(folders)[:2])
        raise UserError(
            f"'{root}' holds no picture generated of these crops: it should hold {wanted}, … with files named as theirs"
        )
    return poses


def _fused(
    features: np.ndarray, sums: np.ndarray, counts: np.ndarray, eta: float, reduce: Reduce
) -> np.ndarray:
    if not (math.isfinite(eta) and eta >= 0):
        raise ValueError(f"eta must be a number of at least 0 and is {eta}")
    if reduce not in get_args(Reduce):
        raise ValueError(f"reduce must be one of {', '.join(get_args(Reduce))} and is {reduce!r}")
    if reduce == "mean":
        sums = sums / np.maximum(counts, 1)[:, None]
    return l2_normalized(features + np.float32(eta) * sums)


def _notes(
    crops: Sequence[Crop], counts: np.ndarray, poses: int, broken: list[str], eta: float, reduce: Reduce
) -> tuple[str, ...]:
    notes = [f"Fused with {counts.sum():,} generated pictures of {poses} poses: {eta:g} × their {reduce}."]
    alone = [crop.pid for crop, count in zip(crops, counts, strict=True) if count == 0]
    if alone:
        # The published sets have none of distractors, whom their program fuses with themselves: the same direction.
        distractors = alone.count(0)
        notes.append(
            f"Crops without generated pictures, which keep their features: {len(alone) - distractors:,} of people, "
            f"{distractors:,} of distractors (as published)."
        )
    if short := int(((counts > 0) & (counts < poses)).sum()):
        notes.append(f"Crops that lack some of the {poses} poses and are fused with the others: {short:,}.")
    if broken:
        notes.append(f"Generated pictures that cannot be read: {len(broken):,}; the first is {broken[0]}.")
    return tuple(notes)


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:  # it is not there, which is told if nothing else is either
        return []


def _by_number(name: str) -> list[tuple[int, str]]:
    """pose2 before pose10."""
    return [(int(digits or 0), word) for word, digits in re.findall(r"(\D*)(\d*)", name)]
