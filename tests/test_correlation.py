"""Correlations of similarity with scores: by hand, against scipy and scikit-learn, and by what they must not change for."""

from __future__ import annotations

import io
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats

from mpq.correlation.report import correlation_sections
from mpq.correlation.statistics import (
    KINDS,
    Kind,
    auroc,
    correlation,
    fisher,
    kendall,
    loss_correlation,
    mean_within,
    newcombe,
    partial,
    pearson,
    point_draws,
    spearman,
)
from mpq.correlation.words import in_words
from mpq.errors import UserError
from mpq.rows import schema, to_table
from mpq.tasks.classification import Classification
from mpq.tasks.reid import Reidentification
from mpq.tasks.speech import Speech
from reports import terminal
from reports.content import Scatter, Section
from reports.stats import Estimate

SCIPY: dict[Kind, Any] = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}
KIND_NAMES: list[Kind] = list(KINDS)


def _pairs(count: int, seed: int = 0, *, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    y = x + rng.normal(size=count)
    return (np.round(x), np.round(y)) if ties else (x, y)


# over points


@pytest.mark.parametrize("kind", KIND_NAMES)
@pytest.mark.parametrize("ties", [False, True])
def test_each_kind_is_scipys_on_every_draw(kind: Kind, ties: bool) -> None:
    x, y = _pairs(9, ties=ties)
    times = point_draws(range(9), resamples=50)
    found = KINDS[kind](x, y, times)
    for row, value in zip(times.astype(int), found, strict=True):
        drawn_x, drawn_y = np.repeat(x, row), np.repeat(y, row)
        if np.ptp(drawn_x) == 0 or np.ptp(drawn_y) == 0:
            assert math.isnan(value)
        else:
            assert value == pytest.approx(SCIPY[kind](drawn_x, drawn_y)[0], abs=1e-9)


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_what_does_not_vary_has_no_correlation(kind: Kind) -> None:
    once, x = np.ones((1, 5)), np.array([0.1, 0.7, 0.2, 0.9, 0.4])
    for constant in (0.1, 0.3, 1e9 / 3):  # their mean is not always they
        assert np.isnan(KINDS[kind](x, np.full(5, constant), once)).all()


def test_partial_by_hand_and_as_what_the_third_leaves() -> None:
    assert partial(np.array(0.5), np.array(0.5), np.array(0.5)) == pytest.approx(1 / 3)
    assert partial(np.array(0.6), np.array(0.0), np.array(0.0)) == pytest.approx(0.6)
    rng = np.random.default_rng(3)
    z = rng.normal(size=30)
    x, y = z + rng.normal(size=30), z + rng.normal(size=30)
    times = point_draws(range(30), resamples=10)

    def left(values: np.ndarray, of: np.ndarray) -> np.ndarray:
        return values - np.polyval(np.polyfit(of, values, 1), of)

    expected = stats.pearsonr(left(x, z), left(y, z))[0]
    assert correlation("pearson", x, y, times, given=z).estimate.value == pytest.approx(expected)
    ranks = [stats.rankdata(v) for v in (x, y, z)]
    expected = stats.pearsonr(left(ranks[0], ranks[2]), left(ranks[1], ranks[2]))[0]
    assert correlation("spearman", x, y, times, given=z).estimate.value == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_a_similarity_that_only_follows_the_rate_has_nothing_left_at_equal_rate(kind: Kind) -> None:
    rng = np.random.default_rng(5)
    log_rate = rng.uniform(-3, 1, 200)
    similarity, score = log_rate + 0.3 * rng.normal(size=200), log_rate + 0.3 * rng.normal(size=200)
    times = point_draws(range(200), resamples=500)
    whole = correlation(kind, similarity, score, times).estimate
    left = correlation(kind, similarity, score, times, given=log_rate).estimate
    assert whole.value > 0.9
    assert abs(left.value) < 0.2
    assert left.low is not None and left.high is not None
    assert left.low < 0 < left.high
    # One that knows more than the rate keeps it.
    knowing = score + 0.1 * rng.normal(size=200)
    kept = correlation(kind, knowing, score, times, given=log_rate).estimate
    assert kept.low is not None and kept.low > 0.8


def test_one_that_is_the_rate_leaves_nothing_to_correlate() -> None:
    z = np.arange(8.0)
    found = correlation("spearman", z**3, _pairs(8)[1], point_draws(range(8), resamples=100), given=z)
    assert math.isnan(found.estimate.value)


def test_a_perfect_order_of_few_points_is_not_certain() -> None:
    widths = []
    for count in (4, 5, 6, 12, 40):
        x = np.arange(count, dtype=float)
        times = point_draws(range(count), resamples=300)
        found = correlation("kendall", x, x**3, times).estimate
        assert found.value == pytest.approx(1)
        assert found.low is not None and found.high == pytest.approx(1)
        widths.append(1 - found.low)
    assert widths[0] == 2  # four say nothing
    assert widths == sorted(widths, reverse=True)
    assert 0 < widths[-1] < 0.01


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_below_four_points_there_is_no_interval_and_below_three_nothing(kind: Kind) -> None:
    for count in range(5):
        x = np.arange(count, dtype=float)
        found = correlation(kind, x, x**2, point_draws(range(4), resamples=50)[:, :count]).estimate
        assert math.isnan(found.value) == (count < 3)
        assert (found.low is None) == (count < 4)


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_intervals_hold_what_they_should_19_times_of_20(kind: Kind) -> None:
    rng = np.random.default_rng(11)
    rho = 0.9
    truth = {
        "pearson": rho,
        "spearman": 6 / np.pi * np.arcsin(rho / 2),
        "kendall": 2 / np.pi * np.arcsin(rho),
    }
    times, held = point_draws(range(8), resamples=300), 0
    for _ in range(300):
        x = rng.normal(size=8)
        y = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=8)
        found = correlation(kind, x, y, times).estimate
        assert found.low is not None and found.high is not None
        held += found.low <= truth[kind] <= found.high
    assert held >= 0.92 * 300


