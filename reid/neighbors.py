"""Exact nearest neighbours: faiss where there is a GPU, blocked matrix products and top-k where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from reid.features import FeatureError, checked_features

if TYPE_CHECKING:
    import torch

Metric = Literal["euclidean", "inner"]

Engine = Literal["auto", "torch", "faiss"]
"""What searches. torch: on the CPU. faiss: on the GPU where there is one, else on the CPU, where it is the slower.
auto: faiss where it finds a GPU, else torch."""

MEMORY = 64 * 2**20
"""Bytes that a block of distances may take, unless told."""

_BYTES_PER_PAIR = 4  # a float32 distance
_ROWS = 4096  # features squared at once


def nearest(
    queries: np.ndarray,
    gallery: np.ndarray,
    k: int,
    *,
    metric: Metric = "euclidean",
    exclude_self: bool = False,
    engine: Engine = "auto",
    memory: int = MEMORY,
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of ``gallery`` (ng, d) to each of ``queries`` (nq, d), nearest first.

    metric: "euclidean" gives squared Euclidean distances, smallest first; "inner" gives inner products,
    largest first. exclude_self: query i is gallery item i, and no neighbour of itself. memory: bytes that the
    distances held at once may take, at least one query's, and with faiss the part of the gallery that is searched
    at once; never an nq × ng array.

    Returns D (nq, k) float32 and I (nq, k) int64, where k is capped at the number of items there are. Equal
    distances are ordered by index, lower first, also where the k-th ties with items beyond it; distances are
    float32, so near-equal ones may come in either order. Raises FeatureError where features are not finite, do
    not fit together or are too large to square, ValueError where k < 1, UserError where faiss is asked for and
    missing.
    """
    queries, gallery = checked_features(queries, "queries"), checked_features(gallery, "gallery")
    if k < 1:
        raise ValueError(f"k must be at least 1 and is {k}")
    if queries.shape[1] != gallery.shape[1]:
        raise FeatureError(f"queries have {queries.shape[1]} dimensions, the gallery has {gallery.shape[1]}")
    if exclude_self and len(queries) != len(gallery):
        raise FeatureError(f"{len(queries)} queries cannot be the {len(gallery)} gallery items themselves")
    k = min(k, len(gallery) - exclude_self)
    if k == 0:
        return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)

    from reid import flat_index

    own = np.arange(len(queries)) if exclude_self else None
    if engine == "faiss" or (engine == "auto" and flat_index.gpus() > 0):
        return flat_index.search(queries, gallery, k, metric=metric, own=own, memory=memory)
    return blocked_search(queries, gallery, k, metric=metric, own=own, memory=memory)


def blocked_search(
    queries: np.ndarray, gallery: np.ndarray, k: int, *, metric: Metric, own: np.ndarray | None, memory: int
) -> tuple[np.ndarray, np.ndarray]:
    """``nearest`` by torch on the CPU, of arguments that were checked. own: (nq,) items that are no neighbours."""
    distances = np.empty((len(queries), k), dtype=np.float32)
    indices = np.empty((len(queries), k), dtype=np.int64)
    for rows, block in distance_blocks(queries, gallery, metric=metric, memory=memory):
        if own is not None:
            block[range(len(block)), own[rows]] = float("inf")
        found, where = smallest(block, k)
        distances[rows], indices[rows] = found.numpy(), where.numpy()
    if metric == "inner":
        return np.negative(distances, out=distances), indices
    return np.maximum(distances, 0, out=distances), indices


def distance_blocks(
    queries: np.ndarray, gallery: np.ndarray, *, metric: Metric = "euclidean", memory: int = MEMORY
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Distances (b, ng) float32 of successive rows of ``queries`` (nq, d) to all of ``gallery`` (ng, d).

    Squared Euclidean ones are |q|² + |g|² − 2 q·g, in the order of steps of the published programs, so that a
    distance is theirs to the last bit wherever the matrix product is. Identical items are equally far; a distance
    near 0 may be a little below it. For "inner" they are −q·g. Each block, of at most ``memory`` bytes or one row,
    overwrites the one before.
    """
    import torch

    items, asked = torch.from_numpy(gallery), torch.from_numpy(queries)
    if metric == "euclidean":
        squares, asked_squares = _squared_lengths(items), _squared_lengths(asked)
    step = max(1, min(len(queries), memory // (_BYTES_PER_PAIR * len(gallery))))
    held = torch.empty((step, len(gallery)))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        block = held[: rows.stop - start]
        if metric == "euclidean":
            torch.add(asked_squares[rows, None], squares, out=block)
            block.addmm_(asked[rows], items.T, alpha=-2)
        else:
            torch.mm(asked[rows], items.T, out=block).neg_()
        yield rows, block


def smallest(block: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k ≤ n smallest of each row of (b, n), smallest first, ties by index: values and indices (b, k)."""
    import torch

    # one more than asked shows where the last place is shared: topk takes any of those that tie for it
    values, indices = block.topk(min(k + 1, block.shape[1]), largest=False)
    tied = (values[:, k - 1 : k] == values[:, k:]).nonzero()[:, 0]
    last, values, indices = values[:, k - 1], values[:, :k], indices[:, :k]
    for row in tied.tolist():
        below = (block[row] < last[row]).nonzero()[:, 0]
        equal = (block[row] == last[row]).nonzero()[:, 0]
        indices[row] = torch.cat([below, equal[: k - len(below)]])
        values[row] = block[row, indices[row]]
    indices, order = indices.sort(dim=1)
    values, order = values.gather(1, order).sort(dim=1, stable=True)
    return values, indices.gather(1, order)


def _squared_lengths(features: torch.Tensor) -> torch.Tensor:
    import torch

    squares = torch.cat([part.pow(2).sum(dim=1) for part in features.split(_ROWS)])
    if not bool((squares < torch.finfo(torch.float32).max / 8).all()):
        raise FeatureError(
            f"row {int(squares.argmax())} is too long to be squared in float32: normalise first"
        )
    return squares
