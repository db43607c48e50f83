"""From rows to the numbers that reports show: one point a cell, grouped by data set and model."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mpq.metrics.similarity import SIMILARITIES
from mpq.registry import tasks
from mpq.tasks.base import Score, View, column
from reports.stats import (
    RESAMPLES,
    Estimate,
    bootstrap_ratios,
    confidence_of_drop_within,
    mcnemar_exact,
    paired_difference,
    percentile_interval,
    proportion,
)

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Change:
    """Score minus the baseline's on the same samples; p of McNemar's exact test, for right/wrong scores that are no
    fidelity."""

    difference: Estimate
    p: float | None


@dataclass(frozen=True)
class Point:
    """One cell.

    samples: that were answered; scored: that have the group's score; failed: that have an error though their source could be read; unreadable:
    whose source could not. bpp: Σ bits / Σ pixels of the originals; mean_bpp: the mean of each sample's own.
    saving: Σ bits of the stored files / Σ bits, over the same samples. kept: score / baseline's score. changes: per score. similarity: means; PSNR over the samples that differ.
    exact: samples that were decoded without any loss. encode_ms, decode_ms: medians a sample.
    """

    codec: str
    setting: str
    samples: int
    scored: int
    failed: int
    unreadable: int
    error: str | None
    bpp: Estimate
    mean_bpp: Estimate
    payload_bpp: float
    scores: dict[str, Estimate]
    saving: float | None
    kept: Estimate | None
    changes: dict[str, Change]
    confidence: dict[float, float]
    similarity: dict[str, Estimate]
    exact: int
    encode_ms: float
    decode_ms: float

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
    is what the group is judged by.
    """

    task: str
    view: str
    dataset: str
    model: str
    weights_sha256: str
    samples: int
    scores: tuple[Score, ...]
    points: list[Point]

    @property
    def score(self) -> Score:
        return self.scores[0]

    @property
    def baseline(self) -> Point | None:
        return next((p for p in self.points if p.is_baseline), None)

    @property
    def codecs(self) -> list[str]:
        return list(dict.fromkeys(p.codec for p in self.points if not p.is_baseline))

    def ladder(self, codec: str) -> list[Point]:
        """A codec's scored points, lowest rate first."""
        return sorted(
            (p for p in self.points if p.codec == codec and p.samples), key=lambda p: (p.bpp.value, p.setting)
        )


def summarize(
    cells: Iterable[tuple[dict[str, Any], pa.Table]],
    *,
    drops: tuple[float, ...] = (0.01,),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Group]:
    """Groups of points from finished cells. drops: losses whose confidence each point carries."""
    by_group: dict[str, dict[str, tuple[dict[str, Any], pa.Table]]] = {}
    for identity, table in cells:
        shared = [identity[key] for key in ("task", "dataset", "model", "targets")]
        group = json.dumps(shared, sort_keys=True)
        codec = json.dumps(identity["codec"], sort_keys=True)
        held = by_group.setdefault(group, {}).get(codec)
        by_group[group][codec] = (identity, table) if held is None else _merged(held, (identity, table))
    groups = [g for held in by_group.values() for g in _groups(list(held.values()), drops, resamples, seed)]
    return sorted(groups, key=lambda g: (g.task, g.dataset, g.model))


def _merged(
    one: tuple[dict[str, Any], pa.Table], other: tuple[dict[str, Any], pa.Table]
) -> tuple[dict[str, Any], pa.Table]:
    """The same setting twice: the rows of the newer making, with the similarities that either has measured."""
    (identity, table), (_, older) = sorted((one, other), key=lambda cell: cell[0]["rows"], reverse=True)
    for measure in SIMILARITIES.values():
        name = measure.column
        if table.column(name).null_count == table.num_rows:
            table = table.set_column(table.schema.get_field_index(name), name, older.column(name))
    return identity, table


def _groups(
    cells: list[tuple[dict[str, Any], pa.Table]], drops: tuple[float, ...], resamples: int, seed: int
) -> list[Group]:
    """A group for each of the task's views."""
    cells = sorted(cells, key=lambda cell: cell[0]["codec"]["name"] != "none")
    task = tasks.get(cells[0][0]["task"]["name"])()
    return [_group(task.name, task.scores, view, cells, drops, resamples, seed) for view in task.views(cells)]


