"""From rows to the numbers that reports show: one point a cell, grouped by data set and model."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mpq.media import Medium, Rate
from mpq.registry import tasks
from mpq.rows import column
from mpq.tasks.base import Score, Task, View
from reports.resampling import Ratio, Statistic, confidence_of_loss_within, distributions
from reports.stats import (
    RESAMPLES,
    Estimate,
    clopper_pearson,
    confidence_of_drop_within,
    mcnemar_exact,
    paired_difference,
    percentile_interval,
    proportion,
)

if TYPE_CHECKING:
    import pyarrow as pa


Cell = tuple[dict[str, Any], "pa.Table"]
"""(identity, rows)"""


@dataclass(frozen=True)
class Change:
    """Score minus the baseline's on the same samples; p of McNemar's exact test, for right/wrong scores that are no
    fidelity. loss: what is worse by it."""

    difference: Estimate
    p: float | None
    loss: float


@dataclass(frozen=True, eq=False)
class Draws:
    """What a point's rate and its group's score were on each bootstrap draw of the samples: (resamples,) each.

    All points of a group saw the same draws.
    """

    rate: np.ndarray
    score: np.ndarray


@dataclass(frozen=True)
class Point:
    """One cell.

    samples: that were answered; scored: that have the group's score; trials: what errors are counted among, such as
    words, where the score counts any; failed: that have an error though their source could be read; unreadable:
    whose source could not. rate: Σ bits / Σ what the medium's rate is over; mean_rate: the mean of each sample's own;
    rates: the medium's others, likewise. saving: Σ bits of the stored files / Σ bits, over the same samples. kept: score /
    baseline's score. changes: per score. confidence: by how much may be lost, in what the score is shown in.
    similarity: means, over the samples that differ where it is infinite for others. exact: samples that were decoded
    without any loss. encode_ms, decode_ms: medians a sample. each: score -> every sample's own, NaN where it has none.
    parts: what the score is made of, by name: classes, say.
    """

    codec: str
    setting: str
    samples: int
    scored: int
    trials: int | None
    failed: int
    unreadable: int
    error: str | None
    rate: Estimate
    mean_rate: Estimate
    payload_rate: float
    rates: dict[str, float]
    scores: dict[str, Estimate]
    saving: float | None
    kept: Estimate | None
    changes: dict[str, Change]
    confidence: dict[float, float]
    similarity: dict[str, Estimate]
    exact: int
    parts: dict[str, float]
    encode_ms: float
    decode_ms: float
    draws: Draws = field(repr=False)
    each: dict[str, np.ndarray] = field(repr=False)

    @property
    def spec(self) -> str:
        return f"{self.codec}:{self.setting}" if self.setting else self.codec

    @property
    def is_baseline(self) -> bool:
        return self.codec == "none"

    def too_many_failures(self, max_failures: float) -> bool:
        return self.failed > max_failures * (self.samples + self.failed)


@dataclass(frozen=True)
class Group:
    """Points of one data set and model: the same samples throughout, so differences are paired.

    view: what was coded, where a task has several ways to look at that. scores: that the points have; the first
    is what the group is judged by. rows: setting, as points spell it -> the cell's identity and rows.
    """

    task: str
    medium: Medium
    view: str
    dataset: str
    model: str
    weights_sha256: str
    samples: int
    scores: tuple[Score, ...]
    points: list[Point]
    rows: dict[str, Cell] = field(repr=False)

    @property
    def score(self) -> Score:
        return self.scores[0]

    @property
    def rate(self) -> Rate:
        return self.medium.rate

    @property
    def baseline(self) -> Point | None:
        return next((p for p in self.points if p.is_baseline), None)

    @property
    def codecs(self) -> list[str]:
        return list(dict.fromkeys(p.codec for p in self.points if not p.is_baseline))

    def ladder(self, codec: str) -> list[Point]:
        """A codec's scored points, lowest rate first."""
        return sorted(
            (p for p in self.points if p.codec == codec and p.samples),
            key=lambda p: (p.rate.value, p.setting),
        )


