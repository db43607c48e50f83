"""``mpq correlate``: how well each similarity foretells what a model loses, as sections of a report.

A similarity that only follows the rate says little, so the rate stands beside them as one more predictor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.markup import escape

from mpq.correlation.losses import Losses, losses_of
from mpq.correlation.statistics import FEWEST, KINDS, Kind
from mpq.correlation.study import GIVEN, UNKNOWN, Observed, Predictor, Study, studies_of
from mpq.correlation.words import in_words, listed, points_answer, within_answer
from mpq.summary import Cell, Group
from mpq.wording import counted, rate, title
from reports.content import Cloud, Column, Figure, Scatter, Section, Table


def correlation_sections(cells: Iterable[Cell], *, max_failures: float = 0.01) -> list[Section]:
    """For each data set and model: over operating points, and within them; then over points of all groups of a task.

    cells: of one or several runs, as ``Store.read`` gives them. Raises UserError where no similarity was measured, or no setting has answers.
    """
    studies = studies_of(cells, max_failures)
    sections = []
    for study in studies:
        within = _within_sections(study)
        sections += [_points_section([study], [] if within else [_nothing_within(study)]), *within]
    together: dict[tuple[str, str, str], list[Study]] = {}
    for study in studies:
        if study.points:
            key = (study.group.task, study.group.view, study.group.score.key)
            together.setdefault(key, []).append(study)
    return sections + [_points_section(held, [_POOLED]) for held in together.values() if len(held) > 1]


_CORRELATIONS: dict[tuple[Kind, bool], str] = {
    ("spearman", False): "Spearman (95 %)",
    ("spearman", True): "at equal rate",
    ("pearson", False): "Pearson",
    ("kendall", False): "Kendall",
    ("pearson", True): "Pearson at equal rate",
}
"""Kind, and whether the log rate is given: the columns, as far as there is room."""

_POOLED = (
    "Several groups: models that answered on the same decodes are drawn together and count as one point."
)
_POINTS_NOTES = (
    "Above 0: more alike, better score, whichever way each counts. Spearman and Kendall (tau-b) ask for the order alone, "
    "Pearson for a line. At equal rate: partial Spearman, given the log rate. Last row: the rate as a predictor.",
    "Intervals: bootstrap over points, or Fisher's (Bonett-Wright, Fieller) where that reaches farther, since few "
    "points in one order look certain to a bootstrap. Settings are chosen, not drawn: read them as 'for settings "
    "like these', over the same samples.",
)


def _points_section(studies: list[Study], notes: list[str]) -> Section:
    observed = Observed(studies)
    found = {
        p.name: {
            f"{kind}{GIVEN * given}": observed.correlated(kind, p, observed.there(p), at_equal_rate=given)
            for kind, given in _CORRELATIONS
            if not given or p.name != "rate"
        }
        for p in observed.predictors
    }
    columns = [Column("predictor", "similarity", right=False)]
    for rank, ((kind, given), heading) in enumerate(_CORRELATIONS.items()):
        columns.append(Column(f"{kind}{GIVEN * given}", heading, rank))
    if len({of["spearman"].points for of in found.values()}) > 1:
        columns.append(Column("points", "points", 1))
    rows, data = [], []
    for p, of in zip(observed.predictors, found.values(), strict=True):
        points = of["spearman"].points
        shown = {name: in_words(c.estimate) for name, c in of.items()}
        rows.append(
            {"predictor": escape(p.title), "points": str(points), "band": str(p.name == "rate"), **shown}
        )
        data.append(
            {
                **_points_head(observed),
                "predictor": p.name,
                "points": points,
                **{name: asdict(c.estimate) for name, c in of.items()},
                "change": _with_change(observed, p),
            }
        )
    lacking = {p.title: int((~np.isfinite(p.values)).sum()) for p in observed.predictors}
    if said := [f"{what} at {counted(count, 'point')}" for what, count in lacking.items() if count]:
        notes = [f"Not measured, or without a finite mean: {listed(said)}.", *notes]
    head = title(studies[0].group, "over operating points")
    if len(studies) > 1:
        parts = [observed.group.task, observed.group.view, f"{len(studies)} groups", "over operating points"]
        head = " · ".join(filter(None, parts))
    notes = [*notes, *(said for study in studies for said in study.left_out)]
    answer = points_answer(observed, found)
    if all(math.isnan(found[p.name]["spearman"].estimate.value) for p in observed.predictors[:-1]):
        return Section(head, answer, Table(columns, []), notes=notes, data=data)  # the answer says it all
    return Section(
        head,
        answer,
        Table(columns, rows, group="band"),
        notes=[*_POINTS_NOTES, *notes],
        data=data,
        figures=[figure for p in observed.predictors[:-1] if (figure := _scatter(observed, p)) is not None],
    )


def _points_head(observed: Observed) -> dict[str, Any]:
    heads = [study.head for study in observed.studies]
    if len(heads) == 1:
        return {**heads[0], "over": "points"}
    shared = {key: heads[0][key] for key in ("task", "view", "score")}
    groups = [{key: head[key] for key in ("dataset", "model")} for head in heads]
    return {**shared, "groups": groups, "over": "points of groups"}


def _with_change(observed: Observed, predictor: Predictor) -> dict[str, Any] | None:
    """Of the score's change: other than the score's own only where failures leave out other samples."""
    there = observed.there(predictor) & np.isfinite(observed.changes)
    if observed.by_change or not there.any():
        return None
    found = {kind: observed.correlated(kind, predictor, there, values=observed.changes) for kind in KINDS}
    return {kind: asdict(c.estimate) for kind, c in found.items()}


def _scatter(observed: Observed, predictor: Predictor) -> Figure | None:
    score = observed.group.score
    clouds: dict[str, list[tuple[float, float]]] = {}
    for place in np.flatnonzero(observed.there(predictor)):
        study, point = observed.points[place]
        group = study.group
        name = point.codec if len(observed.studies) == 1 else f"{group.dataset} · {group.model}"
        at = float(predictor.values[place]), float(score.scale * observed.values[place])
        clouds.setdefault(name, []).append(at)
    if not clouds:
        return None
    unit = {"share": ", points" if observed.by_change else " %", "dB": ", dB"}.get(score.unit, "")
    return Scatter(
        f"{predictor.title} and {observed.what}",
        predictor.axis,
        f"{observed.what}{unit}",
        {"": [Cloud(name, points) for name, points in clouds.items()]},
        note="A mark is an operating point: its mean similarity, and its score.",
    )


def _within_sections(study: Study) -> list[Section]:
    """Which samples lose: by each similarity on average, and point by point. None where nobody loses."""
    within = losses_of(study)
    if within is None:
        return []
    return [_means_section(within), _point_by_point(within)]


def _nothing_within(study: Study) -> str:
    group = study.group
    why = "no sample lost anything, or all lost the same"
    if not any(study.each):
        why = "the samples that were coded are not those with answers"
    elif group.baseline is None and not group.score.fidelity:
        why = "the originals were not measured"
    elif (scored := max(point.scored for point in study.points)) < FEWEST and not group.score.binary:
        why = f"it takes {FEWEST} samples with scores, and there are {scored}"
    return f"Within operating points nothing can be said: {why}."


def _means_section(within: Losses) -> Section:
    statistic, rows, data = within.statistic, [], []
    for name, parts in within.found.items():
        mean, less = within.mean(name), UNKNOWN if name == "rate" else within.less(name, "rate")
        of = [part for part in parts if part]
        losses, lost = sum(int(part.lost.sum()) for part in of), int(mean.lost.sum())
        rows.append(
            {
                "predictor": escape(within.titles[name]),
                "mean": in_words(mean.estimate),
                "less": in_words(less),
                "points": str(len(of)),
                "losses": str(losses),
                "samples": f"{lost} of {int((mean.lost | mean.kept).sum())}",
                "band": str(name == "rate"),
            }
        )
        numbers = {"mean": asdict(mean.estimate), "less_rate": asdict(less), "points": len(of)}
        head = {**within.study.head, "over": "samples", "predictor": name, "statistic": statistic.lower()}
        data.append({**head, **numbers, "losses": losses, "samples_that_lose": lost})
    columns = [
        Column("predictor", "similarity", right=False),
        Column("mean", f"mean {statistic} (95 %)"),
        Column("less", "less log rate's", 1),
        Column("points", "points", 3),
        Column("losses", "losses", 4),
        Column("samples", "that lose", 2),
    ]
    return Section(
        title(within.study.group, "within operating points"),
        within_answer(within),
        Table(columns, rows, group="band"),
        notes=_within_notes(within.study.group),
        data=data,
    )


def _within_notes(group: Group) -> list[str]:
    if not group.score.binary:
        return [
            f"Spearman of how unlike a sample is with how much {group.score.title} it loses; of the log rate, with how "
            "few bits it has. Mean over points, weighted by information: samples, less for those that lose equally.",
            "Intervals: Fisher's, widened where the infinitesimal jackknife's variance is larger; a sample counts once "
            "in a mean, at however many points it loses. Differences: jackknife, paired.",
        ]
    own = "another than on the original" if group.score.fidelity else "right on the original, wrong now"
    return [
        f"Lost: {own}. AUROC: how often a sample that lost is less alike than one that kept (ties half); of the "
        "log rate, how often it has fewer bits. Mean over points with both, weighted by information (van Elteren's "
        "m n / (m + n + 1) of m lost and n kept).",
        "Intervals: Newcombe's, widened where DeLong's variance is larger; a sample counts once in a mean, at however "
        "many points it is lost. Differences: DeLong's, paired.",
    ]


def _point_by_point(within: Losses) -> Section:
    study, statistic, rows, specs = within.study, within.statistic, [], []
    data: list[dict[str, Any]] = []
    for place, (point, loss) in enumerate(zip(study.points, within.losses, strict=True)):
        if loss is None:
            continue
        lost, known = int((loss > 0).sum()), int(np.isfinite(loss).sum())
        parts = {n: part.estimate for n, of in within.found.items() if (part := of[place])}
        specs.append(point.spec)
        head = {"codec": point.codec, "setting": escape(point.spec), "rate": rate(point.rate.value)}
        shown = {f"by {name}": in_words(estimate) for name, estimate in parts.items()}
        rows.append({**head, "lost": f"{lost} of {known}", **shown})
        head = {**study.head, "over": "samples of a point", "codec": point.codec, "setting": point.setting}
        numbers = {study.group.rate.key: point.rate.value, "lost": lost, "kept": known - lost}
        data.append({**head, **numbers, statistic.lower(): {n: asdict(e) for n, e in parts.items()}})
    most, best = max(range(len(data)), key=lambda i: data[i]["lost"]), next(iter(within.found))
    answer = f"Most samples {within.lose} at {specs[most]}: {rows[most]['lost']}."
    if first := rows[most].get(f"by {best}"):
        answer += f" There {within.titles[best]} has {statistic} {first}."
    columns = [
        Column("setting", "setting", right=False),
        Column("rate", study.group.rate.title, 7),
        Column("lost", "lost"),
    ]
    for place, name in enumerate(within.found):
        columns.append(Column(f"by {name}", within.titles[name], 8 if name == "rate" else min(place, 6)))
    notes = [f"{statistic} (95 %) of each similarity at each setting; none where nobody lost, or all did."]
    return Section(
        title(study.group, "point by point"),
        answer,
        Table(columns, rows, group="codec"),
        notes=notes,
        data=data,
    )
