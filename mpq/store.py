"""Results on disk: immutable files, written beside and renamed into place.

    RUN/cells/NAME~HASH.parquet   a finished cell: a row for every sample; HASH is of all that shaped it
    RUN/parts/HASH.parquet        rows of one block of samples for some cells, while a sweep is under way
    RUN/invocations/*.json        one a command: its plan, versions, weights' hashes, hardware

A kill at any moment leaves whole files only, and loses the blocks in flight. Several processes may fill one
folder: equal work has equal names and equal content, so whoever comes second replaces a file by its twin.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpq.errors import UserError
from mpq.files import write_whole
from mpq.rows import FIRST, LAST, ROWS_VERSION, schema, to_table

if TYPE_CHECKING:
    import pyarrow as pa

IDENTITY = b"mpq.identity"
"""The key of a file's metadata that holds the cell's identity; empty in a part, which may hold several cells."""

FIELDS = b"mpq.fields"
"""The key of a file's metadata that repeats its fields: pages carry checksums, the list of fields does not."""

ROWS_AT_ONCE = 400_000
"""Rows that are held while parts are gathered into cells."""

STALE_SECONDS = 86_400
"""Age at which a file that was never renamed into place is taken for a dead process's and removed."""


@dataclass(frozen=True)
class Cell:
    """(data set, model, codec, setting). identity: all that shapes its rows; JSON-able."""

    identity: dict[str, Any]

    @property
    def hash(self) -> str:
        canonical = json.dumps(self.identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:24]


@dataclass
class Taken:
    """What ``Store.take`` copied. known: cells that were there already. parts: of cells that are not finished."""

    cells: int = 0
    known: int = 0
    parts: int = 0


