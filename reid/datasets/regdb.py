"""RegDB: visible and thermal pictures of the same people, ten splits, searched either way.

Nguyen et al., "Person Recognition System Based on a Combination of Body Images from Visible Light and Thermal
Cameras", Sensors 2017, with the splits of Ye et al. (AAAI 2018): 206 people for training and 206 for testing,
ten pictures each a modality. All of one modality is searched for all of the other; nothing is skipped.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mpq.errors import UserError
from reid.datasets.base import Crop, ReidDataset, ReidReader, chosen_splits, departures
from reid.datasets.files import absent, crop_id, inside, lines_of, located
from reid.protocols import Protocol, Trial

MODALITIES = ("visible", "thermal")
SPLITS = 10

PUBLISHED = {"queries a split": 2_060, "gallery pictures a split": 2_060, "identities a split": 206}


class RegDB(ReidReader):
    """``@N`` takes only split N: a model trained on RegDB must not be scored on another split's people."""

    name = "regdb"
    summary = "RegDB: visible to thermal and thermal to visible"
    layout = (
        "idx/test_visible_1.txt, idx/test_thermal_1.txt … 10, and the Visible/ and Thermal/ that they name"
    )
    variants = ("visible-to-thermal", "thermal-to-visible")
    splits = SPLITS
    counts = "2,060 queries and 2,060 gallery pictures of 206 identities, in each of ten splits"
    source = "research only, on request from Dongguk University"

    def read(self, root: Path | None, variant: str) -> ReidDataset:
        direction, numbers = chosen_splits(variant, SPLITS)
        needed = [f"idx/test_{modality}_{n}.txt" for n in numbers for modality in MODALITIES]
        folder = located(root, needed, ("regdb",), "RegDB", self.layout)
        lists = {(n, m): _read_list(folder / f"idx/test_{m}_{n}.txt") for n in numbers for m in MODALITIES}
        files = sorted({file for rows in lists.values() for file, _ in rows})
        missing = {file for file in files if not (folder / file).is_file()}
        by_folder = all(_folders_are_people(lists[n, "visible"] + lists[n, "thermal"]) for n in numbers)

        roles = MODALITIES if direction == self.variants[0] else MODALITIES[::-1]
        sides: tuple[dict[Crop, int], dict[Crop, int]] = ({}, {})  # crops and their places
        trials = []
        for n in numbers:
            indices = []
            for side, modality in zip(sides, roles, strict=True):
                crops = [
                    _crop(folder, file, n, label, modality, by_folder)
                    for file, label in lists[n, modality]
                    if file not in missing
                ]
                indices.append(np.array([side.setdefault(crop, len(side)) for crop in crops], dtype=np.int64))
            trials.append(Trial(*indices))
        if any(len(trial.query) == 0 or len(trial.gallery) == 0 for trial in trials):
            raise UserError(f"'{folder}' holds none of the pictures that a list in idx/ names")
        query, gallery = (tuple(side) for side in sides)
        found = {
            "queries a split": len(trials[0].query),
            "gallery pictures a split": len(trials[0].gallery),
            "identities a split": len({query[i].pid for i in trials[0].query}),
        }
        notes = departures(found, PUBLISHED)
        notes += absent(sorted(missing), "idx/")
        protocol = Protocol(trials=tuple(trials))
        return ReidDataset(f"{self.name}:{variant}", query, gallery, protocol, tuple(notes))


def _read_list(path: Path) -> list[tuple[str, int]]:
    """Files and labels of ``Visible/2/female_back_v_02187_2.bmp 0``. Each split counts its labels from 0 anew."""
    rows = []
    for number, line in lines_of(path):
        file, _, label = line.rpartition(" ")
        if not (label.isdecimal() and inside(file)):
            raise UserError(f"{path} line {number} is not a file's path and a label")
        rows.append((Path(file).as_posix(), int(label)))
    return rows


def _folders_are_people(rows: list[tuple[str, int]]) -> bool:
    """Whether, in a split, labels and the folders' numbers say the same of both modalities, as they do in RegDB."""
    pairs = {(Path(file).parent.name, label) for file, label in rows}
    names = {name for name, _ in pairs}
    return len(pairs) == len(names) == len({label for _, label in pairs}) and all(map(str.isdecimal, names))


def _crop(folder: Path, file: str, split: int, label: int, modality: str, by_folder: bool) -> Crop:
    """One crop a picture for all splits, where its folder tells the identity; else one a picture and split."""
    camid = 1 + MODALITIES.index(modality)
    if by_folder:
        return Crop(crop_id(Path(file)), folder / file, 1 + int(Path(file).parent.name), camid)
    return Crop(f"{crop_id(Path(file))}@{split}", folder / file, 1 + 1000 * split + label, camid)
