"""Ranked lists: by hand, and against the scores that the evaluation gives the same features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reid.datasets.base import Crop
from reid.features import FeatureError, FeatureSet
from reid.metrics import evaluate
from reid.protocols import Protocol, Rule
from reid.ranked_lists import hidden, ranked, ranked_lists, section


def angles(degrees: list[float], pids: list[int], camids: list[int]) -> FeatureSet:
    """Features on a circle: the nearer the angle, the nearer the feature."""
    radians = np.radians(degrees)
    return FeatureSet(np.stack([np.cos(radians), np.sin(radians)], axis=1), np.array(pids), np.array(camids))


QUERY = angles([0], [1], [1])
GALLERY = angles([50, 10, 20, 30, 5, 40], [1, 1, 2, -1, 0, 1], [2, 1, 1, 1, 1, 3])


def test_a_list_by_hand() -> None:
    found = ranked(QUERY, GALLERY, 0)
    # the distractor is wrong, the own camera's crop is skipped, junk is not there
    assert [item.index for item in found] == [4, 1, 2, 5, 0]
    assert [item.verdict for item in found] == ["wrong", "skipped", "wrong", "right", "right"]
    assert [item.rank for item in found] == [1, None, 2, 3, 4]
    chords = [2 * np.sin(np.radians(a / 2)) for a in (5, 10, 20, 40, 50)]
    assert [item.distance for item in found] == pytest.approx(chords, abs=1e-6)


def test_only_what_counts_is_counted() -> None:
    assert [item.rank for item in ranked(QUERY, GALLERY, 0, top=2)] == [1, None, 2]
    assert len(ranked(QUERY, GALLERY, 0, top=100)) == len(ranked(QUERY, GALLERY, 0, top=None)) == 5


@pytest.mark.parametrize(
    ("rule", "verdicts"),
    [
        ("none", ["wrong", "right", "wrong", "right", "right"]),
        ("same-camera", ["wrong", "skipped", "wrong", "right", "right"]),
        ("sysu", ["wrong", "right", "wrong", "right", "right"]),
    ],
)
def test_rules_by_hand(rule: Rule, verdicts: list[str]) -> None:
    assert [item.verdict for item in ranked(QUERY, GALLERY, 0, rule=rule)] == verdicts


def test_infrared_camera_3_does_not_see_camera_2() -> None:
    query = angles([0, 0], [1, 1], [3, 6])
    gallery = angles([10, 20, 30], [1, 2, 1], [2, 2, 3])
    first, other = ranked_lists(query, gallery, [0, 1], rule="sysu")
    assert [item.verdict for item in first] == ["skipped", "skipped", "right"]
    assert [item.verdict for item in other] == ["right", "wrong", "right"]
    each = hidden("sysu", query.pids, query.camids, gallery.pids[:2], gallery.camids[:2])
    assert each.tolist() == [True, False]


def test_an_unknown_camera_is_nobodys_own() -> None:
    found = ranked(angles([0], [1], [-1]), angles([10], [1], [-1]), 0)
    assert found[0].verdict == "right"


@pytest.mark.parametrize("rule", ["same-camera", "sysu", "none"])
def test_a_list_has_the_average_precision_that_the_evaluation_says(rule: Rule) -> None:
    rng = np.random.default_rng(4)
    made = []
    for count in (30, 200):
        pids = rng.integers(-1 if count == 200 else 1, 9, count)
        centres = np.random.default_rng(7).normal(size=(10, 8))
        features = (centres[pids] + 1.3 * rng.normal(size=(count, 8))) * rng.uniform(0.1, 9, (count, 1))
        made.append(FeatureSet(features, pids, rng.integers(1, 5, count)))
    query, gallery = made
    scores = evaluate(query, gallery, protocol=Protocol(rule))
    assert len(scores.queries) > 20
    for place, found in enumerate(ranked_lists(query, gallery, scores.queries.tolist(), rule=rule, top=None)):
        ranks = [item.rank for item in found if item.verdict == "right"]
        precision = np.mean([(nth + 1) / rank for nth, rank in enumerate(ranks) if rank])
        assert precision == pytest.approx(scores.average_precision[place])
        assert ranks[0] == scores.first_rank[place, 0]


def test_equal_features_are_equally_far_wherever_they_stand() -> None:
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(1, 513)), 999, axis=0)
    gallery = FeatureSet(features, np.arange(1, 1000), np.ones(999, dtype=int))
    query = FeatureSet(rng.normal(size=(1, 513)), np.array([500]), np.array([2]))
    found = ranked(query, gallery, 0, top=None)
    assert len({item.distance for item in found}) == 1
    assert [item.index for item in found] == list(range(999))  # the gallery's order


def test_lists_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    query, gallery = (
        FeatureSet(rng.normal(size=(n, 6)), rng.integers(-1, 4, n), rng.integers(1, 3, n)) for n in (5, 90)
    )
    whole = ranked_lists(query, gallery, range(5), top=None)
    monkeypatch.setattr("reid.ranked_lists._BLOCK", 8 * 6 * 7)
    assert ranked_lists(query, gallery, range(5), top=None) == whole


def test_sets_that_do_not_fit_are_refused() -> None:
    other = FeatureSet(np.ones((1, 3)), np.array([1]), np.array([1]))
    with pytest.raises(FeatureError, match="dimensions"):
        ranked(other, GALLERY, 0)
    with pytest.raises(IndexError):
        ranked(QUERY, GALLERY, 1)


def crops(one: FeatureSet, name: str) -> list[Crop]:
    labels = zip(one.pids.tolist(), one.camids.tolist(), strict=True)
    return [
        Crop(f"{name}{i}.jpg", Path(f"{name}{i}.jpg"), pid, camid) for i, (pid, camid) in enumerate(labels)
    ]


def test_a_section_tells_both_lists() -> None:
    after = angles([5, 10, 40, 30, 30, 20], GALLERY.pids.tolist(), GALLERY.camids.tolist())
    made = section(
        crops(QUERY, "q")[0],
        crops(GALLERY, "[red]/g"),
        ranked(QUERY, GALLERY, 0, top=None),
        ranked(QUERY, after, 0, top=3),
        top=3,
    )
    assert made.title == "q0.jpg · identity 1 · camera 1"
    assert made.answer == (
        "Before centralisation 1 of the first 3 are right, the first at rank 3. "
        "After centralisation 2 of the first 3 are right, the first at rank 1."
    )
    shown = [(row["list"], row["rank"], row["was"]) for row in made.table.rows]
    assert shown == [
        ("before", "1", ""),
        ("before", "2", ""),
        ("before", "3", ""),
        ("after", "1", "4"),
        ("after", "2", "3"),
        ("after", "3", "1"),
    ]
    assert [d["verdict"] for d in made.data] == ["wrong", "wrong", "right", "right", "right", "wrong"]
    assert any("1 crop as near" in note for note in made.notes)
    from rich.text import Text

    assert Text.from_markup(made.table.rows[0]["file"]).plain == "[red]/g4.jpg"  # no markup of ours


def test_a_section_of_one_list_says_nothing_of_centralisation() -> None:
    made = section(crops(QUERY, "q")[0], crops(GALLERY, "g"), ranked(QUERY, GALLERY, 0), top=2)
    assert made.answer == "0 of the first 2 are right, the first at rank 3."
    assert not {"list", "was"} & {column.key for column in made.table.columns}