def summarize(
    cells: Iterable[Cell],
    *,
    drops: tuple[float, ...] = (1.0,),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Group]:
    """Groups of points from finished cells. drops: losses whose confidence each point carries, in points or dB.

    Where two versions of a codec made the same setting, their points' settings say which; where data sets of one name
    differ in content, so do their names.
    """
    by_group: dict[str, dict[str, Cell]] = {}
    for identity, table in cells:
        shared = [identity[key] for key in ("task", "dataset", "model", "targets")]
        group = json.dumps(shared, sort_keys=True)
        codec = json.dumps(identity["codec"], sort_keys=True)
        held = by_group.setdefault(group, {}).get(codec)
        by_group[group][codec] = (identity, table) if held is None else _merged(held, (identity, table))
    held_by = [_told_apart(list(held.values())) for held in by_group.values()]
    names = Counter((cells[0][0]["task"]["name"], *_names(cells[0][1])) for cells in held_by)
    groups = []
    for cells in held_by:
        alike = names[(cells[0][0]["task"]["name"], *_names(cells[0][1]))] > 1
        content = f" ({cells[0][0]['dataset']['content'][:8]})" if alike else ""
        groups += _groups(cells, content, drops, resamples, seed)
    return sorted(groups, key=lambda g: (g.task, g.dataset, g.model))


def _names(table: pa.Table) -> tuple[str, str]:
    """Of its data set and its model."""
    return table.column("dataset")[0].as_py(), table.column("model")[0].as_py()


def _told_apart(cells: list[Cell]) -> list[Cell]:
    """With the codec's version in the setting where several versions made it."""
    import pyarrow as pa

    spelled = Counter(_spec(table) for _, table in cells)
    found = []
    for identity, table in cells:
        if spelled[_spec(table)] > 1:
            setting = table.column("setting")[0].as_py()
            text = f"{setting} [{identity['codec']['version']}]".strip()
            place = table.schema.get_field_index("setting")
            table = table.set_column(
                place, table.schema.field("setting"), pa.array([text] * table.num_rows, pa.string())
            )
        found.append((identity, table))
    return found


def _spec(table: pa.Table) -> str:
    codec, setting = (table.column(key)[0].as_py() for key in ("codec", "setting"))
    return f"{codec}:{setting}" if setting else codec


def _merged(one: Cell, other: Cell) -> Cell:
    """The same setting twice: the rows of the newer making, with the similarities that either has measured."""
    (identity, table), (_, older) = sorted((one, other), key=lambda cell: cell[0]["rows"], reverse=True)
    for measure in tasks.get(identity["task"]["name"])().medium.similarities.values():
        name = measure.column
        if name not in table.schema.names or name not in older.schema.names:
            continue
        if table.column(name).null_count == table.num_rows:
            table = table.set_column(table.schema.get_field_index(name), name, older.column(name))
    return identity, table


def _groups(
    cells: list[Cell], content: str, drops: tuple[float, ...], resamples: int, seed: int
) -> list[Group]:
    """A group for each of the task's views. content: what tells the data set from another of its name."""
    cells = sorted(cells, key=lambda cell: cell[0]["codec"]["name"] != "none")
    task = tasks.get(cells[0][0]["task"]["name"])()
    first = cells[0][1]
    groups = []
    for view in task.views(cells):
        scores, points = _points(task, view, cells, drops, resamples, seed)
        groups.append(
            Group(
                task.name,
                task.medium,
                view.title,
                _names(first)[0] + content,
                _names(first)[1],
                first.column("weights_sha256")[0].as_py(),
                first.num_rows,
                scores,
                sorted(points, key=lambda p: (not p.is_baseline, p.codec, p.rate.value, p.setting)),
                {_spec(table): (identity, table) for identity, table in cells},
            )
        )
    return groups


def _points(
    task: Task,
    view: View,
    cells: list[Cell],
    drops: tuple[float, ...],
    resamples: int,
    seed: int,
) -> tuple[tuple[Score, ...], list[Point]]:
    has_baseline = cells[0][0]["codec"]["name"] == "none"
    first = cells[0][1]
    # Without any score there are failures to report all the same.
    scores = tuple(
        s
        for s in task.scores
        if any(s.key in values and values[s.key].usable.any() for values in view.values)
    ) or tuple(s for s in task.scores if s.fidelity)
    nothing = Ratio.of(np.full(first.num_rows, np.nan))
    whole = [{score.key: values.get(score.key, nothing) for score in scores} for values in view.values]
    columns = _Columns()
    builders = [
        _PointBuilder(
            identity,
            table,
            filled,
            counted,
            (first, whole[0]) if has_baseline else None,
            scores,
            task,
            columns,
        )
        for (identity, table), filled, counted in zip(cells, whole, view.counted, strict=True)
    ]
    drawn = distributions(columns.statistics, first.num_rows, resamples=resamples, seed=seed)
    return scores, [builder.build(drawn, drops) for builder in builders]


