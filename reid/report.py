"""Before and after, put into words and tables, and where the change comes from."""

from __future__ import annotations

from typing import Any

import numpy as np

from reid.experiment import WITH_POSES, Experiment, Stage
from reports.content import Column, Section, Table
from reports.stats import Estimate, bootstrap_ratios, paired_difference, percentile_interval, proportion

LOW_PURITY = 0.5
"""Share of mutual pairs of one person below which centralisation mixes more people than it joins."""

SCORES = ("mAP", "Rank-1", "Rank-5", "Rank-10", "mINP")

SHORT = ("mAP", "Rank-1")
"""The scores that every stage shows."""


def sections(title: str, result: Experiment, remarks: list[str]) -> list[Section]:
    """Before and after; and, where there are stages between, all of them. remarks: on the data set and features."""
    found = [_headline(title, result, remarks)]
    if len(result.stages) > 2:
        found.append(_stages(title, result))
    return found


def _headline(title: str, result: Experiment, remarks: list[str]) -> Section:
    before, after = result.before, result.after
    alone = before is after
    compared = _compared(before, after)
    rows, data = [], []
    for name in SCORES:
        row, numbers = {"score": name}, dict[str, Any](score=name)
        for key in ("before",) if alone else ("before", "after", "change"):
            estimate = compared[name][key]
            row[key] = _points(estimate, sign=key == "change")
            numbers[key] = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        rows.append(row)
        data.append(numbers)
    density = {"before": before.density} | ({} if alone else {"after": after.density})
    if alone or np.isfinite(after.density):
        rows.append({"score": "ID²", **{key: f"{value:.4f}" for key, value in density.items()}})
        data.append({"score": "id2", **{key: {"value": value} for key, value in density.items()}})
    columns = [Column("score", "score", right=False), Column("before", "before % (95 %)")]
    if not alone:
        columns += [Column("after", "after % (95 %)"), Column("change", "change, points (95 %)")]
    left_out = before.retrieval.left_out
    first, last = (100 * compared["mAP"][key].value for key in ("before", "after"))
    answer = f"mAP is {first:.2f} %."
    if not alone:
        gained = last - first
        answer = f"mAP {'rises' if gained > 0 else 'falls'} by {abs(gained):.2f} points, from {first:.2f} to {last:.2f} %"
        if abs(gained) < 0.005:
            answer = f"mAP stays at {first:.2f} %"
        answer += f": {after.name}."
    return Section(
        f"{title} · {len(before.retrieval.queries)} queries · {len(result.first[1])} in the gallery",
        answer,
        Table(columns, rows),
        notes=[
            *remarks,
            *_pairs(result),
            "Intervals: bootstrap over queries, the change paired.",
            *(
                [f"Queries without a match that they may find, which are in no score: {left_out}."]
                * (left_out > 0)
            ),
        ],
        data=data,
    )


def _pairs(result: Experiment) -> list[str]:
    """What NFC rests on."""
    if not result.centralized:
        return []
    pairs = sum(made.pairs for made in result.centralized)
    if not pairs:
        return ["There are no mutual pairs: nothing was centralised."]
    purity = sum(made.pairs * made.purity for made in result.centralized if made.pairs) / pairs
    trials = f" in {len(result.centralized)} trials" if len(result.centralized) > 1 else ""
    notes = [f"Mutual pairs{trials}: {pairs}, {100 * purity:.1f} % of them of one person."]
    if purity < LOW_PURITY:
        notes.append("Most mutual pairs are of different people: on such features centralisation does harm.")
    if result.options.scope in ("query", "both"):
        notes.append("Centralising queries uses the other queries, of which a deployed system has none.")
    if result.options.scope == "joint":
        notes.append(
            "Query and gallery were centralised together, so each query has already met its matches: the method's "
            "authors warn against it, and such scores compare with nobody's."
        )
    return notes


def _stages(title: str, result: Experiment) -> Section:
    """A line a stage, each against the features as they are."""
    rows, data = [], []
    gains: dict[str, float] = {}
    for stage in result.stages:
        compared = _compared(result.before, stage)
        row, numbers = {"stage": stage.name}, dict[str, Any](stage=stage.name)
        for name in SHORT:
            row[name] = f"{100 * compared[name]['after'].value:.2f}"
            if stage is not result.before:
                row[f"{name} change"] = _points(compared[name]["change"], sign=True)
        for name in SCORES:
            numbers[name] = {key: e.value for key, e in compared[name].items() if key != "before"}
        if np.isfinite(stage.density):
            row["ID²"] = f"{stage.density:.4f}"
            numbers["id2"] = stage.density
        gains[stage.name] = compared["mAP"]["change"].value
        rows.append(row)
        data.append(numbers)
    best = max(gains, key=lambda name: gains[name])
    columns = [
        Column("stage", "searched with", right=False),
        Column("mAP", "mAP %"),
        Column("mAP change", "change, points (95 %)", 1),
        Column("Rank-1", "Rank-1 %"),
        Column("Rank-1 change", "change (95 %)", 2),
        Column("ID²", "ID²", 3),
    ]
    return Section(
        f"{title} · where the change comes from",
        f"The highest mAP is that of: {best}.",
        Table(columns, rows),
        notes=[
            "Changes are against the features as they are, paired by query; ID² is of query and gallery together.",
            *([f"What stands below '{WITH_POSES}' builds on them."] * (WITH_POSES in gains)),
        ],
        data=data,
    )


def _compared(before: Stage, after: Stage) -> dict[str, dict[str, Estimate]]:
    """Score -> "before", "after" and "change" with intervals; the same queries are drawn for all."""
    pairs = {name: (before.scores[name], after.scores[name]) for name in SCORES}
    columns = np.stack([values for b, a in pairs.values() for values in (b, a, a - b)], axis=1)
    weights = np.repeat(before.retrieval.weights[:, None], columns.shape[1], axis=1)
    distribution = bootstrap_ratios(columns * weights, weights)
    return {
        name: {
            key: _estimate(name, key, columns[:, 3 * i + j], weights[:, 0], distribution[:, 3 * i + j])
            for j, key in enumerate(("before", "after", "change"))
        }
        for i, name in enumerate(pairs)
    }


def _estimate(
    name: str, key: str, values: np.ndarray, weights: np.ndarray, distribution: np.ndarray
) -> Estimate:
    """Rank-k is right or wrong: where all agree, a bootstrap would claim certainty."""
    if name.startswith("Rank-") and np.isin(values, (-1, 0, 1)).all() and np.allclose(weights, 1):
        return (paired_difference if key == "change" else proportion)(values, distribution)
    return Estimate(float(np.average(values, weights=weights)), *percentile_interval(distribution))


def _points(estimate: Estimate, *, sign: bool) -> str:
    def points(value: float, digits: int) -> str:
        rounded = round(100 * value, digits) + 0.0  # what rounds to nothing has no minus
        return f"{rounded:{'+' if sign else ''}.{digits}f}".replace("-", "−")

    if estimate.low is None or estimate.high is None:
        return points(estimate.value, 2)
    return f"{points(estimate.value, 2)} ({points(estimate.low, 1)}…{points(estimate.high, 1)})"
