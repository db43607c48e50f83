"""What a sweep will cost: the arithmetic by hand, and a timing of all of it against what it then is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mpq.cost.estimate import Cost, _scaled, estimate
from mpq.cost.report import cost_section, duration
from mpq.plan import Plan
from mpq.store import Store
from mpq.sweep import Sweep
from reports.stats import Estimate

COST = Cost(
    samples=1000, settings=3, models=2, blocks=63, calibrated=32, device="cpu",
    coding=Estimate(6300.0, 6000.0, 6600.0), scoring=Estimate(0.0), start=10.0, longest=100.0, bytes=2_500_000,
)  # fmt: skip


def test_time_is_shared_among_cores_until_a_block_is_what_takes_it() -> None:
    assert COST.wall(1) == 6310 and COST.wall(2) == 3160 and COST.wall(63) == 110
    assert COST.wall(64) == COST.wall(10_000) == 110  # there are no more blocks to share
    with_gpu = replace(COST, device="cuda", scoring=Estimate(4000.0))
    assert with_gpu.wall(1, 1) == 6310 and with_gpu.wall(16, 1) == 4010 and with_gpu.wall(16, 8) == 510


def test_what_some_blocks_took_is_scaled_to_all() -> None:
    found = _scaled(np.array([4.0, 6.0, 5.0]), np.array([4.0, 4.0, 2.0]), 100)
    assert found.value == pytest.approx(150) and found.low is not None and found.low < 150
    assert _scaled(np.array([4.0]), np.array([4.0]), 100) == Estimate(100.0)
    assert _scaled(np.array([4.0, 6.0]), np.array([4.0, 4.0]), 8) == Estimate(10.0)  # that was all


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (12, "12 s"), (89, "89 s"), (90, "1.5 minutes"), (3599, "60 minutes"), (7560, "2.1 hours"),
     (100_000, "28 hours"), (200_000, "2.3 days"), (2e6, "23 days")],
)  # fmt: skip
def test_durations_have_two_digits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_all_of_a_sweep_timed_is_what_it_writes(tmp_path: Path) -> None:
    made = Sweep.prepare(Plan(codec=("jpeg:quality=5,50",), similarity=(), limit=8))
    cost = estimate(made, seconds=1e9, workers=1)
    assert (cost.samples, cost.settings, cost.models, cost.calibrated) == (8, 3, 1, 8)
    assert cost.coding.low is None and cost.longest <= cost.coding.value
    store = Store(tmp_path)
    made.run(store, workers=1)
    written = sum(path.stat().st_size for path in store.finished().values())
    assert cost.bytes == pytest.approx(written, rel=0.35)  # but for the cells' identities


def test_the_command_tells_it(mpq: Callable, tmp_path: Path) -> None:
    asked = ["plan", "--codec", "jpeg:quality=5", "--similarity", "none", "--workers", 1, "--seconds", 0]
    told = mpq(*asked, "--cores", "4,1", "--json")
    (section,) = (
        json.loads(told.out)["sections"] if isinstance(json.loads(told.out), dict) else json.loads(told.out)
    )
    points = section["points"]
    assert [point["cores"] for point in points] == [1, 4]
    assert points[0]["seconds"] > points[1]["seconds"]
    assert points[0]["calibrated"] == 4  # one block, though there was no time
    assert not list(tmp_path.iterdir())
    assert "--cores is numbers" in mpq(*asked, "--cores", "two").err


def test_without_a_gpu_none_is_spoken_of_as_timed() -> None:
    section = cost_section(COST, "d", [1, 2], 2)
    assert "6 cells, 6,000 answers" in section.answer and "GPU" not in section.answer
    assert any("no GPU here to be timed" in note for note in section.notes)
    assert [row["wall"] for row in section.table.rows] == ["1.8 hours", "53 minutes"]
    gpu = cost_section(replace(COST, device="cuda", scoring=Estimate(4000.0)), "d", [16], 2)
    assert [row["gpus"] for row in gpu.table.rows] == ["1", "8"] and "of one GPU" in gpu.answer
