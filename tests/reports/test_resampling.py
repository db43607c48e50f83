"""Ratios and medians, as they are and on draws, against sums written plainly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.resampling import Median, Ratio, confidence_of_loss_within, distributions
from reports.stats import drawn

ERRORS, WORDS = np.array([0, 3, 1, 0.0]), np.array([5, 4, 1, 10.0])


def test_an_error_rate_is_total_errors_over_total_words() -> None:
    assert Ratio.of(ERRORS, WORDS).value == pytest.approx(4 / 20)
    assert Ratio.of(ERRORS, WORDS).trials == 20


def test_without_a_denominator_it_is_the_mean_of_those_that_have_a_value() -> None:
    assert Ratio.of(np.array([1, np.nan, 0, 1])).value == pytest.approx(2 / 3)


def test_classes_weigh_alike_and_those_that_nowhere_are_weigh_nothing() -> None:
    """Intersections and unions of three classes: ½, 1/5, and one that no picture has."""
    above, below = np.array([[1, 0, 0], [0, 1, 0]]), np.array([[1, 3, 0], [1, 2, 0]])
    assert Ratio.of(above, below).value == pytest.approx((1 / 2 + 1 / 5) / 2)


def test_a_draw_is_a_data_set_of_its_own() -> None:
    times = np.array([[2.0, 0, 1, 1], [0, 0, 4, 0], [4, 0, 0, 0]])
    assert Ratio.of(ERRORS, WORDS).on(times) == pytest.approx([1 / 21, 1, 0])


@given(st.lists(st.integers(0, 3), min_size=6, max_size=6).filter(any))
def test_a_weighted_median_is_the_median_of_the_repeated(times: list[int]) -> None:
    values = np.array([3.0, -1, 7, 7, 0, 2])
    plain = np.median(np.repeat(values, times))
    assert Median(values[:, None]).on(np.array([times], float))[0] == pytest.approx(plain)


def test_medians_are_taken_apart_and_then_averaged() -> None:
    vocals, drums = np.array([1.0, 5, 9, np.nan]), np.array([0.0, 2, np.nan, np.inf])
    found = Median(np.stack([vocals, drums], axis=1))
    assert found.value == pytest.approx((5 + 1) / 2)  # an infinite one is none
    assert found.each[:2] == pytest.approx([0.5, 3.5])


def test_all_figures_see_the_same_draws() -> None:
    rng = np.random.default_rng(0)
    many = [Ratio.of(rng.random((12, 3)), rng.random((12, 3))) for _ in range(5)]
    mixed = [many[0], Median(rng.random((12, 2))), *many[1:]]
    found = distributions(mixed, 12, resamples=50, seed=3)
    times = np.concatenate(list(drawn(12, 50, 3)))
    for column, statistic in enumerate(mixed):
        assert found[:, column] == pytest.approx(statistic.on(times))


def test_many_columns_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    many = [Ratio.of(rng.random((12, 3)), rng.random((12, 3))) for _ in range(5)]
    whole = distributions(many, 12, resamples=50)
    monkeypatch.setattr("reports.resampling._COLUMNS", 4)
    assert distributions(many, 12, resamples=50) == pytest.approx(whole)


def test_an_interval_of_an_error_rate_covers_it_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        words = rng.integers(5, 20, 80)
        found = distributions([Ratio.of(rng.binomial(words, 0.1), words)], 80, resamples=400, seed=trial)
        low, high = np.quantile(found[:, 0], [0.025, 0.975])
        covered += low <= 0.1 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_confidence_says_which_way_is_worse() -> None:
    words = np.full(50, 10.0)
    few, many = Ratio.of(np.ones(50), words), Ratio.of(np.full(50, 2.0), words)
    assert confidence_of_loss_within(few, many, 0.05, lower_is_better=True) == 0
    assert confidence_of_loss_within(few, many, 0.1, lower_is_better=True) == 1
    assert confidence_of_loss_within(many, few, 0.0, lower_is_better=True) == 1
    assert confidence_of_loss_within(few, many, 0.0) == 1


def test_within_a_mask_others_weigh_nothing() -> None:
    mask = np.array([True, False, True, True])
    assert Ratio.of(ERRORS, WORDS).within(mask).value == pytest.approx(1 / 16)
    assert Median(ERRORS[:, None]).within(mask).value == 0
