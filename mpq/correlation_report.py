"""``mpq correlate``: how well each similarity foretells what a model loses, as sections of a report.

A similarity that only follows the rate says little, so the rate stands beside them as one more predictor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

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


def correlation_sections(cells: Iterable[Cell], *, max_failures: float = 0.01) -> list[Section]:
    """For each data set and model: over operating points, and within them; then over points of all groups of a task.

    cells: of one or several runs, as ``Store.read`` gives them. Raises UserError where no similarity was measured.
    """
    studies = [study for held in _by_group(cells) for study in _studies(held, max_failures)]
    if not any(study.measures for study in studies):
        raise UserError("no similarity was measured here: sweep again with --similarity, e.g. psnr,ssim,st-lpips")
    studies = [study for study in studies if study.measures]
    sections = []
    for study in studies:
        sections.append(_points_section(_observed(study)))
        sections += _within_sections(study)
    together: dict[tuple[str, str, str], list[_Study]] = {}
    for study in studies:
        together.setdefault((study.group.task, study.group.view, study.group.score.key), []).append(study)
    pooled = (_pooled(held) for held in together.values() if len(held) > 1)
    return sections + [_points_section(observed) for observed in pooled if observed is not None]


@dataclass(frozen=True, eq=False)
class _Study:
    """A group's operating points without the originals, and what each sample's similarity is at them.

    each: for each point, column -> (samples,), and ``rate`` -> each one's own; empty where not all samples were coded,
    so that the answers of some are about others.
    """

    group: Group
    points: list[Point]
    measures: list[Similarity]
    each: list[dict[str, np.ndarray]]
    left_out: list[str]


def _by_group(cells: Iterable[Cell]) -> list[list[Cell]]:
    """The cells of each data set and model, as ``summarize`` has them."""
    held: dict[str, list[Cell]] = {}
    for identity, table in cells:
        shared = [identity[key] for key in ("task", "dataset", "model", "targets")]
        held.setdefault(json.dumps(shared, sort_keys=True), []).append((identity, table))
    return list(held.values())


def _studies(cells: list[Cell], max_failures: float) -> list[_Study]:
    newest_first = sorted(cells, key=lambda cell: cell[0]["rows"], reverse=True)
    tables: dict[tuple[str, str], list[pa.Table]] = {}
    for _, table in newest_first:
        spelled = (table.column("codec")[0].as_py(), table.column("setting")[0].as_py())
        tables.setdefault(spelled, []).append(table)
    # The points' own intervals and confidence are not asked for here.
    return [_study(group, tables, max_failures) for group in summarize(cells, drops=(), resamples=100)]


def _study(group: Group, tables: dict[tuple[str, str], list[pa.Table]], max_failures: float) -> _Study:
    points, each, left_out = [], [], []
    for point in group.points:
        if point.is_baseline:
            continue
        if not point.samples or point.too_many_failures(max_failures):
            left_out.append(f"{point.spec} is left out: too many samples failed.")
            continue
        points.append(point)
        held = tables[point.codec, point.setting]
        coded = point.samples + point.failed + point.unreadable == held[0].num_rows
        each.append(_each(group, held) if coded else {})
    measured = {c for point in points for c in point.similarity}
    measures = [s for s in group.medium.similarities.values() if s.column in measured]
    return _Study(group, points, measures, each, left_out)


def _each(group: Group, tables: list[pa.Table]) -> dict[str, np.ndarray]:
    """tables: of one setting, made anew, say, for another similarity; the newest first."""
    found = {"rate": column(tables[0], "bits") / group.rate.extent(tables[0])}
    for name in (s.column for s in group.medium.similarities.values()):
        known = (column(table, name) for table in tables)
        values = next((v for v in known if not np.isnan(v).all()), None)
        if values is not None:
            found[name] = values
    return found


@dataclass(frozen=True, eq=False)
class _Predictor:
    """name: in JSON. sign: −1 where higher is less alike. values: (points,), NaN where it is not known."""

    name: str
    title: str
    sign: int
    values: np.ndarray
    x_title: str = ""


@dataclass(frozen=True, eq=False)
class _Observed:
    """Operating points. what: that is to be foretold. goodness: (points,) of it, higher is better; shown: of figures.

    log_rates: (points,). units: what each one is drawn with. names: its codec, or its group. changes: (points,), where
    they are asked for beside the score.
    """

    title: str
    head: dict[str, Any]
    what: str
    goodness: np.ndarray
    shown: np.ndarray
    shown_title: str
    log_rates: np.ndarray
    measures: list[_Predictor]
    units: list[tuple[str, ...]]
    names: list[str]
    notes: list[str]
    changes: np.ndarray | None = None

    @cached_property
    def times(self) -> np.ndarray:
        return point_draws(self.units)

    @property
    def predictors(self) -> list[_Predictor]:
        return [*self.measures, _Predictor("rate", "log rate", 1, self.log_rates)]

    def there(self, predictor: _Predictor) -> np.ndarray:
        return np.isfinite(predictor.values) & np.isfinite(self.goodness) & np.isfinite(self.log_rates)

    def correlated(
        self,
        kind: Kind,
        predictor: _Predictor,
        *,
        at_equal_rate: bool = False,
        within: np.ndarray | None = None,
        goodness: np.ndarray | None = None,
    ) -> Correlation:
        there = self.there(predictor) if within is None else within
        y = self.goodness if goodness is None else goodness
        return correlation(
            kind,
            predictor.sign * predictor.values[there],
            y[there],
            self.times[:, there],
            given=self.log_rates[there] if at_equal_rate else None,
            units=len({unit for unit, is_there in zip(self.units, there, strict=True) if is_there}),
        )

    def less(self, one: _Predictor, other: _Predictor) -> Estimate:
        """Spearman of one less that of another, over the points that have both, on the same draws."""
        both = self.there(one) & self.there(other)
        a, b = (self.correlated("spearman", p, within=both) for p in (one, other))
        draws, difference = a.draws - b.draws, a.estimate.value - b.estimate.value
        if a.points < FEWEST or not np.isfinite(draws).any():
            return Estimate(difference)
        return Estimate(difference, *percentile_interval(draws))


def _observed(study: _Study) -> _Observed:
    group, score = study.group, study.group.score
    sign = -1 if score.lower_is_better else 1
    values = np.array([point.scores[score.key].value for point in study.points])
    changes = _changes(study)
    return _Observed(
        _title(group, "similarity over operating points"),
        _head(group),
        score.title,
        sign * values,
        score.scale * values,
        f"{score.title}{_mark(group)}",
        np.log([point.rate.value for point in study.points]),
        _measures([study]),
        [(point.spec,) for point in study.points],
        [point.codec for point in study.points],
        study.left_out,
        None if changes is None else sign * changes,
    )


def _pooled(studies: list[_Study]) -> _Observed | None:
    """Groups with one score: changes from each one's own originals, as these differ. None where that is not known."""
    group, score = studies[0].group, studies[0].group.score
    sign = -1 if score.lower_is_better else 1
    parts = [_changes(study) for study in studies]
    changes = [part for part in parts if part is not None]
    by_definition = score.fidelity and len(changes) < len(studies)  # then the originals' is the same for all
    if by_definition:
        changes = [np.array([p.scores[score.key].value for p in study.points]) for study in studies]
    if len(changes) < len(studies):
        return None
    values = np.concatenate(changes)
    what = score.title if by_definition else f"change of {score.title}"
    points = [(study, point) for study in studies for point in study.points]
    head = {key: _head(group)[key] for key in ("task", "view", "score")}
    return _Observed(
        " · ".join(filter(None, [group.task, group.view, f"{len(studies)} groups", "similarity over their points"])),
        head | {"groups": [{k: _head(s.group)[k] for k in ("dataset", "model")} for s in studies]},
        what,
        sign * values,
        score.scale * values,
        f"{what}{_mark(group) if by_definition else ', points' if score.unit == 'share' else ', dB'}",
        np.log([point.rate.value for _, point in points]),
        _measures(studies),
        [(study.group.dataset, point.spec) for study, point in points],
        [f"{study.group.dataset} · {study.group.model}" for study, _ in points],
        ["Pooled over groups; models that answered on the same decodes are drawn together, and count as one point."],
    )


