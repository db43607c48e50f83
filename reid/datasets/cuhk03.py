"""CUHK03, under its two protocols, which nothing but the pictures has in common.

767/700: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017, by Market's
metric. The older one (classic): Li et al., "DeepReID", CVPR 2014, twenty sets of 100 test identities, single
gallery shots drawn ten times, of which papers report ranks and no mAP. Scores of one say nothing of the other.
Boxes are labeled by hand or detected.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from mpq.errors import UserError, first_line
from reid.datasets.base import Crop, ReidDataset, ReidReader, chosen_splits, departures, tally
from reid.datasets.files import absent, located, pictures_in, subfolder
from reid.datasets.market import read_crops
from reid.protocols import MARKET, Protocol, single_shot_trials

SETS = 20
REPEATS = 10

PUBLISHED = {
    "detected": {"queries": 1_400, "query identities": 700, "gallery pictures": 5_332},
    "labeled": {"queries": 1_400, "query identities": 700, "gallery pictures": 5_328},
}

_NAME = re.compile(r"(\d)_(\d{3})_([12])_\d{2}\b")
"""1_003_2_08.png: the first pair of cameras, its third person, the pair's second camera, picture 8."""


class CUHK03(ReidReader):
    """``classic-…@N`` takes only test set N: a model trained on the rest of set N must not be scored on another's."""

    name = "cuhk03"
    summary = "CUHK03: five pairs of cameras on a campus; 767/700, or the classic single shots apart"
    layout = (
        "detected/ and labeled/ of query/ and bounding_box_test/ (CUHK03-NP); or images_detected/ of 1_003_1_02.png "
        "with cuhk03_new_protocol_config_detected.mat (classic: splits_classic_detected.json)"
    )
    variants = ("detected", "labeled", "classic-detected", "classic-labeled")
    splits = SETS
    counts = "1,400 queries of 700 identities; gallery 5,332 detected, 5,328 labeled; classic: 20 sets of 100"
    source = "research only; www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html, github.com/zhunzhong07/person-re-ranking"

    def read(self, root: Path | None, variant: str) -> ReidDataset:
        protocol, numbers = chosen_splits(variant, SETS)
        boxes = protocol.rpartition("-")[2]
        if protocol.startswith("classic"):
            return _classic(root, boxes, numbers, variant)
        if "@" in variant:
            raise UserError(
                f"cuhk03:{protocol} has no splits to choose from; cuhk03:classic-{protocol}@N has"
            )
        config = f"cuhk03_new_protocol_config_{boxes}.mat"
        choices = (f"{boxes}/bounding_box_test", config)
        folder = located(root, (), ("cuhk03",), "CUHK03", self.layout, any_of=choices)
        if (folder / choices[0]).is_dir():
            (query, odd_query), (gallery, odd_gallery) = (
                read_crops(folder / boxes / role) for role in ("query", "bounding_box_test")
            )
            notes = odd_query + odd_gallery
        else:
            query, gallery, notes = _read_config(folder, config, boxes)
        notes += departures(tally(query, gallery), PUBLISHED[boxes])
        return ReidDataset(f"cuhk03:{variant}", query, gallery, MARKET, tuple(notes))


def _read_config(
    folder: Path, config: str, boxes: str
) -> tuple[tuple[Crop, ...], tuple[Crop, ...], list[str]]:
    """The 767/700 split as its authors give it: indices, from 1, into a list of all pictures' names."""
    from scipy.io import loadmat

    pictures = _pictures(folder, boxes)
    path = folder / config
    try:
        content = loadmat(path)
        names = [str(cell[0]) for cell in content["filelist"].ravel()]
        pids, camids = (content[key].ravel().astype(int) for key in ("labels", "camId"))
        every = {i: (names[i - 1], int(pids[i - 1]), int(camids[i - 1])) for i in range(1, len(names) + 1)}
        roles = [[every[i] for i in content[key].ravel().tolist()] for key in ("query_idx", "gallery_idx")]
    except Exception as error:  # scipy's readers raise whatever a damaged file provokes
        raise UserError(f"{path} is not the 767/700 protocol's table: {first_line(error)}") from None
    missing = [name for rows in roles for name, *_ in rows if name not in pictures]
    query, gallery = (
        tuple(Crop(name, pictures[name], pid, camid) for name, pid, camid in rows if name in pictures)
        for rows in roles
    )
    return query, gallery, absent(missing, config)


def _classic(root: Path | None, boxes: str, numbers: range, variant: str) -> ReidDataset:
    splits = f"splits_classic_{boxes}.json"
    folder = located(
        root,
        (splits,),
        ("cuhk03",),
        f"CUHK03's classic protocol for {boxes} boxes",
        f"images_{boxes}/ and {splits}, as torchreid draws them from cuhk-03.mat",
    )
    pictures = _pictures(folder, boxes)
    sets = _test_sets(folder / splits)
    chosen = [sets[number - 1] for number in numbers if number <= len(sets)]
    if not chosen:
        raise UserError(f"{folder / splits} holds no test set {numbers[0]}: it has {len(sets)}")
    people = {pid for one in chosen for pid in one}
    crops = tuple(
        Crop(name, path, pid, camid)
        for name, path in sorted(pictures.items())
        for pid, camid in [_person(name)]
        if pid in people
    )
    pids, camids = np.array([c.pid for c in crops]), np.array([c.camid for c in crops])
    trials = [
        trial
        for number, one in zip(numbers, chosen, strict=False)
        for trial in single_shot_trials(
            pids, camids, pids, camids, people=one, repeats=REPEATS, seed=1000 * number
        )
    ]
    found = {"sets": len(sets), "identities a set": min(len(one) for one in chosen)}
    notes = [
        "CUHK03's classic protocol: single gallery shots, of which papers report ranks and no mAP; "
        "it is not comparable with 767/700.",
        *departures(found, {"sets": SETS, "identities a set": 100}),
    ]
    return ReidDataset(f"cuhk03:{variant}", crops, crops, Protocol(trials=tuple(trials)), tuple(notes))


def _test_sets(path: Path) -> list[list[int]]:
    """The identities of each test set, from what torchreid writes: for each set, rows of path, identity, camera."""
    try:
        content: Any = json.loads(path.read_bytes())
        names = [[re.split(r"[/\\]", row[0])[-1] for row in split["query"]] for split in content]
    except (OSError, ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise UserError(f"{path} is not a list of splits with a query of paths: {error!r}") from None
    wrong = next((name for one in names for name in one if not _NAME.match(name)), None)
    if wrong is not None or not all(names) or not names:
        raise UserError(f"{path} names '{wrong}', not pictures like 1_003_1_02.png")
    return [sorted({_person(name)[0] for name in one}) for one in names]


def _person(name: str) -> tuple[int, int]:
    """Identity and camera: persons are counted anew in each of the five pairs of cameras."""
    found = _NAME.match(name)
    assert found is not None, name
    return 1000 * int(found[1]) + int(found[2]), int(found[3])


def _pictures(folder: Path, boxes: str) -> dict[str, Path]:
    names = (f"images_{boxes}", f"cuhk03_{boxes}", boxes)
    pictures = subfolder(folder, names)
    if pictures is None:
        why = " (cuhk-03.mat holds them: torchreid and the protocol's save_img.m write them out)"
        raise UserError(f"'{folder}' holds no folder {' or '.join(names)} of CUHK03's pictures{why}")
    found = {path.name: path for path in pictures_in(pictures) if _NAME.match(path.name)}
    if not found:
        raise UserError(f"'{pictures}' holds no picture named like 1_003_1_02.png")
    return found
