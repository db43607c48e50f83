"""Curves in a terminal: axes and all stay within the width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.content import Curve, Series
from reports.curve import draw


def _lines(rates: list[float], width: int, x_title: str = "kbps", name: str = "opus") -> list[str]:
    points = [(rate, 50.0 + i) for i, rate in enumerate(sorted(rates))]
    return draw(Curve([Series(name, points)], x_title, "WER %"), width).plain.splitlines()


@pytest.mark.parametrize("width", [80, 110, 120])
def test_an_axis_without_round_rates_names_its_ends_and_its_unit_on_one_line(width: int) -> None:
    lines = _lines([6.44, 8.53], width)
    (named,) = (line for line in lines if "kbps" in line)
    assert named.split() == ["6.44", "8.53", "kbps"]
    assert len(named) <= width


@given(
    rates=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5, unique=True),
    width=st.integers(40, 130),
    x_title=st.sampled_from(["bpp", "kbps", "bits a sample"]),
)
def test_no_line_is_wider_than_the_terminal(rates: list[float], width: int, x_title: str) -> None:
    lines = _lines(rates, width, x_title)
    assert max(map(len, lines)) <= width
    (named,) = (line for line in lines if line.endswith(x_title))
    assert any(c.isdigit() for c in named)


def test_what_moves_the_cursor_is_shown_and_not_sent() -> None:
    assert "\x1b" not in "".join(_lines([1, 2], 80, "\x1b[2J", "\x1b[31m"))
