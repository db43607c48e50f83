"""Where a data set's labels meet a model's classes."""

from __future__ import annotations

from dataclasses import replace

from mpq.datasets.base import Dataset
from mpq.errors import UserError
from mpq.models.classification.base import Classifier
from mpq.models.classification.labels import LabelSpace


def resolve(dataset: Dataset, space: LabelSpace) -> list[int | None]:
    """Each source's label as an index among a model's classes; None without a label, or without such a class."""
    unnamed = not any(space.names) and len(dataset.classes) == len(space)
    if unnamed and any(space.resolve(name) is None for name in dataset.classes):
        # A model whose classes have no names: unless the folders are numbered, their order is all there is.
        rank = {name: i for i, name in enumerate(dataset.classes)}
        return [rank[s.label] if s.label is not None else None for s in dataset.sources]
    return [space.resolve(s.label) if s.label is not None else None for s in dataset.sources]


def resolvable(dataset: Dataset, models: list[Classifier]) -> tuple[Dataset, list[str]]:
    """Leaves out samples whose label is not a class of every model, and says so."""
    if not dataset.labelled:
        return dataset, []
    resolved = {model.name: resolve(dataset, model.labels) for model in models}
    bad = {
        i: name
        for name, labels in resolved.items()
        for i, label in enumerate(labels)
        if label is None and dataset.sources[i].label is not None
    }
    example = next(((dataset.sources[i].label, name) for i, name in bad.items()), None)
    if example and dataset.classes:
        # Folders are labels only if all of them are: a trip to Rome and one to a castle are not.
        note = (
            f"the folders' names (such as '{example[0]}') are no classes of {example[1]}: labels are not used"
        )
        return dataset.without_labels(), [note]
    if example and len(bad) == sum(s.label is not None for s in dataset.sources):
        raise UserError(
            f"no label of '{dataset.name}' (such as '{example[0]}') is a class of {example[1]}; "
            "--no-labels measures fidelity without them"
        )
    problems = [
        f"{dataset.sources[i].id}: '{dataset.sources[i].label}' is not a class of {name}"
        for i, name in bad.items()
    ]
    kept = tuple(source for i, source in enumerate(dataset.sources) if i not in bad)
    return replace(dataset, sources=kept, problems=(*dataset.problems, *problems)), []
