"""A folder above a data set's: that of an archive that was unpacked into one of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mpq.datasets.base import IMAGE_SUFFIXES, Dataset
from mpq.datasets.segmentation.base import SceneReader, Scenes, folders_in
from mpq.errors import UserError
from mpq.registry import datasets as registry


class Above(SceneReader):
    """Reads what is in the one folder below whose layout is known."""

    name = "above"
    summary = "a folder that holds the folder of one of the others"
    layout = "DIR/, in which one folder has another layout with masks; no pictures beside it"
    priority = 50

    def recognises(self, folder: Path) -> bool:
        return not _has_pictures(folder) and bool(_below(folder))

    def scored(self, folder: Path) -> Dataset:
        reader, place = _only(folder)
        found = reader.scored(place)
        if not isinstance(found, Scenes):
            return found
        return replace(found, notes=(f"'{folder}' is read as {reader.name}:{place}", *found.notes))

    def trained(self, folder: Path) -> tuple[Scenes, Scenes | None]:
        reader, place = _only(folder)
        return reader.trained(place)


def _has_pictures(folder: Path) -> bool:
    try:
        return any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())
    except OSError:
        return False


def _below(folder: Path) -> list[tuple[SceneReader, Path]]:
    """The folders in it that a reader of masks recognises, with the first that does."""
    classes = [c for c in registry("segmentation").entries.values() if issubclass(c, SceneReader)]
    readers = [c() for c in sorted(classes, key=lambda c: c.priority) if c.masked and c is not Above]
    found = []
    for place in folders_in(folder):
        try:
            reader = next((r for r in readers if r.recognises(place)), None)
        except OSError:  # it cannot be looked into
            continue
        if reader:
            found.append((reader, place))
    return found


def _only(folder: Path) -> tuple[SceneReader, Path]:
    """Raises UserError."""
    found = _below(folder)
    if not found:
        raise UserError(f"'{folder}' holds no folder with pictures and masks in a layout that is known")
    if len(found) > 1:
        several = ", ".join(place.name for _, place in found[:5]) + (", …" if len(found) > 5 else "")
        raise UserError(f"'{folder}' holds several folders with pictures and masks: {several}; name one")
    return found[0]
