"""What a task is: a data set, what models answer about it, and how rows become scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from mpq.codecs.base import Kind
from mpq.datasets.base import Dataset, Source
from mpq.media import MEDIA, Medium
from mpq.rows import FIRST, LAST, Field
from reports.resampling import Statistic

if TYPE_CHECKING:
    import pyarrow as pa

    from mpq.plan import Plan

Cells = Sequence[tuple[dict[str, Any], "pa.Table"]]
"""(identity, rows) of one data set's and model's cells, the baseline's first where there is one."""

Unit = Literal["share", "nats", "points", "distance", "dB"]


@dataclass(frozen=True)
class Score:
    """One figure of a cell.

    binary: a sample's is right or wrong, so exact tests apply. fidelity: measured against the model's own answer
    on the original, so that the baseline's is what it is by definition. lower_is_better: errors, distances.
    counts: things that are counted among others, such as errors among words: none at all are not certain to be none.
    interval: shown with its interval. rank: of its column (see ``reports.content.Column``). heading: the column's,
    where the title would be long.
    """

    key: str
    title: str
    unit: Unit
    summary: str
    binary: bool = False
    fidelity: bool = False
    lower_is_better: bool = False
    counts: bool = False
    interval: bool = False
    rank: int = 5
    heading: str = ""

    @property
    def scale(self) -> int:
        """What a value is shown as: points of a hundred, or itself."""
        return 100 if self.unit in ("share", "points") else 1

    @property
    def lossy(self) -> bool:
        """Whether more or less of it can be traded for rate. Of decibels against itself the original has infinitely many."""
        return self.unit == "share" or (self.unit == "dB" and not self.fidelity)


@dataclass(frozen=True)
class View:
    """One way to look at cells. values: for each, score's key -> the figure of its samples.

    counted: for each cell, the (samples,) bools of those whose rate counts.
    """

    title: str
    values: Sequence[Mapping[str, Statistic]]
    counted: list[np.ndarray]


class Task(ABC):
    """Holds nothing, so it travels to workers by itself.

    samples: their kind. scores: the first that a group has is what it is judged by. fields: of its rows. noun: one of
    what the scores are over. data, model, codecs, similarity: what is taken where a plan names none.
    block: how many samples go through together, at least and at most.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    samples: ClassVar[Kind] = "image"
    noun: ClassVar[str] = "answer"
    scores: ClassVar[tuple[Score, ...]]
    fields: ClassVar[tuple[Field, ...]] = ()
    data: ClassVar[str]
    model: ClassVar[str]
    codecs: ClassVar[tuple[str, ...]] = ("jpeg", "webp", "avif")
    similarity: ClassVar[tuple[str, ...]] = ("psnr",)
    block: ClassVar[tuple[int, int]] = (4, 16)

    @property
    def medium(self) -> Medium:
        return MEDIA[self.samples]

    @property
    def row_fields(self) -> tuple[Field, ...]:
        """All fields of this task's rows."""
        return (*FIRST, *self.medium.fields, *self.fields, *self.medium.similarity_fields, *LAST)

    @abstractmethod
    def read(self, plan: Plan) -> Dataset:
        """The plan's data. Raises UserError."""

    @abstractmethod
    def load(self, spec: str, weights: Path | None) -> Any:
        """A ``mpq.models.base.Model``, or what has its properties. Raises UserError."""

    def fit(self, dataset: Dataset, models: list[Any]) -> tuple[Dataset, list[str]]:
        """The samples that can be asked of every model, and sentences about the rest."""
        return dataset, []

    @abstractmethod
    def targets(self, dataset: Dataset, model: Any) -> list[dict[str, Any]]:
        """For each source the row fields that say what is right."""

    def truth(self, dataset: Dataset, source: Source) -> Any:
        """What is right, where it is too large for a row: a mask, stems. Raises SampleError."""
        return None

    def prepared(self, model: Any, sample: Any) -> Any:
        """A decoded sample as the model takes it."""
        return model.preprocess(sample.image if self.samples == "image" else sample)

    @abstractmethod
    def answers(self, model: Any, inputs: list[Any]) -> list[Any]:
        """An answer for each prepared sample."""

    def unusable(self, answer: Any) -> str | None:
        """Why an answer is none; None where it is one."""
        return None if np.isfinite(answer).all() else "its answer is not finite"

    def kept(self, answer: Any) -> Any:
        """What of an answer on the original is kept to compare others with."""
        return answer

    @abstractmethod
    def scored(self, answer: Any, target: Mapping[str, Any], truth: Any, original: Any) -> dict[str, Any]:
        """The row fields of an answer. original: what was kept of the answer on the original."""

    def identity(self, dataset: Dataset) -> dict[str, Any]:
        """What else shapes the scores of a cell; JSON-able."""
        return {"name": self.name}

    @abstractmethod
    def views(self, cells: Cells) -> list[View]:
        """The ways to look at the cells of one data set and model."""

    def parts(self, identity: Mapping[str, Any], table: pa.Table) -> dict[str, float]:
        """What a cell's score is made of, by name: classes, say."""
        return {}

    def notes(self, score: str) -> list[str]:
        """What a reader of the group's scores should know. score: the one that it is judged by."""
        return []


def everything(cells: Cells) -> list[np.ndarray]:
    """For views in which every sample's rate counts."""
    return [np.ones(table.num_rows, dtype=bool) for _, table in cells]
