"""Tracks of one's own: a folder each, with a mixture and whatever stems there are."""

from __future__ import annotations

from pathlib import Path

from mpq.datasets.base import Dataset, DatasetReader, sample_id
from mpq.datasets.separation.base import MIXTURE, Track, folder_of, sounds_by_folder, track_id
from mpq.errors import UserError


class Stems(DatasetReader):
    """Every folder, at any depth, that holds a sound called ``mixture`` and others, which are its stems.

    A stem is called by its file's name in lower case. Left out and named: folders with sounds of which none is a
    mixture, with nothing but a mixture, and with two files of one name. A track without a stem that others have stays:
    it counts for those that it has, and is named, too.
    """

    name = "stems"
    task = "separation"
    summary = "a folder of tracks, each a folder with its mixture and stems"
    layout = "TRACK/mixture.wav and its stems, e.g. TRACK/vocals.wav, TRACK/drums.flac"
    priority = 30

    def recognises(self, folder: Path) -> bool:
        return any(MIXTURE in names and len(names) > 1 for names in sounds_by_folder(folder).values())

    def read(self, argument: str, labels: str | None) -> Dataset:
        folder = folder_of(argument, labels)
        tracks, problems = [], []
        for place, names in sounds_by_folder(folder).items():
            id = track_id(place, folder)
            twice = [name for name, paths in names.items() if len(paths) > 1]
            if MIXTURE not in names:
                problems.append(f"{id} holds no {MIXTURE}")
            elif len(names) == 1:
                problems.append(f"{id} holds no stem beside its {MIXTURE}")
            elif twice:
                problems.append(f"{id} holds two files called {sample_id(Path(twice[0]))}")
            else:
                stems = tuple((sample_id(Path(n)), paths[0]) for n, paths in names.items() if n != MIXTURE)
                tracks.append(Track(id, names[MIXTURE][0], stems=stems))
        if not tracks and not problems:
            raise UserError(f"'{argument}' holds no sound")
        known = sorted({name for track in tracks for name, _ in track.stems})
        for track in tracks:
            missing = sorted(set(known) - {name for name, _ in track.stems})
            if missing:
                problems.append(f"{track.id} has no {', '.join(missing)}, which other tracks have")
        return Dataset(sample_id(Path(folder.resolve().name)), tuple(tracks), problems=tuple(problems))
