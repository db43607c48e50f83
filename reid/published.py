"""The published algorithms as plain dense programs in float32: what ``reid bench`` and the tests hold ours against.

Written anew from their papers and programs, with the same steps, loops and full tables. Nothing else here
calls them.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Ties = Literal["open", "by index"]
"""Equally distant items. open: as the published sorts leave them. by index: lower first, which takes far longer."""


def distances(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """(nq, D), (ng, D) float32 -> (nq, ng) squared Euclidean distances, by way of inner products."""
    import torch

    asked, items = torch.from_numpy(queries), torch.from_numpy(gallery)
    table = asked.pow(2).sum(dim=1)[:, None] + items.pow(2).sum(dim=1)[None]
    return table.addmm_(asked, items.T, beta=1, alpha=-2).numpy()


def nfc(features: np.ndarray, k1: int = 2, k2: int = 2, *, ties: Ties = "open") -> np.ndarray:
    """NFC of (N, D) float32 features (Yuan et al., CVPR 2025, with features of length 1 before and after).

    As published, k2 beyond k1 does nothing.
    """
    import torch

    unit = torch.nn.functional.normalize(torch.from_numpy(features))
    table = torch.from_numpy(distances(unit.numpy(), unit.numpy()))
    table[torch.eye(len(unit)) == 1] = 1000
    if ties == "open":
        near = table.topk(k1, largest=False).indices
    else:
        near = table.sort(dim=1, stable=True).indices[:, :k1]
    made = unit.clone()
    for i in range(len(unit)):
        mutual = [int(j) for j in near[i] if i in near[j][:k2]]
        made[i] += unit[mutual].sum(dim=0)
    return torch.nn.functional.normalize(made).numpy()


def k_reciprocal(
    query: np.ndarray,
    gallery: np.ndarray,
    *,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
) -> np.ndarray:
    """(nq, D), (ng, D) float32 -> (nq, ng) re-ranked distances (Zhong et al., CVPR 2017); ties by index."""
    both = np.concatenate([query, gallery])
    original = distances(both, both)
    original = np.transpose(original / original.max(axis=0))
    ranked = np.argsort(original).astype(np.int32)
    # the sort leaves ties open: the few rows that have some where it matters are sorted anew
    near = np.take_along_axis(original, ranked[:, : max(k1 + 1, k2) + 1], axis=1)
    for i in np.nonzero((np.diff(near, axis=1) == 0).any(axis=1))[0]:
        ranked[i] = np.argsort(original[i], kind="stable")
    count, half = len(both), int(np.around(k1 / 2))

    def reciprocal(item: int, k: int) -> np.ndarray:
        forward = ranked[item, : k + 1]
        return forward[(ranked[forward, : k + 1] == item).any(axis=1)]

    weights = np.zeros((count, count), dtype=np.float32)
    for i in range(count):
        own = reciprocal(i, k1)
        expanded = own
        for candidate in own:
            theirs = reciprocal(candidate, half)
            if len(np.intersect1d(theirs, own)) > 2 / 3 * len(theirs):
                expanded = np.append(expanded, theirs)
        expanded = np.unique(expanded)
        near = np.exp(-original[i, expanded])
        weights[i, expanded] = near / np.sum(near)
    original = original[: len(query)]
    if k2 != 1:
        smoothed = np.zeros_like(weights)
        for i in range(count):
            smoothed[i] = np.mean(weights[ranked[i, :k2]], axis=0)
        weights = smoothed

    holders = [np.nonzero(weights[:, j])[0] for j in range(count)]
    jaccard = np.zeros_like(original)
    for i in range(len(query)):
        shared = np.zeros(count, dtype=np.float32)
        for j in np.nonzero(weights[i])[0]:
            shared[holders[j]] += np.minimum(weights[i, j], weights[holders[j], j])
        jaccard[i] = 1 - shared / (2 - shared)
    final = jaccard * (1 - lambda_value) + original * lambda_value
    return final[:, len(query) :]


def evaluate(
    table: np.ndarray,
    query_pids: np.ndarray,
    query_camids: np.ndarray,
    gallery_pids: np.ndarray,
    gallery_camids: np.ndarray,
    *,
    ties: Ties = "open",
) -> tuple[float, np.ndarray, float]:
    """mAP, CMC up to rank 50 and mINP of (nq, ng) distances of which junk has been left out.

    Market-1501's rules, walked through query by query on fully sorted lists.
    """
    order = np.argsort(table, axis=1, kind="quicksort" if ties == "open" else "stable")
    matches = (gallery_pids[order] == query_pids[:, None]).astype(np.int32)
    precisions, curves, penalties = [], [], []
    for i in range(len(table)):
        skipped = (gallery_pids[order[i]] == query_pids[i]) & (gallery_camids[order[i]] == query_camids[i])
        right = matches[i][~skipped]
        if not right.any():
            continue
        hits = right.cumsum()
        precisions.append(float((hits / np.arange(1, len(hits) + 1) * right).sum() / right.sum()))
        curves.append(np.pad(np.minimum(hits, 1)[:50], (0, max(0, 50 - len(hits))), mode="edge"))
        penalties.append(float(right.sum() / (np.nonzero(right)[0][-1] + 1)))
    return float(np.mean(precisions)), np.mean(curves, axis=0), float(np.mean(penalties))
