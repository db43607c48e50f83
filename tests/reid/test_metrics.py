"""Evaluation under protocols, against plain programs of their rules, hand-made cases and Market-1501's real labels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reid import published
from reid.features import FeatureError, FeatureSet, l2_normalized
from reid.metrics import Retrieval, evaluate, evaluate_distances, identity_density
from reid.protocols import Protocol, Trial


def line(
    distances: list[float], pids: list[int], camids: list[int], ap: str = "mean", camera: int = 1, **more: Any
) -> Retrieval:
    """One query, person 1 at camera 1, and a gallery at these distances."""
    return evaluate_distances(
        np.array([distances]),
        query_pids=np.array([1]),
        query_camids=np.array([camera]),
        gallery_pids=np.array(pids),
        gallery_camids=np.array(camids),
        ap=ap,  # type: ignore[arg-type]
        **more,
    )


def random_set(count: int, people: int, seed: int, noise: float = 1.5, junk: bool = True) -> FeatureSet:
    rng = np.random.default_rng(seed)
    pids = rng.integers(-1 if junk else 0, people, count)
    centres = np.random.default_rng(99).normal(size=(people + 1, 16))
    features = (centres[pids] + noise * rng.normal(size=(count, 16))) * rng.uniform(0.1, 9, (count, 1))
    return FeatureSet(features, pids, rng.integers(1, 4, count))


def by_the_rules(query: FeatureSet, gallery: FeatureSet, ap: str) -> dict[int, tuple[float, float, int]]:
    """query index -> (AP, mINP's share, first rank), walking down each ranked list as the authors' program does."""
    q, g = (one.features.astype(float) for one in (query, gallery))
    q, g = (x / np.sqrt((x**2).sum(axis=1, keepdims=True)) for x in (q, g))
    scores = {}
    for i in range(len(q)):
        ranked = [
            j
            for j in np.argsort(((g - q[i]) ** 2).sum(axis=1))
            if gallery.pids[j] != -1
            and not (gallery.pids[j] == query.pids[i] and gallery.camids[j] == query.camids[i])
        ]
        right = [gallery.pids[j] == query.pids[i] for j in ranked]
        total = sum(right)
        if total == 0:
            continue
        area, hits, old_recall, old_precision, precisions, places = 0.0, 0, 0.0, 1.0, [], []
        for rank, hit in enumerate(right, start=1):
            hits += hit
            recall, precision = hits / total, hits / rank
            area += (recall - old_recall) * (old_precision + precision) / 2
            old_recall, old_precision = recall, precision
            if hit:
                precisions.append(precision)
                places.append(rank)
        value = area if ap == "trapezoid" else float(np.mean(precisions))
        scores[i] = (value, len(places) / places[-1], places[0])
    return scores


@pytest.mark.parametrize("ap", ["mean", "trapezoid"])
@pytest.mark.parametrize("memory", [1, 2**28])
def test_equals_the_rules(ap: str, memory: int) -> None:
    query, gallery = random_set(80, 25, seed=0), random_set(300, 22, seed=1)
    expected = by_the_rules(query, gallery, ap)
    found = evaluate(query, gallery, ap=ap, memory=memory)  # type: ignore[arg-type]
    assert found.queries.tolist() == list(expected)
    assert found.left_out == 80 - len(expected) > 0
    np.testing.assert_allclose(found.average_precision, [e[0] for e in expected.values()], atol=1e-12)
    np.testing.assert_allclose(found.inverse_penalty, [e[1] for e in expected.values()], atol=1e-12)
    assert found.first_rank.tolist() == [[e[2]] for e in expected.values()]
    assert (found.weights == 1).all()
    assert found.mean_average_precision == pytest.approx(np.mean([e[0] for e in expected.values()]))
    for rank, share in enumerate(found.cmc(50), start=1):
        assert share == pytest.approx(np.mean([e[2] <= rank for e in expected.values()]))


def test_two_matches_among_five_by_hand() -> None:
    """Ranked: wrong, match, wrong, match, wrong."""
    found = line([0.1, 0.2, 0.3, 0.4, 0.5], [2, 1, 3, 1, 4], [2, 2, 2, 3, 2])
    assert found.mean_average_precision == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert found.mean_inverse_penalty == pytest.approx(2 / 4)
    assert found.cmc(4).tolist() == [0, 1, 1, 1]
    trapezoid = line([0.1, 0.2, 0.3, 0.4, 0.5], [2, 1, 3, 1, 4], [2, 2, 2, 3, 2], "trapezoid")
    assert trapezoid.mean_average_precision == pytest.approx(((0 / 1 + 1 / 2) / 2 + (1 / 3 + 2 / 4) / 2) / 2)


@pytest.mark.parametrize("ap", ["mean", "trapezoid"])
def test_a_perfect_list_scores_one(ap: str) -> None:
    found = line([0.1, 0.2, 0.3], [1, 1, 2], [2, 3, 1], ap)
    assert (found.mean_average_precision, found.mean_inverse_penalty, found.cmc(1)[0]) == (1, 1, 1)


def test_who_is_skipped() -> None:
    """The same person at the same camera, and junk anywhere; a wrong person at the same camera counts."""
    without = line([0.5], [1], [2])
    skipped = line([0.1, 0.2, 0.3, 0.5], [1, -1, -1, 1], [1, 1, 2, 2])
    assert skipped.mean_average_precision == without.mean_average_precision == 1
    assert line([0.1, 0.5], [2, 1], [1, 2]).first_rank.tolist() == [[2]]
    assert line([0.1, 0.5], [0, 1], [2, 2]).first_rank.tolist() == [[2]]  # a distractor stays


def test_ties_are_in_the_gallerys_order_or_count_against_the_model() -> None:
    for pids, place in (([1, 2, 3], 1), ([2, 1, 3], 2), ([2, 3, 1], 3)):
        assert line([0.5, 0.5, 0.5], pids, [2, 2, 2]).first_rank.tolist() == [[place]]
        assert line([0.5, 0.5, 0.5], pids, [2, 2, 2], ties="against").first_rank.tolist() == [[3]]
    # among themselves matches tie as they like, and who is skipped takes no place
    assert line([0.5, 0.5, 0.7], [1, 1, 2], [2, 3, 2], ties="against").mean_average_precision == 1
    assert line([0.5, 0.5, 0.5], [1, 1, 2], [1, 3, 2]).mean_average_precision == 1
    assert line([0.5, 0.5, 0.5], [1, 2, 1], [1, 2, 2]).mean_average_precision == 1 / 2


@pytest.mark.parametrize("kind", ["whole numbers", "duplicated", "zero", "one person"])
def test_ties_equal_a_stable_sorts(kind: str) -> None:
    rng = np.random.default_rng(5)
    query, gallery = (random_set(count, 12, seed=seed, junk=False) for count, seed in ((60, 2), (240, 3)))
    change = {
        "whole numbers": lambda one: np.round(one.features[:, :3] / 5),
        "duplicated": lambda one: l2_normalized(rng.normal(size=(9, 768))[rng.integers(0, 9, len(one))]),
        "zero": lambda one: np.zeros_like(one.features),
        "one person": lambda one: one.features,
    }[kind]
    halves = []
    for one in (query, gallery):
        pids = np.ones(len(one), int) if kind == "one person" else one.pids
        halves.append(FeatureSet(change(one), pids, one.camids))
    query, gallery = halves
    table = published.distances(query.features, gallery.features)
    labels = (query.pids, query.camids, gallery.pids, gallery.camids)
    precision, curve, penalty = published.evaluate(table, *labels, ties="by index")
    found = evaluate(query, gallery, normalize=False)
    assert found.mean_average_precision == pytest.approx(precision, abs=1e-12)
    assert found.mean_inverse_penalty == pytest.approx(penalty, abs=1e-12)
    np.testing.assert_allclose(found.cmc(50), curve, atol=1e-12)
    assert evaluate(query, gallery, normalize=False, ties="against").mean_average_precision <= precision


def test_features_that_are_all_alike_find_almost_nothing() -> None:
    rng = np.random.default_rng(0)
    for value in (0.0, 1.0):
        query, gallery = (
            FeatureSet(np.full((n, 8), value), rng.integers(0, 50, n), np.full(n, c))
            for n, c in ((20, 1), (400, 2))
        )
        assert evaluate(query, gallery, ties="against").mean_average_precision < 0.06
        # the gallery is in nobody's order, so that its order finds what chance does
        assert evaluate(query, gallery).mean_average_precision < 0.1


def test_the_gallerys_order_does_not_matter() -> None:
    query, gallery = random_set(50, 10, seed=2), random_set(200, 10, seed=3)
    order = np.random.default_rng(0).permutation(200)
    mixed = FeatureSet(gallery.features[order], gallery.pids[order], gallery.camids[order])
    straight, shuffled = evaluate(query, gallery), evaluate(query, mixed)
    np.testing.assert_array_equal(straight.average_precision, shuffled.average_precision)


def test_length_matters_only_without_normalising() -> None:
    query, gallery = random_set(50, 10, seed=2), random_set(200, 10, seed=3)
    unit_query, unit_gallery = (
        FeatureSet(l2_normalized(one.features), one.pids, one.camids) for one in (query, gallery)
    )
    expected = evaluate(query, gallery).average_precision
    np.testing.assert_array_equal(
        evaluate(unit_query, unit_gallery, normalize=False).average_precision, expected
    )
    assert not np.array_equal(evaluate(query, gallery, normalize=False).average_precision, expected)


def test_the_three_ways_to_get_the_protocol_wrong_have_their_known_signs() -> None:
    """Dropping distractors and keeping same-camera views flatter; junk as wrong answers costs."""
    rng = np.random.default_rng(7)
    centres, views = rng.normal(size=(40, 16)), rng.normal(size=(40, 4, 16))

    def crops(pids: np.ndarray) -> FeatureSet:
        camids = rng.integers(0, 4, len(pids))
        features = centres[pids] + 0.8 * views[pids, camids] + 0.6 * rng.normal(size=(len(pids), 16))
        return FeatureSet(features, pids, camids)

    query, gallery = crops(np.repeat(np.arange(1, 40), 3)), crops(rng.integers(-1, 40, 800))
    right = evaluate(query, gallery).mean_average_precision

    def otherwise(pids: np.ndarray, camids: np.ndarray) -> float:
        return evaluate(query, FeatureSet(gallery.features, pids, camids)).mean_average_precision

    assert otherwise(np.where(gallery.pids == 0, -1, gallery.pids), gallery.camids) > right
    assert otherwise(gallery.pids, np.full(len(gallery), 9)) > right
    assert otherwise(np.where(gallery.pids == -1, 0, gallery.pids), gallery.camids) < right


def test_a_gallery_of_one_and_ranks_beyond_it() -> None:
    found = line([3.0], [1], [2])
    assert found.cmc(50).tolist() == [1.0] * 50


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(FeatureError, match="nothing to score"):
        line([0.1, 0.2], [1, 2], [1, 2])
    junk = FeatureSet(np.ones((3, 2)), np.full(3, -1), np.ones(3, int))
    with pytest.raises(FeatureError, match="nothing to score"):
        evaluate(junk, junk)


def test_bad_input_is_refused() -> None:
    with pytest.raises(FeatureError, match="NaN"):
        line([0.1, float("nan")], [1, 2], [2, 2])
    with pytest.raises(FeatureError, match="shape"):
        line([0.1, 0.2], [1], [2])
    with pytest.raises(FeatureError, match="dimensions"):
        evaluate(FeatureSet(np.ones((2, 3)), [1, 2], [1, 1]), FeatureSet(np.ones((2, 4)), [1, 2], [2, 2]))  # type: ignore[arg-type]


def test_a_camera_that_is_not_known_is_nobodys_own() -> None:
    assert line([0.1, 0.5], [1, 1], [-1, 2]).first_rank.tolist() == [[1]]
    assert line([0.1, 0.5], [1, 1], [-1, 2], camera=-1).mean_average_precision == 1
    assert line([0.1, 0.5], [2, 1], [-1, -1], camera=-1).first_rank.tolist() == [[2]]


def test_rules_by_hand() -> None:
    """Without a rule, the own camera's view counts; SYSU-MM01's hides all of camera 2 from camera 3."""
    nothing, sysu = Protocol("none"), Protocol("sysu")
    assert line([0.1, 0.2, 0.3], [1, 2, 1], [1, 1, 2], protocol=nothing).first_rank.tolist() == [[1]]
    assert line([0.3, 0.2, 0.1], [1, 2, 2], [1, 2, 2], camera=3, protocol=sysu).first_rank.tolist() == [[1]]
    assert line([0.3, 0.2, 0.1], [1, 2, 2], [1, 2, 2], camera=6, protocol=sysu).first_rank.tolist() == [[3]]
    assert line([0.3, 0.2], [1, 2], [3, 3], camera=3, protocol=sysu).first_rank.tolist() == [[2]]
    with pytest.raises(FeatureError, match="nothing to score"):
        line([0.1, 0.2], [1, 2], [2, 1], camera=3, protocol=sysu)


def test_identities_stand_at_their_nearest_image() -> None:
    """Ranked: 2, 2, 3, 2, match, 3, match: the third identity, the fifth image."""
    distances, pids = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], [2, 2, 3, 2, 1, 3, 1]
    images, identities = (
        line(distances, pids, [4] * 7, protocol=Protocol("sysu", cmc)) for cmc in ("images", "identities")
    )
    assert (images.first_rank.tolist(), identities.first_rank.tolist()) == ([[5]], [[3]])
    assert images.mean_average_precision == identities.mean_average_precision == (1 / 5 + 2 / 7) / 2
    for ties, place in (("order", 2), ("against", 3)):
        tied = line([0.5] * 3, [2, 1, 3], [4] * 3, protocol=Protocol("sysu", "identities"), ties=ties)
        assert tied.first_rank.tolist() == [[place]]


def sysu_by_the_rules(
    query: FeatureSet, gallery: FeatureSet, trials: Iterable[Trial]
) -> tuple[float, float, np.ndarray]:
    """mAP, mINP and CMC to rank 20 as SYSU-MM01's evaluation goes: a mean over trials of a mean over queries."""
    means = []
    for trial in trials:
        precisions, penalties, curves = [], [], []
        for i in trial.query:
            away = ((gallery.features[trial.gallery] - query.features[i]).astype(float) ** 2).sum(axis=1)
            ranked = trial.gallery[np.argsort(away)]
            if query.camids[i] == 3:
                ranked = ranked[gallery.camids[ranked] != 2]
            right = gallery.pids[ranked] == query.pids[i]
            if not right.any():
                continue
            places = np.flatnonzero(right) + 1
            precisions.append(np.mean(np.arange(1, len(places) + 1) / places))
            penalties.append(len(places) / places[-1])
            identities = list(dict.fromkeys(gallery.pids[ranked].tolist()))
            curves.append(np.arange(20) >= identities.index(query.pids[i]))
        means.append((np.mean(precisions), np.mean(penalties), np.mean(curves, axis=0)))
    precision, penalty, curve = zip(*means, strict=True)
    return float(np.mean(precision)), float(np.mean(penalty)), np.mean(curve, axis=0)


@pytest.mark.parametrize("everyone", [True, False])
def test_trials_equal_the_mean_of_their_means(everyone: bool) -> None:
    """Also where each trial asks and searches another part, of which some queries have nothing to find."""
    query, gallery = random_set(70, 25, seed=8, junk=False), random_set(300, 22, seed=9, junk=False)
    query = FeatureSet(query.features, query.pids, np.random.default_rng(1).choice([3, 6], 70))
    rng = np.random.default_rng(2)
    trials = tuple(
        Trial(
            np.arange(70) if everyone else np.sort(rng.choice(70, rng.integers(20, 60), replace=False)),
            rng.permutation(300)[: 150 if everyone else 60],
        )
        for _ in range(5)
    )
    precision, penalty, curve = sysu_by_the_rules(query, gallery, trials)
    found = evaluate(query, gallery, protocol=Protocol("sysu", "identities", trials), normalize=False)
    assert found.mean_average_precision == pytest.approx(precision, abs=1e-12)
    assert found.mean_inverse_penalty == pytest.approx(penalty, abs=1e-12)
    np.testing.assert_allclose(found.cmc(20), curve, atol=1e-12)
    # the same from values a query, as a bootstrap sees them
    assert found.weights.mean() == pytest.approx(1)
    assert np.average(found.found(5), weights=found.weights) == pytest.approx(curve[4])
    table = published.distances(query.features, gallery.features)
    again = evaluate_distances(
        table,
        query_pids=query.pids,
        query_camids=query.camids,
        gallery_pids=gallery.pids,
        gallery_camids=gallery.camids,
        protocol=Protocol("sysu", "identities", trials),
    )
    assert again.mean_average_precision == pytest.approx(precision, abs=1e-9)


def test_a_query_counts_in_the_trials_that_ask_it() -> None:
    """Two queries; trial 1 asks both, trial 2 only the second, trial 3 the second where it has nothing to find."""
    query = FeatureSet(np.eye(2), np.array([1, 2]), np.array([1, 1]))
    gallery = FeatureSet(np.array([[1.0, 0], [0, 1], [0.6, 0.8]]), np.array([1, 2, 3]), np.array([2, 2, 2]))
    every = np.arange(3)
    trials = (
        Trial(np.arange(2), every),
        Trial(np.array([1]), np.array([2, 1])),
        Trial(np.array([1]), np.array([0, 2])),
    )
    found = evaluate(query, gallery, protocol=Protocol(trials=trials))
    assert found.first_rank.tolist() == [[1, 0, 0], [1, 1, 0]]
    assert found.share.tolist() == [[0.5, 0, 0], [0.5, 1, 0]]
    assert (found.mean_average_precision, found.left_out) == (1, 0)


def test_a_search_sees_what_a_trial_asks_and_searches_and_no_junk() -> None:
    query, gallery = random_set(30, 5, seed=2), random_set(90, 5, seed=3)
    trials = (Trial(np.arange(20), np.arange(50)), Trial(np.arange(10, 30), np.arange(40, 90)))
    seen = []

    def search(asked: FeatureSet, held: FeatureSet) -> Iterable[np.ndarray]:
        seen.append((asked, held))
        return (published.distances(asked.features[i : i + 1], held.features) for i in range(len(asked)))

    found = evaluate(query, gallery, protocol=Protocol(trials=trials), search=search)
    expected = evaluate(query, gallery, protocol=Protocol(trials=trials))
    np.testing.assert_allclose(found.average_precision, expected.average_precision, atol=1e-12)
    for (asked, held), trial in zip(seen, trials, strict=True):
        assert asked.pids.tolist() == [p for p in query.pids[trial.query] if p != -1]
        assert held.pids.tolist() == [p for p in gallery.pids[trial.gallery] if p != -1]
        np.testing.assert_allclose(np.linalg.norm(held.features, axis=1), 1, atol=1e-6)


def test_junk_is_never_asked() -> None:
    query, gallery = random_set(60, 8, seed=2), random_set(200, 8, seed=3)
    kept = query.pids != -1
    found = evaluate(query, gallery)
    assert (query.pids[found.queries] != -1).all()
    assert found.left_out == 60 - len(found.queries) >= (~kept).sum() > 0


def test_market1501s_protocol_on_its_real_labels(shared: Path) -> None:
    path = shared / "reid" / "market1501_labels_real.npz"
    if not path.is_file():
        pytest.skip(f"needs Market-1501's labels in {path}")
    labels = np.load(path)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(int(labels["g_pids"].max()) + 2, 32))

    def crops(side: str) -> FeatureSet:
        pids = labels[f"{side}_pids"]
        return FeatureSet(
            centres[pids] + 1.2 * rng.normal(size=(len(pids), 32)), pids, labels[f"{side}_camids"]
        )

    query, gallery = crops("q"), crops("g")
    assert (len(query), len(np.unique(query.pids)), len(gallery)) == (3368, 750, 19732)
    assert [int((gallery.pids == pid).sum()) for pid in (0, -1)] == [2798, 3819]
    found = evaluate(query, gallery)
    assert found.left_out == 0  # everyone in the query is seen by another camera
    # a sample of queries walked through by the rules
    some = np.arange(0, 3368, 421)
    expected = by_the_rules(
        FeatureSet(query.features[some], query.pids[some], query.camids[some]), gallery, "mean"
    )
    np.testing.assert_allclose(found.average_precision[some], [e[0] for e in expected.values()], atol=1e-9)


def test_identity_density_by_hand() -> None:
    """Two at right angles: the centre is (½, ½), from which each is √½ away. One alone is its own centre."""
    features = np.array([[2.0, 0.0], [0.0, 5.0], [0.0, -3.0]])
    np.testing.assert_allclose(identity_density(features, np.array([4, 4, 9])), [0.5, 0.5, 0.0], atol=1e-12)


def test_identity_density_is_one_less_the_centres_square() -> None:
    """For features of length 1, the mean squared distance to their mean m is 1 − |m|²."""
    one = random_set(120, 6, seed=4, junk=False)
    unit = l2_normalized(one.features).astype(float)
    density = identity_density(one.features, one.pids)
    for pid in np.unique(one.pids):
        rows = one.pids == pid
        centre = unit[rows].mean(axis=0)
        assert density[rows].mean() == pytest.approx(1 - centre @ centre, abs=1e-6)


def test_centralising_makes_identities_denser() -> None:
    from reid.centralize import nfc

    one = random_set(300, 20, seed=6, noise=0.8, junk=False)
    before = identity_density(one.features, one.pids).mean()
    assert identity_density(nfc(one.features)[0], one.pids).mean() < before
