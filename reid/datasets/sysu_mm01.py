"""SYSU-MM01: infrared queries searched among visible pictures, ten galleries drawn.

Wu et al., "RGB-Infrared Cross-Modality Person Re-Identification", ICCV 2017. Queries are all pictures of the test
identities under the infrared cameras 3 and 6; a gallery holds one picture of each under each of the visible
cameras 1, 2, 4, 5 (indoor search: 1, 2). Cameras 2 and 3 stand in one room: queries of 3 skip all of 2. Ranks
count identities. The galleries are those of Ye et al.'s program, which papers since 2020 use; the data set's own
Matlab program has another fixed draw.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mpq.errors import UserError
from reid.datasets.base import Crop, ReidDataset, ReidReader, chosen_splits, departures
from reid.datasets.files import crop_id, lines_of, located, pictures_in
from reid.protocols import Protocol, Trial, draw_one_each

INFRARED = (3, 6)
VISIBLE = {"all": (1, 2, 4, 5), "indoor": (1, 2)}
TRIALS = 10

PUBLISHED = {
    "all": {"queries": 3_803, "query identities": 96, "pictures in each gallery": 301},
    "indoor": {"queries": 3_803, "query identities": 96, "pictures in each gallery": 112},
}


class SysuMM01(ReidReader):
    """``@N`` takes only the gallery of trial N."""

    name = "sysu-mm01"
    summary = "SYSU-MM01: infrared to visible, single shot"
    layout = "cam1/ … cam6/ of 0006/0001.jpg, and exp/test_id.txt"
    variants = ("all", "indoor")
    splits = TRIALS
    counts = "3,803 queries of 96 identities; galleries of 301 (indoor 112), drawn ten times"
    source = "research only, on request; github.com/wuancong/SYSU-MM01"

    def read(self, root: Path | None, variant: str) -> ReidDataset:
        search, numbers = chosen_splits(variant, TRIALS)
        needed = ["exp/test_id.txt", *(f"cam{camid}" for camid in (*INFRARED, *VISIBLE[search]))]
        folder = located(root, needed, ("sysumm01", "sysu"), "SYSU-MM01", self.layout)
        pids = _test_pids(folder / "exp" / "test_id.txt")
        query = [crop for pid in pids for camid in INFRARED for crop in _crops(folder, camid, pid)]
        groups = [group for pid in pids for camid in VISIBLE[search] if (group := _crops(folder, camid, pid))]
        if not query or not groups:
            raise UserError(f"'{folder}' holds no infrared or no visible picture of the test identities")

        draws = [draw_one_each([len(group) for group in groups], number - 1) for number in numbers]
        # what no trial draws is left out: two thirds of the pictures need no features
        drawn = [sorted({draw[i] for draw in draws}) for i in range(len(groups))]
        gallery = [group[index] for group, indices in zip(groups, drawn, strict=True) for index in indices]
        places = {crop.id: place for place, crop in enumerate(gallery)}
        trials = tuple(
            Trial(
                np.arange(len(query)),
                np.array([places[group[i].id] for group, i in zip(groups, draw, strict=True)]),
            )
            for draw in draws
        )
        found = {
            "queries": len(query),
            "query identities": len({crop.pid for crop in query}),
            "pictures in each gallery": len(groups),
        }
        return ReidDataset(
            f"{self.name}:{variant}",
            tuple(query),
            tuple(gallery),
            Protocol("sysu", "identities", trials),
            tuple(departures(found, PUBLISHED[search])),
        )


def _test_pids(path: Path) -> list[int]:
    """The file's first line: numbers between commas."""
    line = next((text for _, text in lines_of(path)), "")
    words = [word.strip() for word in line.split(",")]
    if not all(word.isdecimal() for word in words):
        raise UserError(f"{path} does not begin with a line of identities such as '6,10,17'")
    return sorted({int(word) for word in words})


def _crops(folder: Path, camid: int, pid: int) -> list[Crop]:
    pictures = folder / f"cam{camid}" / f"{pid:04d}"
    paths = pictures_in(pictures) if pictures.is_dir() else []
    return [Crop(crop_id(path.relative_to(folder)), path, pid, camid) for path in paths]
