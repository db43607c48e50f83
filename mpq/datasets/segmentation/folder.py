"""Folders of one's own: pictures with masks and a list of classes, or pictures alone."""

from __future__ import annotations

import re
from bisect import bisect_left
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from mpq.datasets.base import IMAGE_SUFFIXES, Dataset, files_in, sample_id
from mpq.datasets.segmentation.base import (
    JPEG_SUFFIXES,
    Scene,
    SceneReader,
    Scenes,
    folders_in,
    paired,
    scenes_of,
)
from mpq.datasets.segmentation.class_list import FILE, NOT_SCORED, class_list
from mpq.datasets.segmentation.mask_files import values_in
from mpq.errors import UserError

PICTURES = ("images", "imgs", "pictures")
MASKS = ("masks", "labels", "annotations")
UNLABELLED = frozenset([255, 65_535])
"""Unless the list is so long that 255 is a class."""
OF_MASKS = re.compile(r"mask|label|annot|segm|truth|^gt|gt$")
"""In the names of folders."""
COMPARED = 20
"""Pictures at most whose names are looked for among a folder's."""


class Pairs(SceneReader):
    """A mask has its picture's name but for the ending, and the picture's size. What is stored in line i (from 0)
    of the list is value i's name; lines that read ``ignored`` or ``void`` are not scored, nor is the value 255
    (in lists of up to 255 lines; 65535 in any).

    Where two classes are scored, and masks hold nothing but the first's value and 255 (or 65535), as programs that
    draw black and white leave them, that value is the second class, and the data set's notes say so.
    """

    name = "masks"
    summary = "pictures and masks of one's own"
    layout = (
        "images/NAME.jpg, masks/NAME.png, or NAME.png beside NAME.jpg; classes.txt: a class a line, "
        "the first is value 0; 255 is not scored"
    )
    priority = 40

    def recognises(self, folder: Path) -> bool:
        # A list of classes alone is asked for its masks: coded as pictures they would go without a word.
        return _both(folder) is not None or (folder / FILE).is_file()

    def scored(self, folder: Path) -> Scenes:
        base, pairs, problems = _pairs(folder)
        names = class_list(folder / FILE)
        meaning = _meaning(names, [mask for _, mask in pairs])
        return Scenes(
            sample_id(Path(folder.resolve().name)),
            tuple(scenes_of(base, pairs)),
            tuple(name for name in names if name.casefold() not in NOT_SCORED),
            tuple(problems),
            values=meaning.values,
            unlabelled=meaning.unlabelled,
            notes=meaning.notes,
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
        if found := _masks_of_unknown_layout(folder):
            pictures, picture, mask = (sample_id(path.relative_to(folder)) for path in found)
            raise UserError(
                f"'{folder}': {mask} looks like the mask of {picture}, but the folder as a whole has no layout that "
                f"is known; with masks: {Pairs.layout}; without: --data {folder / pictures}"
            )
        files = files_in(folder, IMAGE_SUFFIXES)
        sources = tuple(Scene(sample_id(p.relative_to(folder)), p) for p in files)
        return Scenes(sample_id(Path(folder.resolve().name)), sources, notes=_masks_among(files))


def _both(folder: Path) -> tuple[Path, Path] | None:
    """The folders of the pictures and of the masks."""
    found = [
        next((folder / name for name in names if (folder / name).is_dir()), None)
        for names in (PICTURES, MASKS)
    ]
    return (found[0], found[1]) if found[0] and found[1] else None


def _pairs(folder: Path) -> tuple[Path, list[tuple[Path, Path]], list[str]]:
    """The pictures' folder, pictures with masks, and sentences about what lacks one. Raises UserError."""
    if both := _both(folder):
        return both[0], *paired(*both)
    missing = f"'{folder}' has no {PICTURES[0]}/ and {MASKS[0]}/"
    if not (folder / FILE).is_file():
        raise UserError(missing)
    pairs, problems = paired(folder, folder, ".png", pictures_end=JPEG_SUFFIXES)
    if not pairs:
        raise UserError(
            f"{missing}, nor a PNG beside a JPEG of its name, though it has a {FILE}; the layout is "
            f"{Pairs.layout}; without masks: --data folder:{folder}"
        )
    masks = {mask for _, mask in pairs}
    alone = [path for path in files_in(folder, frozenset([".png"])) if path not in masks]
    problems += [f"{sample_id(path.relative_to(folder))} is the mask of no JPEG" for path in alone]
    return folder, pairs, problems


class _Meaning(NamedTuple):
    """values, unlabelled, notes: as in ``Scenes``."""

    values: tuple[int, ...]
    unlabelled: tuple[int, ...]
    notes: tuple[str, ...] = ()


def _meaning(names: list[str], masks: list[Path]) -> _Meaning:
    """What the values of a list mean, as far as some of the masks tell."""
    values = tuple(i for i, name in enumerate(names) if name.casefold() not in NOT_SCORED)
    top = {value for value in UNLABELLED if value >= len(names)}
    unlabelled = (*(i for i in range(len(names)) if i not in values), *sorted(top))
    two = len(values) == 2
    seen, looked = values_in(masks, frozenset(values[1:] if two else values))
    high = seen & top
    if two and len(high) == 1 and seen == high | {values[0]}:
        (white,) = high
        note = (
            f"the masks hold {values[0]} and {white} alone: {white} is read as '{names[values[1]]}', "
            f"whose value is {values[1]} by {FILE}"
        )
        others = tuple(value for value in unlabelled if value != white)
        return _Meaning((values[0], white), others, (note,))
    absent = [names[value] for value in values if value not in seen]
    if not absent or not high:
        return _Meaning(values, unlabelled)
    some = ", ".join(absent[:3]) + (", …" if len(absent) > 3 else "")
    note = (
        f"no pixel of the {looked} masks looked at is {some} ({len(absent)} of {len(values)} classes); the value "
        f"{' and '.join(map(str, sorted(high)))}, which is there, is not scored"
    )
    return _Meaning(values, unlabelled, (note,))


def _masks_of_unknown_layout(folder: Path) -> tuple[Path, Path, Path] | None:
    """A folder of pictures, one of them, and what its name says is its mask.

    It lies in a folder beside, which is named as one of masks, and its name may go on where the picture's ends:
    ``test/a.png``, ``test_labels/a_L.png``.
    """
    below = folders_in(folder)
    for place in (below, *map(folders_in, below)):
        for masks in (p for p in place if OF_MASKS.search(p.name.casefold())):
            files = {path.stem: path for path in files_in(masks, IMAGE_SUFFIXES)}
            stems = sorted(files)
            for pictures in (p for p in place if not OF_MASKS.search(p.name.casefold())):
                for picture in files_in(pictures, IMAGE_SUFFIXES)[:COMPARED]:
                    at = bisect_left(stems, picture.stem)
                    if at < len(stems) and stems[at].startswith(picture.stem):
                        return pictures, picture, files[stems[at]]
    return None


def _masks_among(files: list[Path]) -> tuple[str, ...]:
    """A sentence where a JPEG has a PNG of its name beside it that is no colour picture."""
    jpegs = {p.with_suffix("") for p in files if p.suffix.lower() in JPEG_SUFFIXES}
    for path in (p for p in files if p.suffix.lower() == ".png" and p.with_suffix("") in jpegs):
        try:
            with Image.open(path) as image:
                grey = image.mode in ("1", "L", "P") or image.mode.startswith("I")
        except Exception:  # what is broken is told when it is read
            continue
        if not grey:
            return ()
        return (
            f"{path.name} may be a mask, and is taken for a picture: masks are read where there is a {FILE}",
        )
    return ()
