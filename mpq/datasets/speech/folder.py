"""Folders of one's own: with a table of transcripts, or without."""

from __future__ import annotations

from pathlib import Path

from mpq.datasets.base import AUDIO_SUFFIXES, Dataset, DatasetReader, Source, files_in, sample_id
from mpq.datasets.tables import existing_folder, labelled_files, named_table

TABLES = ("transcripts.tsv", "transcripts.csv")
FILE_COLUMNS = ("path", "file", "filename", "file_name", "audio")
TEXT_COLUMNS = ("sentence", "text", "transcript", "transcription")


class Transcripts(DatasetReader):
    """A table with a column for the file and one for what is said; rows that are wrong are left out and named."""

    name = "transcripts"
    task = "speech"
    summary = "a folder with transcripts.tsv or transcripts.csv"
    layout = (
        f"transcripts.tsv: a column of {'/'.join(FILE_COLUMNS)}, and one of {'/'.join(TEXT_COLUMNS)}; "
        "files beside it or in clips/"
    )
    takes_labels = True
    priority = 10

    def recognises(self, folder: Path) -> bool:
        return any((folder / name).is_file() for name in TABLES)

    def read(self, argument: str, labels: str | None) -> Dataset:
        folder = existing_folder(argument)
        table = named_table(folder, labels, TABLES)
        sources, problems = labelled_files(
            table, folder, FILE_COLUMNS, TEXT_COLUMNS, what="transcript", within="clips"
        )
        return Dataset(sample_id(Path(folder.resolve().name)), sources, problems=problems)


class Untranscribed(DatasetReader):
    """Any sounds: what is measured is how far a recogniser keeps its own transcript of the originals."""

    name = "folder"
    task = "speech"
    summary = "any folder of sounds, without transcripts: fidelity to the recogniser's own"
    layout = "sounds, at any depth"
    priority = 90

    def recognises(self, folder: Path) -> bool:
        return bool(files_in(folder, AUDIO_SUFFIXES))

    def read(self, argument: str, labels: str | None) -> Dataset:
        folder = existing_folder(argument)
        sources = [Source(sample_id(p.relative_to(folder)), p) for p in files_in(folder, AUDIO_SUFFIXES)]
        return Dataset(sample_id(Path(folder.resolve().name)), tuple(sources))
