"""How figures are written: intervals in as many decimals as their width needs, one of a thing as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpq.wording import counted, decibels, interval, percent, signed
from reports.stats import Estimate


@pytest.mark.parametrize(
    ("estimate", "written"),
    [
        (Estimate(0.9, 0.75, 1.0), "90.0 (75–100)"),  # of twenty samples
        (Estimate(0.9, 0.885, 0.91), "90.0 (88–91)"),
        (Estimate(0.9, 0.894, 0.907), "90.0 (89.4–90.7)"),
        (Estimate(0.9971, 0.9966, 0.9975), "99.71 (99.66–99.75)"),
        (Estimate(0.9971), "99.7"),
    ],
)
def test_a_percentage_has_the_decimals_that_its_interval_needs(estimate: Estimate, written: str) -> None:
    assert percent(estimate) == written


@pytest.mark.parametrize(
    ("estimate", "scale", "written"),
    [
        (Estimate(-0.15, -0.35, 0.05), 100, "−15.0 (−35…+5)"),
        (Estimate(-0.003, -0.0046, -0.0012), 100, "−0.3 (−0.5…−0.1)"),
        (Estimate(-0.0003, -0.0005, -0.0001), 100, "−0.03 (−0.05…−0.01)"),
        (Estimate(-0.003, -0.003, -0.003), 100, "−0.3 (−0.3…−0.3)"),
        (Estimate(0.0, 0.0, 0.0), 100, "0.0 (0.0…0.0)"),
        (Estimate(-0.51, -1.2, 0.3), 1, "−0.51 (−1.2…+0.3)"),
        (Estimate(-0.51, -0.58, -0.44), 1, "−0.51 (−0.58…−0.44)"),
        (Estimate(-0.511, -0.517, -0.504), 1, "−0.511 (−0.517…−0.504)"),
    ],
)
def test_a_change_that_is_sure_does_not_look_like_none(estimate: Estimate, scale: int, written: str) -> None:
    assert signed(estimate, scale) == written
    assert interval(estimate, scale) == f"95 % interval {written.partition('(')[2].rstrip(')')}"


def test_decibels_likewise() -> None:
    assert decibels(Estimate(-5.21, -6.0, -4.5)) == "−5.21 (−6.0…−4.5)"
    assert decibels(Estimate(-5.21, -5.26, -5.17)) == "−5.21 (−5.26…−5.17)"


@given(
    low=st.floats(-1, 1),
    width=st.floats(2.1e-4, 0.0199),
    place=st.floats(0, 1),
)
def test_ends_that_differ_are_told_apart_with_the_value_between_them(
    low: float, width: float, place: float
) -> None:
    estimate = Estimate(low + place * width, low, low + width)
    value, _, ends = signed(estimate).replace("−", "-").rstrip(")").partition(" (")
    first, last = map(float, ends.split("…"))
    assert first < last and first <= float(value) <= last


def test_one_is_no_plural() -> None:
    assert [counted(n, "sample") for n in (0, 1, 2, 2000)] == [
        "0 samples", "1 sample", "2 samples", "2,000 samples",
    ]  # fmt: skip
