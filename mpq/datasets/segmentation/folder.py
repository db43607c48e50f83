"""Folders of one's own: pictures with masks and a list of classes, or pictures alone."""

from __future__ import annotations

from pathlib import Path

from mpq.datasets.base import IMAGE_SUFFIXES, Dataset, files_in, sample_id
from mpq.datasets.segmentation.base import Scene, SceneReader, Scenes, paired, scenes_of
from mpq.errors import UserError

PICTURES = ("images", "imgs", "pictures")
MASKS = ("masks", "labels", "annotations")
CLASSES = "classes.txt"
NOT_SCORED = frozenset(["ignored", "ignore", "unlabelled", "unlabeled", "void"])


class Pairs(SceneReader):
    """A mask has its picture's name but for the ending, and the picture's size. What is stored in line i (from 0)
    of the list is value i's name; lines that read ``ignored`` or ``void`` are not scored, nor is the value 255
    (65535 in masks of 16 bits)."""

    name = "masks"
    summary = "pictures and masks of one's own"
    layout = "images/NAME.jpg, masks/NAME.png, classes.txt: a class a line, the first is value 0; 255 is not scored"
    priority = 40

    def recognises(self, folder: Path) -> bool:
        return _either(folder, PICTURES) is not None and _either(folder, MASKS) is not None

    def scored(self, folder: Path) -> Scenes:
        pictures, masks = _either(folder, PICTURES), _either(folder, MASKS)
        if pictures is None or masks is None:
            raise UserError(f"'{folder}' has no {PICTURES[0]}/ and {MASKS[0]}/")
        names = _classes(folder / CLASSES)
        values = tuple(i for i, name in enumerate(names) if name.casefold() not in NOT_SCORED)
        pairs, problems = paired(pictures, masks)
        top = 255 if len(names) <= 255 else 65_535
        return Scenes(
            sample_id(Path(folder.resolve().name)),
            tuple(scenes_of(pictures, pairs)),
            tuple(names[i] for i in values),
            tuple(problems),
            values=values,
            unlabelled=(*(i for i in range(len(names)) if i not in values), top),
        )

    def trained(self, folder: Path) -> tuple[Scenes, Scenes | None]:
        return self.scored(folder), None


class Pictures(SceneReader):
    """Any pictures: what is measured is how far the model keeps its own mask of the originals."""

    name = "folder"
    summary = "any folder of pictures, without masks: fidelity to the model's own mask"
    layout = "pictures, at any depth"
    masked = False
    priority = 90

    def recognises(self, folder: Path) -> bool:
        return bool(files_in(folder, IMAGE_SUFFIXES))

    def scored(self, folder: Path) -> Dataset:
        sources = tuple(Scene(sample_id(p.relative_to(folder)), p) for p in files_in(folder, IMAGE_SUFFIXES))
        return Scenes(sample_id(Path(folder.resolve().name)), sources)


def _either(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _classes(path: Path) -> list[str]:
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}, which names the masks' values, one a line, cannot be read: {error}"
        ) from None
    while names and not names[-1]:
        names.pop()
    empty = next((i for i, name in enumerate(names, 1) if not name), None)
    if empty:
        raise UserError(f"{path} line {empty} is empty; a value without a class reads 'ignored'")
    twice = next(
        (name for i, name in enumerate(names) if name in names[:i] and name.casefold() not in NOT_SCORED),
        None,
    )
    if twice:
        raise UserError(f"{path} names '{twice}' twice")
    if not any(name.casefold() not in NOT_SCORED for name in names):
        raise UserError(f"{path} names no class")
    return names