class Store:
    """A run's folder. Raises UserError where it cannot be written."""

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        self.folder = folder
        self.cells = folder / "cells"
        self.parts = folder / "parts"
        self.invocations = folder / "invocations"
        if not create:
            if not self.cells.is_dir() and not self.parts.is_dir():
                raise UserError(f"'{folder}' is not a run: it has no folder 'cells'")
            return
        try:
            for place in (self.cells, self.parts, self.invocations):
                place.mkdir(parents=True, exist_ok=True)
            probe = self.parts / f".probe.{uuid.uuid4().hex}.tmp"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise UserError(f"'{folder}' cannot be written: {error.strerror}") from None
        self._sweep_up()

    def _sweep_up(self) -> None:
        for leftover in (*self.cells.glob(".*.tmp"), *self.parts.glob(".*.tmp")):
            try:
                if time.time() - leftover.stat().st_mtime > STALE_SECONDS:
                    leftover.unlink()
            except OSError:  # another process was quicker
                continue

    # Writing

    def write_part(self, name: str, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
        """A block's rows, of one or several cells, under a name that only this content can have."""
        self._write_table(self.parts / f"{name}.parquet", to_table(rows, schema), {})

    def has_part(self, name: str) -> bool:
        return (self.parts / f"{name}.parquet").exists()

    def finish(self, cells: dict[str, Cell], names: dict[str, str], samples: list[str]) -> list[str]:
        """Gathers each complete cell's parts into its file, rows in the order of ``samples``; returns their hashes.

        names: hash -> the readable beginning of the file's name. Parts that only hold finished cells go.
        """
        order = {sample: i for i, sample in enumerate(samples)}
        finished = self.finished()
        waiting = [h for h in cells if h not in finished]
        done = []
        # A few cells at a time: all rows of a large sweep do not fit into memory.
        at_once = max(1, ROWS_AT_ONCE // max(1, len(samples)))
        for start in range(0, len(waiting), at_once):
            done += self._gather(waiting[start : start + at_once], cells, names, order)
        self._remove_gathered_parts()
        return done

    def _gather(
        self, waiting: list[str], cells: dict[str, Cell], names: dict[str, str], order: dict[str, int]
    ) -> list[str]:
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array(waiting, pa.string())
        gathered: dict[str, dict[str, dict[str, Any]]] = {cell: {} for cell in waiting}
        schemas: dict[str, pa.Schema] = {}
        for table in self._tables(self.parts.glob("*.parquet")):
            for row in table.filter(pc.is_in(table.column("cell"), wanted)).to_pylist():
                schemas.setdefault(row["cell"], table.schema)
                held = gathered[row["cell"]].get(row["sample"])
                # A sample that one process lost with its worker and another did not has been done.
                if held is None or held["error"] is not None:
                    gathered[row["cell"]][row["sample"]] = row
        done = []
        for cell, rows in gathered.items():
            if rows.keys() != order.keys():
                continue
            table = to_table(sorted(rows.values(), key=lambda row: order[row["sample"]]), schemas[cell])
            path = self.cells / f"{_file_name(names[cell])}~{cell}.parquet"
            self._write_table(path, table, cells[cell].identity)
            done.append(cell)
        return done

    def _remove_gathered_parts(self) -> None:
        finished = self.finished()
        for part in self.parts.glob("*.parquet"):
            for table in self._tables([part]):
                if set(table.column("cell").to_pylist()) <= finished.keys():
                    part.unlink(missing_ok=True)

    def take(self, other: Store) -> Taken:
        """Copies what another run has and this one has not: cells, parts of cells, commands. Checks each file."""
        taken = Taken()
        mine = self.finished()
        for cell, path in other.finished().items():
            if cell in mine:
                taken.known += 1
                continue
            self._copy(path, self.cells)
            taken.cells += 1
        finished = self.finished()
        for path in other.parts.glob("*.parquet"):
            for table in self._tables([path]):
                if set(table.column("cell").to_pylist()) <= finished.keys():
                    continue
                self._copy(path, self.parts)
                taken.parts += 1
        for path in other.invocations.glob("*.json"):
            _invocation(path)
            self._write(self.invocations / path.name, path.read_bytes())
        return taken

    def _copy(self, path: Path, folder: Path) -> None:
        for _ in self._tables([path]):  # a damaged file is told, not spread
            self._write(folder / path.name, path.read_bytes())

    def write_invocation(self, content: dict[str, Any]) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        path = self.invocations / f"{stamp}-{uuid.uuid4().hex[:8]}.json"
        try:
            text = json.dumps(content, indent=2, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # a file's name need not be UTF-8
            text = json.dumps(content, indent=2).encode()
        self._write(path, text)

    def _write_table(self, path: Path, table: pa.Table, identity: dict[str, Any]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        metadata = {IDENTITY: json.dumps(identity).encode(), FIELDS: _described(table.schema)}
        buffer = pa.BufferOutputStream()
        pq.write_table(
            table.replace_schema_metadata(metadata), buffer, compression="zstd", write_page_checksum=True
        )
        self._write(path, buffer.getvalue().to_pybytes())

    def _write(self, path: Path, data: bytes) -> None:
        try:
            write_whole(path, data)
        except OSError as error:
            raise UserError(
                f"'{path}' cannot be written: {error.strerror}; what was finished is kept, "
                "and the same command goes on from there"
            ) from None

    # Reading

    def finished(self) -> dict[str, Path]:
        """Hash -> file of every finished cell."""
        return {path.stem.rpartition("~")[2]: path for path in self.cells.glob("*~*.parquet")}

    def present(self) -> dict[str, set[str]]:
        """Cell hash -> samples that parts hold a row for. (A finished cell holds all of them.)"""
        found: dict[str, set[str]] = defaultdict(set)
        for table in self._tables(self.parts.glob("*.parquet"), columns=["cell", "sample"]):
            for cell, sample in zip(
                table.column("cell").to_pylist(), table.column("sample").to_pylist(), strict=True
            ):
                found[cell].add(sample)
        return found

    def read(self, only: set[str] | None = None) -> list[tuple[dict[str, Any], pa.Table]]:
        """(identity, rows) of every finished cell (or of ``only`` those). Raises UserError if there are none."""
        paths = [path for cell, path in sorted(self.finished().items()) if only is None or cell in only]
        cells = [(json.loads(t.schema.metadata[IDENTITY]), t) for t in self._tables(paths)]
        if not cells:
            raise UserError(f"'{self.folder}' holds no finished cell yet; run its sweep again to go on")
        return cells

    def forget(self, cells: set[str]) -> None:
        """Removes finished cells and what parts hold of them, so that they are made again."""
        for part in list(self.parts.glob("*.parquet")):
            for table in self._tables([part]):
                kept = [row for row in table.to_pylist() if row["cell"] not in cells]
                if len(kept) < table.num_rows:
                    if kept:
                        self.write_part(uuid.uuid4().hex[:24], kept, table.schema)
                    part.unlink(missing_ok=True)
        for cell, path in self.finished().items():
            if cell in cells:
                path.unlink(missing_ok=True)

    def read_invocations(self) -> list[dict[str, Any]]:
        """What each command left, the first first. Raises UserError for a file that no command has written so."""
        return [_invocation(path) for path in sorted(self.invocations.glob("*.json"))]

    def _tables(self, paths: Iterable[Path], columns: list[str] | None = None) -> Iterable[pa.Table]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for path in paths:
            try:
                reader = pa.BufferReader(path.read_bytes())
                # Arrow's own threads would be there for nothing, and have been seen to abort a process at its end.
                table = pq.read_table(
                    reader, columns=columns, page_checksum_verification=True, use_threads=False
                )
                if (made := _version(table)) != ROWS_VERSION:
                    raise UserError(
                        f"'{path}' was written by {'an older' if made < ROWS_VERSION else 'a newer'} version of this suite (rows "
                        f"{made}, here {ROWS_VERSION}): read it with that one, or move it away; a sweep makes its cell anew"
                    )
                _check(table, columns)
            except FileNotFoundError:  # another process finished the cell and removed the part
                continue
            except (pa.ArrowException, OSError, ValueError, KeyError) as error:
                reason = " ".join(str(error).split())
                raise UserError(
                    f"'{path}' is damaged ({reason}); delete it and run the sweep again"
                ) from None
            yield table


def _invocation(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"'{path}' cannot be read: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("plan"), dict):
        raise UserError(f"'{path}' is no record of a command: remove it")
    return content


def _version(table: pa.Table) -> int:
    """Of the rows of a finished cell."""
    identity = json.loads((table.schema.metadata or {}).get(IDENTITY, b"{}"))
    return int(identity.get("rows", ROWS_VERSION))


def _check(table: pa.Table, columns: list[str] | None) -> None:
    """Raises ValueError unless ``table`` is as this suite writes it."""
    if IDENTITY not in (table.schema.metadata or {}):
        raise ValueError("it was not written by mpq")
    expected = [f for f in (*FIRST, *LAST) if columns is None or f.name in columns]
    for field in schema(expected):  # others are its task's and medium's
        if field.name not in table.schema.names or not table.schema.field(field.name).equals(field):
            raise ValueError(f"it has no field '{field.name}' as rows have it")
    if columns is None and table.schema.metadata.get(FIELDS) != _described(table.schema):
        raise ValueError("its fields are not those that it was written with")
    identity = json.loads(table.schema.metadata[IDENTITY])
    if identity and set(table.column("cell").to_pylist()) != {Cell(identity).hash}:
        raise ValueError("its rows are not of the cell that it says")


def _described(schema: pa.Schema) -> bytes:
    import pyarrow as pa

    # What a list's values are called changes on the way to disk.
    types = (f"list of {t.value_type}" if pa.types.is_list(t) else str(t) for t in schema.types)
    return json.dumps(list(zip(schema.names, types, strict=True))).encode()


def _file_name(words: str) -> str:
    return re.sub(r"[^\w.=,@+-]+", "_", words, flags=re.ASCII)[:120]
