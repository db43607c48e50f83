"""How a sweep grows: what is said of given takes, and a real one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mpq.benchmarks.growth import Growth, Take, _megabytes, growth
from mpq.benchmarks.report import growth_section


def test_a_growth_is_said_as_it_is() -> None:
    takes = [
        Take(100, 2, 200, 4.0, 2000.0),
        Take(1000, 2, 2000, 40.0, 2010.0),
        Take(10_000, 2, 20_000, 400.0, 2005.0),
    ]
    found = Growth("d", takes, Take(100, 1, 200, 7.2, 1000.0))
    assert found.exponent == pytest.approx(1.0) and found.scaling == pytest.approx(1.8)
    section = growth_section(found)
    assert section.answer == (
        "2 cores have 1.80 times the rate of one. 100 times the samples take 100 times the time and +5 MB of memory."
    )
    assert [row["each"] for row in section.table.rows] == ["72", "40", "40", "40"]
    alone = Growth("d", takes[:1], Take(100, 1, 200, 7.2, None))
    assert (
        alone.exponent is None and growth_section(alone).answer == "2 cores have 1.80 times the rate of one."
    )


def test_memory_is_of_this_process_at_least() -> None:
    before = _megabytes()
    held = bytearray(100_000_000)
    held[::4096] = b"x" * len(held[::4096])  # touched, so that it is really there
    if before:
        assert 60 < _megabytes() - before < 200
    assert held


def test_a_real_one(mpq: Callable) -> None:
    found = growth("embedded", ("efficientnet-lite0",), "jpeg:quality=5", [24], 1)
    (take,) = found.takes
    assert (take.samples, take.answers) == (24, 48) and take.seconds > 0
    assert "--growth is numbers such as" in mpq("bench", "--growth", "1,x").err