def test_fishers_interval_is_the_textbooks() -> None:
    z, reach = math.atanh(0.7), 1.959964 / math.sqrt(17)
    assert fisher("pearson", 0.7, 20) == pytest.approx((math.tanh(z - reach), math.tanh(z + reach)))
    wide = fisher("pearson", 0.7, 20, more=1.0)
    assert wide == pytest.approx((math.tanh(z - 1.959964), math.tanh(z + 1.959964)))


def test_points_that_share_a_unit_are_drawn_together() -> None:
    times = point_draws(["a", "b", "a", "c"], resamples=200)
    assert times.shape == (200, 4)
    assert np.array_equal(times[:, 0], times[:, 2])
    assert np.array_equal(times[:, [0, 1, 3]].sum(axis=1), np.full(200, 3))


def test_copies_of_points_make_nothing_surer() -> None:
    x, y = _pairs(8, seed=2, ties=False)
    once = correlation("pearson", x, y, point_draws(range(8), resamples=2000)).estimate
    copied = point_draws([*range(8), *range(8)], resamples=2000)
    twice = correlation("pearson", np.tile(x, 2), np.tile(y, 2), copied, units=8).estimate
    assert twice.value == pytest.approx(once.value)
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))


# within a point


def _plain_auroc(alike: np.ndarray, lost: np.ndarray) -> float:
    pairs = list(itertools.product(alike[lost == 1], alike[lost == 0]))
    return float(np.mean([1.0 if gone < kept else 0.5 if gone == kept else 0.0 for gone, kept in pairs]))


def test_auroc_by_hand() -> None:
    # lost: 1 and 3; kept: 2, 3 and 4. Less alike in (1,2) (1,3) (1,4) (3,4), equal in (3,3), more in (3,2).
    found = auroc(np.array([1.0, 3, 2, 3, 4]), np.array([1.0, 1, 0, 0, 0]))
    assert found is not None
    assert found.value == pytest.approx(4.5 / 6)
    assert found.weight == pytest.approx(2 * 3 / 6)


def test_auroc_takes_equal_pictures_as_most_alike_and_leaves_the_unknown_out() -> None:
    alike = np.array([20.0, 30.0, math.inf, math.inf, math.nan, 25.0])
    lost = np.array([1.0, 0.0, 0.0, 1.0, 1.0, math.nan])
    found = auroc(alike, lost)
    assert found is not None
    assert found.value == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert np.array_equal(found.influence[[4, 5]], [0, 0])


