"""LibriSpeech (Panayotov et al. 2015) and what is laid out as it is."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from mpq.datasets.base import AUDIO_SUFFIXES, Dataset, DatasetReader, Source, files_in, sample_id
from mpq.datasets.tables import existing_folder
from mpq.errors import UserError

ENDING = ".trans.txt"


class LibriSpeech(DatasetReader):
    """``SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac`` with one ``SPEAKER-CHAPTER.trans.txt`` a chapter.

    Its lines read ``SPEAKER-CHAPTER-NUMBER WHAT IS SAID``. The folder is a split (``test-clean``), or lies at any
    level above or below.
    """

    name = "librispeech"
    task = "speech"
    summary = "LibriSpeech: a split, or any folder above or below"
    layout = "SPEAKER/CHAPTER/*.flac, each chapter with its SPEAKER-CHAPTER.trans.txt"
    priority = 20

    def recognises(self, folder: Path) -> bool:
        return bool(_tables(folder))

    def read(self, argument: str, labels: str | None) -> Dataset:
        folder = existing_folder(argument)
        if labels:
            raise UserError(f"LibriSpeech has its transcripts in *{ENDING} and takes no other labels")
        tables, sounds = _tables(folder), files_in(folder, AUDIO_SUFFIXES)
        if not tables:
            raise UserError(f"'{argument}' holds no *{ENDING}")
        chapters: dict[Path, dict[str, Path]] = defaultdict(dict)
        sources: dict[str, Source] = {}
        problems: list[str] = []
        for path in sounds:
            if chapters[path.parent].setdefault(path.stem, path) != path:
                problems.append(f"{_name(path)}: the utterance is there in another format, too")
        for table in tables:
            chapter = chapters[table.parent]
            try:
                lines = _lines(table)
            except UserError as error:
                problems.append(str(error))
                chapter.clear()  # said once, not for each of its utterances
                continue
            for number, utterance, text in lines:
                where = f"{table.name} line {number}"
                sound = chapter.pop(utterance, None)
                if utterance in sources:
                    problems.append(f"{where}: '{utterance}' stands there twice")
                elif sound is None:
                    problems.append(f"{where}: no sound '{utterance}'")
                elif not text:
                    problems.append(f"{where}: no transcript for '{utterance}'")
                else:
                    sources[utterance] = Source(_name(sound), sound, text)
        for chapter in chapters.values():
            problems += [f"no *{ENDING} beside {_name(path)} says what it says" for path in chapter.values()]
        return Dataset(
            sample_id(Path(folder.resolve().name)), tuple(sources.values()), problems=tuple(problems)
        )


def _name(path: Path) -> str:
    """Without its folders, which say no more: an utterance has the same name wherever the archive was unpacked."""
    return sample_id(Path(path.name))


def _tables(folder: Path) -> list[Path]:
    return [path for path in files_in(folder, frozenset([".txt"])) if path.name.endswith(ENDING)]


def _lines(table: Path) -> list[tuple[int, str, str]]:
    """Number, utterance and text of each line that is not empty. Raises UserError."""
    try:
        lines = table.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{table} cannot be read as UTF-8 text: {error}") from None
    found = []
    for number, line in enumerate(lines, start=1):
        utterance, *text = line.strip().split(maxsplit=1) or [""]
        if utterance:
            found.append((number, utterance, "".join(text)))
    return found
