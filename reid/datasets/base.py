"""What a re-identification data set is: crops to search with, crops to search in, and who may match whom."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mpq.errors import UserError
from mpq.paths import user_path
from mpq.registry import Registry, suggestion
from reid.features import JUNK
from reid.protocols import Protocol


@dataclass(frozen=True)
class Crop:
    """One picture of somebody.

    id: its name, once only in a query or a gallery. pid: the identity, from 1; 0 is a distractor, which matches
    nobody, −1 is junk (see ``reid.features``). camid: the camera, from 1; −1 where it is not known.
    """

    id: str
    path: Path
    pid: int
    camid: int


@dataclass(frozen=True)
class ReidDataset:
    """Crops in a fixed order; protocol.trials index into them. notes: a sentence for each thing to know or off."""

    name: str
    query: tuple[Crop, ...]
    gallery: tuple[Crop, ...]
    protocol: Protocol
    notes: tuple[str, ...] = ()


class ReidReader(ABC):
    """Reads one data set or layout.

    variants: what may follow the name after a colon, the default first. splits: how many the data set has that
    ``@N`` may choose from. counts: the published ones, in words; source: where it is had and its terms.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    layout: ClassVar[str]
    variants: ClassVar[tuple[str, ...]] = ()
    splits: ClassVar[int] = 0
    counts: ClassVar[str] = ""
    source: ClassVar[str] = ""

    @abstractmethod
    def read(self, root: Path | None, variant: str) -> ReidDataset:
        """variant: one of ``variants`` ("" where there are none), with ``@N`` where a split was asked for.

        Raises UserError where the root does not hold the layout or holds no usable picture.
        """


registry: Registry[ReidReader] = Registry("data set", "reid.datasets", "reid.datasets.base:ReidReader")


def read_reid(spec: str, root: Path | None) -> ReidDataset:
    """The data set ``NAME``, ``NAME:VARIANT``, ``NAME@SPLIT`` or ``NAME:VARIANT@SPLIT`` in ``root``.

    Raises UserError where there is no such name, variant or split, and where query or gallery
    come out empty or of junk alone.
    """
    head, at, split = spec.partition("@")
    name, colon, variant = head.partition(":")
    if spec and name not in registry.entries and user_path(spec).exists():
        kind = "manifest" if user_path(spec).is_file() else "folder"
        raise UserError(
            f"'{spec}' is a path: name what it is, and give it as the root, e.g. {kind} --root {spec}"
        )
    cls = registry.get(name)
    if colon and variant not in cls.variants:
        raise UserError(f"{name} has no variant '{variant}'{suggestion(variant, list(cls.variants))}")
    chosen = variant or next(iter(cls.variants), "")
    if at:
        if not cls.splits:
            raise UserError(f"{name} has no splits to choose from: leave out '@{split}'")
        if not (split.isdecimal() and 1 <= int(split) <= cls.splits):
            raise UserError(f"{name}'s splits are 1 to {cls.splits}, not '{split}'")
        chosen = f"{chosen}@{int(split)}"
    dataset = cls().read(None if root is None else user_path(root), chosen)
    for role, crops in (("query", dataset.query), ("gallery", dataset.gallery)):
        if not crops:
            raise UserError(f"{spec} in '{root}' has no usable picture as a {role}")
        if all(crop.pid == JUNK for crop in crops):
            raise UserError(f"{spec} in '{root}' has nothing but junk, of identity −1, as a {role}")
    return dataset


def chosen_splits(variant: str, count: int) -> tuple[str, range]:
    """``VARIANT`` or ``VARIANT@N`` -> the variant and the numbers, from 1, of the splits that are asked."""
    name, _, split = variant.partition("@")
    return name, range(int(split), int(split) + 1) if split else range(1, count + 1)


def departures(found: Mapping[str, int], published: Mapping[str, int]) -> list[str]:
    """A sentence that says which of the published counts ``found`` departs from; none where they agree."""
    off = [
        f"{found[what]:,} {what} instead of {count:,}"
        for what, count in published.items()
        if found[what] != count
    ]
    return [f"This is not the whole published set: {', '.join(off)}."] if off else []


def tally(query: tuple[Crop, ...], gallery: tuple[Crop, ...]) -> dict[str, int]:
    """What ``departures`` compares: pictures and identities of each, and what is in the gallery besides."""
    people = [crop.pid for crop in gallery if crop.pid > 0]
    return {
        "queries": len(query),
        "query identities": len({crop.pid for crop in query}),
        "gallery pictures": len(gallery),
        "gallery identities": len(set(people)),
        "pictures of identities": len(people),
        "distractors": sum(crop.pid == 0 for crop in gallery),
        "junk": sum(crop.pid < 0 for crop in gallery),
    }
