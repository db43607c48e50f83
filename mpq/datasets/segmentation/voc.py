"""Pascal VOC 2007 to 2012 (Everingham et al. 2010), segmentation: 20 classes and the background."""

from __future__ import annotations

from pathlib import Path

from mpq.datasets.base import sample_id
from mpq.datasets.segmentation.base import Scene, SceneReader, Scenes
from mpq.errors import UserError

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
BORDER = 255


class PascalVOC(SceneReader):
    """The devkit's folder, or that of a year in it."""

    name = "voc"
    summary = "Pascal VOC segmentation, 21 classes, the part val"
    layout = "JPEGImages/ SegmentationClass/ ImageSets/Segmentation/val.txt; 255, the borders, is not scored"
    priority = 21

    def recognises(self, folder: Path) -> bool:
        return _year(folder) is not None

    def scored(self, folder: Path) -> Scenes:
        return _part(folder, "val")

    def trained(self, folder: Path) -> tuple[Scenes, Scenes | None]:
        return _part(folder, "train"), None


def _year(folder: Path) -> Path | None:
    """The newest year with masks."""
    candidates = [
        folder,
        *(base / f"VOC{y}" for y in range(2012, 2006, -1) for base in (folder, folder / "VOCdevkit")),
    ]
    for candidate in candidates:
        if (candidate / "SegmentationClass").is_dir() and (candidate / "JPEGImages").is_dir():
            return candidate
    return None


def _part(folder: Path, name: str) -> Scenes:
    base = _year(folder)
    if base is None:
        raise UserError(f"'{folder}' has no JPEGImages/ and SegmentationClass/")
    table = base / "ImageSets" / "Segmentation" / f"{name}.txt"
    try:
        stems = table.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"{table}, which says which pictures to take, cannot be read: {why}") from None
    sources, problems = [], []
    for stem in dict.fromkeys(stems):
        picture, mask = base / "JPEGImages" / f"{stem}.jpg", base / "SegmentationClass" / f"{stem}.png"
        missing = next((p for p in (picture, mask) if not p.is_file()), None)
        if missing:
            problems.append(f"{table.name}: there is no {sample_id(missing.relative_to(base))}")
        else:
            sources.append(Scene(f"{stem}.jpg", picture, mask=mask))
    return Scenes(
        f"voc-{name}",
        tuple(sources),
        CLASSES,
        tuple(problems),
        values=tuple(range(len(CLASSES))),
        unlabelled=(BORDER,),
    )