def _changes(study: _Study) -> np.ndarray | None:
    """(points,): the score less the original's on the same samples; None where any is not known."""
    changes = [point.changes.get(study.group.score.key) for point in study.points]
    known = [change.difference.value for change in changes if change is not None]
    return np.array(known) if len(known) == len(changes) else None


def _measures(studies: list[_Study]) -> list[_Predictor]:
    known = {measure.column: measure for study in studies for measure in study.measures}
    points = [point for study in studies for point in study.points]
    nothing = Estimate(math.nan)
    return [
        _Predictor(
            name,
            measure.title,
            _sign(measure),
            np.array([point.similarity.get(name, nothing).value for point in points]),
            f"{measure.title}{', dB' if measure.unit == 'dB' else ''} ({measure.better} is more alike)",
        )
        for name, measure in known.items()
    ]


def _points_section(observed: _Observed) -> Section:
    figures: list[Figure] = [
        figure for p in observed.measures if (figure := _scatter(observed, p)) is not None
    ]
    wanted: list[tuple[str, str, int, Callable[[_Predictor], Correlation]]] = [
        ("spearman", "Spearman", 0, lambda p: observed.correlated("spearman", p)),
        (
            "spearman_at_equal_rate",
            "at equal rate",
            1,
            lambda p: observed.correlated("spearman", p, at_equal_rate=True),
        ),
        ("pearson", "Pearson", 2, lambda p: observed.correlated("pearson", p)),
        ("kendall", "Kendall", 3, lambda p: observed.correlated("kendall", p)),
        (
            "pearson_at_equal_rate",
            "Pearson at equal rate",
            4,
            lambda p: observed.correlated("pearson", p, at_equal_rate=True),
        ),
    ]
    found: dict[str, dict[str, Correlation]] = {}
    for p in observed.predictors:
        kinds = [w for w in wanted if p.name != "rate" or "rate" not in w[0]]
        found[p.name] = {name: of(p) for name, _, _, of in kinds}
    columns = [Column("predictor", "similarity", right=False)]
    columns += [Column(name, f"{title} (95 %)", rank) for name, title, rank, _ in wanted]
    if len({of["spearman"].points for of in found.values()}) > 1:
        columns.append(Column("points", "points", 1))
    rows, data = [], []
    for p in observed.predictors:
        of = found[p.name]
        points = of["spearman"].points
        shown = {name: in_words(c.estimate) for name, c in of.items()}
        rows.append({"predictor": p.title, "points": str(points), "band": str(p.name == "rate"), **shown})
        figures_of = {name: asdict(c.estimate) for name, c in of.items()}
        row = {**observed.head, "over": "points", "predictor": p.name, "points": points, **figures_of}
        if observed.changes is not None:
            there = observed.there(p) & np.isfinite(observed.changes)
            row["change"] = {
                kind: asdict(observed.correlated(kind, p, within=there, goodness=observed.changes).estimate)
                for kind in KINDS
            }
        data.append(row)
    return Section(
        observed.title,
        _points_answer(observed, found),
        Table(columns, rows, group="band"),
        notes=[*_POINTS_NOTES, *_points_left_out(observed), *observed.notes],
        data=data,
        figures=figures,
    )


