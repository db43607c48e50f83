"""Scores of one answer, by hand and against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mpq.metrics.answers import cosine_distance, kl_divergence, log_softmax, top_classes


def test_log_softmax_is_torchs_and_does_not_overflow() -> None:
    logits = np.array([[1000.0, 0.0, -1000.0], [0.1, 0.2, 0.3]])
    assert log_softmax(logits) == pytest.approx(torch.log_softmax(torch.tensor(logits), -1).numpy())


def test_kl_by_hand() -> None:
    p, q = np.log([0.5, 0.5]), np.log([0.9, 0.1])
    assert kl_divergence(p, q) == pytest.approx(0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1))
    assert kl_divergence(p, p) == 0


def test_kl_is_torchs() -> None:
    rng = np.random.default_rng(0)
    p, q = log_softmax(rng.normal(size=1000)), log_softmax(rng.normal(size=1000))
    expected = torch.nn.functional.kl_div(torch.tensor(q), torch.tensor(p), reduction="sum", log_target=True)
    assert kl_divergence(p, q) == pytest.approx(float(expected))


def test_top_classes_are_ordered_and_ties_go_to_the_lower_index() -> None:
    assert top_classes(np.array([0.0, 3.0, 1.0, 3.0]), 3).tolist() == [1, 3, 2]


def test_a_cosine_distance_is_of_directions() -> None:
    a, b = np.array([3.0, 0.0], np.float32), np.array([1.0, 1.0], np.float32)
    assert cosine_distance(a, 7 * a) == pytest.approx(0)
    assert cosine_distance(a, b) == pytest.approx(1 - 0.5**0.5)
    assert cosine_distance(a, -a) == pytest.approx(2)
    assert cosine_distance(a, a) == 0
    zero = np.zeros(2, np.float32)
    assert (cosine_distance(zero, a), cosine_distance(zero, zero)) == (1, 0)
    assert cosine_distance(np.zeros(0, np.float32), np.zeros(0, np.float32)) is None
