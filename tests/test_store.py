"""The store: whole files only, whoever writes and whenever it stops."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mpq.commands.options import allowed_failures
from mpq.errors import UserError
from mpq.registry import tasks
from mpq.rows import ROWS_VERSION, schema, to_table
from mpq.store import Cell, Store

CELL = Cell({"codec": {"name": "x"}})


SCHEMA = schema(tasks.get("classification")().row_fields)


def _rows(samples: list[str], cell: str = CELL.hash) -> list[dict]:
    return [{"cell": cell, "sample": sample, "bits": 8} for sample in samples]


def _finish(store: Store, samples: list[str]) -> list[str]:
    return store.finish({CELL.hash: CELL}, {CELL.hash: "x:q=1~model"}, samples)


def test_parts_become_a_cell_in_the_order_of_the_samples(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    store.write_part("p2", _rows(["c"]), SCHEMA)
    store.write_part("p1", _rows(["b", "a"]), SCHEMA)
    assert store.present() == {CELL.hash: {"a", "b", "c"}}
    assert _finish(store, ["a", "b", "c"]) == [CELL.hash]
    ((identity, table),) = store.read()
    assert identity == CELL.identity
    assert table.column("sample").to_pylist() == ["a", "b", "c"]
    assert [p.name for p in store.cells.iterdir()] == [f"x_q=1_model~{CELL.hash}.parquet"]
    assert list(store.parts.iterdir()) == []


def test_an_incomplete_cell_stays_in_parts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_part("p1", _rows(["a"]), SCHEMA)
    assert _finish(store, ["a", "b"]) == []
    assert store.present() == {CELL.hash: {"a"}}
    with pytest.raises(UserError, match="no finished cell yet"):
        store.read()


def test_the_same_rows_from_two_processes_count_once(tmp_path: Path) -> None:
    first, second = Store(tmp_path), Store(tmp_path)
    first.write_part("p1", _rows(["a", "b"]), SCHEMA)
    second.write_part("p2", _rows(["b", "a"]), SCHEMA)
    _finish(first, ["a", "b"])
    assert _finish(second, ["a", "b"]) == []
    assert first.read()[0][1].num_rows == 2


def test_a_row_that_one_process_lost_and_another_did_not_is_done(tmp_path: Path) -> None:
    for name in ("p1", "p2"):  # whichever is read first
        store = Store(tmp_path / name)
        store.write_part(name, _rows(["a"]), SCHEMA)
        store.write_part(
            "p3" if name == "p1" else "p0",
            [row | {"error": "worker: died"} for row in _rows(["a"])],
            SCHEMA,
        )
        _finish(store, ["a"])
        assert store.read()[0][1].column("error").to_pylist() == [None]


def test_forgotten_cells_leave_parts_too_and_others_stay(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_part("p", [*_rows(["a"]), *_rows(["a"], cell="other")], SCHEMA)
    _finish(store, ["a"])
    assert store.finished().keys() == {CELL.hash}
    store.forget({CELL.hash})
    assert store.finished() == {}
    assert store.present() == {"other": {"a"}}


def test_cells_are_gathered_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpq.store.ROWS_AT_ONCE", 2)
    store, cells = Store(tmp_path), {c.hash: c for c in (Cell({"n": i}) for i in range(5))}
    for sample in ("a", "b"):
        store.write_part(sample, [row for cell in cells for row in _rows([sample], cell)], SCHEMA)
    assert set(store.finish(cells, dict.fromkeys(cells, "x"), ["a", "b"])) == set(cells)
    assert all(table.num_rows == 2 for _, table in store.read())


def test_half_written_files_are_seen_by_nobody_and_swept_up_when_old(tmp_path: Path) -> None:
    store = Store(tmp_path)
    half = store.parts / ".p1.parquet.4242.tmp"
    half.write_bytes(b"PAR1 half")
    assert store.present() == {}
    Store(tmp_path)
    assert half.exists()
    os.utime(half, (time.time() - 90_000,) * 2)
    Store(tmp_path)
    assert not half.exists()


@pytest.mark.parametrize(("rows", "said"), [(ROWS_VERSION - 1, "an older"), (ROWS_VERSION + 1, "a newer")])
def test_another_versions_cell_is_not_called_damaged(tmp_path: Path, rows: int, said: str) -> None:
    store, cell = Store(tmp_path), Cell({"rows": rows})
    store.write_part("p", _rows(["a"], cell.hash), SCHEMA)
    store.finish({cell.hash: cell}, {cell.hash: "x~m"}, ["a"])
    with pytest.raises(
        UserError, match=f"was written by {said} version of this suite \\(rows {rows}, here {ROWS_VERSION}\\)"
    ):
        store.read()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.cells / "x~abc.parquet").write_bytes(b"not parquet")
    with pytest.raises(UserError, match=r"x~abc\.parquet' is damaged"):
        store.read()


def test_a_flipped_bit_never_reads_as_other_rows(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_part(
        "p", [row | {"kl": i / 7} for i, row in enumerate(_rows([f"s{i}" for i in range(40)]))], SCHEMA
    )
    _finish(store, [f"s{i}" for i in range(40)])
    (path,) = store.cells.iterdir()
    whole, rows = path.read_bytes(), store.read()[0][1].to_pylist()
    rng = random.Random(1)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(damaged) * 3 // 4)] ^= 1 << rng.randrange(
            8
        )  # pages come first, then the footer
        path.write_bytes(damaged)
        try:
            read = store.read()[0][1].to_pylist()
        except UserError as error:
            assert "damaged" in str(error)
            assert "\n" not in str(error)
        else:
            assert read == rows


def test_somebody_elses_file_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    pq.write_table(pa.table({"x": [1]}), store.cells / "x~abc.parquet")
    with pytest.raises(UserError, match="not written by mpq"):
        store.read()


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written: Not a directory"):
        Store(tmp_path / "file" / "run")


def test_what_is_no_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run"):
        Store(tmp_path, create=False)


def test_a_cells_hash_is_of_its_content_and_not_of_its_order() -> None:
    assert Cell({"a": 1, "b": {"c": 2, "d": 3}}).hash == Cell({"b": {"d": 3, "c": 2}, "a": 1}).hash
    assert Cell({"a": 1}).hash != Cell({"a": 2}).hash


@pytest.mark.parametrize("task", sorted(tasks.entries))
def test_every_field_is_documented_once_and_strange_ones_are_a_bug(task: str) -> None:
    fields = tasks.get(task)().row_fields
    assert len({f.name for f in fields}) == len(fields) == len(schema(fields))
    assert all(f.doc for f in fields)
    with pytest.raises(KeyError, match="nosuch"):
        to_table([{"nosuch": 1}], schema(fields))


def test_runs_of_two_machines_become_one(tmp_path: Path) -> None:
    one, other, whole = Store(tmp_path / "1"), Store(tmp_path / "2"), Store(tmp_path / "whole")
    second = Cell({"a": "other"})
    for store, cell in ((one, CELL), (other, CELL), (other, second)):
        store.write_part(f"p{cell.hash}", _rows(["a", "b"], cell.hash), SCHEMA)
        store.finish({cell.hash: cell}, {cell.hash: "x~m"}, ["a", "b"])
    one.write_part("p3", _rows(["a"], "unfinished"), SCHEMA)
    one.write_invocation({"plan": {"a": 1}})
    assert (taken := whole.take(one)).cells == 1 and taken.parts == 1
    assert (taken := whole.take(other)).cells == 1 and taken.known == 1
    assert whole.finished().keys() == {CELL.hash, second.hash}
    assert whole.present() == {"unfinished": {"a"}}
    assert whole.read_invocations() == [{"plan": {"a": 1}}]
    whole.take(one)
    assert len(whole.read()) == 2


@pytest.mark.parametrize("content", ['{"plan":', "[]", '{"a": 1}', '{"plan": 1}'])
def test_a_record_that_no_command_wrote_is_named_and_not_spread(tmp_path: Path, content: str) -> None:
    one, whole = Store(tmp_path / "1"), Store(tmp_path / "whole")
    (one.invocations / "odd.json").write_text(content)
    with pytest.raises(UserError, match=r"odd\.json"):
        one.read_invocations()
    with pytest.raises(UserError, match=r"odd\.json"):
        whole.take(one)
    assert not list(whole.invocations.iterdir())


def test_a_record_holds_names_that_are_no_utf_8(tmp_path: Path) -> None:
    store = Store(tmp_path / "1")
    store.write_invocation({"plan": {"data": "odd\udcff"}})
    assert store.read_invocations() == [{"plan": {"data": "odd\udcff"}}]


def test_what_may_fail_is_what_each_cell_was_told_last(tmp_path: Path) -> None:
    def said(*records: tuple[float, list[str]]) -> float:
        store = Store(tmp_path / str(len(list(tmp_path.iterdir()))))
        for i, (share, cells) in enumerate(records):
            store._write(
                store.invocations / f"{i}.json",
                json.dumps({"plan": {"max_failures": share}, "cells": cells}).encode(),
            )
        return allowed_failures(None, store)

    assert said() == 0.01
    assert said((0.01, ["a", "b"]), (0.5, ["a", "b"])) == 0.5  # told anew
    assert said((0.01, ["a"]), (0.5, ["b"])) == said((0.5, ["b"]), (0.01, ["a"])) == 0.01  # two runs in one
    assert allowed_failures(0.2, Store(tmp_path / "0")) == 0.2


def test_a_damaged_cell_is_not_spread(tmp_path: Path) -> None:
    one, whole = Store(tmp_path / "1"), Store(tmp_path / "whole")
    (one.cells / "x~abc.parquet").write_bytes(b"not parquet")
    with pytest.raises(UserError, match="is damaged"):
        whole.take(one)
    assert not whole.finished()
