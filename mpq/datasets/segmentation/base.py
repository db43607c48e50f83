"""Scenes: pictures whose masks say what each pixel shows, and how a data set stores its masks."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from mpq.datasets.base import IMAGE_SUFFIXES, Dataset, DatasetReader, Source, files_in, sample_id
from mpq.datasets.segmentation.mask_files import MASK_SUFFIXES, read_values, shown_size
from mpq.errors import UserError
from mpq.paths import user_path
from mpq.samples import SampleError

JPEG_SUFFIXES = frozenset([".jpg", ".jpeg", ".jpe", ".jfif"])


@dataclass(frozen=True)
class Scene(Source):
    """A picture, and the file that says what each of its pixels shows, where there is one."""

    mask: Path | None = None

    @property
    def companions(self) -> tuple[Path, ...]:
        return () if self.mask is None else (self.mask,)


@dataclass(frozen=True)
class Scenes(Dataset):
    """Pictures with masks. ``classes`` names what is scored.

    values: in a mask's file, the value of each of ``classes``. unlabelled: values that mean nothing, not scored.
    notes: sentences about how the folder and its masks are read.
    """

    values: tuple[int, ...] = ()
    unlabelled: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ignored(self) -> int:
        """What unlabelled pixels are in the arrays of ``read_mask``."""
        return 255 if len(self.classes) <= 255 else 65_535

    @property
    def labelled(self) -> bool:
        return any(isinstance(source, Scene) and source.mask is not None for source in self.sources)

    def without_labels(self) -> Scenes:
        sources = tuple(Scene(source.id, source.path) for source in self.sources)
        return replace(self, sources=sources, classes=(), values=(), unlabelled=(), notes=())

    @cached_property
    def fingerprint(self) -> str:
        """That of the files, and of what their values mean."""
        meaning = [super().fingerprint, self.classes, self.values, self.unlabelled]
        return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()

    @cached_property
    def _table(self) -> np.ndarray:
        """(65536,) int32: stored value -> class index, ``ignored``, or −1 for what it must not be."""
        table = np.full(65_536, -1, np.int32)
        table[list(self.unlabelled)] = self.ignored
        table[list(self.values)] = np.arange(len(self.values))
        return table

    def read_mask(self, scene: Scene) -> np.ndarray:
        """(h, w) uint8, or uint16 for more than 255 classes: class indices, and ``ignored`` where it is unlabelled.

        Raises SampleError: a file that is no picture of whole numbers, a value that is no class, another size
        than the picture's.
        """
        assert scene.mask is not None
        stored = read_values(scene.mask)
        size = shown_size(scene.path)
        if stored.shape != (size[1], size[0]):
            height, width = stored.shape
            raise SampleError(
                f"the mask {scene.mask.name} is {width} × {height} pixels, its picture {size[0]} × {size[1]}"
            )
        mask = self._table[stored]
        if mask.size and mask.min() < 0:
            strange = int(stored[mask < 0].min())
            raise SampleError(f"the mask {scene.mask.name} has the value {strange}, which is no class")
        return mask.astype(np.uint8 if self.ignored == 255 else np.uint16)


class SceneReader(DatasetReader):
    """Reads pictures with masks of one layout. masked: it has masks to train on."""

    task: ClassVar[str] = "segmentation"
    masked: ClassVar[bool] = True

    @abstractmethod
    def scored(self, folder: Path) -> Dataset:
        """What the data set's custom is to score: its test or validation part."""

    def trained(self, folder: Path) -> tuple[Scenes, Scenes | None]:
        """What to train on, and what to choose on; None where that has to be held out of the former.

        It never holds what ``scored`` does, but for a folder without parts. Raises UserError.
        """
        raise UserError(f"{self.name} has nothing to train on")

    def read(self, argument: str, labels: str | None) -> Dataset:
        if labels is not None:
            raise UserError("segmentation takes no table of labels: masks lie beside the pictures")
        return self.scored(existing(argument))


def existing(folder: str) -> Path:
    path = user_path(folder)
    if not folder or not path.is_dir():
        raise UserError(f"'{folder}' is not a folder")
    return path


def folders_in(folder: Path) -> list[Path]:
    """Those directly in it; hidden ones left out, and none of one that cannot be looked into."""
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError:
        return []


def paired(
    pictures: Path,
    masks: Path,
    ending: Literal["", ".png"] = "",
    *,
    pictures_end: frozenset[str] = IMAGE_SUFFIXES,
) -> tuple[list[tuple[Path, Path]], list[str]]:
    """The pictures below a folder with the masks of equal stems in equal places below another; what lacks one.

    ending: the masks', where it is known. Endings are taken in any case.
    """
    endings = (ending,) if ending else MASK_SUFFIXES
    there: dict[Path, dict[str, Path]] = {}
    for mask in files_in(masks, JPEG_SUFFIXES.union(endings)):
        there.setdefault(mask.relative_to(masks).with_suffix(""), {})[mask.suffix.lower()] = mask
    pairs, problems = [], []
    for picture in files_in(pictures, pictures_end):
        place = picture.relative_to(pictures)
        found = there.get(place.with_suffix(""), {})
        best = next((found[e] for e in endings if e in found and found[e] != picture), None)
        if best:
            pairs.append((picture, best))
            continue
        jpeg = next((m for e, m in found.items() if e in JPEG_SUFFIXES and m != picture), None)
        why = f" but {jpeg.name}: a JPEG does not keep class indices, a PNG does" if jpeg else ""
        problems.append(f"{sample_id(place)} has no mask{why}")
    return pairs, problems


def scenes_of(base: Path, pairs: list[tuple[Path, Path]]) -> Iterator[Scene]:
    """Named by the pictures' places below ``base``."""
    for picture, mask in pairs:
        yield Scene(sample_id(picture.relative_to(base)), picture, mask=mask)
