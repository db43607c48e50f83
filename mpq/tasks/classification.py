"""Classification: is the first class right, and is it the one that the original got?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mpq.datasets.base import Dataset, read_dataset
from mpq.labelling import resolvable, resolve
from mpq.metrics.classification import kl_divergence, log_softmax, top_classes
from mpq.models.base import Classifier, load_classifier
from mpq.tasks.base import Cells, Score, Task, View, column

if TYPE_CHECKING:
    import torch

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

    def read(self, plan: Plan) -> Dataset:
        dataset = read_dataset(plan.data, plan.labels)
        return dataset.without_labels() if plan.no_labels else dataset

    def load(self, spec: str, weights: Path | None) -> Classifier:
        return load_classifier(spec, weights)

    def fit(self, dataset: Dataset, models: list[Any]) -> tuple[Dataset, list[str]]:
        return resolvable(dataset, models)

    def targets(self, dataset: Dataset, model: Classifier) -> list[dict[str, Any]]:
        return [{"label": label} for label in resolve(dataset, model.labels)]

    def answers(self, model: Classifier, batch: torch.Tensor) -> np.ndarray:
        return model.logits(batch).numpy()

    def kept(self, answer: np.ndarray) -> np.ndarray:
        return log_softmax(answer)

    def fields(self, answer: np.ndarray, target: dict[str, Any], original: np.ndarray) -> dict[str, Any]:
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
        everything = [np.ones(table.num_rows, dtype=bool) for _, table in cells]
        return [View("", [{k: column(table, k) for k in keys} for _, table in cells], everything)]

    def notes(self, score: str) -> list[str]:
        if score != "agreement":
            return []
        return ["No labels: agreement is with the model's own first class on the originals."]
