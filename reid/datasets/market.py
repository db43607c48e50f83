"""Market-1501, and the data sets that are kept and named as it is.

Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015: ``query/`` and ``bounding_box_test/``
hold ``0001_c1s1_001051_00.jpg``, which is person 1 at camera 1. −1 is junk, 0 a distractor.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from mpq.errors import UserError
from reid.datasets.base import Crop, ReidDataset, ReidReader, departures, tally
from reid.datasets.files import crop_id, left_out, located, pictures_in, some, subfolder
from reid.features import NO_CAMERA
from reid.protocols import MARKET

_NAME = re.compile(r"(-?\d+)_c(\d+)")
"""Market's own program takes one digit of the camera, which says the same on every published name; more digits
keep camera 12 apart from camera 1."""

_FOLDERS = ("query", "bounding_box_test")


def read_crops(folder: Path, *, name: re.Pattern[str] = _NAME) -> tuple[tuple[Crop, ...], list[str]]:
    """A folder's pictures in Market's naming, and a sentence where some are not named so.

    name: its groups are identity and camera. Raises UserError where no picture is usable.
    """
    crops, strange = [], []
    for path in some(pictures_in(folder), folder):
        found = name.search(path.name)
        if found is None or int(found[1]) < -1:
            strange.append(path.name)
        else:
            crops.append(Crop(crop_id(Path(path.name)), path, int(found[1]), int(found[2])))
    if not crops:
        raise UserError(f"'{folder}' holds no picture named like 0001_c1s1_001051_00.jpg, but '{strange[0]}'")
    return tuple(crops), left_out(strange, folder, "identity and camera")


class _Named(ReidReader):
    """title: what a sentence calls it. inner: see ``located``. published: see ``tally``."""

    layout = "query/ and bounding_box_test/ of 0001_c1s1_001051_00.jpg"
    title: ClassVar[str]
    inner: ClassVar[tuple[str, ...]]
    published: ClassVar[dict[str, int]] = {}

    def read(self, root: Path | None, variant: str) -> ReidDataset:
        folder = located(root, _FOLDERS, self.inner, self.title, self.layout)
        query, odd_query = read_crops(folder / "query")
        gallery, odd_gallery = read_crops(folder / "bounding_box_test")
        notes = departures(tally(query, gallery), self.published)
        return ReidDataset(self.name, query, gallery, MARKET, tuple(odd_query + odd_gallery + notes))


class Market1501(_Named):
    """``500k`` adds the distractors of the second archive, which lie in ``images/`` or ``distractors_500k/``."""

    name = "market1501"
    summary = "Market-1501: six cameras before a supermarket"
    variants = ("standard", "500k")
    counts = "3,368 queries of 750 identities; gallery 19,732 = 13,115 + 2,798 distractors + 3,819 junk"
    source = "research only; zheng-lab.cecs.anu.edu.au/Project/project_reid.html"
    title = "Market-1501"
    inner = ("market1501",)
    published: ClassVar[dict[str, int]] = {
        "queries": 3_368,
        "query identities": 750,
        "gallery pictures": 19_732,
        "pictures of identities": 13_115,
        "distractors": 2_798,
        "junk": 3_819,
    }

    def read(self, root: Path | None, variant: str) -> ReidDataset:
        dataset = super().read(root, variant)
        if variant != "500k":
            return dataset
        folder = dataset.query[0].path.parent.parent
        extra = subfolder(folder, ("images", "distractors_500k", "distractors"))
        if extra is None:
            raise UserError(f"'{folder}' holds no images/ or distractors_500k/ with the 500,000 distractors")
        distractors = tuple(_distractor(path) for path in some(pictures_in(extra), extra))
        off = departures({"further distractors": len(distractors)}, {"further distractors": 500_000})
        return replace(
            dataset,
            name="market1501:500k",
            gallery=dataset.gallery + distractors,
            notes=(*dataset.notes, *off),
        )


class DukeMTMC(_Named):
    name = "dukemtmc-reid"
    summary = "DukeMTMC-reID: eight cameras on a campus; withdrawn by its authors in 2019"
    counts = "2,228 queries of 702 identities; gallery 17,661 of 1,110"
    source = "withdrawn; of copies: CC BY-NC-SA 4.0, attribution to Duke"
    layout = "query/ and bounding_box_test/ of 0005_c2_f0046985.jpg"
    title = "DukeMTMC-reID"
    inner = ("duke",)
    published: ClassVar[dict[str, int]] = {
        "queries": 2_228,
        "query identities": 702,
        "gallery pictures": 17_661,
        "gallery identities": 1_110,
    }


class OccludedDuke(_Named):
    """Miao et al., "Pose-Guided Feature Alignment for Occluded Person Re-Identification", ICCV 2019."""

    name = "occluded-duke"
    summary = "Occluded-Duke: DukeMTMC-reID split anew, every query occluded"
    counts = "2,210 queries of 519 identities; gallery 17,661 of 1,110"
    source = (
        "lists at github.com/lightas/ICCV19_Pose_Guided_Occluded_Person_ReID, pictures from DukeMTMC-reID"
    )
    layout = DukeMTMC.layout
    title = "Occluded-Duke"
    inner = ("occludedduke", "occduke")
    published: ClassVar[dict[str, int]] = {
        "queries": 2_210,
        "query identities": 519,
        "gallery pictures": 17_661,
        "gallery identities": 1_110,
    }


class MarketFolder(_Named):
    """Anybody's pictures. Where a query is of person 0, 0 is a person like any other, not Market's distractors."""

    name = "folder"
    summary = "any folder in Market-1501's naming"
    counts = "any"
    source = "yours"
    title = "a set in Market-1501's naming"
    inner = ()

    def read(self, root: Path | None, variant: str) -> ReidDataset:
        dataset = super().read(root, variant)
        assert root is not None  # or there would be no data set
        dataset = replace(dataset, name=crop_id(Path(root.resolve().name)))
        if all(crop.pid != 0 for crop in dataset.query):
            return dataset
        free = 1 + max(crop.pid for crop in dataset.query + dataset.gallery)
        note = f"Queries are of identity 0: here 0 is a person, called {free}, and no distractor."
        return replace(
            dataset,
            query=_renamed(dataset.query, free),
            gallery=_renamed(dataset.gallery, free),
            notes=(*dataset.notes, note),
        )


def _renamed(crops: tuple[Crop, ...], zero: int) -> tuple[Crop, ...]:
    return tuple(replace(crop, pid=zero) if crop.pid == 0 else crop for crop in crops)


def _distractor(path: Path) -> Crop:
    """Whatever the name says, this folder's pictures match nobody."""
    found = _NAME.search(path.name)
    return Crop(
        f"{path.parent.name}/{crop_id(Path(path.name))}", path, 0, int(found[2]) if found else NO_CAMERA
    )
