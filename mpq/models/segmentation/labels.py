"""Where the classes of a model and those of a data set meet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

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

    Equal lists are the identity. Else a name meets by the first of these that finds a class: the very same name;
    equal letters and digits, whatever case, spaces and signs, of the whole name or of a part of several that commas
    separate; a synonym of ``SAME``. Letters or synonyms that several of the data set's classes share say nothing:
    of one with trees and vegetation, neither is the other. Two of a model's classes mean one of the data set's only
    where neither finds one by a closer way: person and pedestrian, of one with 'Pedestrian' alone.

    Where the counts are equal, and all names that meet do so in one place, the rest are the same classes spelt
    otherwise, and meet in order; so do classes without names, whose names are digits or 'LABEL_7'. Raises UserError
    where nothing meets.
    """
    order = np.arange(len(model_classes), dtype=np.uint16)
    if tuple(model_classes) == tuple(dataset_classes):
        return order
    exact = {name: index for index, name in reversed(list(enumerate(dataset_classes)))}
    ways = [(key, _told_apart(dataset_classes, key)) for key in (_letters, _synonym)]
    found = np.full(len(model_classes), NONE, np.uint16)
    for place, name in enumerate(model_classes):
        if name in exact:
            found[place] = exact[name]
            continue
        met = (known[k] for key, known in ways for k in (key(name), *_parts(name, key)) if k in known)
        found[place] = next(met, NONE)
    known = found != NONE
    unnamed = _unnamed(model_classes) or _unnamed(dataset_classes)
    same_places = bool(known.any()) and bool((found[known] == order[known]).all()) and known.mean() > 0.5
    if len(model_classes) == len(dataset_classes) and (unnamed or same_places):
        return order
    if not known.any():
        raise UserError(
            f"the model's {len(model_classes)} classes ({some(model_classes)}) and the data set's "
            f"{len(dataset_classes)} ({some(dataset_classes)}) have no name in common"
        )
    return found


def _told_apart(classes: Sequence[str], key: Callable[[str], str]) -> dict[str, int]:
    """Key -> the one class that has it as its whole name's, or else the one that has it as a part's."""
    whole: dict[str, set[int]] = {}
    parts: dict[str, set[int]] = {}
    for index, name in enumerate(classes):
        whole.setdefault(key(name), set()).add(index)
        for part in _parts(name, key):
            parts.setdefault(part, set()).add(index)
    # A part that two classes share (ADE20K has two screens) says nothing, nor does a name of signs alone.
    return {k: min(indices) for k, indices in (parts | whole).items() if k and len(indices) == 1}


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _synonym(name: str) -> str:
    plain = _letters(name)
    return _ALIAS.get(plain, plain)


def _parts(name: str, key: Callable[[str], str]) -> Iterator[str]:
    return map(key, re.split(r"[,;]", name))


def _unnamed(names: Sequence[str]) -> bool:
    return all(re.fullmatch(r"(LABEL_)?\d+", name.strip()) for name in names)


def some(names: Sequence[str]) -> str:
    """The first three."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
