"""Rate curves and Bjøntegaard's deltas: by hand, against scipy and the bjontegaard package, and what must hold for all."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from mpq.comparison.curves import MonotoneCubic, RateCurve, bd_rate, bd_score, crossings, isotonic, shared

many = settings(deadline=None, max_examples=60)

rates = st.integers(1, 60).map(lambda k: k / 8)
scores = st.integers(0, 20).map(lambda k: k / 20)  # so few that ties, plateaus and falls are the rule
ladders = st.lists(st.tuples(rates, scores), min_size=1, max_size=7)


def _curve(points: list[tuple[float, float]]) -> RateCurve:
    return RateCurve.of(*np.array(points, dtype=float).T)


def _rising(low: float, high: float, least: float) -> st.SearchStrategy[list[float]]:
    """3 to 6 rising numbers, no two nearer than ``least``."""
    step = st.floats(least, (high - low) / 6)
    return st.tuples(st.floats(low, (low + high) / 2), st.lists(step, min_size=2, max_size=5)).map(
        lambda drawn: np.cumsum([drawn[0], *drawn[1]]).tolist()
    )


@st.composite
def _monotone(draw) -> tuple[np.ndarray, np.ndarray]:
    log_rates, values = draw(_rising(-2, 3, 0.05)), draw(_rising(0.1, 0.9, 0.005))
    count = min(len(log_rates), len(values))
    return np.exp(log_rates[:count]), np.array(values[:count])


@many
@given(st.lists(st.lists(scores, min_size=5, max_size=5), min_size=1, max_size=4))
def test_isotonic_regression_is_scipys(values) -> None:
    oracle = pytest.importorskip("scipy.optimize", reason="isotonic_regression came with scipy 1.12")
    if not hasattr(oracle, "isotonic_regression"):
        pytest.skip("isotonic_regression came with scipy 1.12")
    columns = np.array(values).T
    for ours, column in zip(isotonic(columns).T, columns.T, strict=True):
        assert ours == pytest.approx(oracle.isotonic_regression(column).x)


def test_violators_are_pooled_by_hand() -> None:
    fitted = isotonic(np.array([[0.6, 0.1], [0.5, 0.9], [0.9, 0.4], [0.7, 0.2]]))
    assert fitted == pytest.approx(np.array([[0.55, 0.1], [0.55, 0.5], [0.8, 0.5], [0.8, 0.5]]))


@many
@given(_monotone(), st.floats(0, 1), st.floats(0, 1))
def test_the_cubic_is_scipys(curve, one, other) -> None:
    knots, values = np.log(curve[0]), curve[1]
    places = knots[0] + np.array([min(one, other), max(one, other)]) * (knots[-1] - knots[0])
    assume(places[1] - places[0] > 1e-3 and places[1] <= knots[-1])
    ours, scipys = MonotoneCubic.through(knots[:, None], values[:, None]), PchipInterpolator(knots, values)
    assert ours.at(places[1:])[0] == pytest.approx(scipys(places[1]), rel=1e-9)
    mean = scipys.integrate(*places) / (places[1] - places[0])
    assert ours.mean(places[:1], places[1:])[0] == pytest.approx(mean, rel=1e-9)


@many
@given(_monotone(), _monotone())
def test_monotone_curves_get_the_bjontegaard_packages_deltas(one, other) -> None:
    package = pytest.importorskip("bjontegaard", reason="the oracle is the package bjontegaard")
    options = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
    reference, curve = RateCurve.of(*one), RateCurve.of(*other)
    if shared(reference.by_score, curve.by_score)[2][0] > 1e-3:
        theirs = package.bd_rate(*one, *other, **options)
        assert 100 * bd_rate(reference, curve)[0] == pytest.approx(theirs, rel=1e-6, abs=1e-6)
    if shared(reference.by_rate, curve.by_rate)[2][0] > 1e-3:
        theirs = package.bd_psnr(*one, *other, **options)
        assert bd_score(reference, curve)[0] == pytest.approx(theirs, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_of_straight_lines_the_deltas_are_their_shifts(count: int) -> None:
    log_rates = np.linspace(-1, 2, count)
    line = RateCurve.of(np.exp(log_rates), 0.5 + 0.1 * log_rates)
    cheaper = RateCurve.of(0.7 * np.exp(log_rates), 0.5 + 0.1 * log_rates)
    assert bd_rate(line, cheaper)[0] == pytest.approx(-0.3)
    assert bd_score(line, cheaper)[0] == pytest.approx(-0.1 * math.log(0.7))


def test_lines_that_cross_by_hand() -> None:
    """Scores ln r and 2 ln r for r from 1/e to e: over scores −1 … 1 the log rates are s and s / 2, which average 0;
    over scores 0 … 1 alone, ½ and ¼."""
    reference = _curve([(math.exp(x), x) for x in (-1, 0, 1)])
    other = _curve([(math.exp(x), 2 * x) for x in (-1, 0, 1)])
    assert bd_rate(reference, other)[0] == pytest.approx(0, abs=1e-12)
    assert bd_score(reference, other)[0] == pytest.approx(0, abs=1e-12)
    ((score, fewer),) = crossings(reference, other)
    assert score == pytest.approx(0, abs=0.01)
    assert fewer
    upper = _curve([(math.exp(x), 2 * x) for x in (0, 0.5, 1)])
    assert bd_rate(reference, upper)[0] == pytest.approx(math.expm1(1 / 4 - 1 / 2))


def test_curves_that_stay_on_their_sides_do_not_cross() -> None:
    line = [(1, 0.5), (2, 0.6), (4, 0.7)]
    assert crossings(_curve(line), _curve([(r / 2, s) for r, s in line])) == []
    assert crossings(_curve(line), _curve(line)) == []
    assert crossings(_curve(line), _curve([(1, 0.8), (2, 0.9)])) == []


def test_scores_that_fall_are_pooled_before_they_are_compared() -> None:
    noisy, pooled = _curve([(1, 0.6), (2, 0.5), (4, 0.9)]), _curve([(1, 0.55), (2, 0.55), (4, 0.9)])
    other = _curve([(1, 0.5), (8, 0.95)])
    assert bd_rate(other, noisy) == pytest.approx(bd_rate(other, pooled))
    assert bd_score(other, noisy) == pytest.approx(bd_score(other, pooled))


def test_on_a_plateau_the_lowest_rate_is_taken_and_above_it_the_highest() -> None:
    by_score = _curve([(1, 0.8), (2, 0.8), (4, 0.9)]).by_score
    assert np.exp(by_score.at(np.array([0.8])))[0] == pytest.approx(1)
    assert np.exp(by_score.measured(1).at(np.array([0.8 + 1e-9])))[0] == pytest.approx(2, rel=1e-6)
    # from slope 3 (a knot beside a jump) to slope 0 (an end after one): ½ + 3 / 12 of the way on average
    mean = by_score.mean(np.array([0.8]), np.array([0.9]))[0]
    assert mean == pytest.approx(math.log(2) * (1 + 3 / 4))


@pytest.mark.parametrize("plateau", [(0.5, 0.5, 0.7, 0.8), (0.5, 0.7, 0.7, 0.8), (0.5, 0.6, 0.8, 0.8)])
def test_equal_scores_are_the_limit_of_nearly_equal_ones(plateau) -> None:
    rates, near = np.array([1, 2, 4, 8]), np.array(plateau) + 1e-9 * np.arange(4)
    reference = _curve([(1, 0.45), (3, 0.66), (9, 0.9)])
    exact, limit = RateCurve.of(rates, np.array(plateau)), RateCurve.of(rates, near)
    assert bd_rate(reference, exact)[0] == pytest.approx(bd_rate(reference, limit)[0], abs=1e-6)
    assert bd_score(reference, exact)[0] == pytest.approx(bd_score(reference, limit)[0], abs=1e-6)


def test_settings_of_one_rate_are_one_of_their_mean_score() -> None:
    twice, once = _curve([(2, 0.8), (1, 0.5), (2, 0.6), (4, 0.9)]), _curve([(1, 0.5), (2, 0.7), (4, 0.9)])
    other = _curve([(1, 0.4), (5, 0.95)])
    assert bd_rate(other, twice)[0] == pytest.approx(bd_rate(other, once)[0], abs=1e-12)
    assert bd_score(other, twice)[0] == pytest.approx(bd_score(other, once)[0], abs=1e-12)


def test_rates_that_meet_in_one_curve_of_many_stay_one_curve() -> None:
    rates = np.array([[1, 1], [2, 3], [2.5, 3], [4, 4]])
    values = np.array([[0.5, 0.5], [0.6, 0.6], [0.7, 0.8], [0.9, 0.9]])
    curve = RateCurve.of(rates, values)
    assert np.all(np.diff(curve.by_rate.knots, axis=0) > 0)
    met = curve.by_rate.at(np.log([2.2, 3.0]))[1]
    assert met == pytest.approx(0.7)  # pooled


@pytest.mark.parametrize("higher", [0.7, 0.75])
def test_scores_that_do_not_overlap_have_no_bd_rate(higher: float) -> None:
    low, high = _curve([(1, 0.5), (3, 0.7)]), _curve([(2, higher), (4, 0.9)])
    for one, other in ((low, high), (high, low)):
        assert math.isnan(bd_rate(one, other)[0])
        assert math.isfinite(bd_score(one, other)[0])


def test_rates_that_do_not_overlap_have_no_bd_score() -> None:
    cheap, dear = _curve([(1, 0.5), (2, 0.7)]), _curve([(2, 0.6), (4, 0.9)])
    assert math.isnan(bd_score(cheap, dear)[0])
    assert math.isfinite(bd_rate(cheap, dear)[0])


def test_nothing_is_extrapolated() -> None:
    curve = _curve([(1, 0.5), (2, 0.6), (4, 0.7)])
    assert np.isnan(curve.by_score.at(np.array([0.499]))[0])
    assert np.isnan(curve.by_score.at(np.array([0.701]))[0])
    assert np.isnan(curve.by_rate.at(np.log([0.99]))[0])
    assert np.isnan(curve.by_rate.at(np.log([4.01]))[0])


def test_a_single_point_has_its_own_score_and_no_average() -> None:
    point, curve = _curve([(2, 0.6)]), _curve([(1, 0.5), (4, 0.7)])
    assert np.exp(point.by_score.at(np.array([0.6])))[0] == pytest.approx(2)
    assert np.isnan(point.by_score.at(np.array([0.61]))[0])
    for one, other in ((point, curve), (curve, point), (point, point)):
        assert math.isnan(bd_rate(one, other)[0])
        assert math.isnan(bd_score(one, other)[0])


def test_many_curves_at_once_are_each_what_they_are_alone() -> None:
    rng = np.random.default_rng(3)
    rates, other_rates = np.sort(rng.uniform(0.1, 4, (2, 6, 40)), axis=1)
    values, other_values = np.round(rng.uniform(0.3, 0.9, (2, 6, 40)), 1)
    reference, other = RateCurve.of(rates, values), RateCurve.of(other_rates, other_values)
    for i in range(40):
        one = RateCurve.of(rates[:, i], values[:, i]), RateCurve.of(other_rates[:, i], other_values[:, i])
        assert bd_rate(*one)[0] == pytest.approx(bd_rate(reference, other)[i], nan_ok=True)
        assert bd_score(*one)[0] == pytest.approx(bd_score(reference, other)[i], nan_ok=True)


def test_a_curve_that_lacks_a_score_is_none_and_the_others_stay() -> None:
    rates = np.repeat([[1.0], [2.0], [4.0]], 2, axis=1)
    values = np.array([[0.5, 0.5], [np.nan, 0.6], [0.7, 0.7]])
    curve, line = RateCurve.of(rates, values), RateCurve.of(rates / 2, np.repeat([[0.5], [0.6], [0.7]], 2, 1))
    assert math.isnan(bd_rate(curve, line)[0])
    assert bd_rate(curve, line)[1] == pytest.approx(-0.5)


@many
@given(ladders, ladders)
def test_swapping_codecs_inverts_the_bd_rate_and_negates_the_bd_score(one, other) -> None:
    a, b = _curve(one), _curve(other)
    there, back = bd_rate(a, b)[0], bd_rate(b, a)[0]
    assert math.isnan(there) == math.isnan(back)
    assert math.isnan(there) or (1 + there) * (1 + back) == pytest.approx(1)
    assert bd_score(a, b)[0] == pytest.approx(-bd_score(b, a)[0], nan_ok=True, abs=1e-12)


@many
@given(ladders, st.floats(0.1, 10))
def test_scaling_the_rates_scales_the_bd_rate(points, factor) -> None:
    scaled = bd_rate(_curve(points), _curve([(r * factor, s) for r, s in points]))[0]
    if shared(_curve(points).by_score, _curve(points).by_score)[2][0] == 0:
        assert math.isnan(scaled)  # one score has no average
    else:
        assert scaled == pytest.approx(factor - 1, abs=1e-6)


@many
@given(ladders)
def test_equal_curves_differ_by_nothing(points) -> None:
    curve = _curve(points)
    for delta in (bd_rate(curve, curve)[0], bd_score(curve, curve)[0]):
        assert math.isnan(delta) or delta == 0
    assert crossings(curve, curve) == []


@many
@given(ladders, ladders, st.randoms())
def test_the_order_of_settings_is_of_no_matter(one, other, random) -> None:
    shuffled = random.sample(one, len(one))
    a, b, c = _curve(one), _curve(shuffled), _curve(other)
    assert bd_rate(a, c)[0] == pytest.approx(bd_rate(b, c)[0], nan_ok=True, abs=1e-9)
    assert bd_score(a, c)[0] == pytest.approx(bd_score(b, c)[0], nan_ok=True, abs=1e-9)


@many
@given(ladders, ladders)
def test_deltas_are_within_what_the_curves_span(one, other) -> None:
    a, b = _curve(one), _curve(other)
    spans = np.log([r for r, _ in [*one, *other]])
    delta = bd_rate(a, b)[0]
    assert math.isnan(delta) or abs(math.log1p(delta)) <= spans.max() - spans.min() + 1e-6
    gain = bd_score(a, b)[0]
    assert math.isnan(gain) or abs(gain) <= 1 + 1e-9
