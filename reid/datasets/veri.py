"""VeRi-776: vehicles instead of people, by the same rules.

Liu et al., "A Deep Learning-Based Approach to Progressive Vehicle Re-identification for Urban Surveillance",
ECCV 2016. Search is from picture to picture, as nearly all papers report it, not from picture to track.
"""

from __future__ import annotations

import re
from pathlib import Path

from reid.datasets.base import ReidDataset, ReidReader, departures, tally
from reid.datasets.files import located
from reid.datasets.market import read_crops
from reid.protocols import MARKET

_NAME = re.compile(r"(\d+)_c(\d+)")

PUBLISHED = {
    "queries": 1_678,
    "query identities": 200,
    "gallery pictures": 11_579,
    "gallery identities": 200,
}


class VeRi(ReidReader):
    name = "veri"
    summary = "VeRi-776: vehicles under twenty cameras of a city"
    layout = "image_query/ and image_test/ of 0002_c002_00030600_0.jpg"
    counts = "1,678 queries of 200 vehicles; gallery 11,579 of 200"
    source = "research only, on request; vehiclereid.github.io/VeRi"

    def read(self, root: Path | None, variant: str) -> ReidDataset:
        folder = located(root, ("image_query", "image_test"), ("veri",), "VeRi-776", self.layout)
        query, odd_query = read_crops(folder / "image_query", name=_NAME)
        gallery, odd_gallery = read_crops(folder / "image_test", name=_NAME)
        notes = departures(tally(query, gallery), PUBLISHED)
        return ReidDataset(self.name, query, gallery, MARKET, tuple(odd_query + odd_gallery + notes))
