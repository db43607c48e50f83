"""Mozilla Common Voice, as one language's archive unpacks."""

from __future__ import annotations

from pathlib import Path

from mpq.datasets.base import Dataset, DatasetReader, sample_id
from mpq.datasets.tables import existing_folder, labelled_files, named_table
from mpq.errors import UserError

TABLES = ("test.tsv", "validated.tsv")
"""Which are read, unless told: the first that there is."""


class CommonVoice(DatasetReader):
    """``clips/*.mp3`` and tables with the columns path and sentence; ``--labels dev.tsv`` names another table.

    The folder is a language's (``en``), or one above that holds just one.
    """

    name = "commonvoice"
    task = "speech"
    summary = "a language of Common Voice: test.tsv, else validated.tsv"
    layout = "clips/*.mp3, and test.tsv or validated.tsv: path, sentence; --labels names another table"
    priority = 20

    def recognises(self, folder: Path) -> bool:
        return bool(_languages(folder))

    def read(self, argument: str, labels: str | None) -> Dataset:
        above = existing_folder(argument)
        languages = _languages(above)
        if len(languages) > 1:
            several = ", ".join(language.name for language in languages)
            raise UserError(f"'{argument}' holds several languages of Common Voice: {several}; name one")
        folder = languages[0] if languages else above
        table = named_table(folder, labels, TABLES)
        sources, problems = labelled_files(
            table, folder, ("path",), ("sentence",), what="sentence", within="clips", suffix=".mp3"
        )
        name = f"common-voice {folder.resolve().name} {table.stem}"
        return Dataset(sample_id(Path(name)), sources, problems=problems)


def _languages(folder: Path) -> list[Path]:
    """``folder`` itself where it is a language's, else those in it that are."""
    if _is_language(folder):
        return [folder]
    return sorted(below for below in folder.iterdir() if _is_language(below))


def _is_language(folder: Path) -> bool:
    return (folder / "clips").is_dir() and any((folder / name).is_file() for name in TABLES)
