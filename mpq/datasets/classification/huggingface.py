"""Pictures of Hugging Face data sets."""

from __future__ import annotations

from typing import Any

from mpq.datasets.hub import Columns, HubReader


class HuggingFace(HubReader):
    """The first image column, and the first ClassLabel column if there is one."""

    name = "hf"
    summary = "a Hugging Face data set, streamed"
    holding = "image"

    def columns(self, features: dict[str, Any]) -> Columns | None:
        from datasets import ClassLabel, Image

        image = next((key for key, feature in features.items() if isinstance(feature, Image)), None)
        if image is None:
            return None
        label = next((key for key, feature in features.items() if isinstance(feature, ClassLabel)), None)
        classes = tuple(features[label].names) if label else ()

        def name_of(row: dict[str, Any]) -> str | None:
            index = row[label] if label else None
            return None if index is None or index < 0 else classes[index]

        return Columns(image, name_of, classes)
