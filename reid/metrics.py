"""Evaluation under a data set's protocol: average precision, CMC, mINP; and the density of identities.

Market-1501's rules unless told (Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015). Junk
leaves query and gallery before anything; distractors stay; a gallery item is skipped for a query only if person
*and* camera are its own. A camera that is not known (−1) is nobody's own: nothing is skipped by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from reid.features import (
    JUNK,
    NO_CAMERA,
    FeatureError,
    FeatureSet,
    check_fit,
    checked_features,
    l2_normalized,
    unit_length,
)
from reid.neighbors import MEMORY, distance_blocks
from reid.protocols import MARKET, Protocol, Rule, Trial
from reid.ranking import AveragePrecision, Ties, average_precision, first_identity_rank, match_ranks

_ROWS = 4096  # features normalised at once

Search = Callable[[FeatureSet, FeatureSet], Iterable[np.ndarray]]
"""Query and gallery -> (b, ng) distances of successive queries to the whole gallery; smaller is nearer."""


@dataclass(frozen=True)
class Retrieval:
    """How the V queries that have something to find found it in T trials.

    queries: (V,) their indices. average_precision, inverse_penalty: (V,) in [0, 1], over the trials in which a
    query has something to find. first_rank: (V, T) int64, the rank of the first match, from 1; 0 where there was
    nothing to find. share: (V, T), what a trial counts for a query; all are 1 where there is one trial. left_out:
    queries that were asked and have nothing to find in any trial, which no score counts.

    A data set's own program prints the mean over trials of each trial's mean over queries, and so do the scores
    here, exactly: they are means over queries weighted by ``weights``, (V,) with mean 1. The weights differ from
    1 only where trials ask different queries, as RegDB's do.
    """

    queries: np.ndarray
    average_precision: np.ndarray
    inverse_penalty: np.ndarray
    first_rank: np.ndarray
    share: np.ndarray
    left_out: int

    @property
    def weights(self) -> np.ndarray:
        """(V,): what a query counts in every score."""
        return self.share.sum(axis=1)

    @property
    def mean_average_precision(self) -> float:
        """mAP, in [0, 1]."""
        return float(np.average(self.average_precision, weights=self.weights))

    @property
    def mean_inverse_penalty(self) -> float:
        """mINP, in [0, 1]: how soon the hardest match is found (Ye et al., TPAMI 2021, equation 3)."""
        return float(np.average(self.inverse_penalty, weights=self.weights))

    def found(self, rank: int) -> np.ndarray:
        """(V,) in [0, 1]: the part of a query's trials in which its first match is at this rank or before."""
        within = (self.first_rank > 0) & (self.first_rank <= rank)
        return (self.share * within).sum(axis=1) / self.weights

    def cmc(self, ranks: int = 50) -> np.ndarray:
        """(ranks,) shares of queries whose first match is at rank 1, ≤ 2, … ≤ ``ranks``."""
        return np.array([np.average(self.found(rank), weights=self.weights) for rank in range(1, ranks + 1)])


def evaluate(
    query: FeatureSet,
    gallery: FeatureSet,
    *,
    protocol: Protocol = MARKET,
    search: Search | None = None,
    ap: AveragePrecision = "mean",
    ties: Ties = "order",
    normalize: bool = True,
    memory: int = MEMORY,
) -> Retrieval:
    """Search the gallery for each query, and score what is found.

    search: how; by Euclidean distance unless told. It is called once a trial with what the trial asks and
    searches, so that what it does besides (centralising, re-ranking) sees nothing else. ap, ties: as
    ``reid.ranking`` has them. normalize: bring features to length 1 first. memory: bytes that the Euclidean
    distances held at once may take. Raises FeatureError where the two sets do not fit together or no query has a
    match.
    """
    check_fit(query, gallery)

    def distances(rows: np.ndarray, items: np.ndarray) -> Iterable[np.ndarray]:
        asked, held = (_taken(*part, normalize) for part in ((query, rows), (gallery, items)))
        if search is not None:
            return search(asked, held)
        blocks = distance_blocks(asked.features, held.features, memory=memory)
        return (block.numpy() for _, block in blocks)

    return _score(distances, query.pids, query.camids, gallery.pids, gallery.camids, protocol, ap, ties)


def evaluate_distances(
    distances: np.ndarray,
    *,
    query_pids: np.ndarray,
    query_camids: np.ndarray,
    gallery_pids: np.ndarray,
    gallery_camids: np.ndarray,
    protocol: Protocol = MARKET,
    ap: AveragePrecision = "mean",
    ties: Ties = "order",
) -> Retrieval:
    """The same for (nq, ng) distances that came from elsewhere. Smaller is nearer."""
    shape = (len(query_pids), len(gallery_pids))
    if distances.shape != shape:
        raise FeatureError(f"distances must have shape {shape}, query × gallery, and have {distances.shape}")

    def blocks(rows: np.ndarray, items: np.ndarray) -> Iterable[np.ndarray]:
        return (distances[row][None, items] for row in rows)

    return _score(blocks, query_pids, query_camids, gallery_pids, gallery_camids, protocol, ap, ties)


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


