"""Occluded-REID and P-DukeMTMC-reID: occluded people searched among whole ones.

Zhuo, Chen, Lai, Wang, "Occluded Person Re-Identification", ICME 2018. The names tell no camera of Occluded-REID;
public programs give all queries one camera and all of the gallery another, for P-DukeMTMC-reID, too, so that no
gallery item is skipped. That is done here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from mpq.errors import UserError
from reid.datasets.base import Crop, ReidDataset, ReidReader, departures, tally
from reid.datasets.files import crop_id, folders_in, left_out, located, pictures_in
from reid.protocols import MARKET

OCCLUDED, WHOLE = "occluded_body_images", "whole_body_images"

_PERSON = re.compile(r"(\d+)_")


class _OccludedToWhole(ReidReader):
    title: ClassVar[str]
    below: ClassVar[str]
    inner: ClassVar[tuple[str, ...]]
    published: ClassVar[dict[str, int]]
    remark: ClassVar[tuple[str, ...]] = ()

    def read(self, root: Path | None, variant: str) -> ReidDataset:
        needed = [f"{self.below}{name}" for name in (OCCLUDED, WHOLE)]
        folder = located(root, needed, self.inner, self.title, self.layout)
        (query, odd_query), (gallery, odd_gallery) = (
            _read_role(folder / name, camid) for camid, name in enumerate(needed, start=1)
        )
        notes = [*odd_query, *odd_gallery, *departures(tally(query, gallery), self.published), *self.remark]
        return ReidDataset(self.name, query, gallery, MARKET, tuple(notes))


class OccludedReid(_OccludedToWhole):
    name = "occluded-reid"
    summary = "Occluded-REID: occluded queries, whole gallery, no cameras"
    layout = f"{OCCLUDED}/001/001_01.tif and {WHOLE}/001/001_01.tif"
    counts = "1,000 queries and 1,000 gallery pictures of 200 identities"
    source = "non-commercial; github.com/tinajia2012/ICME2018_Occluded-Person-Reidentification_datasets"
    title = "Occluded-REID"
    below = ""
    inner = ("occludedreid", "occreid", "icme2018occluded")
    published: ClassVar[dict[str, int]] = {
        "queries": 1_000,
        "query identities": 200,
        "gallery pictures": 1_000,
        "gallery identities": 200,
    }


class PDuke(_OccludedToWhole):
    name = "p-duke"
    summary = "P-DukeMTMC-reID: occluded queries, whole gallery, from DukeMTMC"
    layout = f"test/{OCCLUDED}/0005/0005_c2_f0046985.jpg and test/{WHOLE}/0005/…"
    counts = "2,163 queries and 9,053 gallery pictures of 634 identities"
    source = "non-commercial; github.com/tinajia2012/ICME2018_Occluded-Person-Reidentification_datasets"
    title = "P-DukeMTMC-reID"
    below = "test/"
    inner = ("pduke", "icme2018occluded")
    published: ClassVar[dict[str, int]] = {
        "queries": 2_163,
        "query identities": 634,
        "gallery pictures": 9_053,
        "gallery identities": 634,
    }
    remark = (
        "Gallery pictures of a query's own camera count as matches, as in public programs for this set.",
    )


def _read_role(folder: Path, camid: int) -> tuple[tuple[Crop, ...], list[str]]:
    """Pictures in a folder for each identity, or all in one; the name begins with the identity."""
    paths = [path for below in (folder, *folders_in(folder)) for path in pictures_in(below)]
    crops, strange = [], []
    for path in paths:
        found = _PERSON.match(path.name)
        if found is None:
            strange.append(path.name)
        else:
            crops.append(Crop(crop_id(path.relative_to(folder)), path, int(found[1]), camid))
    if not crops:
        why = f" named like 001_01.jpg, but '{strange[0]}'" if strange else ""
        raise UserError(f"'{folder}' holds no picture{why}")
    return tuple(crops), left_out(strange, folder, "identity")