_POINTS_NOTES = (
    "+: more alike, better score, whichever way each counts. Spearman and Kendall (tau-b) ask for the order alone, "
    "Pearson for a line. At equal rate: partial Spearman, given the log rate. Last row: the rate as a predictor.",
    "Intervals: bootstrap over points, or Fisher's (Bonett-Wright, Fieller) where that reaches farther, since few "
    "points in one order look certain to a bootstrap. Settings are chosen, not drawn: read them as 'for settings "
    "like these', over the same samples.",
)


def _points_left_out(observed: _Observed) -> list[str]:
    lacking = {p.title: int((~np.isfinite(p.values)).sum()) for p in observed.measures}
    said = [f"{title} at {count}" for title, count in lacking.items() if count]
    return [f"Points without a finite mean, or where it was not measured: {_and(said)}."] if said else []


def _scatter(observed: _Observed, predictor: _Predictor) -> Scatter | None:
    there = observed.there(predictor)
    if not there.any():
        return None
    clouds: dict[str, list[tuple[float, float]]] = {}
    for name, x, y, shown in zip(observed.names, predictor.values, observed.shown, there, strict=True):
        if shown:
            clouds.setdefault(name, []).append((float(x), float(y)))
    return Scatter(
        f"{predictor.title} and {observed.what}",
        predictor.x_title,
        observed.shown_title,
        {"": [Cloud(name, points) for name, points in clouds.items()]},
        note="A mark is an operating point: its mean similarity, and its score.",
    )


