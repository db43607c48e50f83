"""Cityscapes (Cordts et al. 2016): 19 classes of 34 labels, in fine masks."""

from __future__ import annotations

from pathlib import Path

from mpq.datasets.base import files_in, sample_id
from mpq.datasets.segmentation.base import Scene, SceneReader, Scenes
from mpq.errors import UserError

LABEL_IDS = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
    "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26,
    "truck": 27, "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
}  # fmt: skip
"""The classes that are scored, in the order of their trainIds 0–18, and their ids in ``*_labelIds.png``."""

VOID = (*sorted(set(range(34)) - set(LABEL_IDS.values())), 255)
"""The other labels; the licence plate's −1 is 255 in a file of bytes."""

PICTURE = "_leftImg8bit"


class Cityscapes(SceneReader):
    """``gtFine``'s labelIds, or labelTrainIds where the former are missing."""

    name = "cityscapes"
    summary = "Cityscapes, 19 classes, the part val, fine masks"
    layout = (
        "leftImg8bit/val/CITY/*_leftImg8bit.png and gtFine/val/CITY/*_gtFine_labelIds.png (or labelTrainIds)"
    )
    priority = 22

    def recognises(self, folder: Path) -> bool:
        return (folder / "leftImg8bit").is_dir() and (folder / "gtFine").is_dir()

    def scored(self, folder: Path) -> Scenes:
        return _part(folder, "val")

    def trained(self, folder: Path) -> tuple[Scenes, Scenes | None]:
        return _part(folder, "train"), None


def _part(folder: Path, name: str) -> Scenes:
    pictures, masks = folder / "leftImg8bit" / name, folder / "gtFine" / name
    for needed in (pictures, masks):
        if not needed.is_dir():
            raise UserError(f"'{folder}' has no {needed.relative_to(folder).as_posix()}/")
    found = [p for p in files_in(pictures, frozenset([".png", ".jpg"])) if p.stem.endswith(PICTURE)]
    kinds: dict[str, list[Scene]] = {"labelIds": [], "labelTrainIds": []}
    for picture in found:
        place = picture.relative_to(pictures)
        stem = place.stem.removesuffix(PICTURE)
        for kind, scenes in kinds.items():
            mask = masks / place.with_name(f"{stem}_gtFine_{kind}.png")
            if mask.is_file():
                scenes.append(Scene(sample_id(place), picture, mask=mask))
    # One kind for all: a mask's values mean one thing in a data set.
    kind = max(kinds, key=lambda k: len(kinds[k]))
    have = {scene.path for scene in kinds[kind]}
    problems = [f"{p.name} has no mask {kind}" for p in found if p not in have]
    train_ids = kind == "labelTrainIds"
    return Scenes(
        f"cityscapes-{name}",
        tuple(kinds[kind]),
        tuple(LABEL_IDS),
        tuple(problems),
        values=tuple(range(len(LABEL_IDS))) if train_ids else tuple(LABEL_IDS.values()),
        unlabelled=(255,) if train_ids else VOID,
    )
