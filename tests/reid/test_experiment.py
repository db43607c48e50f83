"""Stages of an experiment: each is what its parts give by themselves, and no trial sees another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reid.centralize import centralize
from reid.experiment import Options, experiment
from reid.features import FeatureSet
from reid.metrics import evaluate, evaluate_distances
from reid.protocols import Protocol, Trial
from reid.report import sections
from reid.rerank import k_reciprocal


def _sets(noise: float = 0.9, people: int = 20, seed: int = 0) -> tuple[FeatureSet, FeatureSet]:
    """Two queries and six gallery crops a person, under eight cameras."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, 24))
    halves = []
    for cameras in (range(1, 3), range(3, 9)):
        pids, camids = (
            a.ravel() for a in np.meshgrid(np.arange(1, people + 1), list(cameras), indexing="ij")
        )
        features = centres[pids - 1] + noise * rng.normal(size=(len(pids), 24))
        halves.append(FeatureSet(features, pids, camids))
    return halves[0], halves[1]


def _mean(stage) -> float:
    return stage.retrieval.mean_average_precision


def test_each_stage_is_what_its_parts_give() -> None:
    query, gallery = _sets()
    options = Options(rerank=True, rerank_k1=8, rerank_k2=3)
    result = experiment(query, gallery, options)
    names = [stage.name for stage in result.stages]
    assert names == [
        "as they are",
        "NFC on queries",
        "NFC on the gallery",
        "NFC on both",
        "re-ranked alone",
        "NFC on both, re-ranked",
    ]
    made = centralize(query, gallery)
    pairs = [(query, gallery), (made.query, gallery), (query, made.gallery), (made.query, made.gallery)]
    for stage, pair in zip(result.stages, pairs, strict=False):
        assert _mean(stage) == evaluate(*pair).mean_average_precision
    distances = k_reciprocal(made.query.features, made.gallery.features, k1=8, k2=3, lambda_value=0.3)
    labels = {"query_pids": query.pids, "query_camids": query.camids}
    labels |= {"gallery_pids": gallery.pids, "gallery_camids": gallery.camids}
    expected = evaluate_distances(distances, **labels).mean_average_precision
    assert _mean(result.after) == pytest.approx(expected, abs=1e-9)


def test_trials_do_not_see_each_other() -> None:
    """NFC over a whole gallery would meet crops that a trial never draws."""
    query, gallery = _sets()
    everything = np.arange(len(query))
    trials = tuple(Trial(everything, np.arange(start, len(gallery), 3)) for start in range(3))
    result = experiment(query, gallery, Options(), protocol=Protocol(trials=trials))
    alone = [
        experiment(
            query,
            FeatureSet(*(part[t.gallery] for part in (gallery.features, gallery.pids, gallery.camids))),
            Options(),
        )
        for t in trials
    ]
    for i, stage in enumerate(result.stages):
        assert _mean(stage) == pytest.approx(np.mean([_mean(one.stages[i]) for one in alone]), abs=1e-12)
        assert stage.density == pytest.approx(np.mean([one.stages[i].density for one in alone]))
    assert [len(made.gallery) for made in result.centralized] == [40, 40, 40]
    assert "in 3 trials" in " ".join(sections("t", result, [])[0].notes)


def test_junk_takes_no_part_in_centralising() -> None:
    query, gallery = _sets()
    junk = FeatureSet(query.features, np.full(len(query), -1), query.camids)
    with_junk = FeatureSet(
        *(np.concatenate(parts) for parts in zip(
            (gallery.features, gallery.pids, gallery.camids), (junk.features, junk.pids, junk.camids), strict=True
        ))
    )  # fmt: skip
    clean, dirty = (experiment(query, one, Options()) for one in (gallery, with_junk))
    assert [_mean(s) for s in dirty.stages] == [_mean(s) for s in clean.stages]


def test_generated_poses_are_a_stage_that_the_rest_builds_on() -> None:
    query, gallery = _sets(noise=1.2)
    fused = _sets(noise=0.3)
    result = experiment(query, gallery, Options(nfc=False), fused=fused)
    assert [stage.name for stage in result.stages] == ["as they are", "with generated poses"]
    assert _mean(result.after) == evaluate(*fused).mean_average_precision
    assert "with generated poses" in sections("t", result, [])[0].answer
    further = experiment(query, gallery, Options(), fused=fused)
    assert "builds on them" in " ".join(sections("t", further, [])[1].notes)


def test_the_report_says_what_changed_and_when_to_distrust_it() -> None:
    query, gallery = _sets(noise=4.0)
    page = sections("noise", experiment(query, gallery, Options()), ["drawn"])
    assert "of different people" in " ".join(page[0].notes)
    assert page[0].notes[0] == "drawn"
    joint = sections("joint", experiment(query, gallery, Options(scope="joint")), [])
    assert "warn against it" in " ".join(joint[0].notes)
    alone = sections("raw", experiment(query, gallery, Options(nfc=False)), [])
    assert len(alone) == 1
    assert "after" not in [column.key for column in alone[0].table.columns]


def test_changes_are_paired_and_their_intervals_hold_the_value() -> None:
    query, gallery = _sets()
    (headline, stages) = sections("t", experiment(query, gallery, Options()), [])
    for row in headline.data[:-1]:
        assert row["after"]["value"] - row["before"]["value"] == pytest.approx(row["change"]["value"])
        assert row["change"]["low"] <= row["change"]["value"] <= row["change"]["high"]
    assert [row["stage"] for row in stages.data][-1] == "NFC on both"


def test_iterations_and_expansion_are_stages_too() -> None:
    query, gallery = _sets()
    once, twice = (experiment(query, gallery, Options(iterations=n)) for n in (1, 2))
    assert twice.after.density < once.after.density
    expanded = experiment(query, gallery, replace(Options(), expand=3))
    assert expanded.after.name == "queries expanded by 3"


def test_a_score_that_stays_does_not_rise() -> None:
    answer = sections("t", experiment(*_sets(noise=0.05), Options()), [])[0].answer
    assert answer == "mAP stays at 100.00 %: NFC on both."
