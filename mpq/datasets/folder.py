"""Folders of one's own: with a table of labels, in ImageFolder form, or without labels."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from mpq.datasets.base import IMAGE_SUFFIXES, Dataset, DatasetReader, Source, pictures_in, sample_id
from mpq.errors import UserError
from mpq.paths import user_path

FILE_COLUMNS = ("file", "path", "filename", "file_name", "image")
LABEL_COLUMNS = ("class_index", "label", "wnid", "class", "class_name", "name")


def _existing(folder: str) -> Path:
    path = user_path(folder)
    if not path.is_dir():
        raise UserError(f"'{folder}' is not a folder")
    return path


class LabelsFile(DatasetReader):
    """A table with a column for the file and one for the label; rows that are wrong are left out and named."""

    name = "labels"
    summary = "a folder with labels.csv"
    layout = f"labels.csv: a column of {'/'.join(FILE_COLUMNS)}, and one of {'/'.join(LABEL_COLUMNS)}"
    priority = 10

    def recognises(self, folder: Path) -> bool:
        return any((folder / name).is_file() for name in ("labels.csv", "labels.tsv"))

    def read(self, argument: str, labels: str | None) -> Dataset:
        folder = _existing(argument)
        table = _labels_table(folder, labels)
        header, rows = _read_table(table)
        file_column = _column(header, FILE_COLUMNS, table)
        label_column = _column(header, LABEL_COLUMNS, table)
        sources: dict[Path, Source] = {}
        problems: list[str] = []
        for line, row in rows:
            if len(row) != len(header):
                problems.append(f"{table.name} line {line}: {len(row)} values for {len(header)} columns")
                continue
            file, label = row[file_column].strip(), row[label_column].strip()
            path = _find(file, table.parent, folder)
            if path is None:
                problems.append(f"{table.name} line {line}: no file '{file}'")
            elif not label:
                problems.append(f"{table.name} line {line}: no label for '{file}'")
            elif path.resolve() in sources:
                problems.append(f"{table.name} line {line}: '{file}' stands there twice")
            else:
                sources[path.resolve()] = Source(sample_id(Path(file)), path, label)
        return Dataset(
            sample_id(Path(folder.resolve().name)), tuple(sources.values()), problems=tuple(problems)
        )


class ImageFolder(DatasetReader):
    """``CLASS/…/picture``: the class is the first folder's name, its index the name's rank."""

    name = "imagefolder"
    summary = "one folder a class"
    layout = "CLASS/picture.jpg; CLASS a WordNet id, a class name or an index"
    priority = 30

    def recognises(self, folder: Path) -> bool:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        loose = any(not entry.is_dir() and entry.suffix.lower() in IMAGE_SUFFIXES for entry in entries)
        classes = [entry for entry in entries if entry.is_dir() and pictures_in(entry)]
        return not loose and len(classes) >= 2

    def read(self, argument: str, labels: str | None) -> Dataset:
        folder = _existing(argument)
        paths = [path for path in pictures_in(folder) if path.parent != folder]
        relative = [path.relative_to(folder) for path in paths]
        sources = [
            Source(sample_id(r), p, label=sample_id(Path(r.parts[0])))
            for p, r in zip(paths, relative, strict=True)
        ]
        classes = sorted({str(source.label) for source in sources})
        return Dataset(sample_id(Path(folder.resolve().name)), tuple(sources), classes=tuple(classes))


class Unlabelled(DatasetReader):
    """Any pictures: what is measured is how far the model keeps its own answer on the originals."""

    name = "folder"
    summary = "any folder of pictures, without labels: fidelity to the model's own answer"
    layout = "pictures, at any depth"
    priority = 90

    def recognises(self, folder: Path) -> bool:
        return bool(pictures_in(folder))

    def read(self, argument: str, labels: str | None) -> Dataset:
        folder = _existing(argument)
        sources = [Source(sample_id(p.relative_to(folder)), p) for p in pictures_in(folder)]
        return Dataset(sample_id(Path(folder.resolve().name)), tuple(sources))


def _labels_table(folder: Path, labels: str | None) -> Path:
    if labels is not None:
        candidates = [user_path(labels), folder / labels]
    else:
        candidates = [folder / "labels.csv", folder / "labels.tsv"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UserError(f"there is no labels file '{labels or folder / 'labels.csv'}'")


def _read_table(table: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{table} cannot be read as a UTF-8 table: {error}") from None
    delimiter = "\t" if table.suffix == ".tsv" else ","
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UserError(f"{table} line {reader.line_num}: {error}") from None
    if not rows:
        raise UserError(f"{table} is empty")
    header = [cell.strip().lower() for cell in rows[0][1]]
    return header, rows[1:]


def _column(header: list[str], names: tuple[str, ...], table: Path) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise UserError(f"{table} has no column {'/'.join(names)}; its first line reads: {','.join(header)}")


def _find(file: str, *bases: Path) -> Path | None:
    if not file:
        return None
    for base in bases:
        for candidate in (base / file, base / "images" / file):
            try:
                if candidate.is_file():
                    return candidate
            except (OSError, ValueError):  # no file system would have such a name
                return None
    return None
