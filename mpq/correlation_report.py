"""``mpq correlate``: how well each similarity foretells what a model loses, as sections of a report.

A similarity that only follows the rate says little, so the rate stands beside them as one more predictor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mpq.correlation import (
    FEWEST,
    KINDS,
    Correlation,
    Kind,
    Within,
    auroc,
    correlation,
    loss_correlation,
    mean_within,
    point_draws,
)
from mpq.errors import UserError
from mpq.metrics.base import Similarity
from mpq.report import rate
from mpq.rows import column
from mpq.summary import Group, Point, summarize
from reports.content import Cloud, Column, Figure, Scatter, Section, Table
from reports.stats import Estimate, percentile_interval

if TYPE_CHECKING:
    import pyarrow as pa

FEW = 10
"""Points, or samples that lose, below which a report says that they are few."""

Cell = tuple[dict[str, Any], "pa.Table"]

_UNKNOWN = Estimate(math.nan)


def correlation_sections(cells: Iterable[Cell], *, max_failures: float = 0.01) -> list[Section]:
    """For each data set and model: over operating points, and within them; then over points of all groups of a task.

    cells: of one or several runs, as ``Store.read`` gives them. Raises UserError where no similarity was measured.
    """
    studies = [s for held in _by_group(cells) for s in _studies(held, max_failures) if s.measures]
    if not studies:
        raise UserError(
            "no similarity was measured here: sweep again with --similarity, e.g. psnr,ssim,st-lpips"
        )
    sections = []
    for study in studies:
        within = _within_sections(study)
        sections += [_points_section([study], [] if within else [_nothing_within(study)]), *within]
    together: dict[tuple[str, str, str], list[_Study]] = {}
    for study in studies:
        if study.points:
            key = (study.group.task, study.group.view, study.group.score.key)
            together.setdefault(key, []).append(study)
    return sections + [_points_section(held, [_POOLED]) for held in together.values() if len(held) > 1]


@dataclass(frozen=True, eq=False)
class _Study:
    """A group's operating points but the originals, and how alike each sample is at them.

    each: for each point, column -> (samples,), and ``rate`` -> each one's own; empty where not all samples were coded,
    so that the answers of some are about others. left_out: sentences.
    """

    group: Group
    points: list[Point]
    measures: list[Similarity]
    each: list[dict[str, np.ndarray]]
    left_out: list[str]

    @property
    def head(self) -> dict[str, Any]:
        """What its figures are of, in JSON."""
        group = self.group
        return {
            **{key: getattr(group, key) for key in ("task", "view", "dataset", "model")},
            "score": group.score.key,
        }

    def title(self, what: str) -> str:
        group = self.group
        parts = [group.dataset, group.model, group.view, f"{group.samples} samples", what]
        return " · ".join(filter(None, parts))


def _by_group(cells: Iterable[Cell]) -> list[list[Cell]]:
    """The cells of each data set and model, as ``summarize`` has them; the newest making of a setting first."""
    held: dict[str, list[Cell]] = {}
    for identity, table in sorted(cells, key=lambda cell: cell[0]["rows"], reverse=True):
        shared = [identity[key] for key in ("task", "dataset", "model", "targets")]
        held.setdefault(json.dumps(shared, sort_keys=True), []).append((identity, table))
    return list(held.values())


def _studies(cells: list[Cell], max_failures: float) -> list[_Study]:
    tables: dict[tuple[str, str], list[pa.Table]] = {}
    for _, table in cells:
        spelled = (table.column("codec")[0].as_py(), table.column("setting")[0].as_py())
        tables.setdefault(spelled, []).append(table)
    # The points' own intervals and confidence are not asked for here.
    return [_study(group, tables, max_failures) for group in summarize(cells, drops=(), resamples=100)]


def _study(group: Group, tables: dict[tuple[str, str], list[pa.Table]], max_failures: float) -> _Study:
    points, each, left_out = [], [], []
    for point in (p for p in group.points if not p.is_baseline):
        if not point.samples or point.too_many_failures(max_failures):
            left_out.append(f"{point.spec} is left out: too many samples failed.")
            continue
        held = tables[point.codec, point.setting]
        all_coded = point.samples + point.failed + point.unreadable == held[0].num_rows
        points.append(point)
        each.append(_each(group, held) if all_coded else {})
    measured = {c for point in points for c in point.similarity}
    measures = [s for s in group.medium.similarities.values() if s.column in measured]
    return _Study(group, points, measures, each, left_out)


def _each(group: Group, tables: list[pa.Table]) -> dict[str, np.ndarray]:
    """tables: of one setting, which may have been made again for another similarity."""
    found = {"rate": column(tables[0], "bits") / group.rate.extent(tables[0])}
    for name in (s.column for s in group.medium.similarities.values()):
        known = (values for t in tables if not np.isnan(values := column(t, name)).all())
        if (first := next(known, None)) is not None:
            found[name] = first
    return found


@dataclass(frozen=True, eq=False)
class _Predictor:
    """name: in JSON. sign: −1 where higher is less alike. values: (points,), NaN where it is not known."""

    name: str
    title: str
    sign: int
    values: np.ndarray
    axis: str = ""


@dataclass(frozen=True, eq=False)
class _Observed:
    """The operating points of a study, or of several whose score is one: then its change from the originals, as these
    differ, is what is to be foretold."""

    studies: list[_Study]

    @property
    def group(self) -> Group:
        return self.studies[0].group

    @property
    def points(self) -> list[tuple[_Study, Point]]:
        return [(study, point) for study in self.studies for point in study.points]

    @cached_property
    def scores(self) -> np.ndarray:
        return np.array([point.scores[self.group.score.key].value for _, point in self.points])

    @cached_property
    def changes(self) -> np.ndarray:
        """(points,), on the same samples; NaN where it is not known."""
        known = (point.changes.get(self.group.score.key) for _, point in self.points)
        return _even(np.array([change.difference.value if change else math.nan for change in known]))

    @property
    def by_change(self) -> bool:
        """The original's fidelity is one for all, if only infinitely good."""
        return len(self.studies) > 1 and not (self.group.score.fidelity and np.isnan(self.changes).any())

    @property
    def values(self) -> np.ndarray:
        return self.changes if self.by_change else self.scores

    @property
    def what(self) -> str:
        return f"change of {self.group.score.title}" if self.by_change else self.group.score.title

    @cached_property
    def log_rates(self) -> np.ndarray:
        return np.log([point.rate.value for _, point in self.points])

    @cached_property
    def times(self) -> np.ndarray:
        """Decodes are drawn: models that answered on the same are drawn together."""
        return point_draws(self.units)

    @property
    def units(self) -> list[tuple[str, str]]:
        return [(study.group.dataset, point.spec) for study, point in self.points]

    @cached_property
    def predictors(self) -> list[_Predictor]:
        """The rate last."""
        known = {measure.column: measure for study in self.studies for measure in study.measures}
        found = []
        for name, measure in known.items():
            values = np.array([point.similarity.get(name, _UNKNOWN).value for _, point in self.points])
            unit = ", dB" if measure.unit == "dB" else ""
            axis = f"{measure.title}{unit} ({measure.better} is more alike)"
            found.append(_Predictor(name, measure.title, _sign(measure), values, axis))
        return [*found, _Predictor("rate", "log rate", 1, self.log_rates)]

    def there(self, predictor: _Predictor) -> np.ndarray:
        return np.isfinite(predictor.values) & np.isfinite(self.values)

    def correlated(
        self,
        kind: Kind,
        predictor: _Predictor,
        there: np.ndarray,
        *,
        at_equal_rate: bool = False,
        values: np.ndarray | None = None,
    ) -> Correlation:
        """Over the points that are ``there``. values: other than those to be foretold."""
        values = self.values if values is None else values
        return correlation(
            kind,
            predictor.sign * predictor.values[there],
            (-1 if self.group.score.lower_is_better else 1) * values[there],
            self.times[:, there],
            given=self.log_rates[there] if at_equal_rate else None,
            units=len({self.units[place] for place in np.flatnonzero(there)}),
        )

    def less(self, one: _Predictor, other: _Predictor) -> Estimate:
        """Spearman of one less that of another, over the points that have both, on the same draws."""
        both = self.there(one) & self.there(other)
        a, b = (self.correlated("spearman", p, both) for p in (one, other))
        draws, difference = a.draws - b.draws, a.estimate.value - b.estimate.value
        if a.points < FEWEST or not np.isfinite(draws).any():
            return Estimate(difference)
        return Estimate(difference, *percentile_interval(draws))


