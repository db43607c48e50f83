"""Where matches stand in a list that is ranked by distance, and what such places are worth."""

from __future__ import annotations

from typing import Literal

import numpy as np

AveragePrecision = Literal["mean", "trapezoid"]

Ties = Literal["order", "against"]
"""Who comes first of equally distant items. order: who does in the gallery, as a stable sort has it. against: the
wrong one, so that features that are all alike find nothing. The published programs' sort leaves it open. That
matters: two samples that NFC draws to each other and to nobody else become one and the same feature."""


def match_ranks(
    distances: np.ndarray, matches: np.ndarray, skipped: np.ndarray, ties: Ties = "order"
) -> np.ndarray:
    """Ranks (m,) int64 from 1, ascending, of the ``matches`` among (ng,) distances without the ``skipped``.

    matches: (m,) indices, at least one. skipped: (s,) other indices, which have no rank. No distance is NaN.
    """
    found = np.sort(distances[matches])
    near = np.sort(distances[distances <= found[-1]])
    nearer, upto = np.searchsorted(near, found, "left"), np.searchsorted(near, found, "right")
    if len(skipped):
        hidden = np.sort(distances[skipped])
        nearer -= np.searchsorted(hidden, found, "left")
        upto -= np.searchsorted(hidden, found, "right")
    ranks = upto
    for value in np.unique(found[upto - nearer > 1]):
        places = np.flatnonzero(found == value)
        if ties == "against":
            ranks[places] -= np.arange(len(places))[::-1]
        else:
            level = np.setdiff1d(np.flatnonzero(distances == value), skipped, assume_unique=True)
            ranks[places] = nearer[places] + 1 + np.flatnonzero(np.isin(level, matches, assume_unique=True))
    return ranks


def first_identity_rank(
    distances: np.ndarray,
    matches: np.ndarray,
    skipped: np.ndarray,
    pids: np.ndarray,
    ties: Ties = "order",
) -> int:
    """The rank, from 1, of the matches' identity among identities, each standing at its nearest item.

    pids: (ng,) of the gallery. Otherwise as ``match_ranks``.
    """
    nearest = distances[matches].min()
    ahead = distances < nearest
    level = distances == nearest
    if ties == "order":
        level[matches[distances[matches] == nearest].min() :] = False
    ahead |= level
    ahead[matches] = ahead[skipped] = False
    return len(np.unique(pids[ahead])) + 1


def average_precision(ranks: np.ndarray, ap: AveragePrecision = "mean") -> float:
    """In [0, 1], of all matches' (m,) ranks, ascending.

    mean: the mean precision at the matches, which papers print. trapezoid: the area under the precision-recall
    curve as Market-1501's own program takes it.
    """
    nth = np.arange(1, len(ranks) + 1)
    precision = nth / ranks
    if ap == "trapezoid":
        # precision just before each match; before the first place it is 1
        before = np.where(ranks > 1, (nth - 1) / np.maximum(ranks - 1, 1), 1.0)
        precision = (precision + before) / 2
    return float(precision.mean())
