"""Classification: is the first class right, and is it the one that the original got?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpq.datasets.base import Dataset, read_dataset
from mpq.labelling import resolvable, resolve
from mpq.metrics.answers import cosine_distance, kl_divergence, log_softmax, top_classes
from mpq.models.base import load_model
from mpq.models.classification.base import Classifier
from mpq.rows import Field, column
from mpq.tasks.base import Cells, Score, Task, View, everything
from reports.resampling import Ratio

if TYPE_CHECKING:
    from mpq.plan import Plan


class _Answer(NamedTuple):
    """logits: (classes,), or of what is kept their log-softmax. features: (D,), D 0 where they are not known."""

    logits: np.ndarray
    features: np.ndarray


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
            lower_is_better=True,
            rank=4,
        ),
        Score(
            "feature_distance",
            "feature distance",
            "distance",
            "cosine distance of the model's pooled features to the original's (fidelity: needs no labels); free, because "
            "the model is asked anyway",
            fidelity=True,
            lower_is_better=True,
            rank=7,
            heading="feat. dist.",
        ),
    )

    fields = (
        Field("label", "int32", "the label's index among the model's classes; null without labels"),
        Field("prediction", "int32", "the model's first class on the decoded sample"),
        Field("top1", "bool", "prediction == label; null without labels"),
        Field("top5", "bool", "label among the first five; null without labels or below six classes"),
        Field("agreement", "bool", "prediction == the model's prediction on the original"),
        Field("kl", "float64", "KL divergence from the answer on the original to this one, in nats"),
        Field(
            "feature_distance",
            "float64",
            "cosine distance of what the last layer was given to the original's; null where that is not known",
        ),
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

        logits, features = model.answers(torch.stack(inputs))
        return list(map(_Answer, logits.numpy(), features.numpy()))

    def unusable(self, answer: _Answer) -> str | None:
        return super().unusable(answer.logits)

    def kept(self, answer: _Answer) -> _Answer:
        return _Answer(log_softmax(answer.logits), answer.features)

    def scored(
        self, answer: _Answer, target: Mapping[str, Any], truth: Any, original: _Answer
    ) -> dict[str, Any]:
        log_q = log_softmax(answer.logits)
        top = top_classes(answer.logits)
        prediction, label = int(top[0]), target["label"]
        scored: dict[str, Any] = {}
        if label is not None:
            scored["top1"] = prediction == label
            scored["top5"] = bool(label in top) if len(answer.logits) > len(top) else None
        return scored | {
            "prediction": prediction,
            "agreement": prediction == int(top_classes(original.logits, 1)[0]),
            "kl": kl_divergence(original.logits, log_q),
            "feature_distance": cosine_distance(answer.features, original.features),
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
