"""Every way to search, end to end, against float32 ports of the published functions; the pitfalls one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
import pytest
import torch

from reid import published
from reid.centralize import centralize
from reid.features import FeatureError, FeatureSet
from reid.metrics import evaluate
from reid.neighbors import distance_blocks
from reid.rerank import k_reciprocal_blocks

Way = Literal["raw", "query", "gallery", "both", "joint"]
WAYS: tuple[Way, ...] = ("raw", "query", "gallery", "both", "joint")

K1, K2 = 10, 4  # of re-ranking


def crops(count: int, seed: int, people: int = 30, size: int = 64, noise: float = 1.2) -> FeatureSet:
    """Junk and distractors among them, under three cameras, of any length."""
    rng = np.random.default_rng(seed)
    pids = rng.integers(-1, people, count)
    centres = np.random.default_rng(99).normal(size=(people + 1, size))
    views = np.random.default_rng(98).normal(size=(3, size))
    camids = rng.integers(0, 3, count)
    features = centres[pids] + 0.5 * views[camids] + noise * rng.normal(size=(count, size))
    return FeatureSet(features * rng.uniform(0.5, 50, (count, 1)), pids, camids)


def port(query: FeatureSet, gallery: FeatureSet, way: Way, rerank: bool) -> tuple[float, float, float]:
    """mAP, Rank-1 and mINP of the published functions, one after the other as TransReID's demonstration has them."""

    kept = gallery.pids != -1
    q, g = (
        torch.nn.functional.normalize(torch.from_numpy(features)).numpy()
        for features in (query.features, gallery.features[kept])
    )
    if way in ("query", "both"):
        q = published.nfc(q, ties="by index")
    if way in ("gallery", "both"):
        g = published.nfc(g, ties="by index")
    if way == "joint":
        both = published.nfc(np.concatenate([q, g]), ties="by index")
        q, g = both[: len(q)], both[len(q) :]
    table = published.k_reciprocal(q, g, k1=K1, k2=K2) if rerank else published.distances(q, g)
    labels = (query.pids, query.camids, gallery.pids[kept], gallery.camids[kept])
    precision, curve, penalty = published.evaluate(table, *labels, ties="by index")
    return precision, float(curve[0]), penalty


def ours(query: FeatureSet, gallery: FeatureSet, way: Way, rerank: bool) -> tuple[float, float, float]:
    def search(asked: FeatureSet, held: FeatureSet) -> Iterable[np.ndarray]:
        if way != "raw":
            made = centralize(asked, held, scope=way)
            asked, held = made.query, made.gallery
        if rerank:
            return k_reciprocal_blocks(asked.features, held.features, k1=K1, k2=K2)
        return (block.numpy() for _, block in distance_blocks(asked.features, held.features))

    found = evaluate(query, gallery, search=search)
    return found.mean_average_precision, float(found.cmc(1)[0]), found.mean_inverse_penalty


def of(one: FeatureSet, features: np.ndarray | None = None, pids: np.ndarray | None = None) -> FeatureSet:
    return FeatureSet(
        one.features if features is None else features, one.pids if pids is None else pids, one.camids
    )


Change = Callable[[FeatureSet], FeatureSet]

KINDS: dict[str, Change] = {
    "not of length 1": lambda one: one,
    "very long": lambda one: of(one, one.features * 1e6),
    "duplicated": lambda one: of(one, np.repeat(one.features[::3], 3, axis=0)[: len(one)]),
    "some of nothing": lambda one: of(one, one.features * (np.arange(len(one)) % 9 > 0)[:, None]),
    "one person": lambda one: of(one, pids=np.ones(len(one), dtype=int)),
}


@pytest.mark.parametrize("rerank", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_scores_equal_the_published_functions(kind: str, way: Way, rerank: bool) -> None:
    query, gallery = (KINDS[kind](crops(count, seed)) for count, seed in ((60, 0), (240, 1)))
    query = FeatureSet(
        query.features, np.abs(query.pids), query.camids
    )  # the port drops the gallery's junk only
    assert ours(query, gallery, way, rerank) == pytest.approx(port(query, gallery, way, rerank), abs=1e-6)


@pytest.mark.parametrize("rerank", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_gallery_smaller_than_k(way: Way, rerank: bool) -> None:
    query, gallery = crops(12, 0, people=2), crops(5, 4, people=2)
    query = FeatureSet(query.features, np.abs(query.pids), query.camids)
    assert ours(query, gallery, way, rerank) == pytest.approx(port(query, gallery, way, rerank), abs=1e-6)


def test_without_the_last_normalising_lengths_differ_and_so_would_scores() -> None:
    made = centralize(crops(60, 0), crops(240, 1))
    for half in (made.query, made.gallery):
        np.testing.assert_allclose(np.linalg.norm(half.features, axis=1), 1, atol=1e-6)


def test_not_a_number_is_refused_at_the_door() -> None:
    one = crops(30, 0)
    features = one.features.copy()
    features[3, 5] = np.nan
    with pytest.raises(FeatureError, match="row 3"):
        of(one, features)
