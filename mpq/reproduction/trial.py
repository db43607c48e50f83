"""A published experiment as far as it can be made here, and its rows beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mpq.media import MEDIA, Medium
from mpq.published.experiment import Experiment, Kind, Numbers, Row
from mpq.registry import tasks
from mpq.rows import column
from mpq.wording import counted
from reports.resampling import Ratio, distributions
from reports.stats import Estimate, percentile_interval

if TYPE_CHECKING:
    from mpq.store import Store
    from mpq.summary import Point
    from mpq.sweep import Sweep

Setting = tuple[str, str]
"""A codec's name and setting, as points of a summary have them."""


@dataclass(frozen=True)
class Compared:
    """A published row and ours.

    ours, rate: None where there is none, and ``why`` says what kept it. rate: the mean of the samples' own, in bpp or
    kbps. change: ours against ours without a codec. own: data, model or codec is not the published one, so that ours is
    held against itself alone.
    """

    row: Row
    ours: Estimate | None = None
    change: Estimate | None = None
    rate: Estimate | None = None
    samples: int = 0
    why: str = ""
    own: bool = False

    @property
    def inside(self) -> bool | None:
        """Whether the published number lies in our interval; None where the two are not to be held side by side, or where
        one sample makes no interval."""
        return None if self.own or self.samples == 1 else _inside(self.row.value, self.ours)

    @property
    def rate_inside(self) -> bool | None:
        """The same of the corrected rate."""
        return None if self.own or self.samples == 1 else _inside(self.row.corrected, self.rate)


def _inside(value: float | None, ours: Estimate | None) -> bool | None:
    if value is None or ours is None or ours.low is None or ours.high is None:
        return None
    return ours.low <= value <= ours.high


@dataclass
class Trial:
    """An experiment's rows that were asked for, and the sweep of as many of them as can be made here.

    models, codecs: published name -> what runs, as points of a summary name it. lacking: of the data, of models,
    codecs and similarities, by name, a sentence. unlike: why the data is not the published one. stand_ins: names for
    which something else was named. rates_only: a model of ours that is in the sweep because it has to have one.
    """

    experiment: Experiment
    rows: list[Row]
    models: dict[str, str] = field(default_factory=dict)
    codecs: dict[str, Setting] = field(default_factory=lambda: {"none": ("none", "")})
    lacking: dict[str, str] = field(default_factory=dict)
    unlike: str | None = None
    stand_ins: frozenset[str] = frozenset()
    rates_only: str | None = None
    sweep: Sweep | None = None
    store: Store | None = None

    @property
    def medium(self) -> Medium:
        return MEDIA[tasks.get(self.experiment.task).samples]

    @property
    def wanted_models(self) -> list[str]:
        return [m for m in self.experiment.models if any(row.numbers.of == m for row in self.rows)]

    @property
    def wanted_codecs(self) -> list[str]:
        return [c for c in self.experiment.coders if any(row.codec == c for row in self.rows)]

    @property
    def similarities(self) -> list[Numbers]:
        """Of the rows, those that ours has a like of."""
        found = {row.numbers.of: row.numbers for row in self.rows if row.numbers.kind != "score"}
        return [numbers for numbers in found.values() if numbers.key]

    @property
    def has_data(self) -> bool:
        return self.experiment.name not in self.lacking

    def run(
        self,
        *,
        workers: int | None = None,
        started: Callable[[int, int], None] = lambda total, done: None,
        advanced: Callable[[int], None] = lambda pieces: None,
    ) -> None:
        """Fills what is missing in the trial's folder (see ``Sweep.run``). Does nothing without a sweep."""
        if self.sweep is None or self.store is None:
            return
        from mpq.environment import command, environment

        self.store.write_invocation(
            {
                "command": command(),
                "plan": self.sweep.described,
                "cells": sorted(self.sweep.hashes),
                "environment": environment(),
            }
        )
        self.sweep.run(self.store, workers=workers, started=started, advanced=advanced)

    def compared(self) -> list[Compared]:
        """Each row beside what was measured."""
        from mpq.summary import summarize

        points: dict[str, dict[Setting, Point]] = {}
        if self.sweep is not None and self.store is not None:
            for group in summarize(self.store.read(self.sweep.hashes)):
                points[group.model] = {(p.codec, p.setting): p for p in group.points}
        return [self._compared(row, points) for row in self.rows]

    def _compared(self, row: Row, points: Mapping[str, Mapping[Setting, Point]]) -> Compared:
        own = self.unlike is not None or not self.stand_ins.isdisjoint((row.codec, row.numbers.of))
        if row.codec not in self.codecs and self.has_data:
            return Compared(row, why="no codec", own=own)
        if self.sweep is None:
            return Compared(row, why="no model" if self.has_data else "no data", own=own)
        model = self.models.get(row.numbers.of) or next(iter(points))
        point = points[model][self.codecs[row.codec]]
        if point.too_many_failures(self.sweep.plan.max_failures):
            return Compared(row, why=f"{counted(point.failed, 'sample')} failed: {point.error}", own=own)
        ours, why = self._ours(row.numbers, point)
        coded = row.codec != "none"
        change = point.changes.get(row.numbers.key) if ours and coded else None
        rate = point.mean_rate if coded else None
        return Compared(row, ours, change.difference if change else None, rate, point.samples, why, own)

    def _ours(self, numbers: Numbers, point: Point) -> tuple[Estimate | None, str]:
        """What stands beside a published number, or why nothing does."""
        if numbers.kind != "score":
            if not numbers.key:
                return None, "not measured"
            return (
                (None, "no weights") if numbers.of in self.lacking else (self._similarity(numbers, point), "")
            )
        if numbers.of not in self.models:
            return None, "no model"
        score = point.scores.get(numbers.key)
        return (None, "no labels") if score is None or not np.isfinite(score.value) else (score, "")

    def _similarity(self, numbers: Numbers, point: Point) -> Estimate | None:
        assert self.sweep is not None and self.store is not None
        codecs = self.sweep.codecs
        setting = (point.codec, point.setting)
        cells = {
            s.cell for s in self.sweep.cells if (codecs[s.codec].name, codecs[s.codec].setting) == setting
        }
        _, table = self.store.read(cells)[0]  # of whichever model: they all saw the same
        return averaged(column(table, self.medium.similarities[numbers.key].column), numbers.kind)


def averaged(values: np.ndarray, kind: Kind) -> Estimate | None:
    """A similarity over samples as it is published, with its interval by bootstrap.

    values: (samples,) dB, or distances of which dB are made; NaN where a sample has none. What is equal to its original,
    and so has infinitely many dB, weighs nothing in a mean of dB. None where nothing is left.
    """
    mean = Ratio.of(_decibels(values) if kind == "mean of dB" else values)
    if not mean.usable.any():
        return None
    low, high = percentile_interval(distributions([mean], len(values))[:, 0])
    estimate = np.array([mean.value, low, high])
    if kind == "dB of mean":
        estimate = _decibels(estimate[[0, 2, 1]])
    return Estimate(*estimate.tolist())


def _decibels(distances: np.ndarray) -> np.ndarray:
    """−10 log10: the smaller a distance, the more."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return -10 * np.log10(distances)
