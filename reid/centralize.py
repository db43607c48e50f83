"""Neighbour feature centralisation (NFC): a feature is drawn towards those it is mutually near to.

Yuan, Zhang, Ma, Zhang, Niu, "From Poses to Identity: Training-Free Person Re-Identification via Feature
Centralization", CVPR 2025, as its TransReID demonstration does it (features of length 1 before and after).
No free lunch: where mutual pairs are of different people it lowers mAP, and it often lowers Rank-1. So the
purity of the pairs is told with the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from reid.features import JUNK, FeatureSet, check_fit, l2_normalized
from reid.neighbors import MEMORY, nearest

Scope = Literal["query", "gallery", "both", "joint"]


@dataclass(frozen=True)
class Centralized:
    """Query and gallery after NFC, all of length 1. pairs: mutual pairs that were used; purity: see below."""

    query: FeatureSet
    gallery: FeatureSet
    pairs: int
    purity: float


def centralize(
    query: FeatureSet,
    gallery: FeatureSet,
    *,
    k1: int = 2,
    k2: int = 2,
    scope: Scope = "both",
    memory: int = MEMORY,
) -> Centralized:
    """NFC of a query and a gallery.

    scope: "query" or "gallery" alone (the other is only normalised), "both" (each within itself), "joint"
    (within the two together, against which its authors warn). Centralising queries is transductive: it uses
    the other queries, of which a deployed system has none.
    """
    if scope not in get_args(Scope):
        raise ValueError(f"scope must be one of {', '.join(get_args(Scope))} and is {scope!r}")
    if scope == "joint":
        check_fit(query, gallery)
        features = np.concatenate([query.features, gallery.features])
        features, pairs = nfc(features, k1, k2, memory=memory)
        pure = mutual_purity(pairs, np.concatenate([query.pids, gallery.pids]))
        new_query, new_gallery = features[: len(query)], features[len(query) :]
        return Centralized(_with(query, new_query), _with(gallery, new_gallery), len(pairs), pure)

    made, ends = [], []
    for name, one in (("query", query), ("gallery", gallery)):
        if scope in (name, "both"):
            features, pairs = nfc(one.features, k1, k2, memory=memory)
            ends.append(one.pids[pairs])
        else:
            features = l2_normalized(one.features)
        made.append(_with(one, features))
    found = np.concatenate(ends)
    return Centralized(made[0], made[1], len(found), _purity(found))


def nfc(
    features: np.ndarray, k1: int = 2, k2: int = 2, *, memory: int = MEMORY
) -> tuple[np.ndarray, np.ndarray]:
    """Each of (N, D) features plus the sum of its mutual neighbours, L2-normalised before and after.

    Returns the features (N, D) float32 and the pairs (M, 2) that were used, as ``mutual_pairs`` has them.
    """
    from scipy.sparse import csr_matrix

    features = l2_normalized(features)
    pairs = mutual_pairs(features, k1, k2, memory=memory)
    ones = np.ones(len(pairs), dtype=np.float32)
    takes = csr_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(features), len(features)))
    return l2_normalized(features + takes @ features), pairs


def mutual_pairs(features: np.ndarray, k1: int = 2, k2: int = 2, *, memory: int = MEMORY) -> np.ndarray:
    """(M, 2) int64 pairs (i, j), by i: j is among the k1 nearest of i, and i among the k2 nearest of j.

    features: (N, D), compared as they are, by Euclidean distance; no sample is its own neighbour. With k1 = k2
    every pair is there in both directions.
    """
    if min(k1, k2) < 1:
        raise ValueError(f"k1 and k2 must be at least 1 and are {k1} and {k2}")
    _, near = nearest(features, features, max(k1, k2), exclude_self=True, memory=memory)
    here = np.arange(len(near))[:, None]
    mutual = np.zeros_like(near[:, :k1], dtype=bool)
    for column, other in enumerate(near[:, :k1].T):
        mutual[:, column] = (near[other, :k2] == here).any(axis=1)
    return np.stack([np.nonzero(mutual)[0], near[:, :k1][mutual]], axis=1)


def mutual_purity(pairs: np.ndarray, pids: np.ndarray) -> float:
    """Share of (M, 2) pairs whose two ends are one person, by pids (N,); NaN where there are no pairs.

    Junk is nobody: its pairs count as impure.
    """
    return _purity(pids[pairs])


def _purity(ends: np.ndarray) -> float:
    if len(ends) == 0:
        return float("nan")
    return float(np.mean((ends[:, 0] == ends[:, 1]) & (ends[:, 0] != JUNK)))


def _with(one: FeatureSet, features: np.ndarray) -> FeatureSet:
    return FeatureSet(features, one.pids, one.camids)
