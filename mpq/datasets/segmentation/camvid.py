"""CamVid (Brostow et al. 2008) in the form of SegNet's tutorial: road scenes of 480 × 360 pixels, 11 classes."""

from __future__ import annotations

from pathlib import Path

from mpq.datasets.segmentation.base import SceneReader, Scenes, paired, scenes_of
from mpq.errors import UserError

CLASSES = (
    "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist",
)  # fmt: skip
UNLABELLED = (11, 255)
PARTS = ("test", "val", "train")
"""In the order in which one is scored."""


class CamVid(SceneReader):
    """``train/``, ``val/`` and ``test/`` with the masks in ``trainannot/``, …; one part may be named: ``DIR/val``."""

    name = "camvid"
    summary = "CamVid, 11 classes, the test part unless another is named"
    layout = "train/ val/ test/ and trainannot/ valannot/ testannot/; mask values 0–10, 11 is not scored"
    priority = 20

    def recognises(self, folder: Path) -> bool:
        return any(_masks(folder / part).is_dir() for part in PARTS) or _is_part(folder)

    def scored(self, folder: Path) -> Scenes:
        if _is_part(folder):
            return _part(folder)
        for name in PARTS:
            if (folder / name).is_dir() and _masks(folder / name).is_dir():
                return _part(folder / name)
        raise UserError(f"'{folder}' has none of {', '.join(f'{n}/ with {n}annot/' for n in PARTS)}")

    def trained(self, folder: Path) -> tuple[Scenes, Scenes | None]:
        if _is_part(folder):
            return _part(folder), None
        if not _is_part(folder / "train"):
            raise UserError(f"'{folder}' has no train/ with trainannot/")
        return _part(folder / "train"), _part(folder / "val") if _is_part(folder / "val") else None


def _masks(part: Path) -> Path:
    return part.with_name(part.name + "annot")


def _is_part(folder: Path) -> bool:
    folder = folder.resolve()
    return folder.name in PARTS and folder.is_dir() and _masks(folder).is_dir()


def _part(folder: Path) -> Scenes:
    folder = folder.resolve()
    pairs, problems = paired(folder, _masks(folder), ".png")
    return Scenes(
        f"camvid-{folder.name}",
        tuple(scenes_of(folder, pairs)),
        CLASSES,
        tuple(problems),
        values=tuple(range(len(CLASSES))),
        unlabelled=UNLABELLED,
    )