def densities(query: FeatureSet, gallery: FeatureSet) -> np.ndarray:
    """(nq + ng,) ``identity_density`` of query and gallery together; NaN of junk and distractors."""
    pids = np.concatenate([query.pids, gallery.pids])
    somebody = pids > 0
    found = np.full(len(pids), np.nan)
    if somebody.any():
        features = np.concatenate([query.features, gallery.features])[somebody]
        found[somebody] = identity_density(features, pids[somebody])
    return found


def _taken(one: FeatureSet, rows: np.ndarray, normalize: bool) -> FeatureSet:
    whole = len(rows) == len(one) and bool((np.diff(rows) == 1).all())
    if whole and not normalize:
        return one
    features = np.empty((len(rows), one.features.shape[1]), dtype=np.float32)
    for start in range(0, len(rows), _ROWS):  # piece by piece: one copy, not two
        piece = one.features[rows[start : start + _ROWS]]
        features[start : start + _ROWS] = unit_length(piece) if normalize else piece
    return FeatureSet(features, one.pids[rows], one.camids[rows])


def _score(
    distances: Callable[[np.ndarray, np.ndarray], Iterable[np.ndarray]],
    query_pids: np.ndarray,
    query_camids: np.ndarray,
    gallery_pids: np.ndarray,
    gallery_camids: np.ndarray,
    protocol: Protocol,
    ap: AveragePrecision,
    ties: Ties,
) -> Retrieval:
    """distances: rows of the query, items of the gallery -> (b, items) distances of successive rows."""
    everything = Trial(np.arange(len(query_pids)), np.arange(len(gallery_pids)))
    trials = protocol.trials or (everything,)
    asked = np.zeros(len(query_pids), dtype=bool)
    first_rank = np.zeros((len(query_pids), len(trials)), dtype=np.int64)
    precision, penalty = np.zeros(first_rank.shape), np.zeros(first_rank.shape)
    for t, trial in enumerate(trials):
        asked[trial.query] = True
        rows = trial.query[query_pids[trial.query] != JUNK]
        items = trial.gallery[gallery_pids[trial.gallery] != JUNK]
        if len(rows) == 0 or len(items) == 0:
            continue
        judge = _Judge(protocol, gallery_pids[items], gallery_camids[items], ap, ties)
        listed = _rows_of(distances(rows, items))
        for i, row in zip(rows, listed, strict=True):
            precision[i, t], penalty[i, t], first_rank[i, t] = judge(row, query_pids[i], query_camids[i])
    scored = first_rank > 0
    kept = scored.any(axis=1)
    if not kept.any():
        where = " under another camera" if protocol.rule == "same-camera" else ""
        raise FeatureError(f"no query's person is in the gallery{where}: there is nothing to score")
    # each trial counts alike, and in a trial each query that it scores
    of_trial = np.maximum(scored.sum(axis=0), 1) * np.count_nonzero(scored.any(axis=0)) / kept.sum()
    share = (scored / of_trial)[kept]
    weights = share.sum(axis=1)
    return Retrieval(
        queries=np.flatnonzero(kept),
        average_precision=(precision[kept] * share).sum(axis=1) / weights,
        inverse_penalty=(penalty[kept] * share).sum(axis=1) / weights,
        first_rank=first_rank[kept],
        share=share,
        left_out=int(np.count_nonzero(asked & ~kept)),
    )


def _rows_of(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for block in blocks:
        for row in block:
            if np.isnan(row.min()):
                raise FeatureError("distances hold NaN")
            yield row


class _Judge:
    """Scores one query's row of distances to a gallery (ng,): average precision, mINP's share, first rank.

    The three are 0 where there is nothing to find.
    """

    def __init__(
        self, protocol: Protocol, pids: np.ndarray, camids: np.ndarray, ap: AveragePrecision, ties: Ties
    ) -> None:
        self.protocol, self.pids, self.camids, self.ap, self.ties = protocol, pids, camids, ap, ties
        self.by_pid = np.argsort(pids, kind="stable")
        self.sorted_pids = pids[self.by_pid]
        self.camera_2 = np.flatnonzero(camids == 2)

    def __call__(self, row: np.ndarray, pid: int, camera: int) -> tuple[float, float, int]:
        first, end = np.searchsorted(self.sorted_pids, [pid, pid + 1])
        own = self.by_pid[first:end]
        unseen, skipped = self._skipped(own, camera)
        matches = own[~unseen]
        if len(matches) == 0:
            return 0.0, 0.0, 0
        ranks = match_ranks(row, matches, skipped, self.ties)
        first_rank = ranks[0]
        if self.protocol.cmc == "identities":
            first_rank = first_identity_rank(row, matches, skipped, self.pids, self.ties)
        return average_precision(ranks, self.ap), len(ranks) / ranks[-1], int(first_rank)

    def _skipped(self, own: np.ndarray, camera: int) -> tuple[np.ndarray, np.ndarray]:
        """Which of the query's ``own`` it does not see (o,), and the indices of all that it does not see."""
        nothing = np.zeros(len(own), dtype=bool)
        rule: Rule = self.protocol.rule
        if rule == "sysu" and camera == 3:
            return self.camids[own] == 2, self.camera_2
        if rule == "same-camera" and camera != NO_CAMERA:
            unseen = self.camids[own] == camera
            return unseen, own[unseen]
        return nothing, own[:0]
