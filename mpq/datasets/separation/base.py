"""What a track is: a mixture, the stems that it is the sum of, and how both are found and read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mpq.audio import AudioSample, read_audio
from mpq.datasets.base import AUDIO_SUFFIXES, Source, files_in, sample_id
from mpq.errors import UserError
from mpq.paths import user_path
from mpq.samples import SampleError

MIXTURE = "mixture"
"""What the mixture's file is called, without its ending."""


@dataclass(frozen=True)
class Track(Source):
    """path: the mixture's. stems: (name, file) of each, in a fixed order."""

    stems: tuple[tuple[str, Path], ...] = ()

    @property
    def companions(self) -> tuple[Path, ...]:
        return tuple(path for _, path in self.stems)


def read_stems(track: Track, mixture: AudioSample | None = None) -> tuple[tuple[str, ...], np.ndarray, int]:
    """The stems' names, (stems, channels, n) float32, and their rate in Hz.

    mixture: the track's own, where it has been read. Raises SampleError for a stem that cannot be read, and for one
    that has not the mixture's channels, rate and length to the sample: where a shorter one would have to be put,
    nobody knows, and one that is shifted by a few samples makes every score meaningless.
    """
    extent, shape, rate = _extent(track, mixture)
    stems = np.empty((len(track.stems), *shape), np.float32)
    for place, (name, path) in zip(stems, track.stems, strict=True):
        try:
            stem = read_audio(path.read_bytes())
        except OSError as error:
            raise SampleError(f"its stem {name} cannot be read: {error.strerror}") from None
        except SampleError as error:
            raise SampleError(f"its stem {name}: {error}") from None
        if stem.extent != extent:
            raise SampleError(f"its stem {name} is {stem.extent}, the mixture {extent}")
        place[...] = stem.samples
    return tuple(name for name, _ in track.stems), stems, rate


def _extent(track: Track, mixture: AudioSample | None) -> tuple[str, tuple[int, ...], int]:
    # A function of its own, so that a mixture that is read here is let go of before the stems take its place.
    sample = mixture or read_audio(track.read())
    return sample.extent, sample.samples.shape, sample.rate


def folder_of(argument: str, labels: str | None) -> Path:
    """The folder that the user names. Raises UserError, also where labels are named."""
    if labels is not None:
        raise UserError("separation takes no labels: what is right are the stems beside each mixture")
    if not argument:
        raise UserError("which folder? it stands behind the data set's name, as in musdb:FOLDER")
    path = user_path(argument)
    if not path.is_dir():
        raise UserError(f"'{argument}' is not a folder")
    return path


def sounds_by_folder(folder: Path) -> dict[Path, dict[str, list[Path]]]:
    """Folder -> name, in lower case and without ending -> sound files of that name, for all folders below."""
    found: dict[Path, dict[str, list[Path]]] = {}
    for path in files_in(folder, AUDIO_SUFFIXES):
        found.setdefault(path.parent, {}).setdefault(path.stem.lower(), []).append(path)
    return found


def track_id(track: Path, folder: Path) -> str:
    relative = track.relative_to(folder)
    return sample_id(relative if relative.parts else Path(folder.resolve().name))
