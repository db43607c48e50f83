"""What a task is: a data set, what models answer about it, and how rows become scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from mpq.codecs.base import Kind
from mpq.datasets.base import Dataset

if TYPE_CHECKING:
    import pyarrow as pa
    import torch

    from mpq.plan import Plan

Cells = Sequence[tuple[dict[str, Any], "pa.Table"]]
"""(identity, rows) of one data set's and model's cells, the baseline's first where there is one."""

Unit = Literal["share", "nats", "points", "distance"]


@dataclass(frozen=True)
class Score:
    """One number a sample, whose mean is a cell's score.

    binary: the answer is right or wrong, so exact tests apply. fidelity: measured against the model's own answer
    on the original, so that the baseline's is what it is by definition. interval: shown with its interval.
    rank: of its column (see ``reports.content.Column``). heading: the column's,
    where the title would be long.
    """

    key: str
    title: str
    unit: Unit
    summary: str
    binary: bool = False
    fidelity: bool = False
    interval: bool = False
    rank: int = 5
    heading: str = ""


@dataclass(frozen=True)
class View:
    """One way to look at cells. values: for each, key -> (samples,) float64, NaN where there is none.

    counted: for each cell, the (samples,) bools of those whose rate counts.
    """

    title: str
    values: list[dict[str, np.ndarray]]
    counted: list[np.ndarray]


class Task(ABC):
    """Holds nothing, so it travels to workers by itself.

    samples: their kind. scores: the first that a group has is what it is judged by. noun: one of what the scores are means over.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    samples: ClassVar[Kind] = "image"
    noun: ClassVar[str] = "answer"
    scores: ClassVar[tuple[Score, ...]]
    data: ClassVar[str]
    model: ClassVar[str]

    @abstractmethod
    def read(self, plan: Plan) -> Dataset:
        """The plan's data. Raises UserError."""

    @abstractmethod
    def load(self, spec: str, weights: Path | None) -> Any:
        """A model: with ``name``, ``identity``, ``weights_sha256``, ``preprocess`` and ``on(device)``. Raises UserError."""

    def fit(self, dataset: Dataset, models: list[Any]) -> tuple[Dataset, list[str]]:
        """The samples that can be asked of every model, and sentences about the rest."""
        return dataset, []

    @abstractmethod
    def targets(self, dataset: Dataset, model: Any) -> list[dict[str, Any]]:
        """For each source the row fields that say what is right."""

    @abstractmethod
    def answers(self, model: Any, batch: torch.Tensor) -> np.ndarray:
        """(B, 3, h, w) -> (B, …) float32."""

    def kept(self, answer: np.ndarray) -> np.ndarray:
        """What of an answer on the original is kept to compare others with."""
        return answer

    @abstractmethod
    def fields(self, answer: np.ndarray, target: dict[str, Any], original: np.ndarray) -> dict[str, Any]:
        """The row fields of an answer. original: what was kept of the answer on the original."""

    def identity(self, dataset: Dataset) -> dict[str, Any]:
        """What else shapes the scores of a cell."""
        return {"name": self.name}

    @abstractmethod
    def views(self, cells: Cells) -> list[View]:
        """The ways to look at the cells of one data set and model."""

    def notes(self, score: str) -> list[str]:
        """What a reader of the group's scores should know. score: the one that it is judged by."""
        return []


def column(table: pa.Table, name: str) -> np.ndarray:
    """(samples,) float64, NaN where null."""
    return np.array([np.nan if v is None else float(v) for v in table.column(name).to_pylist()])
