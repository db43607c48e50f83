"""Market-1501's evaluation: average precision, CMC, mINP; and the density of identities.

Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015. Junk leaves the gallery before
anything; distractors stay; a gallery item is skipped for a query only if person *and* camera are its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reid.features import JUNK, FeatureError, FeatureSet, check_fit, checked_features, l2_normalized
from reid.neighbors import MEMORY

AveragePrecision = Literal["mean", "trapezoid"]


@dataclass(frozen=True)
class Retrieval:
    """How the V queries that have a match in the gallery found it.

    queries: (V,) their indices. average_precision, inverse_penalty: (V,) in [0, 1]. first_rank: (V,) int64,
    the rank of the first match, from 1. left_out: queries with nothing to find, which no score counts.
    """

    queries: np.ndarray
    average_precision: np.ndarray
    inverse_penalty: np.ndarray
    first_rank: np.ndarray
    left_out: int

    @property
    def mean_average_precision(self) -> float:
        """mAP, in [0, 1]."""
        return float(self.average_precision.mean())

    @property
    def mean_inverse_penalty(self) -> float:
        """mINP, in [0, 1]: how soon the hardest match is found (Ye et al., TPAMI 2021, equation 3)."""
        return float(self.inverse_penalty.mean())

    def cmc(self, ranks: int = 50) -> np.ndarray:
        """(ranks,) shares of queries whose first match is at rank 1, ≤ 2, … ≤ ``ranks``."""
        return (self.first_rank[:, None] <= np.arange(1, ranks + 1)).mean(axis=0)


def evaluate(
    query: FeatureSet,
    gallery: FeatureSet,
    *,
    ap: AveragePrecision = "mean",
    normalize: bool = True,
    memory: int = MEMORY,
) -> Retrieval:
    """Search the gallery for each query by Euclidean distance, and score what is found.

    ap: "mean" is the mean precision at the matches, which papers print; "trapezoid" is the area under the
    precision-recall curve as Market-1501's own program takes it. normalize: bring features to length 1 first.
    memory: bytes that the distances held at once may take. Raises FeatureError where the two sets do not fit
    together or no query has a match.
    """
    check_fit(query, gallery)
    kept = gallery.pids != JUNK
    features = [query.features, gallery.features[kept]]
    if normalize:
        features = [l2_normalized(f) for f in features]
    blocks = _distance_blocks(features[0], features[1], memory)
    return _score(blocks, query.pids, query.camids, gallery.pids[kept], gallery.camids[kept], ap)


def evaluate_distances(
    distances: np.ndarray,
    *,
    query_pids: np.ndarray,
    query_camids: np.ndarray,
    gallery_pids: np.ndarray,
    gallery_camids: np.ndarray,
    ap: AveragePrecision = "mean",
) -> Retrieval:
    """The same for (nq, ng) distances that came from elsewhere, such as re-ranking. Smaller is nearer."""
    shape = (len(query_pids), len(gallery_pids))
    if distances.shape != shape:
        raise FeatureError(f"distances must have shape {shape}, query × gallery, and have {distances.shape}")
    kept = gallery_pids != JUNK
    blocks = (row[None, kept] for row in distances)
    return _score(blocks, query_pids, query_camids, gallery_pids[kept], gallery_camids[kept], ap)


def identity_density(features: np.ndarray, pids: np.ndarray) -> np.ndarray:
    """(N, D) features, (N,) pids -> (N,) float64 squared distances of each feature to its identity's centre.

    Features are brought to length 1; a centre is their plain mean. Their mean is ID² as Pose2ID's program
    ``ID2.py`` has it (Yuan et al., CVPR 2025): smaller is denser. It says nothing of how far identities are
    apart, so features that are all alike have the perfect 0. Junk and distractors are nobody: leave them out.
    """
    unit = l2_normalized(checked_features(features))
    _, identity, count = np.unique(pids, return_inverse=True, return_counts=True)
    order = np.argsort(identity, kind="stable")
    density = np.empty(len(unit))
    for rows in np.split(order, np.cumsum(count)[:-1]):
        own = unit[rows].astype(np.float64)
        density[rows] = np.square(own - own.mean(axis=0)).sum(axis=1)
    return density


def _distance_blocks(queries: np.ndarray, gallery: np.ndarray, memory: int) -> Iterator[np.ndarray]:
    """(b, ng) squared distances, less the query's own square, of successive queries."""
    import torch

    items, asked = torch.from_numpy(gallery), torch.from_numpy(queries)
    squares = torch.from_numpy(np.einsum("nd,nd->n", gallery, gallery))
    step = max(1, memory // (4 * max(1, len(gallery))))
    for start in range(0, len(queries), step):
        yield torch.addmm(squares, asked[start : start + step], items.T, alpha=-2).numpy()


def _score(
    blocks: Iterable[np.ndarray],
    query_pids: np.ndarray,
    query_camids: np.ndarray,
    gallery_pids: np.ndarray,
    gallery_camids: np.ndarray,
    ap: AveragePrecision,
) -> Retrieval:
    """blocks: (b, ng) distances, queries in order, junk dropped."""
    by_pid = np.argsort(gallery_pids, kind="stable")
    first = np.searchsorted(gallery_pids[by_pid], query_pids, side="left")
    end = np.searchsorted(gallery_pids[by_pid], query_pids, side="right")
    queries, precisions, penalties, first_ranks = [], [], [], []
    query = -1
    for block in blocks:
        for row in block:
            query += 1
            own = by_pid[first[query] : end[query]]
            matches = own[gallery_camids[own] != query_camids[query]]
            if len(matches) == 0:
                continue
            ranks = _match_ranks(row, matches, own)
            queries.append(query)
            precisions.append(_average_precision(ranks, ap))
            penalties.append(len(ranks) / ranks[-1])
            first_ranks.append(ranks[0])
    if not queries:
        raise FeatureError(
            "no query's person is in the gallery under another camera: there is nothing to score"
        )
    return Retrieval(
        queries=np.array(queries, dtype=np.int64),
        average_precision=np.array(precisions),
        inverse_penalty=np.array(penalties),
        first_rank=np.array(first_ranks, dtype=np.int64),
        left_out=len(query_pids) - len(queries),
    )


def _match_ranks(distances: np.ndarray, matches: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Ranks (m,), from 1, of the matches among (ng,) distances, without the rest of the query's ``own``.

    A wrong item as near as a match counts as nearer: the scores do not hang on the gallery's order, and
    features that are all alike find nothing.
    """
    found = np.sort(distances[matches])
    if np.isnan(distances).any():
        raise FeatureError("distances hold NaN")
    ahead = distances <= found[-1]
    ahead[own] = False
    # each wrong item is ahead of all matches from the first that is not nearer than it
    ahead_of = np.searchsorted(found, distances[ahead], side="left")
    return np.arange(1, len(found) + 1) + np.cumsum(np.bincount(ahead_of, minlength=len(found)))


def _average_precision(ranks: np.ndarray, ap: AveragePrecision) -> float:
    nth = np.arange(1, len(ranks) + 1)
    precision = nth / ranks
    if ap == "trapezoid":
        # precision just before each match; before the first place it is 1
        before = np.where(ranks > 1, (nth - 1) / np.maximum(ranks - 1, 1), 1.0)
        precision = (precision + before) / 2
    return float(precision.mean())
