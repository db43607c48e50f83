"""Folders of one's own: with a table of labels, in ImageFolder form, or without labels."""

from __future__ import annotations

from pathlib import Path

from mpq.datasets.base import IMAGE_SUFFIXES, Dataset, DatasetReader, Source, files_in, sample_id
from mpq.datasets.tables import existing_folder, labelled_files, named_table

TABLES = ("labels.csv", "labels.tsv")
FILE_COLUMNS = ("file", "path", "filename", "file_name", "image")
LABEL_COLUMNS = ("class_index", "label", "wnid", "class", "class_name", "name")


class LabelsFile(DatasetReader):
    """A table with a column for the file and one for the label; rows that are wrong are left out and named."""

    name = "labels"
    summary = "a folder with labels.csv"
    layout = f"labels.csv: a column of {'/'.join(FILE_COLUMNS)}, and one of {'/'.join(LABEL_COLUMNS)}"
    takes_labels = True
    priority = 10

    def recognises(self, folder: Path) -> bool:
        return any((folder / name).is_file() for name in TABLES)

    def read(self, argument: str, labels: str | None) -> Dataset:
        folder = existing_folder(argument)
        table = named_table(folder, labels, TABLES)
        sources, problems = labelled_files(table, folder, FILE_COLUMNS, LABEL_COLUMNS, within="images")
        return Dataset(sample_id(Path(folder.resolve().name)), sources, problems=problems)


class ImageFolder(DatasetReader):
    """``CLASS/…/picture``: the class is the first folder's name, its index the name's rank."""

    name = "imagefolder"
    summary = "one folder a class"
    layout = "CLASS/picture.jpg; CLASS a WordNet id, a class name or an index"
    priority = 30

    def recognises(self, folder: Path) -> bool:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        loose = any(not entry.is_dir() and entry.suffix.lower() in IMAGE_SUFFIXES for entry in entries)
        classes = [entry for entry in entries if entry.is_dir() and files_in(entry, IMAGE_SUFFIXES)]
        return not loose and len(classes) >= 2

    def read(self, argument: str, labels: str | None) -> Dataset:
        folder = existing_folder(argument)
        paths = [path for path in files_in(folder, IMAGE_SUFFIXES) if path.parent != folder]
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
        return bool(files_in(folder, IMAGE_SUFFIXES))

    def read(self, argument: str, labels: str | None) -> Dataset:
        folder = existing_folder(argument)
        sources = [Source(sample_id(p.relative_to(folder)), p) for p in files_in(folder, IMAGE_SUFFIXES)]
        return Dataset(sample_id(Path(folder.resolve().name)), tuple(sources))