def _group(
    task: str,
    known: tuple[Score, ...],
    view: View,
    cells: list[tuple[dict[str, Any], pa.Table]],
    drops: tuple[float, ...],
    resamples: int,
    seed: int,
) -> Group:
    has_baseline = cells[0][0]["codec"]["name"] == "none"
    first = cells[0][1]
    # Without any score there are failures to report all the same.
    scores = tuple(
        s for s in known if any(np.isfinite(v.get(s.key, np.nan)).any() for v in view.values)
    ) or tuple(s for s in known if s.fidelity)
    nothing = np.full(first.num_rows, np.nan)
    whole = [{score.key: values.get(score.key, nothing) for score in scores} for values in view.values]
    columns = _Columns(first.num_rows)
    builders = [
        _PointBuilder(
            identity,
            table,
            filled,
            counted,
            (first, whole[0]) if has_baseline else None,
            scores,
            columns,
        )
        for (identity, table), filled, counted in zip(cells, whole, view.counted, strict=True)
    ]
    distribution = bootstrap_ratios(*columns.arrays(), resamples=resamples, seed=seed)
    points = [builder.build(distribution, drops) for builder in builders]
    return Group(
        task,
        view.title,
        first.column("dataset")[0].as_py(),
        first.column("model")[0].as_py(),
        first.column("weights_sha256")[0].as_py(),
        first.num_rows,
        scores,
        sorted(points, key=lambda p: (not p.is_baseline, p.codec, p.bpp.value, p.setting)),
    )