def _points_answer(observed: _Observed, found: dict[str, dict[str, Correlation]]) -> str:
    count, what = len(observed.names), observed.what
    if count < 3:
        have = "there is 1" if count == 1 else f"there are {count or 'none'}"
        return f"A correlation needs three operating points; {have}."
    known = [p for p in observed.measures if math.isfinite(found[p.name]["spearman"].estimate.value)]
    if not known:
        flat = np.ptp(observed.goodness) == 0
        return f"{what} is the same at all points" * flat + "No similarity differs between points" * (not flat) + "."
    best = max(known, key=lambda p: found[p.name]["spearman"].estimate.value)
    estimate = found[best.name]["spearman"].estimate
    of = found[best.name]["spearman"].points
    if estimate.low is None:
        return f"{of} operating points are too few for an interval: {best.title} has {_bare(estimate)} with {what}."
    points = f"{of} operating points"
    said = _lead(
        f"{best.title} goes best with {what} over {points} (Spearman {in_words(estimate)})",
        f"No similarity is sure to go with {what} over {points}: {best.title} is nearest (Spearman {in_words(estimate)})",
        estimate.low > 0,
        [(p.title, observed.less(best, p)) for p in known if p is not best],
        observed.less(best, observed.predictors[-1]),
    )
    left = [(p, found[p.name]["spearman_at_equal_rate"].estimate) for p in known]
    sure = [f"{p.title} ({in_words(e)})" for p, e in left if e.low is not None and e.low > 0]
    if sure:
        said += f" At equal rate {_and(sure)} still {'go' if len(sure) > 1 else 'goes'} with it."
    elif all(math.isnan(e.value) for _, e in left):
        said += " They follow the rate, so nothing is left to see at equal rate."
    else:
        said += f" At equal rate {'none is' if len(left) > 1 else 'it is not'} sure to."
    return said + (f" {of} points are few: read the intervals, not the order." if of < FEW else "")


def _lead(
    best: str, nobody: str, sure: bool, others: Sequence[tuple[str, Estimate]], by_rate: Estimate
) -> str:
    """Who is best and who cannot be told from it. others, by_rate: the best's value less theirs."""
    if not sure:
        return f"{nobody}."
    level = [title for title, less in others if less.low is None or less.low <= 0]
    ahead_of_rate = by_rate.low is not None and by_rate.low > 0
    behind_rate = by_rate.high is not None and by_rate.high < 0
    if not ahead_of_rate and not behind_rate and not math.isnan(by_rate.value):
        level.append("the rate alone")
    said = f"{best}; {_and(level)} cannot be told from it." if level else f"{best}, ahead of all others."
    if behind_rate:
        said = (said if level else f"{best}.") + " The rate alone does better."
    elif ahead_of_rate and level:
        said += " It is ahead of the rate alone."
    return said


def _within_sections(study: _Study) -> list[Section]:
    """Which samples lose: by each similarity on average, and point by point. None where nobody loses."""
    group = study.group
    losses = [_loss(group, point) if each else None for point, each in zip(study.points, study.each, strict=True)]
    predictors = [*((s.column, s.title, _sign(s)) for s in study.measures), ("rate", "log rate", 1)]
    of = auroc if group.score.binary else loss_correlation
    found: dict[str, list[Within | None]] = {
        name: [
            None if loss is None or name not in each else of(sign * each[name], loss)
            for loss, each in zip(losses, study.each, strict=True)
        ]
        for name, _, sign in predictors
    }
    titles = {name: title for name, title, _ in predictors if any(found[name])}
    if not titles.keys() - {"rate"}:
        return []
    means = {name: mean_within([part for part in found[name] if part]) for name in titles}
    order = sorted(titles, key=lambda name: (name == "rate", -means[name].value))
    return [
        _means_section(study, order, titles, means, found),
        _point_by_point(study, order, titles, found, losses),
    ]


