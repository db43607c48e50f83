"""Exact nearest neighbours by faiss's flat indexes: on a GPU, or by the same steps on the CPU.

Johnson, Douze, Jégou, "Billion-scale similarity search with GPUs", IEEE Transactions on Big Data 2021. faiss orders
ties as it likes and rounds in its own way. So it names candidates only, some more than asked; these are measured
again and ordered, and a row in which others may be as near is searched again, wider.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mpq.errors import UserError

if TYPE_CHECKING:
    from reid.neighbors import Metric

SPARE = 8
"""Candidates beyond those asked for: ties of the last place are rarely longer."""

MOST = 2048
"""Candidates of a row that faiss's selection on a GPU can hold."""

_WIDER = 8  # times as many candidates where some more were not enough
_QUERIES = 16384  # searched at once


@cache
def gpus() -> int:
    """How many GPUs faiss finds; 0 where it is not installed."""
    try:
        import faiss
    except ImportError:
        return 0
    return int(faiss.get_num_gpus())


def search(
    queries: np.ndarray, gallery: np.ndarray, k: int, *, metric: Metric, own: np.ndarray | None, memory: int
) -> tuple[np.ndarray, np.ndarray]:
    """``reid.neighbors.nearest``, of arguments that were checked. own: (nq,) items that are no neighbours.

    memory: bytes of the gallery that are searched at once, and of the candidates that are measured at once. What
    faiss cannot settle within MOST candidates, such as thousands of identical features, is left to torch. Raises
    UserError where faiss is missing.
    """
    from reid.neighbors import blocked_search

    distances = np.empty((len(queries), k), dtype=np.float32)
    indices = np.empty((len(queries), k), dtype=np.int64)
    rows = np.arange(len(queries))
    width = k + SPARE + (own is not None)
    while len(rows) and width <= MOST:
        asked, itself = (queries, own) if len(rows) == len(queries) else _of(rows, queries, own)
        rough, near = _candidates(asked, gallery, min(width, len(gallery)), metric, memory)
        sure = np.empty(len(rows), dtype=bool)
        step = max(1, memory // (8 * near.shape[1] * queries.shape[1]))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            measured = _measured(asked[part], gallery, near[part], metric)
            # what was not named is at least as far as the farthest that was, by faiss's rounding
            error = 2 * np.abs(rough[part] - measured).max()
            beyond = rough[part].max(axis=1) - error if near.shape[1] < len(gallery) else np.inf
            if itself is not None:
                measured[near[part] == itself[part, None]] = np.inf
            distances[rows[part]], indices[rows[part]] = _ordered(measured, near[part], k)
            sure[part] = distances[rows[part], -1] < beyond
        rows, width = rows[~sure], width * _WIDER
    if metric == "inner":
        np.negative(distances, out=distances)
    if len(rows):
        asked, itself = _of(rows, queries, own)
        distances[rows], indices[rows] = blocked_search(
            asked, gallery, k, metric=metric, own=itself, memory=memory
        )
    return distances, indices


def _of(
    rows: np.ndarray, queries: np.ndarray, own: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    return queries[rows], None if own is None else own[rows]


def _candidates(
    queries: np.ndarray, gallery: np.ndarray, width: int, metric: Metric, memory: int
) -> tuple[np.ndarray, np.ndarray]:
    """faiss's ``width`` nearest, part by part of the gallery: distances as it rounds them and indices (nq, width)."""
    best = np.full((len(queries), width), np.inf, dtype=np.float32)
    where = np.full((len(queries), width), -1, dtype=np.int64)
    index = _index(queries.shape[1], metric)
    sign = -1 if metric == "inner" else 1
    step = max(1, memory // gallery[0].nbytes)
    for start in range(0, len(gallery), step):
        index.add(gallery[start : start + step])
        for first in range(0, len(queries), _QUERIES):
            part = slice(first, first + _QUERIES)
            found, there = index.search(queries[part], min(width, index.ntotal))
            found = np.concatenate([best[part], sign * found], axis=1)
            there = np.concatenate([where[part], there + start], axis=1)
            order = np.argsort(found, axis=1, kind="stable")[:, :width]
            best[part] = np.take_along_axis(found, order, axis=1)
            where[part] = np.take_along_axis(there, order, axis=1)
        index.reset()
    return best, where


def _index(dimensions: int, metric: Metric) -> Any:
    try:
        import faiss
    except ImportError:
        raise UserError("faiss is not installed here: pip install faiss-gpu, or faiss-cpu") from None
    index: Any = faiss.IndexFlatIP(dimensions) if metric == "inner" else faiss.IndexFlatL2(dimensions)
    if gpus():
        index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
    return index


def _measured(queries: np.ndarray, gallery: np.ndarray, near: np.ndarray, metric: Metric) -> np.ndarray:
    """Distances (b, w) float32 of ``queries`` (b, d) to their candidates ``near`` (b, w), summed in float64."""
    import torch

    asked = torch.from_numpy(queries).double()[:, None]
    items = torch.from_numpy(gallery)[torch.from_numpy(near)].double()
    if metric == "inner":
        return items.mul_(asked).sum(dim=2).neg_().float().numpy()
    return items.sub_(asked).square_().sum(dim=2).float().numpy()


def _ordered(distances: np.ndarray, indices: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of (b, w), ties by index."""
    order = np.lexsort((indices, distances), axis=1)[:, :k]
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(indices, order, axis=1)