_GIVEN = "_at_equal_rate"
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


def _points_section(studies: list[_Study], notes: list[str]) -> Section:
    observed = _Observed(studies)
    found = {
        p.name: {
            f"{kind}{_GIVEN * given}": observed.correlated(kind, p, observed.there(p), at_equal_rate=given)
            for kind, given in _CORRELATIONS
            if not given or p.name != "rate"
        }
        for p in observed.predictors
    }
    columns = [Column("predictor", "similarity", right=False)]
    for rank, ((kind, given), title) in enumerate(_CORRELATIONS.items()):
        columns.append(Column(f"{kind}{_GIVEN * given}", title, rank))
    if len({of["spearman"].points for of in found.values()}) > 1:
        columns.append(Column("points", "points", 1))
    rows, data = [], []
    for p, of in zip(observed.predictors, found.values(), strict=True):
        points = of["spearman"].points
        shown = {name: in_words(c.estimate) for name, c in of.items()}
        rows.append({"predictor": p.title, "points": str(points), "band": str(p.name == "rate"), **shown})
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
    if said := [f"{title} at {count}" for title, count in lacking.items() if count]:
        notes = [f"Not measured, or without a finite mean: {_and(said)} points.", *notes]
    title = studies[0].title("over operating points")
    if len(studies) > 1:
        parts = [observed.group.task, observed.group.view, f"{len(studies)} groups", "over operating points"]
        title = " · ".join(filter(None, parts))
    return Section(
        title,
        _points_answer(observed, found),
        Table(columns, rows, group="band"),
        notes=[*_POINTS_NOTES, *notes, *(said for study in studies for said in study.left_out)],
        data=data,
        figures=[figure for p in observed.predictors[:-1] if (figure := _scatter(observed, p)) is not None],
    )


