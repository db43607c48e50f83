"""Classification: is the first class right, and is it the one that the original got?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mpq.datasets.base import Dataset, read_dataset
from mpq.labelling import resolvable, resolve
from mpq.metrics.classification import kl_divergence, log_softmax, top_classes
from mpq.models.base import load_model
from mpq.models.classification.base import Classifier
from mpq.rows import Field, column
from mpq.tasks.base import Cells, Score, Task, View, everything
from reports.resampling import Ratio

if TYPE_CHECKING:
    from mpq.plan import Plan


class Classification(Task):
    name = "classification"
    summary = "which class is it: top-1, top-5, and agreement with the answer on the original"
    data = "embedded"
    model = "efficientnet-lite0"
    scores = (
        Score("top1", "top-1", "share", "label == the model's first class", binary=True),
        Score("top5", "top-5", "share", "label among the model's first five classes", binary=True),
        Score(
            "agreement",
            "agreement",
            "share",
            "first class == first class on the original (fidelity: needs no labels)",
            binary=True,
            fidelity=True,
            rank=6,
            heading="agree",
        ),
        Score(
            "kl",
            "KL",
            "nats",
            "KL divergence from the answer on the original (fidelity: needs no labels)",
            fidelity=True,
            rank=4,
        ),
    )

    fields = (
        Field("label", "int32", "the label's index among the model's classes; null without labels"),
        Field("prediction", "int32", "the model's first class on the decoded sample"),
        Field("top1", "bool", "prediction == label; null without labels"),
        Field("top5", "bool", "label among the first five; null without labels or below six classes"),
        Field("agreement", "bool", "prediction == the model's prediction on the original"),
        Field("kl", "float64", "KL divergence from the answer on the original to this one, in nats"),
        Field("top5_classes", "list", "the first five classes"),
        Field("top5_probabilities", "floats", "and their softmax probabilities"),
    )

    def read(self, plan: Plan) -> Dataset:
        dataset = read_dataset(plan.data, plan.labels)
        return dataset.without_labels() if plan.no_labels else dataset

    def load(self, spec: str, weights: Path | None) -> Classifier:
        return load_model("classification", spec, weights)

    def fit(self, dataset: Dataset, models: list[Any]) -> tuple[Dataset, list[str]]:
        return resolvable(dataset, models)

    def targets(self, dataset: Dataset, model: Classifier) -> list[dict[str, Any]]:
        return [{"label": label} for label in resolve(dataset, model.labels)]

    def answers(self, model: Classifier, inputs: list[Any]) -> list[Any]:
        import torch

        return list(model.logits(torch.stack(inputs)).numpy())

    def kept(self, answer: np.ndarray) -> np.ndarray:
        return log_softmax(answer)

    def scored(
        self, answer: np.ndarray, target: Mapping[str, Any], truth: Any, original: np.ndarray
    ) -> dict[str, Any]:
        log_q = log_softmax(answer)
        top = top_classes(answer)
        prediction, label = int(top[0]), target["label"]
        scored: dict[str, Any] = {}
        if label is not None:
            scored["top1"] = prediction == label
            scored["top5"] = bool(label in top) if len(answer) > len(top) else None
        return scored | {
            "prediction": prediction,
            "agreement": prediction == int(top_classes(original, 1)[0]),
            "kl": kl_divergence(original, log_q),
            "top5_classes": top.tolist(),
            "top5_probabilities": np.exp(log_q[top]).tolist(),
        }

    def views(self, cells: Cells) -> list[View]:
        keys = [score.key for score in self.scores]
        values = [{key: Ratio.of(column(table, key)) for key in keys} for _, table in cells]
        return [View("", values, everything(cells))]

    def notes(self, score: str) -> list[str]:
        if score != "agreement":
            return []
        return ["No labels: agreement is with the model's own first class on the originals."]
