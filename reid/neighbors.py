"""Exact nearest neighbours: blocked matrix products and top-k on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from reid.features import FeatureError, checked_features

if TYPE_CHECKING:
    import torch

Metric = Literal["euclidean", "inner"]

MEMORY = 256 * 2**20
"""Bytes that a block of distances may take, unless told."""

_BYTES_PER_PAIR = 4  # a float32 distance


def nearest(
    queries: np.ndarray,
    gallery: np.ndarray,
    k: int,
    *,
    metric: Metric = "euclidean",
    exclude_self: bool = False,
    memory: int = MEMORY,
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of ``gallery`` (ng, d) to each of ``queries`` (nq, d), nearest first.

    metric: "euclidean" gives squared Euclidean distances, smallest first; "inner" gives inner products,
    largest first. exclude_self: query i is gallery item i, and no neighbour of itself. memory: bytes that the
    distances held at once may take, at least one query's; never an nq × ng array.

    Returns D (nq, k) float32 and I (nq, k) int64, where k is capped at the number of items there are. Equal
    distances are ordered by index, lower first, also where the k-th ties with items beyond it; distances are
    float32, so near-equal ones may come in either order. Raises FeatureError where features are not finite, do
    not fit together or are too large to square, ValueError where k < 1.
    """
    import torch

    queries, gallery = checked_features(queries, "queries"), checked_features(gallery, "gallery")
    if k < 1:
        raise ValueError(f"k must be at least 1 and is {k}")
    if queries.shape[1] != gallery.shape[1]:
        raise FeatureError(f"queries have {queries.shape[1]} dimensions, the gallery has {gallery.shape[1]}")
    if exclude_self and len(queries) != len(gallery):
        raise FeatureError(f"{len(queries)} queries cannot be the {len(gallery)} gallery items themselves")
    k = min(k, len(gallery) - exclude_self)
    distances = np.empty((len(queries), k), dtype=np.float32)
    indices = np.empty((len(queries), k), dtype=np.int64)
    if k == 0:
        return distances, indices

    items = torch.from_numpy(gallery)
    asked = torch.from_numpy(queries)
    squares, asked_squares = _squared_lengths(gallery), _squared_lengths(queries)
    step = max(1, min(len(queries), memory // (_BYTES_PER_PAIR * len(gallery))))
    held = torch.empty((step, len(gallery)))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        block = held[: rows.stop - start]
        # |q − g|² less |q|², which changes no order and is added to the k found
        if metric == "euclidean":
            torch.addmm(torch.from_numpy(squares), asked[rows], items.T, alpha=-2, out=block)
        else:
            torch.mm(asked[rows], items.T, out=block).neg_()
        if exclude_self:
            block.diagonal(start).fill_(float("inf"))
        found, where = _smallest(block, k)
        distances[rows], indices[rows] = found.numpy(), where.numpy()
    if metric == "inner":
        return np.negative(distances, out=distances), indices
    distances += asked_squares[:, None]
    return np.maximum(distances, 0, out=distances), indices


def _smallest(block: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k smallest of each row of (b, n), smallest first, ties by index: values and indices (b, k)."""
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


def _squared_lengths(features: np.ndarray) -> np.ndarray:
    squares = np.einsum("nd,nd->n", features, features)
    if not np.all(squares < np.finfo(np.float32).max / 8):
        raise FeatureError(
            f"row {int(np.argmax(squares))} is too long to be squared in float32: normalise first"
        )
    return squares