def _points_head(observed: _Observed) -> dict[str, Any]:
    heads = [study.head for study in observed.studies]
    if len(heads) == 1:
        return {**heads[0], "over": "points"}
    shared = {key: heads[0][key] for key in ("task", "view", "score")}
    groups = [{key: head[key] for key in ("dataset", "model")} for head in heads]
    return {**shared, "groups": groups, "over": "points of groups"}


def _with_change(observed: _Observed, predictor: _Predictor) -> dict[str, Any] | None:
    """Of the score's change: other than the score's own only where failures leave out other samples."""
    there = observed.there(predictor) & np.isfinite(observed.changes)
    if observed.by_change or not there.any():
        return None
    found = {kind: observed.correlated(kind, predictor, there, values=observed.changes) for kind in KINDS}
    return {kind: asdict(c.estimate) for kind, c in found.items()}


def _scatter(observed: _Observed, predictor: _Predictor) -> Figure | None:
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


def _points_answer(observed: _Observed, found: dict[str, dict[str, Correlation]]) -> str:
    count, what = len(observed.points), observed.what
    if count < 3:
        return f"A correlation needs three operating points; there {'is' if count == 1 else 'are'} {count}."
    known = [p for p in observed.predictors[:-1] if math.isfinite(found[p.name]["spearman"].estimate.value)]
    if not known:
        flat = np.ptp(observed.values[np.isfinite(observed.values)]) == 0
        return f"{what if flat else 'Every similarity'} is the same at all points: there is nothing to correlate."
    known.sort(key=lambda p: -found[p.name]["spearman"].estimate.value)
    best, estimate = known[0], found[known[0].name]["spearman"].estimate
    points = found[best.name]["spearman"].points
    if estimate.low is None:
        return f"{points} operating points are too few for an interval: {best.title} has Spearman {in_words(estimate)} with {what}."
    said = _verdict(
        {p.title: found[p.name]["spearman"].estimate for p in known},
        {p.title: observed.less(best, p) for p in known[1:]},
        found["rate"]["spearman"].estimate,
        observed.less(best, observed.predictors[-1]),
        goes=f"goes best with {what} over {points} operating points",
        nobody=f"No similarity is sure to go with {what} over {points} operating points",
        rate_alone="the rate alone",
        statistic="Spearman",
    )
    left = {p.title: found[p.name][f"spearman{_GIVEN}"].estimate for p in known}
    sure = [f"{title} ({_spoken(e)})" for title, e in left.items() if _above(e, 0)]
    if sure:
        said += f" At equal rate {_and(sure)} still {'go' if len(sure) > 1 else 'goes'} with it."
    elif all(math.isnan(e.value) for e in left.values()):
        said += " All is in the order of the rate, so there is nothing to see at equal rate."
    else:
        said += f" At equal rate {'none is' if len(left) > 1 else 'it is not'} sure to."
    return said + (f" {points} points are few: read the intervals, not the order." if points < FEW else "")


