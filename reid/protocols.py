"""Who may match whom, and what is drawn: the evaluation protocols of re-identification data sets."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Rule = Literal["same-camera", "sysu", "none"]
"""Which gallery items a query does not see. same-camera: its own identity under its own camera (Market-1501 and
nearly all others). sysu: all of camera 2 for queries of camera 3, which stand in one place (SYSU-MM01). none:
nothing, where there are no cameras."""

Cmc = Literal["images", "identities"]
"""What ranks count: gallery images, or gallery identities by their nearest image (SYSU-MM01's own program)."""


@dataclass(frozen=True)
class Trial:
    """Indices (q,) and (g,) int64 into a data set's query and gallery: what one repetition searches in."""

    query: np.ndarray
    gallery: np.ndarray


@dataclass(frozen=True)
class Protocol:
    """trials: none means one, of everything. A score is the mean over trials of each trial's mean."""

    rule: Rule = "same-camera"
    cmc: Cmc = "images"
    trials: tuple[Trial, ...] = ()


MARKET = Protocol()


def without(protocol: Protocol, query: np.ndarray, gallery: np.ndarray) -> Protocol:
    """The protocol of what is left. query, gallery: (nq,) and (ng,) bools, whether each crop is still there."""

    def left(kept: np.ndarray, indices: np.ndarray) -> np.ndarray:
        return (np.cumsum(kept) - 1)[indices[kept[indices]]]

    trials = tuple(Trial(left(query, t.query), left(gallery, t.gallery)) for t in protocol.trials)
    return replace(protocol, trials=trials)


def draw_one_each(sizes: Sequence[int], seed: int) -> list[int]:
    """An index into each of groups of ``sizes``, as Python's ``random.seed(seed)`` and ``random.choice`` draw them.

    SYSU-MM01's galleries in the literature are drawn so, with the trial's number from 0 as the seed and a group
    for each test identity and camera, in that order (Ye et al., "Deep Learning for Person Re-identification: A
    Survey and Outlook", TPAMI 2021, and what builds on its program). Only the generator here is one's own.
    """
    generator = random.Random(seed)
    return [generator.choice(range(size)) for size in sizes]


def single_shot_trials(
    query_pids: np.ndarray,
    query_camids: np.ndarray,
    gallery_pids: np.ndarray,
    gallery_camids: np.ndarray,
    *,
    people: Sequence[int],
    repeats: int = 10,
    seed: int = 0,
) -> tuple[Trial, ...]:
    """CUHK03's first protocol: from one of the two cameras to the other, one picture a person in the gallery.

    Of ``people``, all pictures under camera a are searched in a gallery of one drawn picture of each under camera
    b, ``repeats`` times for (a, b) = (1, 2) and (2, 1): Li et al., "DeepReID", CVPR 2014. Nobody published the
    draws; these come from ``seed``. Someone without a picture under b is then not to be found.
    """
    trials = []
    for repeat in range(repeats):
        for asked, searched in ((1, 2), (2, 1)):
            chosen = np.isin(query_pids, people) & (query_camids == asked)
            groups = [np.flatnonzero((gallery_pids == p) & (gallery_camids == searched)) for p in people]
            groups = [group for group in groups if len(group)]
            drawn = draw_one_each([len(group) for group in groups], seed + 2 * repeat + asked - 1)
            gallery = [group[index] for group, index in zip(groups, drawn, strict=True)]
            trials.append(Trial(np.flatnonzero(chosen), np.array(gallery, dtype=np.int64)))
    return tuple(trials)