def _loss(group: Group, point: Point) -> np.ndarray | None:
    """(samples,): of right and wrong 1 where a right answer was lost, 0 where it was kept, NaN where there was none;
    else how much worse than on the original."""
    score, baseline = group.score, group.baseline
    now = point.each[score.key]
    if score.binary:
        before = np.ones(len(now)) if score.fidelity else None if baseline is None else baseline.each[score.key]
        return None if before is None else np.where((before == 1) & np.isfinite(now), 1 - now, np.nan)
    if score.fidelity:  # the original's is one for all, if only infinitely good
        before = np.zeros(len(now))
    elif baseline is None:
        return None
    else:
        before = baseline.each[score.key]
    return (now - before) if score.lower_is_better else (before - now)


def _statistic(group: Group) -> str:
    return "AUROC" if group.score.binary else "Spearman"


def _means_section(
    study: _Study,
    order: list[str],
    titles: dict[str, str],
    means: dict[str, Within],
    found: dict[str, list[Within | None]],
) -> Section:
    statistic = _statistic(study.group)
    columns = [
        Column("predictor", "similarity", right=False),
        Column("mean", f"{statistic}, mean (95 %)"),
        Column("less", "less log rate's (95 %)", 1),
        Column("points", "points", 2),
        Column("times", "losses", 2),
        Column("samples", "samples that lose", 3),
    ]
    rows, data = [], []
    for name in order:
        mean, parts = means[name], [part for part in found[name] if part]
        times, lost = sum(int(part.lost.sum()) for part in parts), int(mean.lost.sum())
        less = None if name == "rate" else _less(found, name, "rate")
        rows.append(
            {
                "predictor": titles[name],
                "mean": in_words(mean.estimate),
                "less": in_words(less) if less else "",
                "points": str(len(parts)),
                "times": str(times),
                "samples": f"{lost} of {int((mean.lost | mean.kept).sum())}",
                "band": str(name == "rate"),
            }
        )
        data.append(
            {
                **_head(study.group),
                "over": "samples",
                "predictor": name,
                "statistic": statistic.lower(),
                "mean": asdict(mean.estimate),
                "less_rate": asdict(less) if less else None,
                "points": len(parts),
                "losses": times,
                "samples_that_lose": lost,
            }
        )
    return Section(
        _title(study.group, "similarity within an operating point"),
        _within_answer(study, order, titles, means, found),
        Table(columns, rows, group="band"),
        notes=_within_notes(study.group),
        data=data,
    )


def _less(found: dict[str, list[Within | None]], one: str, other: str) -> Estimate | None:
    """The mean of one less that of another, over the points that have both."""
    both = [(a, b) for a, b in zip(found[one], found.get(other, []), strict=False) if a and b]
    if not both:
        return None
    return mean_within([a for a, _ in both]).less(mean_within([b for _, b in both]))


def _within_answer(
    study: _Study,
    order: list[str],
    titles: dict[str, str],
    means: dict[str, Within],
    found: dict[str, list[Within | None]],
) -> str:
    group, best = study.group, order[0]
    mean = means[best]
    estimate, chance = mean.estimate, 0.5 if group.score.binary else 0.0
    loses = _loses(group)
    unknown = Estimate(math.nan)
    statistic = f"{_statistic(group)} {in_words(estimate)}, chance {'.50' if chance else '0'}"
    said = _lead(
        f"Within an operating point {titles[best]} best foretells which samples {loses} ({statistic})",
        f"Within an operating point no similarity is sure to foretell which samples {loses}: "
        f"{titles[best]} is nearest ({statistic})",
        estimate.low is not None and estimate.low > chance,
        [(titles[name], _less(found, best, name) or unknown) for name in order[1:] if name != "rate"],
        _less(found, best, "rate") or unknown,
    )
    lost = int(mean.lost.sum())
    few = f" Only {lost} {'sample does' if lost == 1 else 'samples do'}." if lost < FEW else ""
    return said + few


def _loses(group: Group) -> str:
    if not group.score.binary:
        return f"lose {group.score.title}"
    return "change their answer" if group.score.fidelity else "lose their right answer"


