"""NFC, against its definition in plain loops and the published program, and what it must keep."""

from __future__ import annotations

import numpy as np
import pytest

from reid import published
from reid.centralize import Scope, centralize, mutual_pairs, mutual_purity, nfc
from reid.features import FeatureError, FeatureSet, l2_normalized


def clusters(
    people: int = 30, each: int = 6, size: int = 32, noise: float = 0.6, seed: int = 0
) -> FeatureSet:
    """Noisy copies of people's centres."""
    rng = np.random.default_rng(seed)
    pids = np.repeat(np.arange(1, people + 1), each)
    features = rng.normal(size=(people, size))[pids - 1] + noise * rng.normal(size=(len(pids), size))
    return FeatureSet(features, pids, np.tile(np.arange(each), people))


def by_definition(features: np.ndarray, k1: int, k2: int) -> np.ndarray:
    length = np.sqrt((features.astype(float) ** 2).sum(axis=1))
    unit = features / np.where(length > 0, length, 1)[:, None]
    near = []
    for i in range(len(unit)):
        away = ((unit - unit[i]) ** 2).sum(axis=1)
        near.append([j for j in np.argsort(away, kind="stable").tolist() if j != i])
    made = unit.copy()
    for i in range(len(unit)):
        for j in near[i][:k1]:
            if i in near[j][:k2]:
                made[i] += unit[j]
    length = np.sqrt((made**2).sum(axis=1))
    return made / np.where(length > 0, length, 1)[:, None]


@pytest.mark.parametrize(("k1", "k2"), [(1, 1), (2, 2), (2, 5), (5, 2), (20, 20), (500, 500)])
def test_equals_the_definition(k1: int, k2: int) -> None:
    features = clusters().features
    np.testing.assert_allclose(nfc(features, k1, k2)[0], by_definition(features, k1, k2), atol=1e-6)


@pytest.mark.parametrize(("k1", "k2"), [(2, 2), (5, 2), (20, 20)])
@pytest.mark.parametrize("size", [32, 768])
def test_equals_the_published_program(k1: int, k2: int, size: int) -> None:
    features = clusters(size=size, noise=1.5).features * np.float32(300)
    np.testing.assert_allclose(nfc(features, k1, k2)[0], published.nfc(features, k1, k2), atol=1e-6)


def test_the_published_program_caps_k2() -> None:
    features = clusters(noise=1.5).features
    np.testing.assert_allclose(published.nfc(features, 2, 6), nfc(features, 2, 2)[0], atol=1e-6)


def test_again_and_again() -> None:
    """Each iteration looks for neighbours among what the last one made."""
    features = clusters(noise=1.5).features
    once, pairs = nfc(features)
    twice, more = nfc(once)
    made, used = nfc(features, iterations=2)
    np.testing.assert_allclose(made, twice, atol=1e-6)
    assert used[: len(pairs)].tolist() == pairs.tolist()
    assert len(used) == len(pairs) + len(more)
    with pytest.raises(ValueError, match="iterations"):
        nfc(features, iterations=0)


def test_five_points_on_an_arc_by_hand() -> None:
    """At 0°, 10°, 25°, 100°, 104°: the nearest of each is 10°, 0°, 10°, 104°, 100°."""
    angles = np.radians([0, 10, 25, 100, 104])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert mutual_pairs(points, 1, 1).tolist() == [[0, 1], [1, 0], [3, 4], [4, 3]]
    # 25° takes 10° as its nearest, and is among the two nearest of 10°
    assert mutual_pairs(points, 1, 2).tolist() == [[0, 1], [1, 0], [2, 1], [3, 4], [4, 3]]
    made, _ = nfc(points, 1, 1)
    np.testing.assert_allclose(
        np.degrees(np.arctan2(made[:, 1], made[:, 0])), [5, 5, 25, 102, 102], atol=1e-4
    )


def test_a_wider_k2_is_honoured() -> None:
    """The published program looks only at k1 of the other's neighbours, however large k2."""
    features = clusters(noise=1.5).features
    narrow, wide = (set(map(tuple, mutual_pairs(features, 2, k2).tolist())) for k2 in (2, 6))
    assert narrow < wide


def test_with_equal_ks_pairs_go_both_ways() -> None:
    pairs = set(map(tuple, mutual_pairs(clusters(noise=1.5).features, 4, 4).tolist()))
    assert pairs == {(j, i) for i, j in pairs}
    assert all(i != j for i, j in pairs)


def test_scale_does_not_matter() -> None:
    features = clusters().features
    lengths = np.random.default_rng(1).uniform(0.1, 5000, (len(features), 1))
    np.testing.assert_allclose(nfc(features * lengths)[0], nfc(features)[0], atol=1e-5)


def test_it_does_not_matter_who_comes_first() -> None:
    features = clusters(noise=1.0).features
    order = np.random.default_rng(2).permutation(len(features))
    np.testing.assert_allclose(nfc(features[order])[0], nfc(features)[0][order], atol=1e-5)


