"""Where the classes of a model and those of a data set meet."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from mpq.errors import UserError

NONE = 65_535
"""What a pixel is predicted to be whose class the data set does not have: wrong wherever there is a truth."""

SAME = (
    ("sidewalk", "pavement"),
    ("person", "pedestrian"),
    ("vegetation", "tree"),
    ("trafficsign", "signsymbol"),
    ("aeroplane", "airplane"),
    ("motorbike", "motorcycle", "minibike"),
    ("tvmonitor", "televisionreceiver", "tv"),
    ("pottedplant", "plant"),
)
"""What Pascal VOC, Cityscapes, CamVid and ADE20K call by different names."""

_ALIAS = {name: group[0] for group in SAME for name in group}


def matching(model_classes: Sequence[str], dataset_classes: Sequence[str]) -> np.ndarray:
    """(model classes,) uint16: for each, the index of the data set's class that it means, or ``NONE``.

    Names meet whatever their case, spaces and underscores, by any of several that commas separate, and by the
    few synonyms of ``SAME``; two classes of a model may mean one of the data set's. Where the counts are equal, and
    all names that meet do so in one place, the rest are the same classes spelt otherwise, and meet in order; so do
    classes without names, whose names are digits or 'LABEL_7'. Raises UserError where nothing meets.
    """
    whole: dict[str, int] = {}
    parts: dict[str, set[int]] = {}
    for index, name in enumerate(dataset_classes):
        whole.setdefault(_key(name), index)
        for part in _parts(name):
            parts.setdefault(part, set()).add(index)
    # A part that two classes share (ADE20K has two screens) says nothing.
    known = {part: min(indices) for part, indices in parts.items() if len(indices) == 1} | whole
    found = np.full(len(model_classes), NONE, np.uint16)
    for index, name in enumerate(model_classes):
        for key in (_key(name), *_parts(name)):
            if key in known:
                found[index] = known[key]
                break
    order = np.arange(len(model_classes), dtype=np.uint16)
    met = found != NONE
    unnamed = _unnamed(model_classes) or _unnamed(dataset_classes)
    same_places = bool(met.any()) and bool((found[met] == order[met]).all()) and met.mean() > 0.5
    if len(model_classes) == len(dataset_classes) and (unnamed or same_places):
        return order
    if not met.any():
        raise UserError(
            f"the model's {len(model_classes)} classes ({_some(model_classes)}) and the data set's "
            f"{len(dataset_classes)} ({_some(dataset_classes)}) have no name in common"
        )
    return found


def _key(name: str) -> str:
    plain = re.sub(r"[\W_]+", "", name.casefold())
    return _ALIAS.get(plain, plain)


def _parts(name: str) -> list[str]:
    return [key for part in re.split(r"[,;]", name) if (key := _key(part))]


def _unnamed(names: Sequence[str]) -> bool:
    return all(re.fullmatch(r"(LABEL_)?\d+", name.strip()) for name in names)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
