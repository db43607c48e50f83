"""Statistics against closed forms, published tables and long bootstraps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from reports.stats import (
    bootstrap_ratios,
    clopper_pearson,
    confidence_of_drop_within,
    mcnemar_exact,
    paired_difference,
    percentile_interval,
    proportion,
)


def _mean_distribution(values: np.ndarray, **options: int) -> np.ndarray:
    return bootstrap_ratios(values[:, None].astype(float), np.ones((len(values), 1)), **options)[:, 0]


def test_the_bootstrap_of_a_proportion_is_binomial() -> None:
    values = np.array([1] * 30 + [0] * 10)
    distribution = _mean_distribution(values, resamples=20_000)
    low, high = percentile_interval(distribution)
    exact = binom.ppf([0.025, 0.975], 40, 0.75) / 40
    assert low == pytest.approx(exact[0], abs=1 / 40 + 1e-9)
    assert high == pytest.approx(exact[1], abs=1 / 40 + 1e-9)
    assert distribution.std() == pytest.approx(np.sqrt(0.75 * 0.25 / 40), rel=0.03)


def test_a_corpus_rate_is_resampled_as_a_ratio_of_sums() -> None:
    rng = np.random.default_rng(5)
    bits, pixels = rng.uniform(1, 9, 50), rng.uniform(1, 4, 50)
    ours = bootstrap_ratios(bits[:, None], pixels[:, None], resamples=20_000)[:, 0]
    draws = rng.integers(50, size=(20_000, 50))
    plain = bits[draws].sum(1) / pixels[draws].sum(1)
    assert np.quantile(ours, [0.025, 0.5, 0.975]) == pytest.approx(
        np.quantile(plain, [0.025, 0.5, 0.975]), rel=0.01
    )


def test_all_columns_see_the_same_draws() -> None:
    values = np.random.default_rng(0).normal(size=30)
    both = bootstrap_ratios(np.stack([values, values + 1], axis=1), np.ones((30, 2)), resamples=500)
    assert both[:, 1] - both[:, 0] == pytest.approx(np.ones(500))


def test_draws_do_not_depend_on_how_they_are_chunked(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(40, 1))
    whole = bootstrap_ratios(values, np.ones((40, 1)), resamples=300)
    monkeypatch.setattr("reports.stats._CHUNK", 40 * 7)
    assert bootstrap_ratios(values, np.ones((40, 1)), resamples=300) == pytest.approx(whole)


def test_samples_that_a_column_lacks_weigh_nothing() -> None:
    values = np.array([[1.0], [0.0], [1.0], [0.0]])
    present = np.array([[1.0], [0.0], [1.0], [0.0]])
    distribution = bootstrap_ratios(values, present, resamples=200)
    assert set(distribution[np.isfinite(distribution)]) == {1.0}


def test_clopper_pearson_against_the_published_table() -> None:
    # Clopper & Pearson 1934 read for 10 trials, 95 %: 0 of 10 and 5 of 10
    assert clopper_pearson(0, 10) == pytest.approx((0, 0.3085), abs=5e-5)
    assert clopper_pearson(5, 10) == pytest.approx((0.1871, 0.8129), abs=5e-5)
    assert clopper_pearson(20, 20) == pytest.approx((0.8316, 1.0), abs=5e-5)


@given(st.integers(1, 200), st.data())
def test_clopper_pearson_is_the_tails_inverse(count: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, count))
    low, high = clopper_pearson(successes, count)
    assert low <= successes / count <= high
    if successes > 0:
        assert binom.sf(successes - 1, count, low) == pytest.approx(0.025, abs=1e-6)
    if successes < count:
        assert binom.cdf(successes, count, high) == pytest.approx(0.025, abs=1e-6)


def test_twenty_right_of_twenty_are_not_certain() -> None:
    values = np.ones(20)
    estimate = proportion(values, _mean_distribution(values))
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert estimate.low == pytest.approx(0.8316, abs=5e-5)


def test_no_change_in_twenty_is_not_certain() -> None:
    differences = np.zeros(20)
    estimate = paired_difference(differences, _mean_distribution(differences))
    assert estimate.value == 0
    assert estimate.high == pytest.approx(0.1684, abs=5e-5)
    assert estimate.low == pytest.approx(-0.1684, abs=5e-5)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(300):
        values = (rng.random(100) < 0.8).astype(float)
        estimate = proportion(values, _mean_distribution(values, resamples=1000, seed=trial))
        covered += estimate.low <= 0.8 <= estimate.high  # type: ignore[operator]
    assert 0.90 <= covered / 300 <= 0.99


def test_mcnemar_by_hand() -> None:
    # 1 won, 7 lost: p = 2 · (C(8,0) + C(8,1)) / 2⁸
    before = np.array([1] * 7 + [0] + [1] * 5)
    after = np.array([0] * 7 + [1] + [1] * 5)
    assert mcnemar_exact(before, after) == pytest.approx(2 * 9 / 256)
    assert mcnemar_exact(after, before) == pytest.approx(2 * 9 / 256)
    assert mcnemar_exact(before, before) == 1.0


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40))
def test_mcnemar_is_the_sum_of_the_smaller_binomial_tails(pairs: list[tuple[int, int]]) -> None:
    before, after = np.array(pairs).T
    lost, won = np.sum(before > after), np.sum(after > before)
    expected = min(1.0, 2 * binom.cdf(min(lost, won), lost + won, 0.5)) if lost + won else 1.0
    assert mcnemar_exact(before, after) == pytest.approx(expected)


def test_confidence_grows_with_evidence_and_falls_with_losses() -> None:
    none_lost = [confidence_of_drop_within(np.zeros(n), 0.01) for n in (20, 200, 2000)]
    assert none_lost == sorted(none_lost)
    assert 0.5 < none_lost[0] < 0.7
    assert none_lost[2] > 0.999
    losses = np.array([-1] * 10 + [0] * 190)
    assert confidence_of_drop_within(losses, 0.01) < 0.02
    assert confidence_of_drop_within(losses, 0.10) > 0.98


def test_confidence_agrees_with_the_bootstrap_where_data_are_many() -> None:
    rng = np.random.default_rng(1)
    differences = rng.choice([-1, 0, 1], p=[0.05, 0.91, 0.04], size=2000)
    bootstrap = np.mean(-_mean_distribution(differences) <= 0.012)
    assert confidence_of_drop_within(differences, 0.012) == pytest.approx(bootstrap, abs=0.03)
