"""MUSDB18-HQ (Rafii et al. 2019): 100 training and 50 test tracks of music, each with four stems."""

from __future__ import annotations

from pathlib import Path

from mpq.datasets.base import Dataset, DatasetReader, sample_id
from mpq.datasets.separation.base import MIXTURE, Track, folder_of
from mpq.errors import UserError
from mpq.paths import user_path

STEMS = ("drums", "bass", "other", "vocals")
SPLITS = ("test", "train")


class MUSDB(DatasetReader):
    """``musdb:DIR``, which is its test tracks, or ``musdb:DIR@train``.

    ``SPLIT/TRACK/mixture.wav`` and the four stems; a track that lacks one is left out and named. MUSDB18 as it was
    first published, compressed into ``.stem.mp4``, is not read.
    """

    name = "musdb"
    task = "separation"
    summary = "MUSDB18-HQ: the 50 test tracks, or with @train the 100 training tracks"
    layout = "test/TRACK/mixture.wav, drums.wav, bass.wav, other.wav, vocals.wav; musdb:DIR@train for train/"
    priority = 20

    def recognises(self, folder: Path) -> bool:
        return any(
            next((folder / split).glob(pattern), None)
            for split in SPLITS
            for pattern in ("*/mixture.wav", "*.stem.mp4")
        )

    def read(self, argument: str, labels: str | None) -> Dataset:
        place, _, split = argument.rpartition("@")
        if split not in SPLITS or user_path(argument).is_dir():
            place, split = argument, "test"
        folder = folder_of(place, labels)
        tracks, problems = [], []
        for mixture in sorted((folder / split).glob(f"*/{MIXTURE}.wav")):
            name = sample_id(Path(mixture.parent.name))
            stems = [(stem, mixture.with_name(f"{stem}.wav")) for stem in STEMS]
            missing = [path.name for _, path in stems if not path.is_file()]
            if missing:
                problems.append(f"{split}/{name} lacks {', '.join(missing)}")
            else:
                tracks.append(Track(name, mixture, stems=tuple(stems)))
        if not tracks and not problems:
            raise UserError(_nothing(folder, place, split))
        return Dataset(f"musdb18-hq-{split}", tuple(tracks), problems=tuple(problems))


def _nothing(folder: Path, place: str, split: str) -> str:
    if next((folder / split).glob("*.stem.mp4"), None):
        return (
            f"'{place}' is MUSDB18 as .stem.mp4 files; what is read is MUSDB18-HQ, whose stems are WAV files"
        )
    other = next(s for s in SPLITS if s != split)
    if next((folder / other).glob(f"*/{MIXTURE}.wav"), None):
        return f"'{place}' holds no {split} tracks of MUSDB18-HQ; its others are musdb:{place}@{other}"
    return f"'{place}' is not MUSDB18-HQ: it holds no {split}/TRACK/{MIXTURE}.wav"