def _verdict(
    estimates: dict[str, Estimate],
    less: dict[str, Estimate],
    of_rate: Estimate,
    less_rate: Estimate,
    *,
    goes: str,
    nobody: str,
    rate_alone: str,
    statistic: str,
    chance: float = 0.0,
) -> str:
    """Who is best, who cannot be told from it, who is surely wrong. estimates: the best's first. less, less_rate: the
    best's less another's, the rate's."""
    best = next(iter(estimates))
    shown = f"{statistic} {_spoken(estimates[best])}{f'; chance is {_digits(chance)}' if chance else ''}"
    rate_first = f"{rate_alone[0].upper()}{rate_alone[1:]}"
    if not _above(estimates[best], chance):
        said = f"{nobody}: {best} is nearest ({shown})."
        said += f" {rate_first} is ({_spoken(of_rate)})." if _above(of_rate, chance) else ""
    else:
        behind_rate = less_rate.high is not None and less_rate.high < 0
        level = [title for title, e in less.items() if not _above(e, 0)]
        level += (
            [rate_alone] if not (behind_rate or _above(less_rate, 0) or math.isnan(less_rate.value)) else []
        )
        said = f"{best} {goes} ({shown})"
        said += (
            f"; {_and(level)} cannot be told from it."
            if level
            else "."
            if behind_rate
            else ", ahead of all else."
        )
        if behind_rate:
            said += f" {rate_first} does better ({_spoken(of_rate)})."
        elif level and _above(less_rate, 0):
            said += f" It is ahead of {rate_alone} ({_spoken(of_rate)})."
    wrong = [f"{t} ({_spoken(e)})" for t, e in estimates.items() if e.high is not None and e.high < chance]
    return said + (f" Surely the wrong way round: {_and(wrong)}." if wrong else "")


def _above(estimate: Estimate, level: float) -> bool:
    return estimate.low is not None and estimate.low > level


@dataclass(frozen=True, eq=False)
class _Losses:
    """Within a study's points: losses, (samples,) each, and how each predictor ranks them, None where it cannot.

    found: the similarities first, the best on average foremost, the rate last.
    """

    study: _Study
    losses: list[np.ndarray | None]
    found: dict[str, list[Within | None]]
    titles: dict[str, str]

    @property
    def statistic(self) -> str:
        return "AUROC" if self.study.group.score.binary else "Spearman"

    @property
    def lose(self) -> str:
        score = self.study.group.score
        if not score.binary:
            return f"lose {score.title}"
        return "change their answer" if score.fidelity else "lose their right answer"

    def mean(self, name: str) -> Within:
        return mean_within([part for part in self.found[name] if part])

    def less(self, one: str, other: str) -> Estimate:
        """The mean of one less that of another, over the points that have both."""
        pairs = zip(self.found[one], self.found.get(other, []), strict=False)
        both = [(a, b) for a, b in pairs if a and b]
        return mean_within([a for a, _ in both]).less(mean_within([b for _, b in both])) if both else _UNKNOWN


def _within_sections(study: _Study) -> list[Section]:
    """Which samples lose: by each similarity on average, and point by point. None where nobody loses."""
    group = study.group
    losses = [
        _loss(group, point) if each else None for point, each in zip(study.points, study.each, strict=True)
    ]
    of = auroc if group.score.binary else loss_correlation
    found: dict[str, list[Within | None]] = {}
    for name, sign in (*((s.column, _sign(s)) for s in study.measures), ("rate", 1)):
        pairs = zip(losses, study.each, strict=True)
        parts = [
            of(sign * each[name], loss) if loss is not None and name in each else None for loss, each in pairs
        ]
        if any(parts):
            found[name] = parts
    if not found.keys() - {"rate"}:
        return []
    means = {name: mean_within([part for part in parts if part]).value for name, parts in found.items()}
    order = sorted(found, key=lambda name: (name == "rate", -means[name]))
    titles = {s.column: s.title for s in study.measures} | {"rate": "log rate"}
    within = _Losses(study, losses, {name: found[name] for name in order}, titles)
    return [_means_section(within), _point_by_point(within)]


def _nothing_within(study: _Study) -> str:
    if any(study.each):
        return "Within operating points nothing can be said: no sample lost anything, or all lost the same."
    return (
        "Within operating points nothing can be said: the samples that were coded are not those with answers."
    )


