"""MSMT17: fifteen cameras, four days, the largest of the common sets.

Wei et al., "Person Transfer GAN to Bridge Domain Gap for Person Re-Identification", CVPR 2018. Lists say which
picture is whose; version 2 has the same pictures with blurred faces.
"""

from __future__ import annotations

import os
from pathlib import Path

from mpq.errors import UserError
from reid.datasets.base import Crop, ReidDataset, ReidReader, departures, tally
from reid.datasets.files import absent, counted, crop_id, inside, lines_of, located
from reid.protocols import MARKET

LISTS = ("list_query.txt", "list_gallery.txt")

TESTS = {"v1": "test", "v2": "mask_test_v2"}

PUBLISHED = {
    "queries": 11_659,
    "query identities": 3_060,
    "gallery pictures": 82_161,
    "gallery identities": 3_060,
}


class MSMT17(ReidReader):
    name = "msmt17"
    summary = "MSMT17: fifteen cameras on a campus; v2 with blurred faces"
    layout = "list_query.txt, list_gallery.txt, and test/ (v1) or mask_test_v2/ (v2)"
    variants = ("any", "v1", "v2")
    counts = "11,659 queries and 82,161 gallery pictures of 3,060 identities"
    source = "research only, on request; www.pkuvmc.com/publications/msmt17.html"

    def read(self, root: Path | None, variant: str) -> ReidDataset:
        tests = [folder for version, folder in TESTS.items() if variant in ("any", version)]
        folder = located(root, LISTS, ("msmt17",), "MSMT17", self.layout, any_of=tests)
        test = next(folder / name for name in tests if (folder / name).exists())
        here = _files_below(test)
        query, odd_query = _read_list(folder / LISTS[0], test, here)
        gallery, odd_gallery = _read_list(folder / LISTS[1], test, here)
        notes = [*odd_query, *odd_gallery, *departures(tally(query, gallery), PUBLISHED)]
        if test.name == TESTS["v2"]:
            notes.append("This is version 2, whose faces are blurred: scores differ from version 1's.")
        return ReidDataset("msmt17", query, gallery, MARKET, tuple(notes))


def _read_list(path: Path, test: Path, here: set[str]) -> tuple[tuple[Crop, ...], list[str]]:
    """Crops of ``0000/0000_000_01_0303morning_0015_0.jpg 0``: the third part is the camera.

    Identities are counted from 0 in the lists; here they are one higher, since 0 is a distractor.
    """
    crops, missing = [], []
    for number, line in lines_of(path):
        file, _, pid = line.rpartition(" ")
        parts = Path(file).name.split("_")
        if not (pid.isdecimal() and inside(file) and len(parts) > 2 and parts[2].isdecimal()):
            raise UserError(f"{path} line {number} is not like '0000/0000_000_01_0303morning_0015_0.jpg 0'")
        if Path(file).as_posix() in here:
            crops.append(Crop(crop_id(Path(file)), test / file, int(pid) + 1, int(parts[2])))
        else:
            missing.append(file)
    if not crops:
        raise UserError(f"'{test}' holds none of the {counted(len(missing))} that {path.name} names")
    return tuple(crops), absent(missing, path.name)


def _files_below(folder: Path) -> set[str]:
    """Files below a folder, as POSIX paths: one walk is faster than a look for each of 94,000 pictures."""
    found: set[str] = set()
    for here, _, names in os.walk(folder):
        below = Path(here).relative_to(folder)
        found.update((below / name).as_posix() for name in names)
    return found
