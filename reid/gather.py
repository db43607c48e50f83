"""A data set made ready to search: its crops read, their features extracted, what cannot be used left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mpq.errors import UserError
from reid.backbones.base import Backbone
from reid.datasets.base import Crop, ReidDataset
from reid.extract import extract
from reid.feature_files import read_about
from reid.features import JUNK, FeatureSet, read_npz
from reid.protocols import Protocol, Trial, without

EXAMPLES = 3
"""Unreadable crops that are named one by one."""


@dataclass(frozen=True)
class Gathered:
    """query, gallery: features of query_crops and gallery_crops, without what cannot be read; the protocol's trials
    index into those. Crops are empty where a file of features does not tell them. backbone: what made the features,
    "" where that is not known. remarks: on the data set and on what was left out."""

    name: str
    backbone: str
    query: FeatureSet
    gallery: FeatureSet
    query_crops: tuple[Crop, ...]
    gallery_crops: tuple[Crop, ...]
    protocol: Protocol
    remarks: list[str]

    @property
    def of_first_trial(self) -> tuple[list[Crop], list[Crop]]:
        """The crops, without junk, that the first trial with anything in it asks and searches; all without trials."""
        everything = Trial(np.arange(len(self.query_crops)), np.arange(len(self.gallery_crops)))
        for trial in self.protocol.trials or (everything,):
            asked = [crop for i in trial.query if (crop := self.query_crops[i]).pid != JUNK]
            held = [crop for i in trial.gallery if (crop := self.gallery_crops[i]).pid != JUNK]
            if asked and held:
                return asked, held
        return [], []


def gather(
    dataset: ReidDataset,
    backbone: Backbone,
    *,
    flip: bool = False,
    batch: int | None = None,
    cache: Path | None = None,
    advanced: Callable[[int], None] = lambda crops: None,
) -> Gathered:
    """Features of a data set's crops. advanced: called with how many more crops are done. Raises UserError."""
    searched = tuple(crop for crop in dataset.gallery if crop.pid != JUNK)
    crops = (*dataset.query, *searched)
    found = extract(crops, backbone, flip=flip, batch=batch, cache=cache, advanced=advanced)
    remarks = [*dataset.notes, *found.notes]
    if junk := len(dataset.gallery) - len(searched):
        remarks.append(f"{junk} junk crops leave the gallery before anything.")
    remarks += [f"{crops[i].path}: {reason}" for i, reason in list(found.unreadable.items())[:EXAMPLES]]
    if unreadable := len(found.unreadable):
        remarks.append(f"{unreadable} of {len(crops)} crops could not be read and are left out.")
    count = len(dataset.query)
    there = np.array([i not in found.unreadable for i in range(len(crops))])
    parts = []
    for role, part in (("query", slice(0, count)), ("gallery", slice(count, len(crops)))):
        kept = there[part]
        if not kept.any():
            first = crops[part][0].path, found.unreadable[part.start]
            raise UserError(f"no crop of the {role} of {dataset.name} can be read: {first[0]}: {first[1]}")
        own = [crop for crop, good in zip(crops[part], kept, strict=True) if good]
        parts.append((labelled(found.features[part][kept], own), tuple(own)))
    (query, query_crops), (gallery, gallery_crops) = parts
    in_gallery = np.array([crop.pid != JUNK for crop in dataset.gallery])
    in_gallery[in_gallery] = there[count:]
    protocol = without(dataset.protocol, there[:count], in_gallery)
    return Gathered(
        dataset.name, backbone.name, query, gallery, query_crops, gallery_crops, protocol, remarks
    )


def read_gathered(path: Path) -> Gathered:
    """What ``reid extract`` or anybody else wrote: see ``read_npz`` and ``read_about``. Raises FeatureError.

    Where a query is of identity 0, that is a person like any other, as in a folder of one's own.
    """
    query, gallery = read_npz(path)
    about = read_about(path)
    remarks = []
    if (query.pids == 0).any():
        free = 1 + int(max(query.pids.max(), gallery.pids.max()))
        query, gallery = (
            replace(one, pids=np.where(one.pids == 0, free, one.pids)) for one in (query, gallery)
        )
        remarks.append(f"Queries are of identity 0: here 0 is a person, called {free}, and no distractor.")
    sides = ((query, about.query_ids, about.query_paths), (gallery, about.gallery_ids, about.gallery_paths))
    crops = [
        tuple(map(Crop, ids or map(str, paths), paths, one.pids.tolist(), one.camids.tolist()))
        if paths
        else ()
        for one, ids, paths in sides
    ]
    name = " · ".join(filter(None, [path.name, about.name]))
    return Gathered(name, about.backbone, query, gallery, crops[0], crops[1], about.protocol, remarks)


def labelled(features: np.ndarray, crops: Sequence[Crop]) -> FeatureSet:
    return FeatureSet(features, np.array([c.pid for c in crops]), np.array([c.camid for c in crops]))
