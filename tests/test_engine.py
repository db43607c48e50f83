"""The engine: the same rows whoever ran them, and a worker's death costs only its sample."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from mpq import engine
from mpq.errors import UserError

BLOCKS = [[0, 1, 2], [3, 4], [5, 6, 7]]


@dataclass
class Squares:
    """Squares its indices; dies or complains at those it is told."""

    dies_at: int | None = None
    hangs_at: int | None = None
    fails_at: int | None = None
    error: type[Exception] = UserError
    opens: bool = True

    def open(self, threads: int, *, scores: bool) -> None:
        if not self.opens:
            os._exit(7)

    def code(self, block: engine.Block) -> Iterator[Any]:
        for i in block:
            if i == self.dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if i == self.hangs_at:
                time.sleep(600)
            if i == self.fails_at:
                raise self.error(f"sample {i} is bad")
            yield i, i * i

    def scorer(self) -> Callable[[Any], engine.Rows]:
        seen: list[int] = []  # a scorer lives as long as its block

        def score(piece: Any) -> engine.Rows:
            seen.append(piece[0])
            return [{"i": piece[0], "square": piece[1], "first": seen[0]}]

        return score

    def lost(self, block: engine.Block, reason: str) -> engine.Rows:
        return [{"i": i, "error": reason} for i in block]


def _rows(job: Squares, **options: Any) -> list[dict[str, Any]]:
    return sorted(
        (row for _, rows in engine.run(job, BLOCKS, **options) for row in rows), key=lambda r: r["i"]
    )


@pytest.mark.parametrize("options", [{"workers": 2}, {"workers": 5}, {"workers": 2, "score_here": True},
                                     {"workers": 1, "score_here": True}])  # fmt: skip
def test_rows_do_not_depend_on_who_ran_them(options: dict[str, Any]) -> None:
    expected = _rows(Squares(), workers=1)
    assert [row["square"] for row in expected] == [0, 1, 4, 9, 16, 25, 36, 49]
    assert [row["first"] for row in expected] == [0, 0, 0, 3, 3, 5, 5, 5]
    assert _rows(Squares(), **options) == expected


@pytest.mark.parametrize("score_here", [False, True])
def test_a_hung_worker_costs_only_the_sample_that_hangs(score_here: bool) -> None:
    start = time.monotonic()
    rows = _rows(Squares(hangs_at=4), workers=2, patience=1.0, score_here=score_here)
    assert [row.get("square") for row in rows] == [0, 1, 4, 9, None, 25, 36, 49]
    assert rows[4] == {"i": 4, "error": "a piece took more than 1 s"}
    assert time.monotonic() - start < 60


def test_a_killed_worker_costs_only_the_sample_that_kills() -> None:
    rows = _rows(Squares(dies_at=4), workers=2)
    assert [row["i"] for row in rows] == list(range(8))
    assert rows[4] == {"i": 4, "error": "the worker process died (signal SIGKILL)"}
    assert all("error" not in row for row in rows if row["i"] != 4)


def test_a_worker_that_cannot_start_is_told_and_is_no_row() -> None:
    with pytest.raises(UserError, match=r"died while it was starting \(exit status 7\)"):
        _rows(Squares(opens=False), workers=2)


def test_a_users_mistake_in_a_worker_stays_one() -> None:
    with pytest.raises(UserError, match="sample 3 is bad"):
        _rows(Squares(fails_at=3), workers=2)


def test_a_bug_in_a_worker_comes_with_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: sample 3") as told:
        _rows(Squares(fails_at=3, error=ZeroDivisionError), workers=2)
    assert "test_engine.py" in str(told.value)


@dataclass
class Heavy(Squares):
    """Sends pieces that do not fit a pipe, and dies while it sends one."""

    def code(self, block: engine.Block) -> Iterator[Any]:
        for i in block:
            if i == 4:
                threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
                yield i, bytes(300_000_000)
            yield i, i * i

    def scorer(self) -> Callable[[Any], engine.Rows]:
        return lambda piece: [{"i": piece[0]}]


def test_a_worker_that_dies_in_the_middle_of_a_message_costs_its_sample() -> None:
    rows = _rows(Heavy(), workers=2, score_here=True)
    assert {row["i"] for row in rows} == set(range(8))
    assert sum("error" in row for row in rows) <= 1


@pytest.mark.parametrize("workers", [1, 2])
def test_what_somebody_else_has_done_is_skipped(workers: int) -> None:
    rows = _rows(Squares(), workers=workers, skip=lambda block: 3 in block)
    assert [row["i"] for row in rows] == [0, 1, 2, 5, 6, 7]


def test_nothing_to_do_is_done_at_once() -> None:
    assert list(engine.run(Squares(opens=False), [], workers=2)) == []


def test_pieces_are_counted() -> None:
    counted = []
    list(engine.run(Squares(), BLOCKS, workers=2, on_piece=lambda: counted.append(1)))
    assert len(counted) == 8
