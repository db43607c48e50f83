"""Music without stems."""

from __future__ import annotations

from pathlib import Path

from mpq.datasets.base import AUDIO_SUFFIXES, Dataset, DatasetReader, Source, files_in, sample_id
from mpq.datasets.separation.base import folder_of


class Unlabelled(DatasetReader):
    """Any sounds: what is measured is how far the separator keeps its own stems of the originals."""

    name = "folder"
    task = "separation"
    summary = "any folder of sounds, without stems: fidelity to the separator's own stems"
    layout = "sounds, at any depth"
    priority = 90

    def recognises(self, folder: Path) -> bool:
        return bool(files_in(folder, AUDIO_SUFFIXES))

    def read(self, argument: str, labels: str | None) -> Dataset:
        folder = folder_of(argument, labels)
        sources = [Source(sample_id(p.relative_to(folder)), p) for p in files_in(folder, AUDIO_SUFFIXES)]
        return Dataset(sample_id(Path(folder.resolve().name)), tuple(sources))