class _Columns:
    """Collects ratios of sums over the same samples, to bootstrap them all in one go."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self._numerators: list[np.ndarray] = []
        self._denominators: list[np.ndarray] = []

    def add(self, numerator: np.ndarray, denominator: np.ndarray | None = None) -> int:
        """A ratio over the samples where both are finite (the mean, without a denominator); returns its column."""
        below = np.ones(self.samples) if denominator is None else denominator
        usable = np.isfinite(numerator) & np.isfinite(below)
        self._numerators.append(np.where(usable, numerator, 0.0))
        self._denominators.append(np.where(usable, below, 0.0))
        return len(self._numerators) - 1

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return np.stack(self._numerators, axis=1), np.stack(self._denominators, axis=1)

    def ratio(self, column: int) -> float:
        below = self._denominators[column].sum()
        return float(self._numerators[column].sum() / below) if below else math.nan


class _PointBuilder:
    """values: score -> (samples,). counted: (samples,) whose rate counts. baseline: its rows and values."""

    def __init__(
        self,
        identity: dict[str, Any],
        table: pa.Table,
        values: dict[str, np.ndarray],
        counted: np.ndarray,
        baseline: tuple[pa.Table, dict[str, np.ndarray]] | None,
        scores: tuple[Score, ...],
        columns: _Columns,
    ) -> None:
        self.table = table
        self.is_baseline = identity["codec"]["name"] == "none"
        self.scores = {score.key: score for score in scores}
        self.score = scores[0].key
        self.columns = columns
        self.values = values
        self.before = {} if baseline is None else baseline[1]
        self.answered = np.array([e is None for e in table.column("error").to_pylist()]) & counted
        bits = np.where(self.answered, column(table, "bits"), np.nan)
        pixels = np.where(self.answered, column(table, "width") * column(table, "height"), np.nan)
        self.bpp = columns.add(bits, pixels)
        self.mean_bpp = columns.add(bits / pixels)
        self.payload = columns.add(column(table, "payload_bits"), pixels)
        self.saving = columns.add(column(baseline[0], "bits"), bits) if baseline is not None else None
        self.score_columns = {key: columns.add(v) for key, v in self.values.items()}
        self.similarities = {
            s.column: np.where(counted, column(table, s.column), np.nan) for s in SIMILARITIES.values()
        }
        self.similarity_columns = {
            c: columns.add(v) for c, v in self.similarities.items() if not np.isnan(v).all()
        }
        self.differences = {key: self.values[key] - v for key, v in self.before.items()}
        self.difference_columns = {key: columns.add(d) for key, d in self.differences.items()}
        self.kept = None
        if self.score in self.before:
            both = np.isfinite(self.differences[self.score])
            after = np.where(both, self.values[self.score], np.nan)
            self.kept = columns.add(after, np.where(both, self.before[self.score], np.nan))

    def build(self, distribution: np.ndarray, drops: tuple[float, ...]) -> Point:
        errors = [e for e in self.table.column("error").to_pylist() if e is not None]
        unreadable = sum(e.startswith("source:") for e in errors)
        own = [e for e in errors if not e.startswith("source:")]

        def estimate(column: int) -> Estimate:
            value = self.columns.ratio(column)
            if not math.isfinite(value):
                return Estimate(value)
            return Estimate(value, *percentile_interval(distribution[:, column]))

        psnr = self.similarities["psnr"]
        return Point(
            codec=self.table.column("codec")[0].as_py(),
            setting=self.table.column("setting")[0].as_py(),
            samples=int(self.answered.sum()),
            scored=int(np.isfinite(self.values[self.score]).sum()),
            failed=len(own),
            unreadable=unreadable,
            error=own[0] if own else None,
            bpp=estimate(self.bpp),
            mean_bpp=estimate(self.mean_bpp),
            payload_bpp=self.columns.ratio(self.payload),
            scores={s: self._score(s, distribution) for s in self.score_columns},
            saving=None if self.saving is None or self.is_baseline else self.columns.ratio(self.saving),
            kept=self._kept(distribution),
            changes=self._changes(distribution),
            confidence=self._confidence(drops),
            similarity={c: estimate(column) for c, column in self.similarity_columns.items()},
            exact=int(np.isinf(psnr).sum()),
            encode_ms=_median(column(self.table, "encode_ms")),
            decode_ms=_median(column(self.table, "decode_ms")),
        )

    def _score(self, key: str, distribution: np.ndarray) -> Estimate:
        values = self.values[key][np.isfinite(self.values[key])]
        if not len(values):
            return Estimate(math.nan)
        if self.is_baseline and self.scores[key].fidelity:
            return Estimate(float(values.mean()))  # by definition, not by measurement
        draws = distribution[:, self.score_columns[key]]
        if self.scores[key].binary:
            return proportion(values, draws)
        return Estimate(float(values.mean()), *percentile_interval(draws))

    def _kept(self, distribution: np.ndarray) -> Estimate | None:
        if self.kept is None or self.is_baseline or not math.isfinite(self.columns.ratio(self.kept)):
            return None
        difference = self.differences[self.score]
        difference = difference[np.isfinite(difference)]
        value = self.columns.ratio(self.kept)
        if self.scores[self.score].binary and np.all(difference == difference[0]):
            whole = paired_difference(difference, distribution[:, self.difference_columns[self.score]])
            before = float(self.before[self.score][np.isfinite(self.differences[self.score])].mean())
            assert whole.low is not None and whole.high is not None
            return Estimate(value, max(0.0, 1 + whole.low / before), min(1 / before, 1 + whole.high / before))
        return Estimate(value, *percentile_interval(distribution[:, self.kept]))

    def _changes(self, distribution: np.ndarray) -> dict[str, Change]:
        changes = {}
        for key, score in self.scores.items():
            difference = self.differences.get(key, np.array([]))
            both = np.isfinite(difference)
            if self.is_baseline or score.unit != "share" or not both.any():
                continue
            draws = distribution[:, self.difference_columns[key]]
            if not score.binary:
                interval = percentile_interval(draws)
                changes[key] = Change(Estimate(float(difference[both].mean()), *interval), None)
                continue
            before, after = self.before[key][both], self.values[key][both]
            # Agreement with itself is 1 by definition: no test can be made of it.
            p = None if score.fidelity else mcnemar_exact(before, after)
            changes[key] = Change(paired_difference(difference[both], draws), p)
        return changes

    def _confidence(self, drops: tuple[float, ...]) -> dict[float, float]:
        difference = self.differences.get(self.score, np.array([]))
        difference = difference[np.isfinite(difference)]
        if self.is_baseline or not len(difference):
            return {}
        return {drop: confidence_of_drop_within(difference, drop) for drop in drops}


def _median(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else math.nan
