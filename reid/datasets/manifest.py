"""A table of one's own pictures: whose each is, which role it has, and under which camera, where that is known."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace
from pathlib import Path

from mpq.errors import UserError
from mpq.paths import user_path
from reid.datasets.base import Crop, ReidDataset, ReidReader
from reid.datasets.files import absent, crop_id
from reid.features import JUNK, NO_CAMERA
from reid.protocols import MARKET, Protocol

COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "image"),
    "id": ("id", "pid", "person", "identity"),
    "role": ("role", "set", "subset"),
    "camera": ("camera", "camid", "cam"),
}

ROLES = {"query": ("query",), "gallery": ("gallery",), "both": ("query", "gallery")}


@dataclass(frozen=True)
class _Row:
    file: str
    path: Path
    person: str
    camera: str
    roles: tuple[str, ...]


class Manifest(ReidReader):
    """Identities and cameras are any words; 07 is 7. Identity −1 is junk, and 0 a distractor unless a query is of it.

    Paths are relative to the table's folder, or absolute.

    Without cameras nothing is skipped, except that a picture which is both query and gallery does not find itself.
    """

    name = "manifest"
    summary = "a table of your own pictures, with cameras or without"
    layout = "a CSV or TSV file (or a folder with manifest.csv): columns path, id, role (query, gallery, both), camera"
    counts = "any"
    source = "yours"

    def read(self, root: Path | None, variant: str) -> ReidDataset:
        if root is None:
            raise UserError(f"a manifest needs its file: --root FILE, {self.layout}")
        table = root / "manifest.csv" if root.is_dir() else root
        rows, notes = _read_rows(table)
        pids = {str(JUNK): JUNK, "0": 0}
        if any(row.person == "0" and "query" in row.roles for row in rows):
            del pids["0"]
        pids |= _numbers([row.person for row in rows if row.person not in pids])
        without = [row for row in rows if not row.camera]
        twice = any(len(row.roles) == 2 for row in rows)
        if without and len(without) < len(rows):
            raise UserError(
                f"{table}: '{without[0].file}' has no camera and others have: give all pictures one, or none"
            )
        if not without:
            camids, protocol = _numbers([row.camera for row in rows]), MARKET
        elif twice:
            # a camera for each picture: of its own identity, a query then skips itself and nothing else
            camids, protocol = {}, MARKET
            notes.append("No cameras: a query that is in the gallery, too, does not see itself there.")
        else:
            camids, protocol = {}, Protocol(rule="none")
            notes.append("No cameras: a query sees the whole gallery.")
        sides: dict[str, list[Crop]] = {"query": [], "gallery": []}
        for number, row in enumerate(rows, start=1):
            camid = camids[row.camera] if row.camera else number if twice else NO_CAMERA
            crop = Crop(crop_id(Path(row.file)), row.path, pids[row.person], camid)
            for role in row.roles:
                sides[role].append(crop)
        name = crop_id(Path(table.parent.resolve().name if root.is_dir() else table.name))
        return ReidDataset(name, tuple(sides["query"]), tuple(sides["gallery"]), protocol, tuple(notes))


def _read_rows(table: Path) -> tuple[list[_Row], list[str]]:
    """The rows whose picture is there, by its path, with all roles that it is given; a sentence for what is off."""
    header, lines = _read_table(table)
    columns = {name: _column(header, names) for name, names in COLUMNS.items()}
    for name in ("path", "id", "role"):
        if columns[name] is None:
            raise UserError(
                f"{table} has no column {'/'.join(COLUMNS[name])}; its first line: {','.join(header)}"
            )
    rows: dict[Path, _Row] = {}
    missing: list[str] = []
    for number, cells in lines:
        if len(cells) != len(header):
            raise UserError(f"{table} line {number}: {len(cells)} values for {len(header)} columns")
        file, person, role, camera = (
            "" if (at := columns[name]) is None else cells[at].strip()
            for name in ("path", "id", "role", "camera")
        )
        if role.lower() not in ROLES:
            raise UserError(f"{table} line {number}: the role is query, gallery or both, not '{role}'")
        if not person:
            raise UserError(f"{table} line {number}: '{file}' has no id")
        path = user_path(file) if file else table.parent
        path = path if path.is_absolute() else table.parent / path
        if not path.is_file():
            missing.append(file)
            continue
        row = _Row(file, path, _word(person), _word(camera), ROLES[role.lower()])
        known = rows.setdefault(path, row)
        if known is not row:
            if (known.person, known.camera) != (row.person, row.camera):
                raise UserError(
                    f"{table} line {number}: '{file}' stood there before with another id or camera"
                )
            roles = tuple(role for role in ("query", "gallery") if role in known.roles + row.roles)
            rows[path] = replace(row, roles=roles)
    if not rows:
        raise UserError(
            f"{table} names no picture that is there" + (f": no '{missing[0][:60]}'" if missing else "")
        )
    return list(rows.values()), absent(missing, table.name)


def _read_table(table: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{table} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{table} cannot be read as a UTF-8 table: {error}") from None
    reader = csv.reader(io.StringIO(text), delimiter="\t" if table.suffix.lower() == ".tsv" else ",")
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UserError(f"{table} line {reader.line_num}: {error}") from None
    if not rows:
        raise UserError(f"{table} is empty")
    return [cell.strip().lower() for cell in rows[0][1]], rows[1:]


def _word(text: str) -> str:
    """Numbers in one spelling: tables lose or keep their leading zeros as it happens."""
    return str(int(text)) if re.fullmatch(r"-?\d{1,18}", text) else text


def _column(header: list[str], names: tuple[str, ...]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _numbers(words: list[str]) -> dict[str, int]:
    """Each word as a number from 1: itself, where all are such numbers, else its place among them."""
    known = sorted(set(words))
    if all(word.isascii() and word.isdecimal() and 0 < int(word) < 2**31 for word in known):
        return {word: int(word) for word in known}
    return {word: place for place, word in enumerate(known, start=1)}
