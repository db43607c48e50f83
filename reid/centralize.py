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

from reid.features import JUNK, FeatureSet, check_fit, l2_normalized, unit_length
from reid.neighbors import MEMORY, Engine, nearest

Scope = Literal["query", "gallery", "both", "joint"]

_ROWS = 4096  # features summed at once


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
    iterations: int = 1,
    engine: Engine = "auto",
    memory: int = MEMORY,
) -> Centralized:
    """NFC of a query and a gallery.

    scope: "query" or "gallery" alone (the other is only normalised), "both" (each within itself), "joint"
    (within the two together, against which its authors warn). Centralising queries is transductive: it uses
    the other queries, of which a deployed system has none. Junk gives nothing and takes nothing.
    """
    if scope not in get_args(Scope):
        raise ValueError(f"scope must be one of {', '.join(get_args(Scope))} and is {scope!r}")
    check_fit(query, gallery)
    sides = [query, gallery]
    made = [unit_length(side.features) for side in sides]
    groups = {"query": [[0]], "gallery": [[1]], "both": [[0], [1]], "joint": [[0, 1]]}[scope]
    ends = [np.empty((0, 2), dtype=np.int64)]
    for group in groups:
        kept = [np.flatnonzero(sides[i].pids != JUNK) for i in group]
        if not sum(map(len, kept)):
            continue
        given = [sides[i].features[rows] for i, rows in zip(group, kept, strict=True)]
        pids = np.concatenate([sides[i].pids[rows] for i, rows in zip(group, kept, strict=True)])
        stacked = given[0] if len(given) == 1 else np.concatenate(given)
        features, pairs = nfc(stacked, k1, k2, iterations=iterations, engine=engine, memory=memory)
        ends.append(pids[pairs])
        for i, rows in zip(group, kept, strict=True):
            made[i][rows], features = features[: len(rows)], features[len(rows) :]
    found = np.concatenate(ends)
    return Centralized(_with(query, made[0]), _with(gallery, made[1]), len(found), _purity(found))


def nfc(
    features: np.ndarray,
    k1: int = 2,
    k2: int = 2,
    *,
    iterations: int = 1,
    engine: Engine = "auto",
    memory: int = MEMORY,
) -> tuple[np.ndarray, np.ndarray]:
    """Each of (N, D) features plus the sum of its mutual neighbours, L2-normalised before and after.

    iterations: how often, each time among what the last one made; published is 1. engine, memory: as
    ``reid.neighbors.nearest`` has them. Returns the features (N, D) float32 and the pairs (M, 2) that were used,
    as ``mutual_pairs`` has them, of one iteration after the other.
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1 and is {iterations}")
    made, used = l2_normalized(features), []
    for _ in range(iterations):
        pairs = mutual_pairs(made, k1, k2, engine=engine, memory=memory)
        made = _drawn(made, pairs)
        used.append(pairs)
    return made, np.concatenate(used)


def mutual_pairs(
    features: np.ndarray, k1: int = 2, k2: int = 2, *, engine: Engine = "auto", memory: int = MEMORY
) -> np.ndarray:
    """(M, 2) int64 pairs (i, j), by i: j is among the k1 nearest of i, and i among the k2 nearest of j.

    features: (N, D), compared as they are, by Euclidean distance; no sample is its own neighbour. With k1 = k2
    every pair is there in both directions.
    """
    if min(k1, k2) < 1:
        raise ValueError(f"k1 and k2 must be at least 1 and are {k1} and {k2}")
    _, near = nearest(features, features, max(k1, k2), exclude_self=True, engine=engine, memory=memory)
    here = np.arange(len(near))[:, None]
    mutual = np.zeros_like(near[:, :k1], dtype=bool)
    for column, other in enumerate(near[:, :k1].T):
        mutual[:, column] = (near[other, :k2] == here).any(axis=1)
    return np.stack([np.nonzero(mutual)[0], near[:, :k1][mutual]], axis=1)


def mutual_purity(pairs: np.ndarray, pids: np.ndarray) -> float:
    """Share of (M, 2) pairs whose two ends are one person, by pids (N,); NaN where there are no pairs.

    Junk (−1) and distractors (0) are nobody: their pairs count as impure.
    """
    return _purity(pids[pairs])


def _purity(ends: np.ndarray) -> float:
    if len(ends) == 0:
        return float("nan")
    return float(np.mean((ends[:, 0] == ends[:, 1]) & (ends[:, 0] > 0)))


def _drawn(features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(N, D) features of length 1, each with its partners' sum added, of length 1 again."""
    from scipy.sparse import csr_matrix

    ones = np.ones(len(pairs), dtype=np.float32)
    takes = csr_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(features), len(features)))
    made = np.empty_like(features)
    for start in range(0, len(features), _ROWS):  # piece by piece: no second and third copy
        rows = slice(start, start + _ROWS)
        made[rows] = l2_normalized(features[rows] + takes[rows] @ features)
    return made


def _with(one: FeatureSet, features: np.ndarray) -> FeatureSet:
    return FeatureSet(features, one.pids, one.camids)
