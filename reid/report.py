"""Before and after centralisation, put into words and a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reid.centralize import Centralized, Scope, centralize
from reid.features import FeatureSet
from reid.metrics import AveragePrecision, Retrieval, evaluate, identity_density
from reports.content import Column, Section, Table
from reports.stats import bootstrap_ratios, paired_difference, percentile_interval, proportion

LOW_PURITY = 0.5
"""Share of mutual pairs of one person below which centralisation mixes more people than it joins."""


@dataclass(frozen=True)
class Comparison:
    """scores: name -> (before, after) values a query, whose means are the scores. density: ID² before and after."""

    queries: int
    left_out: int
    gallery: int
    scores: dict[str, tuple[np.ndarray, np.ndarray]]
    density: tuple[float, float]
    made: Centralized


def compare(
    query: FeatureSet, gallery: FeatureSet, *, k1: int, k2: int, scope: Scope, ap: AveragePrecision
) -> Comparison:
    """Evaluates as it is and centralised. Raises FeatureError."""
    before = evaluate(query, gallery, ap=ap)
    made = centralize(query, gallery, k1=k1, k2=k2, scope=scope)
    after = evaluate(made.query, made.gallery, ap=ap)
    scores = {
        "mAP": (before.average_precision, after.average_precision),
        **{f"Rank-{r}": (_found(before, r), _found(after, r)) for r in (1, 5, 10)},
        "mINP": (before.inverse_penalty, after.inverse_penalty),
    }
    density = tuple(_density(q, g) for q, g in ((query, gallery), (made.query, made.gallery)))
    return Comparison(
        len(before.queries), before.left_out, len(gallery), scores, (density[0], density[1]), made
    )


def _estimate(
    name: str, key: str, values: np.ndarray, distribution: np.ndarray
) -> tuple[float, float, float]:
    """Value and interval. Rank-k is right or wrong: where all agree, a bootstrap would claim certainty."""
    if name.startswith("Rank-"):
        estimate = (paired_difference if key == "change" else proportion)(values, distribution)
        if estimate.low is not None and estimate.high is not None:
            return estimate.value, estimate.low, estimate.high
    return float(values.mean()), *percentile_interval(distribution)


def _found(retrieval: Retrieval, rank: int) -> np.ndarray:
    return (retrieval.first_rank <= rank).astype(float)


def _density(query: FeatureSet, gallery: FeatureSet) -> float:
    pids = np.concatenate([query.pids, gallery.pids])
    somebody = pids > 0  # neither junk nor distractors
    features = np.concatenate([query.features, gallery.features])[somebody]
    return float(identity_density(features, pids[somebody]).mean()) if somebody.any() else float("nan")


def section(title: str, result: Comparison) -> Section:
    """The table of before, after and the paired difference, with bootstrap intervals over queries."""
    columns = np.stack(
        [values for pair in result.scores.values() for values in (*pair, pair[1] - pair[0])], axis=1
    )
    distribution = bootstrap_ratios(columns, np.ones_like(columns))
    rows, data = [], []
    for i, (name, pair) in enumerate(result.scores.items()):
        row, numbers = {"score": name}, dict[str, Any](score=name)
        for j, (key, values) in enumerate(
            (("before", pair[0]), ("after", pair[1]), ("change", pair[1] - pair[0]))
        ):
            value, low, high = _estimate(name, key, values, distribution[:, 3 * i + j])
            sign = "+" if key == "change" else ""
            row[key] = f"{100 * value:{sign}.2f} ({100 * low:{sign}.1f}…{100 * high:{sign}.1f})".replace(
                "-", "−"
            )
            numbers[key] = {"value": value, "low": low, "high": high}
        rows.append(row)
        data.append(numbers)
    before, after = result.density
    rows.append({"score": "ID²", "before": f"{before:.4f}", "after": f"{after:.4f}"})
    data.append({"score": "id2", "before": {"value": before}, "after": {"value": after}})
    change = 100 * float(np.mean(result.scores["mAP"][1] - result.scores["mAP"][0]))
    verb = "raises" if change >= 0 else "lowers"
    notes = ["There are no mutual pairs: nothing was centralised."]
    if result.made.pairs:
        notes = [
            f"Mutual pairs: {result.made.pairs}, {100 * result.made.purity:.1f} % of them of one person."
        ]
    if result.made.purity < LOW_PURITY:
        notes.append("Most mutual pairs are of different people: on such features centralisation does harm.")
    notes.append(
        "Intervals: bootstrap over queries, the change paired. Centralising queries uses the other queries."
    )
    if result.left_out:
        notes.append(f"{result.left_out} queries have no match under another camera and are in no score.")
    return Section(
        f"{title} · {result.queries} queries · {result.gallery} in the gallery",
        f"Centralisation {verb} mAP by {abs(change):.2f} points.",
        Table(
            [
                Column("score", "score", right=False),
                Column("before", "before % (95 %)"),
                Column("after", "after % (95 %)"),
                Column("change", "change, points (95 %)"),
            ],
            rows,
        ),
        notes=notes,
        data=data,
    )