class _Columns:
    """Collects figures over the same samples, to resample them all on the same draws."""

    def __init__(self) -> None:
        self.statistics: list[Statistic] = []

    def add(self, statistic: Statistic) -> int:
        self.statistics.append(statistic)
        return len(self.statistics) - 1

    def value(self, column: int) -> float:
        return self.statistics[column].value


@dataclass(frozen=True)
class _Pair:
    """A score and the baseline's, over the samples that have both, as columns."""

    before: Statistic
    after: Statistic
    columns: tuple[int, int]

    @property
    def difference(self) -> float:
        return self.after.value - self.before.value

    def unchanged(self) -> bool:
        """Whether no sample's is another."""
        return np.array_equal(self.before.each, self.after.each, equal_nan=True)


class _PointBuilder:
    """values: score -> its figure. counted: (samples,) whose rate counts. baseline: its rows and values."""

    def __init__(
        self,
        identity: dict[str, Any],
        table: pa.Table,
        values: dict[str, Statistic],
        counted: np.ndarray,
        baseline: tuple[pa.Table, dict[str, Statistic]] | None,
        scores: tuple[Score, ...],
        task: Task,
        columns: _Columns,
    ) -> None:
        medium = task.medium
        self.table = table
        self.parts = task.parts(identity, table)
        self.is_baseline = identity["codec"]["name"] == "none"
        self.scores = {score.key: score for score in scores}
        self.score = scores[0]
        self.columns = columns
        self.values = values
        self.answered = np.array([e is None for e in table.column("error").to_pylist()]) & counted
        bits = np.where(self.answered, column(table, "bits"), np.nan)
        extent = medium.rate.extent(table)
        self.rate = columns.add(Ratio.of(bits, extent))
        self.mean_rate = columns.add(Ratio.of(bits / extent))
        self.payload = Ratio.of(np.where(self.answered, column(table, "payload_bits"), np.nan), extent)
        self.others = {r.key: Ratio.of(bits, r.extent(table)) for r in medium.rates[1:]}
        self.saving = None if baseline is None else Ratio.of(column(baseline[0], "bits"), bits)
        self.score_columns = {key: columns.add(v) for key, v in values.items()}
        measured = {
            s.column: np.where(self.answered, column(table, s.column), np.nan)
            for s in medium.similarities.values()
        }
        self.exact = int(sum(np.isposinf(np.stack(list(measured.values()))).any(axis=0)))
        # Of a decode that has nothing of its original left, the mean is nothing as well.
        self.lost = {c for c, v in measured.items() if np.isneginf(v).any()}
        self.similarities = {
            c: columns.add(Ratio.of(v)) for c, v in measured.items() if not np.isnan(v).all()
        }
        self.pairs: dict[str, _Pair] = {}
        for key, before in ({} if baseline is None or self.is_baseline else baseline[1]).items():
            both = before.usable & values[key].usable
            if both.any():
                pair = before.within(both), values[key].within(both)
                self.pairs[key] = _Pair(*pair, (columns.add(pair[0]), columns.add(pair[1])))

    def build(self, drawn: np.ndarray, drops: tuple[float, ...]) -> Point:
        errors = [e for e in self.table.column("error").to_pylist() if e is not None]
        unreadable = sum(e.startswith("source:") for e in errors)
        own = [e for e in errors if not e.startswith("source:")]

        def estimate(column: int) -> Estimate:
            value = self.columns.value(column)
            if not math.isfinite(value):
                return Estimate(value)
            return _estimate(value, drawn[:, column], self.columns.statistics[column])

        return Point(
            codec=self.table.column("codec")[0].as_py(),
            setting=self.table.column("setting")[0].as_py(),
            samples=int(self.answered.sum()),
            scored=int(self.values[self.score.key].usable.sum()),
            trials=self._trials,
            failed=len(own),
            unreadable=unreadable,
            error=own[0] if own else None,
            rate=estimate(self.rate),
            mean_rate=estimate(self.mean_rate),
            payload_rate=self.payload.value,
            rates={key: ratio.value for key, ratio in self.others.items()},
            scores={key: self._score(key, drawn) for key in self.score_columns},
            saving=None if self.saving is None or self.is_baseline else self.saving.value,
            kept=self._kept(drawn),
            changes={key: self._change(key, drawn) for key in self.pairs if self.scores[key].lossy},
            confidence=self._confidence(drops),
            similarity={
                c: Estimate(-math.inf) if c in self.lost else estimate(column)
                for c, column in self.similarities.items()
            },
            exact=self.exact,
            parts=self.parts,
            encode_ms=_median(column(self.table, "encode_ms")),
            decode_ms=_median(column(self.table, "decode_ms")),
            draws=Draws(drawn[:, self.rate], drawn[:, self.score_columns[self.score.key]]),
            each={key: statistic.each for key, statistic in self.values.items()},
        )

    @property
    def _trials(self) -> int | None:
        statistic = self.values[self.score.key]
        return int(statistic.trials) if self.score.counts and isinstance(statistic, Ratio) else None

    def _score(self, key: str, drawn: np.ndarray) -> Estimate:
        statistic, score = self.values[key], self.scores[key]
        if not statistic.usable.any() or not math.isfinite(statistic.value):
            return Estimate(math.nan)
        if self.is_baseline and score.fidelity:
            return Estimate(statistic.value)  # by definition, not by measurement
        draws = drawn[:, self.score_columns[key]]
        if score.binary:
            return proportion(statistic.each[statistic.usable], draws)
        if score.counts and isinstance(statistic, Ratio):
            # Of one long sample, or of none wrong, draws of samples are all alike: no surer than if words were alone.
            low, high = percentile_interval(draws)
            found = int(min(statistic.above.sum(), statistic.trials))
            least, most = clopper_pearson(found, int(statistic.trials))
            return Estimate(statistic.value, min(low, least), max(high, most))
        return _estimate(statistic.value, draws, statistic)

    def _kept(self, drawn: np.ndarray) -> Estimate | None:
        pair = self.pairs.get(self.score.key)
        if pair is None or self.score.unit != "share" or self.score.lower_is_better or pair.before.value == 0:
            return None
        before, after = (drawn[:, column] for column in pair.columns)
        value = pair.after.value / pair.before.value
        if self.score.binary and pair.unchanged():
            whole = self._change(self.score.key, drawn).difference
            assert whole.low is not None and whole.high is not None
            most = 1 / pair.before.value
            return Estimate(value, max(0.0, 1 + whole.low * most), min(most, 1 + whole.high * most))
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(before != 0, after / before, np.nan)
        return _estimate(value, shares, pair.after)

    def _change(self, key: str, drawn: np.ndarray) -> Change:
        pair, score = self.pairs[key], self.scores[key]
        before, after = (drawn[:, column] for column in pair.columns)
        difference, p = pair.difference, None
        if score.binary:
            both = pair.before.usable
            was, is_now = pair.before.each[both], pair.after.each[both]
            estimate = paired_difference(is_now - was, after - before)
            # Agreement with itself is 1 by definition: no test can be made of it.
            p = None if score.fidelity else mcnemar_exact(was, is_now)
        elif score.counts and pair.unchanged() and isinstance(pair.after, Ratio):
            bound = clopper_pearson(0, int(pair.after.trials))[1]
            estimate = Estimate(difference, -bound, bound)
        else:
            estimate = _estimate(difference, after - before, pair.after)
        return Change(estimate, p, difference if score.lower_is_better else -difference)

    def _confidence(self, drops: tuple[float, ...]) -> dict[float, float]:
        pair = self.pairs.get(self.score.key)
        if pair is None or not self.score.lossy:
            return {}
        if self.score.binary:
            both = pair.before.usable
            differences = pair.after.each[both] - pair.before.each[both]
            return {d: confidence_of_drop_within(differences, d / self.score.scale) for d in drops}
        if self.score.counts and pair.unchanged() and isinstance(pair.after, Ratio):
            nothing = np.zeros(int(pair.after.trials))
            return {d: confidence_of_drop_within(nothing, d / self.score.scale) for d in drops}
        if pair.after.usable.sum() < 2:
            return {}
        lower = self.score.lower_is_better
        return {
            d: confidence_of_loss_within(pair.before, pair.after, d / self.score.scale, lower_is_better=lower)
            for d in drops
        }


def _estimate(value: float, draws: np.ndarray, statistic: Statistic) -> Estimate:
    """With the interval of its draws, but of one sample: they are all alike, which is no certainty."""
    return Estimate(value, *percentile_interval(draws)) if statistic.usable.sum() > 1 else Estimate(value)


def _median(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else math.nan
