"""What a data set is: named sources on disk, with labels or without, and a fingerprint of their content."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from mpq.codecs.base import KINDS, Kind
from mpq.errors import UserError
from mpq.paths import user_path
from mpq.registry import datasets as registry
from mpq.registry import tasks

IMAGE_SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".avif",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".jp2",
        ".j2k",
        ".ppm",
        ".pgm",
        ".pnm",
        ".tga",
    ]
)


AUDIO_SUFFIXES = frozenset(
    [
        ".wav",
        ".flac",
        ".mp3",
        ".ogg",
        ".oga",
        ".opus",
        ".m4a",
        ".mp4",
        ".aac",
        ".aif",
        ".aiff",
        ".wma",
        ".webm",
    ]
)

SUFFIXES: dict[Kind, frozenset[str]] = {"image": IMAGE_SUFFIXES, "audio": AUDIO_SUFFIXES}
"""What the files of samples end in."""


@dataclass(frozen=True)
class Source:
    """One sample's file.

    label: as the data set spells it: a class's index, WordNet id or name; what is said.
    """

    id: str
    path: Path
    label: str | None = None

    def read(self) -> bytes:
        return self.path.read_bytes()

    @property
    def companions(self) -> tuple[Path, ...]:
        """Other files that hold what is right: a mask, stems."""
        return ()


@dataclass(frozen=True)
class Dataset:
    """Sources in a fixed order.

    classes: the classes' names in index order, where the layout defines them (ImageFolder, a ClassLabel).
    problems: a sentence for each thing that had to be left out.
    """

    name: str
    sources: tuple[Source, ...]
    classes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        return any(source.label is not None for source in self.sources)

    def subset(self, limit: int | None, seed: int) -> Dataset:
        """``limit`` sources drawn without replacement, in the original order; larger limits hold smaller ones."""
        if limit is None or limit >= len(self.sources):
            return self
        drawn = np.random.default_rng(seed).permutation(len(self.sources))[:limit]
        return replace(self, sources=tuple(self.sources[i] for i in sorted(drawn)))

    def without_labels(self) -> Dataset:
        return replace(
            self, sources=tuple(replace(source, label=None) for source in self.sources), classes=()
        )

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over every source's id, label, bytes and companions: the same samples anywhere have the same one."""

        def digest(source: Source) -> list[str]:
            files = [source.read(), *(path.read_bytes() for path in source.companions)]
            return [hashlib.sha256(file).hexdigest() for file in files]

        with ThreadPoolExecutor() as threads:  # hashing and reading both release the interpreter lock
            digests = list(threads.map(digest, self.sources))
        rows = [[s.id, s.label, *d] for s, d in zip(self.sources, digests, strict=True)]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


class DatasetReader(ABC):
    """Reads one layout. ``--data NAME:ARGUMENT`` names it; a bare folder goes to the first that recognises it.

    task: whose. takes_labels: reads the table that ``--labels`` names, for any folder. priority: lower asks first.
    """

    name: ClassVar[str]
    task: ClassVar[str] = "classification"
    summary: ClassVar[str]
    layout: ClassVar[str]
    takes_labels: ClassVar[bool] = False
    priority: ClassVar[int] = 50

    @abstractmethod
    def read(self, argument: str, labels: str | None) -> Dataset:
        """Raises UserError. ``labels``: the file that the user named, if any."""

    def recognises(self, folder: Path) -> bool:
        return False

    @classmethod
    def unavailable(cls) -> str | None:
        """Why it cannot be read here and now; None where it can."""
        return None


def read_dataset(data: str, labels: str | None = None, task: str = "classification") -> Dataset:
    """The data set that ``data`` names: a folder, or ``NAME[:ARGUMENT]`` of a task's reader. Raises UserError."""
    dataset = _choose(data, labels, task)
    readable, problems = [], list(dataset.problems)
    for source in dataset.sources:
        try:
            for file in (source.path, *source.companions):
                with file.open("rb"):
                    pass
            readable.append(source)
        except OSError as error:
            problems.append(f"{file} cannot be read: {error.strerror}")
    if not readable:
        why = f" ({problems[0]})" if problems else ""
        raise UserError(f"'{data}' holds no usable {KINDS[tasks.get(task).samples]}{why}")
    return replace(dataset, sources=tuple(readable), problems=tuple(problems))


def _choose(data: str, labels: str | None, task: str) -> Dataset:
    name, _, argument = data.partition(":")
    folder = user_path(data)
    known = registry(task)
    if not folder.exists() and name in known.entries:
        return known.get(name)().read(argument, labels)
    if not folder.exists():
        raise UserError(
            f"'{data}' is neither a folder nor a data set; data sets: {', '.join(sorted(known.entries))}"
        )
    if not folder.is_dir():
        raise UserError(f"'{data}' is a file; --data takes a folder (mpq roundtrip takes one file)")
    readers = sorted((cls() for cls in known.entries.values()), key=lambda reader: reader.priority)
    if labels is not None:
        takers = [reader for reader in readers if reader.takes_labels]
        if not takers:
            raise UserError(f"{task} takes no labels")
        return takers[0].read(data, labels)
    for reader in readers:
        if reader.recognises(folder):
            return reader.read(data, None)
    kind = tasks.get(task).samples
    raise UserError(f"'{data}' holds no {KINDS[kind]} ({', '.join(sorted(SUFFIXES[kind]))})")


def files_in(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """Files below ``folder``, by their endings, in the order of their paths; links followed, hidden ones left out."""
    found, seen = [], set()
    for here, folders, files in os.walk(folder, followlinks=True):
        status = Path(here).stat()
        if (status.st_dev, status.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        # What cannot be opened, such as a link to nowhere, is kept: it is reported when it is read.
        found += [
            Path(here, n) for n in files if not n.startswith(".") and Path(n).suffix.lower() in suffixes
        ]
    return sorted(found)


def sample_id(path: Path) -> str:
    """A path as text: bytes that are not UTF-8 are written as escapes."""
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