def test_auroc_needs_somebody_who_lost_and_somebody_who_kept() -> None:
    alike = np.arange(4.0)
    assert auroc(alike, np.zeros(4)) is None
    assert auroc(alike, np.ones(4)) is None
    assert auroc(np.full(4, math.nan), np.array([0.0, 1, 0, 1])) is None


def _lost(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    alike = np.round(rng.normal(size=count), 1)
    return alike, (rng.normal(size=count) > alike + 0.5).astype(float)


def test_auroc_is_that_of_every_pair_and_of_scikit_learn() -> None:
    for seed in range(5):
        alike, lost = _lost(40, seed)
        found = auroc(alike, lost)
        assert found is not None
        assert found.value == pytest.approx(_plain_auroc(alike, lost))
    metrics = pytest.importorskip("sklearn.metrics")
    assert found.value == pytest.approx(metrics.roc_auc_score(lost, -alike))


def test_the_influence_is_delongs_variance() -> None:
    alike, lost = _lost(40)
    gone, kept = alike[lost == 1], alike[lost == 0]
    wins = (gone[:, None] < kept) + (gone[:, None] == kept) / 2
    plain = wins.mean(axis=1).var(ddof=1) / len(gone) + wins.mean(axis=0).var(ddof=1) / len(kept)
    found = auroc(alike, lost)
    assert found is not None
    assert found.influence @ found.influence == pytest.approx(plain)
    assert found.influence.sum() == pytest.approx(0, abs=1e-12)


def test_newcombes_ends_are_where_the_score_test_turns() -> None:
    def variance(a: float, lost: int, kept: int) -> float:  # Hanley & McNeil 1982, with as many of each
        n = (lost + kept) / 2
        q1, q2 = a / (2 - a), 2 * a**2 / (1 + a)
        return (a * (1 - a) + (n - 1) * (q1 - a**2) + (n - 1) * (q2 - a**2)) / (lost * kept)

    for value, lost, kept in ((0.7, 10, 50), (0.2, 3, 9), (1.0, 1, 5), (0.0, 4, 4), (0.5, 1, 1)):
        low, high = newcombe(value, lost, kept)
        assert 0 <= low <= value <= high <= 1
        for end in {low, high} - {0.0, 1.0}:
            assert abs(value - end) / math.sqrt(variance(end, lost, kept)) == pytest.approx(
                1.959964, rel=1e-6
            )
    assert newcombe(1.0, 1, 5)[0] < 0.7 < newcombe(1.0, 30, 50)[0]  # one sample is no certainty
    assert newcombe(0.7, 10, 50, variance=0.02)[0] < newcombe(0.7, 10, 50)[0]


def test_spearman_of_losses_is_scipys_and_its_influence_the_derivative() -> None:
    rng = np.random.default_rng(8)
    alike = np.round(rng.normal(size=25), 1)
    loss = np.maximum(0, np.round(rng.normal(size=25) - alike, 1))  # many lose nothing
    found = loss_correlation(alike, loss)
    assert found is not None
    assert found.value == pytest.approx(stats.spearmanr(-alike, loss)[0])
    step = 1e-6
    moved = (
        spearman(-alike, loss, 1 + step * np.eye(25)) - spearman(-alike, loss, 1 - step * np.eye(25))
    ) / (2 * step)
    assert found.influence == pytest.approx(moved * math.sqrt(25 / 24), abs=1e-7)
    assert (found.lost.sum(), found.kept.sum()) == ((loss > 0).sum(), (loss == 0).sum())


def test_losses_that_are_all_equal_foretell_nothing() -> None:
    assert loss_correlation(np.arange(9.0), np.zeros(9)) is None
    assert loss_correlation(np.zeros(9), np.arange(9.0)) is None
    assert loss_correlation(np.arange(9.0), np.full(9, math.nan)) is None


def test_many_that_lose_weigh_more_than_one_alone() -> None:
    rng = np.random.default_rng(2)
    alike = rng.normal(size=30)
    one, many = np.zeros(30), rng.random(30)
    one[3] = 1
    found_one, found_many = loss_correlation(alike, one), loss_correlation(alike, many)
    assert found_one is not None and found_many is not None
    assert found_many.weight == pytest.approx(29)  # no two equal
    assert found_one.weight < 0.2 * found_many.weight


def test_a_sample_that_is_lost_at_many_points_counts_once() -> None:
    alike, lost = _lost(30)
    one = auroc(alike, lost)
    assert one is not None
    five = mean_within([one] * 5)
    assert [five.value, five.estimate.low, five.estimate.high] == pytest.approx(
        [one.value, one.estimate.low, one.estimate.high]
    )
    other = auroc(*_lost(30, seed=1))
    assert other is not None
    both, shares = mean_within([one, other]), np.array([one.weight, other.weight])
    assert both.value == pytest.approx(shares @ [one.value, other.value] / shares.sum())
    assert both.lost.sum() == (one.lost | other.lost).sum()


def test_what_one_has_more_than_itself_is_nothing_and_than_noise_is_something() -> None:
    rng = np.random.default_rng(4)
    lost = (rng.random(300) < 0.3).astype(float)
    good, noise = -lost + rng.normal(size=300), rng.normal(size=300)
    a, b = auroc(good, lost), auroc(noise, lost)
    assert a is not None and b is not None
    assert a.less(a) == Estimate(0.0, 0.0, 0.0)
    more = a.less(b)
    assert more.low is not None and more.low > 0
    single = auroc(np.arange(5.0), np.array([1.0, 0, 0, 0, 0]))
    assert single is not None and single.less(single).low is None


def test_a_difference_that_hangs_on_no_sample_is_not_certain() -> None:
    lost = (np.arange(20) < 2).astype(float)
    told = np.where(lost == 1, 10.0, 30.0) + np.arange(20) / 100
    right, wrong = auroc(told, lost), auroc(-told, lost)
    assert right is not None and wrong is not None and (right.value, wrong.value) == (1.0, 0.0)
    less = wrong.less(right)
    # Newcombe's: as far as the two values' own intervals reach together.
    low, high = right.estimate.low, wrong.estimate.high
    assert low is not None and high is not None and less.high is not None
    assert less.value == -1.0 and less.high == pytest.approx(-1 + math.hypot(1 - low, high))


# what must not change them

values = st.lists(st.integers(-20, 20), min_size=6, max_size=25)


@settings(max_examples=60, deadline=None)
@given(values, st.randoms(use_true_random=False))
def test_the_order_alone_counts_and_turned_round_it_is_the_opposite(numbers: list[int], random: Any) -> None:
    x = np.array(numbers, dtype=float)
    y = np.array([random.randint(-5, 5) for _ in numbers], dtype=float)
    once = np.ones((1, len(x)))
    for of in (spearman, kendall):
        same = of(np.exp(x / 7), y**3, once)
        assert same == pytest.approx(of(x, y, once), abs=1e-9, nan_ok=True)
        assert of(-x, y, once) == pytest.approx(-of(x, y, once), abs=1e-9, nan_ok=True)
    assert pearson(3 * x - 5, y, once) == pytest.approx(pearson(x, y, once), abs=1e-9, nan_ok=True)
    lost = (y > 0).astype(float)
    found, same, turned = auroc(x, lost), auroc(np.exp(x / 7), lost), auroc(-x, lost)
    if found is None:
        assert same is turned is None
        return
    assert same is not None and turned is not None
    assert same.value == pytest.approx(found.value)
    assert same.influence == pytest.approx(found.influence)
    assert turned.value == pytest.approx(1 - found.value)
    low, high = (v for v in (found.estimate.low, found.estimate.high))
    assert low is not None and high is not None
    assert (turned.estimate.low, turned.estimate.high) == pytest.approx((1 - high, 1 - low), abs=1e-6)


# sections


def _identity(task: str, codec: str, q: int, model: str = "m") -> dict[str, Any]:
    return {
        "rows": 1, "dataset": {"name": "d", "content": "0"}, "targets": "l", "similarity": [],
        "task": {"name": task}, "model": {"name": model}, "codec": {"name": codec, "values": {"q": q}},
    }  # fmt: skip


def _cell(
    codec: str, q: int, answers: list[int | None], *, model: str = "m", labelled: bool = True, **similar: Any
):
    """answers: 1 right, 0 wrong, None failed. similar: column -> a value for all, or one a sample."""
    rows = []
    for i, right in enumerate(answers):
        row: dict[str, Any] = {
            "sample": f"{i:03d}", "dataset": "d", "model": model, "codec": codec, "weights_sha256": "w",
            "setting": f"q={q}" if codec != "none" else "",
        }  # fmt: skip
        if right is None:
            rows.append(row | {"error": "codec: no"})
            continue
        row |= {"bits": 1000 * q + i, "payload_bits": 10, "width": 20, "height": 10, "kl": 0.1}
        row |= {"agreement": bool(right)} | ({"top1": bool(right)} if labelled else {})
        row |= {c: v[i] if isinstance(v, list) else v for c, v in similar.items()}
        rows.append(row)
    return _identity("classification", codec, q, model), to_table(rows, schema(Classification().row_fields))


N = 20
RIGHT = [1] * N


def _losing(lost: int) -> list[int | None]:
    return [0] * lost + [1] * (N - lost)


def _ladder(model: str = "m", **more: Any) -> list[Any]:
    """JPEG and WebP: the first samples lose, which are least alike; PSNR 20 + i of sample i."""
    cells = [_cell("none", 9, RIGHT, model=model, **more)]
    for q, lost, psnr in ((1, 9, 20), (2, 6, 24), (3, 3, 28), (4, 1, 33)):
        for codec, better in (("jpeg", 0), ("webp", 1)):
            alike = [float(psnr + 2 * better + i) for i in range(N)]
            distance = [1 / value for value in alike]
            answers = _losing(max(0, lost - better))
            cells.append(_cell(codec, q, answers, model=model, psnr=alike, lpips_alex=distance, **more))
    return cells


def _by(section: Section, **what: Any) -> dict[str, Any]:
    (found,) = [d for d in section.data if all(d[k] == v for k, v in what.items())]
    return found


def test_sections_of_a_ladder_by_hand() -> None:
    over, within, each = correlation_sections(_ladder())
    scores = [1 - lost / N for lost in (9, 6, 3, 1, 8, 5, 2, 0)]
    means = [psnr + 9.5 for psnr in (20, 24, 28, 33, 22, 26, 30, 35)]
    found = _by(over, predictor="psnr")
    for kind, theirs in SCIPY.items():
        assert found[kind]["value"] == pytest.approx(theirs(means, scores)[0])
        assert found["change"][kind]["value"] == pytest.approx(found[kind]["value"])  # less a constant
    assert found["points"] == 8
    # LPIPS counts the other way, and is as good.
    assert _by(over, predictor="lpips_alex")["spearman"]["value"] == pytest.approx(found["spearman"]["value"])
    assert "spearman_at_equal_rate" not in _by(over, predictor="rate")
    assert "8 points are few" in over.answer
    # The samples that lost are always the least alike, whose bits are fewest: nothing but certainty, were they more.
    for predictor in ("psnr", "lpips_alex", "rate"):
        mean = _by(within, predictor=predictor)
        assert mean["mean"]["value"] == pytest.approx(1)
        assert mean["mean"]["low"] < 0.95
        assert (mean["points"], mean["losses"], mean["samples_that_lose"]) == (7, 34, 9)
    assert "LPIPS and a sample's own rate cannot be told from it" in within.answer
    assert _by(each, codec="webp", setting="q=4")["auroc"] == {}
    assert "Most samples lose their right answer at jpeg:q=1: 9 of 20" in each.answer


def test_what_was_wrong_before_has_nothing_to_lose() -> None:
    before = [1] * 10 + [0] * 10
    after = [0, 0, *[1] * 8, *[0] * 10]
    cells = [_cell("none", 9, before)]
    cells += [_cell("jpeg", q, after, psnr=[30.0 + i for i in range(N)]) for q in (1, 2, 3)]
    each = correlation_sections(cells)[-1]
    assert [(row["lost"], row["kept"]) for row in each.data] == [(2, 8)] * 3


def test_infinite_psnr_is_most_alike_within_and_in_no_mean() -> None:
    psnr = [20.0] * 5 + [math.inf] * (N - 5)
    cells = [_cell("none", 9, RIGHT)] + [_cell("jpeg", q, _losing(5), psnr=psnr) for q in (1, 2, 3)]
    cells.append(_cell("webp", 1, RIGHT, psnr=math.inf))
    over, within, _ = correlation_sections(cells)
    assert _by(over, predictor="psnr")["points"] == 3
    assert any("PSNR at 1 point." in note for note in over.notes)
    assert _by(within, predictor="psnr")["mean"]["value"] == pytest.approx(1)


def test_without_labels_agreement_is_what_is_lost() -> None:
    over, within, _ = correlation_sections(_ladder(labelled=False))
    assert _by(over, predictor="psnr")["score"] == "agreement"
    assert "change their answer" in within.answer
    assert _by(within, predictor="psnr")["samples_that_lose"] == 9


def test_a_setting_that_failed_too_often_is_left_out_and_said() -> None:
    cells = [*_ladder(), _cell("avif", 1, [None] * 10 + [1] * 10, psnr=50.0)]
    over = correlation_sections(cells)[0]
    assert _by(over, predictor="psnr")["points"] == 8
    assert "avif:q=1 is left out: too many samples failed." in over.notes


def test_a_few_failures_leave_the_rest_in_pairs() -> None:
    cells = _ladder()
    cells.append(_cell("avif", 1, [None, 0, *[1] * 18], psnr=[20.0 + i for i in range(N)]))
    each = correlation_sections(cells, max_failures=0.1)[2]
    assert (_by(each, codec="avif")["lost"], _by(each, codec="avif")["kept"]) == (1, 18)


def test_runs_with_no_similarity_are_one_sentence() -> None:
    with pytest.raises(UserError, match="no similarity was measured here"):
        correlation_sections([_cell("none", 9, RIGHT), _cell("jpeg", 1, RIGHT)])


def test_runs_without_answers_are_another() -> None:
    failed = [_cell("jpeg", q, [None] * N, psnr=20.0 + q) for q in (1, 2, 3)]
    with pytest.raises(UserError, match="no setting has samples with answers"):
        correlation_sections([_cell("none", 9, RIGHT), *failed])


def test_why_nothing_can_be_said_within_is_the_reason() -> None:
    without = [_cell("jpeg", q, _losing(9 - q), psnr=20.0 + q) for q in range(1, 6)]
    over = correlation_sections(without)[0]
    assert "Within operating points nothing can be said: the originals were not measured." in over.notes


@pytest.mark.parametrize("points", [1, 2, 3])
def test_few_points_say_so(points: int) -> None:
    cells = [_cell("none", 9, RIGHT)]
    cells += [_cell("jpeg", q, _losing(9 - q), psnr=20.0 + q) for q in range(1, points + 1)]
    over = correlation_sections(cells)[0]
    assert ("needs three operating points" in over.answer) == (points < 3)
    assert ("too few for an interval" in over.answer) == (points == 3)
    assert _by(over, predictor="psnr")["spearman"]["low"] is None


def test_nothing_lost_says_so() -> None:
    cells = [_cell("none", 9, RIGHT)] + [_cell("jpeg", q, RIGHT, psnr=20.0 + q) for q in range(1, 6)]
    (over,) = correlation_sections(cells)
    assert over.answer == "top-1 is the same at all points: there is nothing to correlate."
    assert any("Within operating points nothing can be said" in note for note in over.notes)


def test_a_similarity_measured_in_another_run_is_found() -> None:
    first = [_cell("none", 9, RIGHT)] + [_cell("jpeg", q, _losing(9 - q), psnr=20.0 + q) for q in range(1, 6)]
    alike = [i / N for i in range(N)]
    second = [_cell("none", 9, RIGHT)] + [_cell("jpeg", q, _losing(9 - q), ssim=alike) for q in range(1, 6)]
    for cells in (first + second, second + first):
        over, within, _ = correlation_sections(cells)
        assert {d["predictor"] for d in over.data} == {"psnr", "ssim", "rate"}
        assert _by(within, predictor="ssim")["mean"]["value"] == pytest.approx(1)


def test_groups_of_a_task_are_pooled_by_change_and_shared_decodes_counted_once() -> None:
    alone = correlation_sections(_ladder())[0]
    sections = correlation_sections([*_ladder("a"), *_ladder("b")])
    pooled = sections[-1]
    assert pooled.title == "classification · 2 groups · over operating points"
    found, single = _by(pooled, predictor="psnr"), _by(alone, predictor="psnr")
    assert found["points"] == 2 * single["points"]
    assert found["over"] == "points of groups"
    # The second model answered as the first: there is no more in both than in one.
    for kind, end in itertools.product(KIND_NAMES, ("value", "low", "high")):
        tolerance = 1e-9 if kind == "pearson" else 0.02  # ranks are among twice as many
        assert found[kind][end] == pytest.approx(single[kind][end], abs=tolerance), kind
    assert "change of top-1" in pooled.answer
    assert {cloud.name for cloud in _scatters(pooled)[0].panels[""]} == {"d · a", "d · b"}


def _scatters(section: Section) -> list[Scatter]:
    return [figure for figure in section.figures if isinstance(figure, Scatter)]


def test_each_similarity_has_its_figure() -> None:
    over = correlation_sections(_ladder())[0]
    assert [figure.title for figure in _scatters(over)] == ["PSNR and top-1", "LPIPS and top-1"]
    jpeg, webp = _scatters(over)[0].panels[""]
    assert (jpeg.name, webp.name) == ("jpeg", "webp")
    assert sorted(jpeg.points)[0] == pytest.approx((29.5, 55.0))


def _speech_cell(codec: str, q: int, wrong: list[int], stoi: list[float]) -> Any:
    rows = [
        {
            "sample": str(i), "dataset": "d", "model": "m", "codec": codec, "weights_sha256": "w",
            "setting": f"q={q}" if codec != "none" else "", "bits": 100 * q + i, "payload_bits": 10, "channels": 1,
            "length": 16000, "sample_rate": 16000, "words": 10, "substitutions": errors, "deletions": 0,
            "insertions": 0, "own_words": 10, "own_word_errors": errors,
            "stoi": None if codec == "none" else like,
        }
        for i, (errors, like) in enumerate(zip(wrong, stoi, strict=True))
    ]  # fmt: skip
    return _identity("speech", codec, q), to_table(rows, schema(Speech().row_fields))


def test_errors_count_down_and_how_many_more_there_are_is_ranked() -> None:
    before = [1, 0, 2, 0, 1, 0]
    stoi = [0.9, 0.5, 0.8, 0.7, 0.6, 0.95]
    lost = [1, 5, 2, 3, 4, 0]  # exactly as unlike as they are
    cells = [_speech_cell("none", 9, before, stoi)]
    for q in (1, 2, 3, 4):
        wrong = [b + gone // q for b, gone in zip(before, lost, strict=True)]
        cells.append(_speech_cell("opus", q, wrong, [value + q / 100 for value in stoi]))
    over, within, each = correlation_sections(cells)
    # Fewer errors are better, so more alike and fewer errors is above 0.
    assert _by(over, predictor="stoi")["spearman"]["value"] == pytest.approx(1)
    assert _by(each, setting="q=1")["spearman"]["stoi"]["value"] == pytest.approx(1)
    ties = stats.spearmanr([-v for v in stoi], [gone // 2 for gone in lost])[0]
    assert _by(each, setting="q=2")["spearman"]["stoi"]["value"] == pytest.approx(ties)
    assert "lose WER" in within.answer


def _crops(codec: str, q: int) -> Any:
    """Eight people, a query and two of the gallery each, whose features are the worse the lower q is."""
    rng = np.random.default_rng(q)
    rows = []
    for i, (role, pid) in enumerate(
        [("query", p) for p in range(8)] + [("gallery", p % 8) for p in range(16)]
    ):
        feature = (np.eye(8)[pid] + (0.1 if codec == "none" else 1.2 / q) * rng.normal(size=8)).astype("<f4")
        rows.append(
            {
                "sample": f"{i:02d}", "dataset": "d", "model": "m", "codec": codec, "weights_sha256": "w",
                "setting": f"q={q}" if codec != "none" else "", "bits": 100 * q + i, "payload_bits": 10,
                "width": 8, "height": 8, "pid": pid, "camid": 0 if role == "query" else 1, "role": role,
                "feature": feature.tobytes(), "drift": 0.1, "psnr": None if codec == "none" else 20.0 + q + i,
            }
        )  # fmt: skip
    task = {"name": "reid", "rule": "same-camera", "cmc": "images", "trials": []}
    return _identity("reid", codec, q) | {"task": task}, to_table(rows, schema(Reidentification().row_fields))


def test_a_query_that_was_not_coded_is_held_against_no_similarity_of_its_own() -> None:
    sections = correlation_sections([_crops("none", 9), *(_crops("jpeg", q) for q in (1, 2, 3, 4))])
    both = [s for s in sections if "query and gallery coded" in s.title]
    gallery = [s for s in sections if "only the gallery coded" in s.title]
    assert (len(both), len(gallery)) == (3, 1)
    known = _by(both[2], setting="q=1")
    assert known["lost"] + known["kept"] == 8  # queries
    assert any("coded are not those with answers" in note for note in gallery[0].notes)


def test_tables_fit_a_narrow_terminal_and_lose_no_measure() -> None:
    for section in correlation_sections([*_ladder("a"), *_ladder("b")]):
        file = io.StringIO()
        terminal.show(section, Console(file=file, width=80))
        lines = file.getvalue().splitlines()
        assert max(map(len, lines)) <= 80
        assert "…" not in next((line for line in lines if "similarity" in line or "setting" in line), "…")
        for title in ("PSNR", "LPIPS", "log rate"):
            assert any(title in line for line in lines)


@pytest.mark.parametrize("name", ["run [final]", "[/b]", "[red]"])
def test_a_settings_name_is_shown_as_it_is_and_stays_in_the_data(name: str) -> None:
    cells = [
        (identity, table.set_column(table.schema.get_field_index("setting"), "setting", [[f"{name}{i}"] * N]))
        for i, (identity, table) in enumerate(_ladder())
    ]
    sections = correlation_sections([cells[0], *cells[1:]])
    each = sections[-1]
    assert f"at jpeg:{name}1: 9 of 20." in each.answer
    assert each.data[0]["setting"].startswith(name)
    file = io.StringIO()
    terminal.show(each, Console(file=file, width=120))
    assert f"jpeg:{name}1 " in file.getvalue()


def test_words_for_figures() -> None:
    assert in_words(Estimate(0.621, 0.104, 0.9999)) == ".62 (.10–1)"
    assert in_words(Estimate(-0.1, -0.55, 0.38)) == "−.10 (−.55…+.38)"
    assert in_words(Estimate(-0.5, -0.7, -0.2)) == "−.50 (−.70…−.20)"
    assert in_words(Estimate(1.0)) == "1.00"
    assert in_words(Estimate(math.nan)) == ""


def test_a_real_run_gives_what_its_rows_give(tmp_path: Path) -> None:
    from mpq.plan import Plan
    from mpq.store import Store
    from mpq.sweep import Sweep

    plan = Plan(codec=("jpeg:quality=5,15,60",), similarity=("psnr",), limit=12)
    Sweep.prepare(plan).run(store := Store(tmp_path), workers=1)
    cells = [(identity, table.to_pandas()) for identity, table in store.read()]
    tables = {identity["codec"]["name"] + str(table.setting[0]): table for identity, table in cells}
    original = tables.pop("none")
    over, _, each = correlation_sections(store.read())
    psnr, top1 = ([t[name].mean() for t in tables.values()] for name in ("psnr", "top1"))
    assert _by(over, predictor="psnr")["pearson"]["value"] == pytest.approx(stats.pearsonr(psnr, top1)[0])
    harsh = tables["jpegquality=5"]
    had = original.top1.to_numpy(dtype=bool)
    lost = 1.0 - harsh.top1[had].to_numpy(dtype=float)
    found = _by(each, codec="jpeg", setting="quality=5")
    assert found["lost"] == lost.sum() > 0
    expected = _plain_auroc(harsh.psnr[had].to_numpy(), lost)
    assert found["auroc"]["psnr"]["value"] == pytest.approx(expected)
