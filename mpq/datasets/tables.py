"""Tables of files and what is true of them, as people and programs write them: CSV, or separated by tabs."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from mpq.datasets.base import Source, sample_id
from mpq.errors import UserError
from mpq.paths import user_path


def existing_folder(argument: str) -> Path:
    """The folder that the user names. Raises UserError."""
    if not argument:
        raise UserError("this data set needs a folder behind its name: NAME:FOLDER")
    path = user_path(argument)
    if not path.is_dir():
        raise UserError(f"'{argument}' is not a folder")
    return path


def named_table(folder: Path, named: str | None, usual: tuple[str, ...]) -> Path:
    """The table that the user names, as a path or as a name in ``folder``; unless told, the first usual one there is."""
    candidates = [user_path(named), folder / named] if named else [folder / name for name in usual]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UserError(f"there is no table '{named or folder / usual[0]}'")


def labelled_files(
    table: Path,
    folder: Path,
    files: tuple[str, ...],
    labels: tuple[str, ...],
    *,
    what: str = "label",
    within: str,
    suffix: str = "",
) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """A source for each row, and a sentence for each row that is wrong and left out.

    files, labels: what the columns of files and of labels may be called, the first that there is counting. Files are
    sought beside the table and in ``folder``, or in the folder ``within`` in either. what: the labels' word. suffix:
    of files that are named without one. Raises UserError for a table that cannot be read or has no such columns.
    """
    header, rows = read_table(table)
    file_column, label_column = _column(header, files, table), _column(header, labels, table)
    sources: dict[Path, Source] = {}
    problems: list[str] = []
    for line, row in rows:
        if len(row) != len(header):
            problems.append(f"{table.name} line {line}: {len(row)} values for {len(header)} columns")
            continue
        file, label = row[file_column].strip(), row[label_column].strip()
        if file and not Path(file).suffix:
            file += suffix
        path = _find(file, within, table.parent, folder)
        if path is None:
            problems.append(f"{table.name} line {line}: no file '{file}'")
        elif any(_find(cell.strip(), within, table.parent, folder) for cell in _lower_lines(label)):
            problems.append(f"{table.name} line {line}: the {what} of '{file}' has swallowed other lines")
        elif not label:
            problems.append(f"{table.name} line {line}: no {what} for '{file}'")
        elif path.resolve() in sources:
            problems.append(f"{table.name} line {line}: '{file}' stands there twice")
        else:
            sources[path.resolve()] = Source(sample_id(Path(file)), path, label)
    return tuple(sources.values()), tuple(problems)


def read_table(table: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The first line's names in lower case; number and values of each other line that is not empty. Raises UserError.

    A tab in the first line that is not empty makes it a table separated by tabs.
    """
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{table} cannot be read as a UTF-8 table: {error}") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\t" in text.lstrip("\n").partition("\n")[0]:
        lines = enumerate(text.split("\n"), start=1)
        rows = [(i, [_unquoted(cell) for cell in line.split("\t")]) for i, line in lines]
    else:
        reader = csv.reader(io.StringIO(text), strict=True)
        try:
            rows = [(reader.line_num, row) for row in reader]
        except csv.Error as error:
            raise UserError(f"{table} line {reader.line_num}: {error}") from None
    rows = [(line, row) for line, row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise UserError(f"{table} is empty")
    return [cell.strip().lower() for cell in rows[0][1]], rows[1:]


def _unquoted(cell: str) -> str:
    """A value between tabs.

    Some programs quote it as in CSV, some double its quotation marks and quote nothing (Common Voice), people do
    neither: a sentence that begins with a quotation mark must not swallow the lines after it.
    """
    quoted = re.fullmatch(r'"((?:[^"]|"")*)"', cell)
    return (quoted[1] if quoted else cell).replace('""', '"')


def _lower_lines(value: str) -> list[str]:
    """The cells of a value's lines but the first: where one names a file, a quotation mark was not closed."""
    return [cell for line in value.split("\n")[1:] for cell in line.split(",")]


def _column(header: list[str], names: tuple[str, ...], table: Path) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise UserError(f"{table} has no column {'/'.join(names)}; its first line reads: {','.join(header)}")


def _find(file: str, within: str, *bases: Path) -> Path | None:
    if not file:
        return None
    for base in bases:
        for candidate in (base / file, base / within / file):
            try:
                if candidate.is_file():
                    return candidate
            except (OSError, ValueError):  # no file system would have such a name
                return None
    return None
