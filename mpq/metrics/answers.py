"""Scores of one answer, and its fidelity to the answer on the original."""

from __future__ import annotations

import numpy as np


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """(…, classes) logits -> log-probabilities, float64."""
    wide = logits.astype(np.float64)
    wide = wide - wide.max(axis=-1, keepdims=True)
    return wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True))


def top_classes(logits: np.ndarray, k: int = 5) -> np.ndarray:
    """(classes,) -> the k indices with the largest logits, largest first; ties in index order."""
    return np.argsort(-logits, kind="stable")[:k]


def kl_divergence(log_p: np.ndarray, log_q: np.ndarray) -> float:
    """KL(p ‖ q) = Σ p (ln p − ln q), in nats, ≥ 0: what is lost when q answers in p's stead.

    log_p: on the original; log_q: on the decoded sample; both (classes,).
    """
    return max(0.0, float(np.sum(np.exp(log_p) * (log_p - log_q))))


def cosine_distance(a: np.ndarray, b: np.ndarray) -> float | None:
    """1 − the cosine of the angle between two (D,) features, in [0, 2]; None for D = 0.

    A zero has no direction: it is at distance 1 from all but another zero.
    """
    if not len(a):
        return None
    if np.array_equal(a, b):
        return 0.0
    lengths = float(np.linalg.norm(a.astype(np.float64))) * float(np.linalg.norm(b.astype(np.float64)))
    if lengths == 0:
        return 1.0
    return max(0.0, 1 - float(a.astype(np.float64) @ b.astype(np.float64)) / lengths)
