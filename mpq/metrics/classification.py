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
