"""Re-ranking by what a search already knows: k-reciprocal encoding, and queries expanded by what they find.

Zhong, Zheng, Cao, Li, "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017, as its program
has it, in float32 and with tables only of what is not zero. Features are compared as they are: bring them to length
1 first, as TransReID does. Re-ranking is transductive: it uses the other queries, of which a deployed system has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from reid.features import FeatureError, checked_features, l2_normalized
from reid.neighbors import MEMORY, Engine, distance_blocks, nearest, smallest

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix, csr_matrix


def k_reciprocal(
    query: np.ndarray,
    gallery: np.ndarray,
    *,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
    memory: int = MEMORY,
) -> np.ndarray:
    """(nq, D), (ng, D) features -> (nq, ng) float32 re-ranked distances, smaller is nearer.

    k1: how many neighbours are looked at for mutual ones. k2: how many neighbours' encodings a sample's own is
    the mean of; 1 leaves it as it is. lambda_value: the share of the original distance, in [0, 1]. Both k may
    exceed the number of samples. memory: as ``k_reciprocal_blocks`` has it; the result comes on top.
    """
    blocks = k_reciprocal_blocks(query, gallery, k1=k1, k2=k2, lambda_value=lambda_value, memory=memory)
    final, row = np.empty((len(query), len(gallery)), dtype=np.float32), 0
    for block in blocks:
        final[row : row + len(block)] = block
        row += len(block)
    return final


def k_reciprocal_blocks(
    query: np.ndarray,
    gallery: np.ndarray,
    *,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
    memory: int = MEMORY,
) -> Iterator[np.ndarray]:
    """``k_reciprocal`` as (b, ng) blocks of successive queries, each overwritten by the next.

    memory: bytes of the distances held at once. Raises FeatureError where features are not finite, do not fit
    together or are too large to square, ValueError where k1, k2 or lambda_value are out of range.
    """
    query, gallery = checked_features(query, "query"), checked_features(gallery, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise FeatureError(
            f"the query's features have {query.shape[1]} dimensions, the gallery's have {gallery.shape[1]}"
        )
    if min(k1, k2) < 1 or not 0 <= lambda_value <= 1:
        raise ValueError(
            f"k1 and k2 must be at least 1, lambda_value in [0, 1], and they are {k1}, {k2}, {lambda_value}"
        )
    return _blocks(query, gallery, k1, k2, lambda_value, memory)


def expand_queries(
    query: np.ndarray,
    gallery: np.ndarray,
    k: int,
    *,
    alpha: float = 0.0,
    engine: Engine = "auto",
    memory: int = MEMORY,
) -> np.ndarray:
    """(nq, D) queries, each the mean of itself and its ``k`` nearest of gallery (ng, D), all at length 1: (nq, D).

    Average query expansion (Chum et al., "Total Recall", ICCV 2007). With alpha > 0 a neighbour counts as its
    cosine to that power, negative ones not at all (Radenović, Tolias, Chum, "Fine-tuning CNN Image Retrieval with
    No Human Annotation", TPAMI 2019); published is 3. It uses nothing but the query and the gallery. Raises as
    ``reid.neighbors.nearest`` does, and ValueError where alpha is negative.
    """
    if alpha < 0:
        raise ValueError(f"alpha must not be negative and is {alpha}")
    asked = l2_normalized(checked_features(query, "query"))
    items = l2_normalized(checked_features(gallery, "gallery"))
    cosines, near = nearest(asked, items, k, metric="inner", engine=engine, memory=memory)
    weights = np.maximum(cosines, 0) ** np.float32(alpha) if alpha else np.ones_like(cosines)
    made = np.empty_like(asked)
    step = max(1, memory // (near.shape[1] * items[0].nbytes))
    for start in range(0, len(asked), step):
        rows = slice(start, start + step)
        made[rows] = asked[rows] + np.einsum("qk,qkd->qd", weights[rows], items[near[rows]])
    return l2_normalized(made)


def _blocks(
    query: np.ndarray, gallery: np.ndarray, k1: int, k2: int, lambda_value: float, memory: int
) -> Iterator[np.ndarray]:
    both = np.concatenate([query, gallery])
    near, farthest = _neighbourhoods(both, max(k1 + 1, k2), memory)
    encoded = _encodings(both, near, farthest, k1, k2)
    asked, items = encoded[: len(query)], encoded[len(query) :].tocsc()
    del both, near, encoded
    for rows, block in distance_blocks(query, gallery, memory=memory):
        final = block.numpy()
        final /= farthest[rows, None]
        final *= lambda_value
        for row, i in zip(final, range(rows.start, rows.stop), strict=True):
            shared = _shared(asked, i, items)
            row += (1 - shared / (2 - shared)) * (1 - lambda_value)
        yield final


def _neighbourhoods(features: np.ndarray, k: int, memory: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of each of (N, D), itself among them, and its farthest's distance: (N, min(k, N)), (N,).

    The farthest is 1 where all are alike.
    """
    near = np.empty((len(features), min(k, len(features))), dtype=np.int32)
    farthest = np.empty(len(features), dtype=np.float32)
    for rows, block in distance_blocks(features, features, memory=memory):
        most = block.amax(dim=1)
        most[most <= 0] = 1
        # ranked by the quotients, as published: what they round to the same is in the items' order
        near[rows] = smallest(block.div_(most[:, None]), near.shape[1])[1].numpy()
        farthest[rows] = most.numpy()
    return near, farthest


def _encodings(features: np.ndarray, near: np.ndarray, farthest: np.ndarray, k1: int, k2: int) -> csr_matrix:
    """(N, N) float32: of each sample, how much of it is in each other's neighbourhood; equations 4, 5, 7, 11."""
    mutual = _mutual(near[:, : k1 + 1])
    narrow = _mutual(near[:, : int(np.around(k1 / 2)) + 1])
    # a neighbour brings its own narrower neighbours along if more than two thirds of them are mine already
    common = (mutual @ narrow).multiply(mutual).tocsr()
    sizes = np.diff(narrow.indptr)
    common.data = (common.data > 2 / 3 * sizes[common.indices]).astype(np.float32)
    common.eliminate_zeros()
    encoded = (mutual + common @ narrow).tocsr()
    encoded.sort_indices()
    squares = np.einsum("nd,nd->n", features, features)
    for i, (start, end) in enumerate(pairwise(encoded.indptr)):
        others = encoded.indices[start:end]
        away = squares[i] + squares[others] - 2 * (features[others] @ features[i])
        weights = np.exp(-away / farthest[i])
        encoded.data[start:end] = weights / np.sum(weights)
    if k2 == 1:
        return encoded
    takes = _among(near[:, :k2])
    encoded = takes @ encoded
    encoded.data /= takes.indptr[1]
    encoded.sort_indices()
    return encoded


def _among(near: np.ndarray) -> csr_matrix:
    """(N, k) indices -> (N, N) float32 ones at them."""
    from scipy.sparse import csr_matrix

    count, k = near.shape
    ones = np.ones(near.size, dtype=np.float32)
    return csr_matrix((ones, near.ravel(), np.arange(0, near.size + 1, k)), shape=(count, count))


def _mutual(near: np.ndarray) -> csr_matrix:
    """(N, N) float32 ones where each is among the other's (N, k) nearest; equation 2."""
    forward = _among(near)
    return forward.multiply(forward.T).tocsr()


def _shared(asked: csr_matrix, i: int, items: csc_matrix) -> np.ndarray:
    """Σ of the minima of row i of asked (nq, N) and each of items (ng, N): (ng,) float32; equation 10."""
    own = slice(asked.indptr[i], asked.indptr[i + 1])
    held = items[:, asked.indices[own]]
    np.minimum(held.data, np.repeat(asked.data[own], np.diff(held.indptr)), out=held.data)
    return held @ np.ones(held.shape[1], dtype=np.float32)