def _loss(group: Group, point: Point) -> np.ndarray | None:
    """(samples,): of right and wrong 1 where a right answer was lost, 0 where it was kept, NaN where there was none;
    else by how much it is worse than on the original. None where the originals have no scores."""
    score, now = group.score, point.each[group.score.key]
    if score.fidelity:  # what the original's is by definition, or may be taken for
        before = np.ones(len(now)) if score.binary else np.zeros(len(now))
    elif group.baseline is None:
        return None
    else:
        before = group.baseline.each[score.key]
    if score.binary:
        return np.where((before == 1) & np.isfinite(now), 1 - now, np.nan)
    return _even((now - before) if score.lower_is_better else (before - now))


def _even(differences: np.ndarray) -> np.ndarray:
    """Without rounding, by which equal differences would be ranked."""
    return np.round(differences, 12)


def _means_section(within: _Losses) -> Section:
    statistic, rows, data = within.statistic, [], []
    for name, parts in within.found.items():
        mean, less = within.mean(name), _UNKNOWN if name == "rate" else within.less(name, "rate")
        of = [part for part in parts if part]
        losses, lost = sum(int(part.lost.sum()) for part in of), int(mean.lost.sum())
        rows.append(
            {
                "predictor": within.titles[name],
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
        within.study.title("within operating points"),
        _within_answer(within),
        Table(columns, rows, group="band"),
        notes=_within_notes(within.study.group),
        data=data,
    )


def _within_answer(within: _Losses) -> str:
    best, *others = (name for name in within.found if name != "rate")
    with_rate = "rate" in within.found
    said = _verdict(
        {within.titles[name]: within.mean(name).estimate for name in (best, *others)},
        {within.titles[name]: within.less(best, name) for name in others},
        within.mean("rate").estimate if with_rate else _UNKNOWN,
        within.less(best, "rate"),
        goes=f"best foretells which samples of an operating point {within.lose}",
        nobody=f"No similarity is sure to foretell which samples of an operating point {within.lose}",
        rate_alone="a sample's own rate",
        statistic=within.statistic,
        chance=0.5 if within.study.group.score.binary else 0.0,
    )
    lost = int(within.mean(best).lost.sum())
    return said + (f" All that rests on {lost} sample{'s' * (lost != 1)}." if lost < FEW else "")


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


def _point_by_point(within: _Losses) -> Section:
    study, statistic, rows = within.study, within.statistic, []
    data: list[dict[str, Any]] = []
    for place, (point, loss) in enumerate(zip(study.points, within.losses, strict=True)):
        if loss is None:
            continue
        lost, known = int((loss > 0).sum()), int(np.isfinite(loss).sum())
        parts = {n: part.estimate for n, of in within.found.items() if (part := of[place])}
        head = {"codec": point.codec, "setting": point.spec, "rate": rate(point.rate.value)}
        shown = {f"by {name}": in_words(estimate) for name, estimate in parts.items()}
        rows.append({**head, "lost": f"{lost} of {known}", **shown})
        head = {**study.head, "over": "samples of a point", "codec": point.codec, "setting": point.setting}
        numbers = {study.group.rate.key: point.rate.value, "lost": lost, "kept": known - lost}
        data.append({**head, **numbers, statistic.lower(): {n: asdict(e) for n, e in parts.items()}})
    most, best = max(range(len(data)), key=lambda i: data[i]["lost"]), next(iter(within.found))
    answer = f"Most samples {within.lose} at {rows[most]['setting']}: {rows[most]['lost']}."
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
        study.title("point by point"), answer, Table(columns, rows, group="codec"), notes=notes, data=data
    )


def in_words(estimate: Estimate) -> str:
    """``.62 (.10–.85)``, ``.12 (−.55…+.38)``; nothing for NaN."""
    value, low, high = estimate.value, estimate.low, estimate.high
    if math.isnan(value):
        return ""
    if low is None or high is None:
        return _digits(value)
    start, end = ({"1.00": "1", ".00": "0"}.get(text, text) for text in (_digits(low), _digits(high)))
    return f"{_digits(value)} ({start}{'–' if low >= 0 else '…' if high <= 0 else '…+'}{end})"


def _spoken(estimate: Estimate) -> str:
    """The same for a sentence, where it stands in brackets itself: ``.62, .10–.85``."""
    return in_words(estimate).replace(" (", ", ").removesuffix(")")


def _digits(value: float) -> str:
    """Two of them: .62, −.55, 1.00."""
    text = f"{abs(value):.2f}"
    sign = "−" if value < 0 and float(text) else ""
    return sign + (text[1:] if text.startswith("0") else text)


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _sign(measure: Similarity) -> int:
    return 1 if measure.better == "higher" else -1
