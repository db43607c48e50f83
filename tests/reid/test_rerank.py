"""k-reciprocal re-ranking, against the paper in sets and the published program in full tables; query expansion."""

from __future__ import annotations

import numpy as np
import pytest

from reid import published
from reid.features import FeatureError, l2_normalized
from reid.rerank import expand_queries, k_reciprocal, k_reciprocal_blocks


def people(count: int, size: int = 16, noise: float = 1.0, each: int = 8, seed: int = 0) -> np.ndarray:
    """(count, size) features of length 1 in clusters."""
    rng = np.random.default_rng(seed)
    pids = rng.integers(0, max(1, count // each), count)
    centres = rng.normal(size=(count, size))
    return l2_normalized(centres[pids] + noise * rng.normal(size=(count, size)))


def by_the_paper(query: np.ndarray, gallery: np.ndarray, k1: int, k2: int, share: float) -> np.ndarray:
    """Equations 1 to 12 in float64 and Python's sets."""
    both = np.concatenate([query, gallery]).astype(float)
    away = ((both[:, None] - both[None]) ** 2).sum(axis=2)
    away /= away.max(axis=1, keepdims=True)
    near = [np.argsort(row, kind="stable").tolist() for row in away]

    def mutual(p: int, k: int) -> set[int]:
        return {g for g in near[p][: k + 1] if p in near[g][: k + 1]}

    encoded = np.zeros_like(away)
    for p in range(len(both)):
        own = mutual(p, k1)
        grown = set(own)
        for q in own:
            theirs = mutual(q, round(k1 / 2))
            if len(own & theirs) > 2 / 3 * len(theirs):
                grown |= theirs
        for g in grown:
            encoded[p, g] = np.exp(-away[p, g])
        encoded[p] /= encoded[p].sum()
    encoded = np.array([encoded[near[p][:k2]].mean(axis=0) for p in range(len(both))])
    asked, items = encoded[: len(query)], encoded[len(query) :]
    least = np.minimum(asked[:, None], items[None]).sum(axis=2)
    most = np.maximum(asked[:, None], items[None]).sum(axis=2)
    return (1 - share) * (1 - least / most) + share * away[: len(query), len(query) :]


@pytest.mark.parametrize(
    ("k1", "k2", "share"), [(20, 6, 0.3), (7, 1, 0.0), (5, 3, 0.8), (50, 15, 0.3), (1, 2, 0.5)]
)
def test_equals_the_paper(k1: int, k2: int, share: float) -> None:
    query, gallery = people(40), people(110, seed=1)
    expected = by_the_paper(query, gallery, k1, k2, share)
    found = k_reciprocal(query, gallery, k1=k1, k2=k2, lambda_value=share)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


CASES = {
    "as TransReID's": (people(80, 768, 3.0), people(320, 768, 3.0, seed=1)),
    "not of length 1": (1000 * people(40), 1000 * people(160, seed=1)),
    "duplicated": (np.repeat(people(30), 2, axis=0), np.repeat(people(80, seed=1), 3, axis=0)),
    "more alike than k": (np.repeat(people(2), 40, axis=0), np.repeat(people(2, seed=1), 40, axis=0)),
    "some of nothing": (people(30) * (np.arange(30) % 5 > 0)[:, None], people(90, seed=1)),
    "fewer than k": (people(5), people(4, seed=1)),
    "one and one": (people(1), people(1, seed=1)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("k1", "k2"), [(20, 6), (50, 15)])
def test_equals_the_published_program(name: str, k1: int, k2: int) -> None:
    query, gallery = (half.astype(np.float32) for half in CASES[name])
    expected = published.k_reciprocal(query, gallery, k1=k1, k2=k2)
    np.testing.assert_allclose(k_reciprocal(query, gallery, k1=k1, k2=k2), expected, atol=1e-6)


def test_features_that_are_all_alike_give_numbers() -> None:
    """Where the published program divides 0 by 0."""
    for value in (0.0, 0.5):
        found = k_reciprocal(np.full((4, 8), value), np.full((9, 8), value))
        assert np.isfinite(found).all()


def test_with_a_share_of_one_the_order_is_the_distances() -> None:
    query, gallery = people(20), people(60, seed=1)
    found = k_reciprocal(query, gallery, lambda_value=1)
    straight = published.distances(query, gallery)
    np.testing.assert_array_equal(np.argsort(found, axis=1)[:, :20], np.argsort(straight, axis=1)[:, :20])
    assert found.max() <= 1 + 1e-6  # in units of the farthest


def test_it_finds_more_of_whom_it_looks_for() -> None:
    rng = np.random.default_rng(3)
    pids = np.repeat(np.arange(30), 10)
    features = l2_normalized(rng.normal(size=(30, 32))[pids] + 1.3 * rng.normal(size=(300, 32)))
    asked = np.arange(300) % 10 < 2
    halves = (features[asked], features[~asked])
    labels = (pids[asked], np.zeros(60), pids[~asked], np.ones(240))
    before = published.evaluate(published.distances(*halves), *labels)[0]
    after = published.evaluate(k_reciprocal(*halves, k1=10, k2=4), *labels)[0]
    assert after > before + 0.05


def test_memory_does_not_change_the_answer() -> None:
    query, gallery = people(50), people(200, seed=1)
    whole = k_reciprocal(query, gallery)
    np.testing.assert_allclose(k_reciprocal(query, gallery, memory=20_000), whole, atol=1e-6)
    blocks = [block.copy() for block in k_reciprocal_blocks(query, gallery, memory=20_000)]
    assert len(blocks) > 1
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6)


def test_features_given_are_left_alone() -> None:
    query, gallery = people(10), people(30, seed=1)
    kept = query.copy(), gallery.copy()
    k_reciprocal(query, gallery)
    np.testing.assert_array_equal(query, kept[0])
    np.testing.assert_array_equal(gallery, kept[1])


def test_bad_input_is_refused() -> None:
    good = people(5)
    with pytest.raises(FeatureError, match="gallery has NaN"):
        k_reciprocal(good, np.full((3, 16), np.nan))
    with pytest.raises(FeatureError, match="16 dimensions"):
        k_reciprocal(good, np.ones((3, 5)))
    with pytest.raises(FeatureError, match="too long"):
        k_reciprocal(good, np.full((3, 16), 1e30))
    for wrong in ({"k1": 0}, {"k2": 0}, {"lambda_value": 1.5}):
        with pytest.raises(ValueError, match="at least 1"):
            k_reciprocal_blocks(good, good, **wrong)  # type: ignore[arg-type]


def test_a_query_expanded_by_hand() -> None:
    """At 0° among 10°, −30° and 180°; the mean direction of 0° and 10° is 5°, a third at −30° leaves −6.56°."""

    def at(*degrees: float) -> np.ndarray:
        return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1) * 7

    def direction(made: np.ndarray) -> float:
        assert np.linalg.norm(made) == pytest.approx(1)
        return float(np.degrees(np.arctan2(made[0, 1], made[0, 0])))

    query, gallery = at(0), at(180, 10, -30)
    assert direction(expand_queries(query, gallery, 1)) == pytest.approx(5, abs=1e-4)
    x, y = (1 + np.cos(np.radians([10, -30])).sum()), np.sin(np.radians([10, -30])).sum()
    assert direction(expand_queries(query, gallery, 2)) == pytest.approx(
        np.degrees(np.arctan2(y, x)), abs=1e-4
    )
    # by cosines to the third power, the one at 180° not at all
    w = np.cos(np.radians([10, -30])) ** 3
    x, y = 1 + w @ np.cos(np.radians([10, -30])), w @ np.sin(np.radians([10, -30]))
    angle = np.degrees(np.arctan2(y, x))
    for k in (3, 50):  # however many more than there are
        assert direction(expand_queries(query, gallery, k, alpha=3)) == pytest.approx(angle, abs=1e-4)


def test_expansion_works_in_blocks_and_refuses_a_negative_power() -> None:
    query, gallery = people(40), people(70, seed=1)
    whole = expand_queries(query, gallery, 5, alpha=1)
    np.testing.assert_allclose(expand_queries(query, gallery, 5, alpha=1, memory=500), whole, atol=1e-6)
    with pytest.raises(ValueError, match="alpha"):
        expand_queries(query, gallery, 5, alpha=-1)