def test_memory_does_not_change_the_answer() -> None:
    features = clusters().features
    np.testing.assert_allclose(nfc(features, memory=1)[0], nfc(features)[0], atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_samples_than_k(count: int) -> None:
    features = clusters().features[:count]
    made, pairs = nfc(features, 5, 5)
    assert len(pairs) == count * (count - 1)
    np.testing.assert_allclose(made, by_definition(features, 5, 5), atol=1e-6)


def test_zero_and_duplicated_features() -> None:
    zeros = np.zeros((5, 4))
    made, _ = nfc(zeros)
    assert (made == 0).all()
    twice = np.repeat(np.eye(4), 2, axis=0)
    made, pairs = nfc(twice, 1, 1)
    assert pairs.tolist() == [[0, 1], [1, 0], [2, 3], [3, 2], [4, 5], [5, 4], [6, 7], [7, 6]]
    np.testing.assert_allclose(made, twice, atol=1e-7)


def test_not_a_number_is_refused() -> None:
    with pytest.raises(FeatureError, match="NaN"):
        nfc(np.full((4, 3), np.nan))
    with pytest.raises(ValueError, match="k1 and k2"):
        nfc(np.ones((4, 3)), 0, 2)


def test_purity_counts_pairs_of_one_person() -> None:
    pairs = np.array([[0, 1], [1, 0], [1, 2], [3, 4]])
    assert mutual_purity(pairs, np.array([7, 7, 8, -1, -1])) == 0.5  # junk is nobody
    assert mutual_purity(pairs, np.full(5, 3)) == 1.0
    assert mutual_purity(np.array([[0, 1]]), np.array([0, 0])) == 0.0  # so are distractors
    assert np.isnan(mutual_purity(np.zeros((0, 2), int), np.arange(5)))


def test_purity_is_chance_on_noise_and_full_on_clear_clusters() -> None:
    clear, noise = clusters(noise=0.05), clusters(noise=1000)
    assert mutual_purity(mutual_pairs(clear.features), clear.pids) == 1.0
    assert mutual_purity(mutual_pairs(noise.features), noise.pids) < 0.2  # by chance 5 / 179


@pytest.mark.parametrize(
    ("scope", "moves_query", "moves_gallery"),
    [("query", True, False), ("gallery", False, True), ("both", True, True), ("joint", True, True)],
)
def test_scopes(scope: Scope, moves_query: bool, moves_gallery: bool) -> None:
    whole = clusters(noise=1.0)
    is_query = whole.camids < 2
    query, gallery = (
        FeatureSet(whole.features[rows], whole.pids[rows], whole.camids[rows])
        for rows in (is_query, ~is_query)
    )
    made = centralize(query, gallery, scope=scope)
    for before, after, moves in ((query, made.query, moves_query), (gallery, made.gallery, moves_gallery)):
        np.testing.assert_array_equal(after.pids, before.pids)
        np.testing.assert_array_equal(after.camids, before.camids)
        np.testing.assert_allclose(np.linalg.norm(after.features, axis=1), 1, atol=1e-6)
        assert np.allclose(after.features, l2_normalized(before.features), atol=1e-6) is not moves
    if scope == "joint":
        expected = by_definition(np.concatenate([query.features, gallery.features]), 2, 2)
        np.testing.assert_allclose(made.gallery.features, expected[len(query) :], atol=1e-6)
    sides = {"query": [query], "gallery": [gallery], "both": [query, gallery]}.get(scope)
    if sides:
        each = [mutual_pairs(l2_normalized(one.features)) for one in sides]
        pure = sum(mutual_purity(p, one.pids) * len(p) for p, one in zip(each, sides, strict=True))
        assert made.pairs == sum(map(len, each))
        assert made.purity == pytest.approx(pure / made.pairs)


@pytest.mark.parametrize("scope", ["query", "gallery", "both", "joint"])
def test_junk_gives_nothing_and_takes_nothing(scope: Scope) -> None:
    whole = clusters(noise=1.0)
    pids = np.where(np.arange(len(whole)) % 7 == 0, -1, whole.pids)
    halves = [
        FeatureSet(whole.features[rows], pids[rows], whole.camids[rows])
        for rows in (whole.camids < 2, whole.camids >= 2)
    ]
    kept = [half.pids != -1 for half in halves]
    clean = [
        FeatureSet(half.features[rows], half.pids[rows], half.camids[rows])
        for half, rows in zip(halves, kept, strict=True)
    ]
    made, expected = centralize(*halves, scope=scope), centralize(*clean, scope=scope)
    assert (made.pairs, made.purity) == (expected.pairs, pytest.approx(expected.purity))
    sides = zip((made.query, made.gallery), (expected.query, expected.gallery), halves, kept, strict=True)
    for found, clear, half, rows in sides:
        np.testing.assert_allclose(found.features[rows], clear.features, atol=1e-6)
        np.testing.assert_allclose(found.features[~rows], l2_normalized(half.features[~rows]), atol=1e-6)


def test_nothing_but_junk_has_no_pairs() -> None:
    one = clusters(people=2)
    junk = FeatureSet(one.features, np.full(len(one), -1), one.camids)
    made = centralize(one, junk, scope="gallery")
    assert made.pairs == 0
    assert np.isnan(made.purity)


def test_an_unknown_scope_is_refused() -> None:
    one = clusters(people=2)
    with pytest.raises(ValueError, match="query, gallery, both, joint"):
        centralize(one, one, scope="all")  # type: ignore[arg-type]
