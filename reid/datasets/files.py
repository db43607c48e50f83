"""Finding a data set's folders, pictures and lists on a disk, in the forms in which people keep them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mpq.errors import UserError

IMAGE_SUFFIXES = frozenset(
    f".{ending}"
    for ending in [
        "jpg",
        "jpeg",
        "jpe",
        "jfif",
        "png",
        "webp",
        "avif",
        "bmp",
        "gif",
        "tif",
        "tiff",
        "jp2",
        "j2k",
        "ppm",
        "pgm",
        "pnm",
        "tga",
    ]
)


_NAMED = 3  # missing files that are named one by one


def located(
    root: Path | None,
    needed: Sequence[str],
    inner: Sequence[str],
    what: str,
    layout: str,
    *,
    any_of: Sequence[str] = (),
) -> Path:
    """The folder that holds all of ``needed`` and one of ``any_of``: the root, or one in it or in that of a name ``inner``.

    inner: beginnings of names, small letters and digits only: "market1501" is also Market-1501-v15.09.15.
    Raises UserError, in one sentence with the layout, where there is none.
    """
    if root is None:
        raise UserError(f"{what} needs the folder that it lies in: --root DIR, holding {layout}")
    if not root.is_dir():
        raise UserError(f"there is no folder '{root}' that {what} could lie in")
    for folder in _candidates(root, inner, depth=2):
        if not _lacking(folder, needed, any_of):
            return folder
    missing = _lacking(root, needed, any_of)
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    said = " and no ".join(missing[:_NAMED]) + more
    raise UserError(f"'{root}' does not hold {what}: there is no {said}; it should hold {layout}")


def subfolder(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of the folders ``names`` that is there."""
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def pictures_in(folder: Path) -> list[Path]:
    """Image files in ``folder`` itself, by their endings, sorted by name; hidden ones left out."""
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in entries
                if not entry.name.startswith(".")
                and f".{entry.name.rpartition('.')[2].lower()}" in IMAGE_SUFFIXES
                and not entry.is_dir()
            ]
    except OSError as error:
        raise UserError(f"'{folder}' cannot be listed: {error.strerror}") from None
    return [folder / name for name in sorted(names)]


def folders_in(folder: Path) -> list[Path]:
    """Folders in ``folder``, sorted by name; hidden ones left out."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"'{folder}' cannot be listed: {error.strerror}") from None


def some(paths: list[Path], folder: Path) -> list[Path]:
    """``paths``, unless there are none: then a UserError that names the folder."""
    if not paths:
        raise UserError(f"'{folder}' holds no picture")
    return paths


def counted(count: int) -> str:
    return f"{count:,} picture{'' if count == 1 else 's'}"


def left_out(names: list[str], folder: Path, why: str) -> list[str]:
    """A sentence of a folder's pictures whose names say too little, if there are any."""
    if not names:
        return []
    first = f"such as '{crop_id(Path(names[0]))}'"
    return [f"Left out: {counted(len(names))} in '{folder.name}' ({first}), whose names tell no {why}."]


def absent(names: list[str], table: str) -> list[str]:
    """A sentence of the pictures that somebody's list names and that are not there, if there are any."""
    if not names:
        return []
    return [f"Not there: {counted(len(names))} that {table} names, the first '{crop_id(Path(names[0]))}'."]


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers, from 1, and text of a UTF-8 file's lines that are not blank. Raises UserError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} cannot be read as UTF-8 text: {error}") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def inside(relative: str) -> bool:
    """Whether a path in somebody's list stays below the folder that it is relative to."""
    path = Path(relative)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in relative


def crop_id(path: Path) -> str:
    """A path as text: bytes that are not UTF-8 are written as escapes."""
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _lacking(folder: Path, needed: Sequence[str], any_of: Sequence[str]) -> list[str]:
    missing = [name for name in needed if not (folder / name).exists()]
    if any_of and not any((folder / name).exists() for name in any_of):
        missing.append(" or ".join(any_of))
    return missing


def _candidates(root: Path, inner: Sequence[str], depth: int) -> Iterator[Path]:
    yield root
    if depth == 0:
        return
    for folder in folders_in(root):
        if re.sub(r"[^a-z0-9]", "", folder.name.lower()).startswith(tuple(inner)):
            yield from _candidates(folder, inner, depth - 1)
