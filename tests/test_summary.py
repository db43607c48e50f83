"""From rows to a report's numbers: by hand, and against bootstraps written plainly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mpq.recommend import cheapest, recommend
from mpq.report import section
from mpq.rows import schema, to_table
from mpq.summary import Group, summarize
from mpq.tasks.classification import Classification

N = 60


def _identity(codec: str, q: int = 0, **more: Any) -> dict[str, Any]:
    identity = {"rows": 1, "dataset": {"name": "d", "content": "0"}, "targets": "l", "similarity": ["psnr"]}
    identity["task"] = {"name": "classification"}
    return {**identity, "model": {"name": "m"}, "codec": {"name": codec, "values": {"q": q}}, **more}


def _cell(codec: str, q: int, bits: np.ndarray, top1: np.ndarray, errors: dict[int, str] | None = None):
    rows = []
    for i in range(len(bits)):
        row: dict[str, Any] = {
            "sample": f"{i:03d}", "dataset": "d", "model": "m", "codec": codec, "weights_sha256": "w",
            "setting": f"q={q}" if codec != "none" else "",
        }  # fmt: skip
        if errors and i in errors:
            rows.append(row | {"error": errors[i]})
            continue
        row |= {"bits": int(bits[i]), "payload_bits": int(bits[i]) // 2, "width": 10 + i, "height": 10}
        row |= {
            "top1": bool(top1[i]),
            "agreement": bool(top1[i]),
            "kl": 0.1,
            "psnr": math.inf if i == 0 else 30.0,
        }
        rows.append(row)
    return _identity(codec, q), to_table(rows, schema(Classification().row_fields))


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    return {
        "bits": rng.integers(100, 900, N),
        "before": (rng.random(N) < 0.9).astype(int),
        "after": (rng.random(N) < 0.7).astype(int),
    }


def _group(arrays: dict[str, np.ndarray], errors: dict[int, str] | None = None) -> Group:
    cells = [
        _cell("jpeg", 5, arrays["bits"], arrays["after"], errors),
        _cell("none", 0, 9 * arrays["bits"], arrays["before"]),
    ]
    (group,) = summarize(cells)
    return group


def test_a_point_is_its_sums(arrays) -> None:
    group = _group(arrays)
    baseline, jpeg = group.points
    assert baseline.is_baseline
    pixels = (10 + np.arange(N)) * 10
    bits, before, after = arrays["bits"], arrays["before"], arrays["after"]
    assert jpeg.rate.value == pytest.approx(bits.sum() / pixels.sum())
    assert jpeg.mean_rate.value == pytest.approx(np.mean(bits / pixels))
    assert jpeg.payload_rate == pytest.approx(np.sum(bits // 2) / pixels.sum())
    assert jpeg.scores["top1"].value == pytest.approx(after.mean())
    assert jpeg.changes["top1"].difference.value == pytest.approx(after.mean() - before.mean())
    assert jpeg.kept is not None
    assert jpeg.kept.value == pytest.approx(after.mean() / before.mean())
    assert jpeg.similarity["psnr"].value == pytest.approx(30.0)
    assert jpeg.exact == 1


def test_intervals_are_a_plain_bootstraps(arrays) -> None:
    jpeg = _group(arrays).points[1]
    bits, before, after = arrays["bits"], arrays["before"], arrays["after"]
    pixels = (10 + np.arange(N)) * 10
    draws = np.random.default_rng(99).integers(N, size=(100_000, N))
    plain = {
        "score": after[draws].mean(1),
        "change": after[draws].mean(1) - before[draws].mean(1),
        "kept": after[draws].sum(1) / before[draws].sum(1),
        "bpp": bits[draws].sum(1) / pixels[draws].sum(1),
    }
    ours = {
        "score": jpeg.scores["top1"],
        "change": jpeg.changes["top1"].difference,
        "kept": jpeg.kept,
        "bpp": jpeg.rate,
    }
    for name, estimate in ours.items():
        assert estimate is not None
        low, high = np.quantile(plain[name], [0.025, 0.975])
        tolerance = 1 / N + 1e-9 if name != "bpp" else 0.02 * estimate.value
        assert estimate.low == pytest.approx(low, abs=tolerance), name
        assert estimate.high == pytest.approx(high, abs=tolerance), name


def test_a_failed_sample_has_no_score_and_its_pair_is_left_out(arrays) -> None:
    failed = {3: "codec: no", 7: "source: broken", 9: "worker: died"}
    jpeg = _group(arrays, failed).points[1]
    kept = [i for i in range(N) if i not in failed]
    assert (jpeg.samples, jpeg.failed, jpeg.unreadable) == (N - 3, 2, 1)
    assert jpeg.scores["top1"].value == pytest.approx(arrays["after"][kept].mean())
    expected = (arrays["after"] - arrays["before"])[kept].mean()
    assert jpeg.changes["top1"].difference.value == pytest.approx(expected)
    assert jpeg.too_many_failures(0.01)
    assert not jpeg.too_many_failures(0.05)


def test_what_fails_is_said_and_never_recommended(arrays) -> None:
    group = _group(arrays, {3: "codec: no way"})
    shown = section(group)
    assert any("1 sample failed (codec: no way)" in note for note in shown.notes)
    assert "failed: 1 of 60" in next(r for r in shown.table.rows if r["codec"] == "jpeg")["score"]
    assert recommend(group, 1)[0].point is None
    assert shown.data[1]["cell_failed"]
    assert shown.data[1]["scores"] == shown.data[1]["changes"] == {}


def test_a_baseline_that_is_never_right_is_reported(arrays) -> None:
    group = _group({**arrays, "before": np.zeros(N), "after": np.zeros(N)})
    assert group.points[1].kept is None
    assert "The top-1 of the originals is 0" in section(group).answer


def test_what_is_kept_stays_possible(arrays) -> None:
    before = np.ones(N)
    before[:8] = 0
    jpeg = _group({**arrays, "before": before, "after": before}).points[1]
    assert jpeg.kept is not None and jpeg.kept.low is not None and jpeg.kept.high is not None
    assert 0 <= jpeg.kept.low < 1 < jpeg.kept.high <= N / (N - 8)


def test_a_rare_baseline_gives_a_finite_interval(arrays) -> None:
    before, after = np.zeros(N), np.zeros(N)
    before[0], after[:2] = 1, 1
    jpeg = _group({**arrays, "before": before, "after": after}).points[1]
    assert jpeg.kept is not None and jpeg.kept.value == 2
    assert np.isfinite([jpeg.kept.low, jpeg.kept.high]).all()


def test_the_saving_is_over_the_same_samples(arrays) -> None:
    assert _group(arrays, {3: "codec: no"}).points[1].saving == pytest.approx(9)


def test_groups_are_apart_where_the_samples_are(arrays) -> None:
    cells = [
        _cell("none", 0, arrays["bits"], arrays["before"]),
        _cell("jpeg", 5, arrays["bits"], arrays["after"]),
    ]
    elsewhere = [({**identity, "dataset": {"name": "d", "content": "1"}}, table) for identity, table in cells]
    found = summarize([*cells, *elsewhere])
    assert [group.dataset for group in found] == ["d (0)", "d (1)"]  # by their content, as their name is one


def test_one_setting_measured_twice_has_the_similarities_of_both(arrays) -> None:
    identity, table = _cell("jpeg", 5, arrays["bits"], arrays["after"])
    psnr, ssim = table.column("psnr"), pa.array([0.5] * N, pa.float64())
    empty, place = pa.nulls(N, pa.float64()), table.schema.get_field_index
    only_psnr = ({**identity, "rows": 1, "similarity": ["psnr"]}, table)
    bare = table.set_column(place("psnr"), "psnr", empty).set_column(place("ssim"), "ssim", ssim)
    only_ssim = ({**identity, "rows": 1, "similarity": ["ssim"]}, bare)
    baseline = _cell("none", 0, arrays["bits"], arrays["before"])
    for cells in ([only_psnr, only_ssim, baseline], [only_ssim, only_psnr, baseline]):
        (group,) = summarize(cells)
        assert len(group.points) == 2
        assert group.points[1].similarity["ssim"].value == pytest.approx(0.5)
        assert group.points[1].similarity["psnr"].value == pytest.approx(30.0)
    assert psnr.null_count == 0


def test_similarities_are_of_the_samples_that_have_answers(arrays) -> None:
    identity, table = _cell("jpeg", 5, arrays["bits"], arrays["after"])
    psnr = np.where(np.arange(N) < 10, 10.0, 30.0)
    errors = [("model: none" if i < 10 else None) for i in range(N)]
    place = table.schema.get_field_index
    table = table.set_column(place("psnr"), "psnr", pa.array(psnr))
    table = table.set_column(place("error"), "error", pa.array(errors, pa.string()))
    (group,) = summarize([(identity, table), _cell("none", 0, arrays["bits"], arrays["before"])])
    assert group.points[1].similarity["psnr"].value == 30.0 and group.points[1].samples == N - 10


def test_one_sample_makes_no_interval_and_no_confidence() -> None:
    one = np.array([100])
    (group,) = summarize([_cell("jpeg", 5, one, one > 0), _cell("none", 0, 9 * one, one > 0)])
    point = group.points[1]
    for estimate in (point.rate, point.scores["kl"]):
        assert estimate.value > 0 and estimate.low is None and estimate.high is None
    # Of right and wrong, one sample still says how little it says.
    assert point.scores["top1"].low == pytest.approx(0.025)


def test_the_newer_making_is_shown(arrays) -> None:
    identity, old = _cell("jpeg", 5, arrays["bits"], np.zeros(N))
    _, new = _cell("jpeg", 5, arrays["bits"], np.ones(N))
    baseline = _cell("none", 0, arrays["bits"], arrays["before"])
    for cells in ([1, 2], [2, 1]):
        made = [({**identity, "rows": version}, new if version == 2 else old) for version in cells]
        (group,) = summarize([*made, baseline])
        assert group.points[1].scores["top1"].value == 1.0


def _ladder(losses: dict[int, int], samples: int = 2000) -> Group:
    """q -> how many of ``samples`` right answers are lost; bits grow with q."""
    cells: list[tuple[dict, pa.Table]] = [_cell("none", 0, np.full(samples, 999), np.ones(samples))]
    for q, lost in losses.items():
        top1 = np.ones(samples)
        top1[:lost] = 0
        cells.append(_cell("jpeg", q, np.full(samples, 10 * q), top1))
    (group,) = summarize(cells, drops=(1,), resamples=200)
    return group


def test_recommended_is_the_cheapest_within_the_drop_and_the_sure_one_above_it() -> None:
    (found,) = recommend(_ladder({1: 400, 2: 21, 3: 19, 4: 2, 5: 0}), 1)
    assert found.point is not None and found.sure is not None and found.confidence is not None
    assert found.point.setting == "q=3"
    assert 0.5 < found.confidence < 0.7
    assert found.sure.setting == "q=4"


def test_a_loss_of_exactly_the_limit_is_within_it() -> None:
    (found,) = recommend(_ladder({3: 20}), 1)
    assert found.point is not None


def test_nothing_is_recommended_where_all_lose_too_much() -> None:
    recommendations = recommend(_ladder({1: 400, 2: 100}), 1)
    assert recommendations[0].point is recommendations[0].sure is None
    assert cheapest(recommendations) is None


def test_few_samples_make_nothing_sure() -> None:
    (found,) = recommend(_ladder({3: 0}, samples=20), 1)
    assert found.point is not None and found.sure is None