def _within_notes(group: Group) -> list[str]:
    if group.score.binary:
        lost = (
            "the answer is another than on the original" if group.score.fidelity else "right on the original, wrong now"
        )
        return [
            f"Lost: {lost}. AUROC: how often a sample that lost is less alike than one that kept (ties half); of the "
            "log rate, how often it has fewer bits. Mean over points that have both, weighted by information (van "
            "Elteren's m n / (m + n + 1) of m lost and n kept).",
            "Intervals: Newcombe's, widened where DeLong's variance is larger; a sample counts once in a mean, at however "
            "many points it is lost. Differences: DeLong's, paired.",
        ]
    return [
        f"Spearman of how unlike a sample is with how much {group.score.title} it loses; of the log rate, with how few bits it has. Mean over "
        "points weighted by information: samples, less for those that lose equally.",
        "Intervals: Fisher's, widened where the infinitesimal jackknife's variance is larger; a sample counts once in a "
        "mean. Differences: jackknife, paired.",
    ]


def _point_by_point(
    study: _Study,
    order: list[str],
    titles: dict[str, str],
    found: dict[str, list[Within | None]],
    losses: list[np.ndarray | None],
) -> Section:
    group, statistic = study.group, _statistic(study.group)
    columns = [
        Column("setting", "setting", right=False),
        Column("rate", group.rate.title, 7),
        Column("lost", "lost", 0),
        *(Column(name, titles[name], 8 if name == "rate" else min(place, 6)) for place, name in enumerate(order)),
    ]
    rows, data = [], []
    for place, (point, loss) in enumerate(zip(study.points, losses, strict=True)):
        if loss is None:
            continue
        lost, known = int((loss > 0).sum()), int(np.isfinite(loss).sum())
        parts = {name: part.estimate for name in order if (part := found[name][place])}
        rows.append(
            {
                "codec": point.codec,
                "setting": point.spec,
                "rate": rate(point.rate.value),
                "lost": f"{lost} of {known}",
                **{name: in_words(estimate) for name, estimate in parts.items()},
            }
        )
        data.append(
            {
                **_head(group),
                "over": "samples of a point",
                "codec": point.codec,
                "setting": point.setting,
                group.rate.key: point.rate.value,
                "lost": lost,
                "kept": known - lost,
                statistic.lower(): {name: asdict(estimate) for name, estimate in parts.items()},
            }
        )
    most = max(data, key=lambda row: row["lost"])
    where = f"{most['codec']}:{most['setting']}" if most["setting"] else most["codec"]
    answer = f"Most samples {_loses(group)} at {where}: {most['lost']} of {most['lost'] + most['kept']}."
    if first := most[statistic.lower()].get(order[0]):
        answer += f" There {titles[order[0]]} has {statistic} {in_words(Estimate(**first))}."
    return Section(
        _title(group, "point by point"),
        answer,
        Table(columns, rows, group="codec"),
        notes=[f"{statistic} (95 %) of each similarity at each setting; none where nobody lost, or all did."],
        data=data,
    )


def in_words(estimate: Estimate) -> str:
    """``.62 (.10–.85)``, ``.12 (−.55…+.38)``; nothing for NaN."""
    value, low, high = estimate.value, estimate.low, estimate.high
    if math.isnan(value):
        return ""
    if low is None or high is None:
        return _bare(estimate)
    if low < 0:
        return f"{_bare(estimate)} ({_digits(low)}…{'+' * (round(high, 2) > 0)}{_digits(high)})"
    return f"{_bare(estimate)} ({_digits(low)}–{_digits(high)})"


def _bare(estimate: Estimate) -> str:
    return _digits(estimate.value)


def _digits(value: float) -> str:
    """Two of them: .62, −.55, 1.00."""
    text = f"{abs(value):.2f}"
    sign = "−" if value < 0 and float(text) else ""
    return sign + (text[1:] if text.startswith("0") else text)


T = TypeVar("T")


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _sign(measure: Similarity) -> int:
    return 1 if measure.better == "higher" else -1


def _mark(group: Group) -> str:
    return {"share": " %", "dB": ", dB"}.get(group.score.unit, "")


def _title(group: Group, what: str) -> str:
    return " · ".join(filter(None, [group.dataset, group.model, group.view, f"{group.samples} samples", what]))


def _head(group: Group) -> dict[str, Any]:
    return {
        "task": group.task,
        "view": group.view,
        "dataset": group.dataset,
        "model": group.model,
        "score": group.score.key,
    }
