"""What correlations are taken of: the operating points of a data set and model, and the samples of each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mpq.correlation.statistics import FEWEST, Correlation, Kind, correlation, point_draws
from mpq.errors import UserError
from mpq.rows import column
from mpq.summary import Cell, Group, Point, summarize
from mpq.tasks.base import Score
from reports.stats import Estimate, percentile_interval

if TYPE_CHECKING:
    import pyarrow as pa

UNKNOWN = Estimate(math.nan)

GIVEN = "_at_equal_rate"
"""What a figure's name ends in where the log rate is given."""


@dataclass(frozen=True, eq=False)
class Measure:
    """What may foretell a loss: a similarity, or a distance that the task's own model has seen.

    column: of the rows. unit: "dB" is said on axes. sign: −1 where higher is less alike.
    """

    column: str
    title: str
    unit: str
    sign: int


@dataclass(frozen=True, eq=False)
class Study:
    """A group's operating points but the originals, and how alike each sample is at them.

    each: for each point, column -> (samples,), and ``rate`` -> each one's own; empty where not all samples were coded,
    so that the answers of some are about others. left_out: sentences.
    """

    group: Group
    points: list[Point]
    measures: list[Measure]
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


def studies_of(cells: Iterable[Cell], max_failures: float) -> list[Study]:
    """One a data set and model that has any measure. cells: of one or several runs, as ``Store.read`` gives them.

    Raises UserError where none has.
    """
    # The points' own intervals and confidence are not asked for here.
    groups = summarize(cells, drops=(), resamples=100)
    studies = [_study(group, max_failures) for group in groups]
    if not any(study.points for study in studies):
        raise UserError("no setting has samples with answers, so there is nothing to correlate")
    if not any(study.measures for study in studies):
        raise UserError(
            "no similarity was measured here: sweep again with --similarity, e.g. psnr,ssim,st-lpips"
        )
    return [study for study in studies if study.measures]


def _study(group: Group, max_failures: float) -> Study:
    points, each, left_out = [], [], []
    for point in (p for p in group.points if not p.is_baseline):
        if not point.samples or point.too_many_failures(max_failures):
            left_out.append(f"{point.spec} is left out: too many samples failed.")
            continue
        _, table = group.rows[point.spec]
        all_coded = point.samples + point.failed + point.unreadable == table.num_rows
        points.append(point)
        each.append(_each(group, table) if all_coded else {})
    known = {name for point in points for name in alike(group, point)}
    return Study(group, points, [m for m in _measures(group) if m.column in known], each, left_out)


def _measures(group: Group) -> list[Measure]:
    """The similarities of what is coded, then distances of features, which cost nothing."""
    similarities = group.medium.similarities.values()
    return [
        *(Measure(s.column, s.title, s.unit, 1 if s.better == "higher" else -1) for s in similarities),
        *(Measure(s.key, s.title, s.unit, -1) for s in _distances(group)),
    ]


def _distances(group: Group) -> list[Score]:
    return [score for score in group.scores[1:] if score.unit == "distance"]


def alike(group: Group, point: Point) -> Mapping[str, Estimate]:
    """Column -> its mean at the point, of those that are known."""
    distances = {s.key: point.scores[s.key] for s in _distances(group)}
    return {**point.similarity, **{key: e for key, e in distances.items() if math.isfinite(e.value)}}


def _each(group: Group, table: pa.Table) -> dict[str, np.ndarray]:
    """table: of one setting."""
    rate = {"rate": column(table, "bits") / group.rate.extent(table)}
    measured = {m.column: column(table, m.column) for m in _measures(group)}
    return rate | {name: values for name, values in measured.items() if not np.isnan(values).all()}


@dataclass(frozen=True, eq=False)
class Predictor:
    """name: in JSON. sign: −1 where higher is less alike. values: (points,), NaN where it is not known."""

    name: str
    title: str
    sign: int
    values: np.ndarray
    axis: str = ""


@dataclass(frozen=True, eq=False)
class Observed:
    """The operating points of a study, or of several whose score is one: then its change from the originals, as these
    differ, is what is to be foretold."""

    studies: list[Study]

    @property
    def group(self) -> Group:
        return self.studies[0].group

    @property
    def points(self) -> list[tuple[Study, Point]]:
        return [(study, point) for study in self.studies for point in study.points]

    @cached_property
    def scores(self) -> np.ndarray:
        return np.array([point.scores[self.group.score.key].value for _, point in self.points])

    @cached_property
    def changes(self) -> np.ndarray:
        """(points,), on the same samples; NaN where it is not known."""
        known = (point.changes.get(self.group.score.key) for _, point in self.points)
        return even(np.array([change.difference.value if change else math.nan for change in known]))

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
    def predictors(self) -> list[Predictor]:
        """The rate last."""
        known = {measure.column: measure for study in self.studies for measure in study.measures}
        found = []
        for name, measure in known.items():
            values = np.array(
                [alike(study.group, point).get(name, UNKNOWN).value for study, point in self.points]
            )
            unit = ", dB" if measure.unit == "dB" else ""
            better = "higher" if measure.sign > 0 else "lower"
            axis = f"{measure.title}{unit} ({better} is more alike)"
            found.append(Predictor(name, measure.title, measure.sign, values, axis))
        return [*found, Predictor("rate", "log rate", 1, self.log_rates)]

    def there(self, predictor: Predictor) -> np.ndarray:
        return np.isfinite(predictor.values) & np.isfinite(self.values)

    def correlated(
        self,
        kind: Kind,
        predictor: Predictor,
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

    def less(self, one: Predictor, other: Predictor) -> Estimate:
        """Spearman of one less that of another, over the points that have both, on the same draws."""
        both = self.there(one) & self.there(other)
        a, b = (self.correlated("spearman", p, both) for p in (one, other))
        draws, difference = a.draws - b.draws, a.estimate.value - b.estimate.value
        if a.points < FEWEST or not np.isfinite(draws).any():
            return Estimate(difference)
        return Estimate(difference, *percentile_interval(draws))


def even(differences: np.ndarray) -> np.ndarray:
    """Without rounding, by which equal differences would be ranked."""
    return np.round(differences, 12)
