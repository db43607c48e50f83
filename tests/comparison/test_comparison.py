"""Comparisons of codecs: ladders whose answer is known by hand, awkward ones, and a real sweep."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from rich.text import Text
from scipy.interpolate import PchipInterpolator

from mpq.comparison.against import Against, against
from mpq.comparison.report import comparison_sections
from mpq.errors import UserError
from mpq.plan import Plan
from mpq.registry import tasks
from mpq.rows import schema, to_table
from mpq.store import Store
from mpq.summary import Group, summarize
from mpq.sweep import Sweep
from reports import export, html
from reports.printing import show
from reports.stats import Estimate

N = 200
PIXELS = 100

Points = list[tuple[float, int]]
"""(bpp, right answers of N) of a codec's settings q = 0, 1, …"""


def _cell(task: str, codec: str, setting: str, rows: list[dict[str, Any]]) -> tuple[dict[str, Any], Any]:
    identity = {"rows": 1, "dataset": {"name": "d", "content": "0"}, "targets": "l", "similarity": []}
    identity |= {"task": {"name": task}, "model": {"name": "m"}, "codec": {"name": codec, "values": setting}}
    head = {"dataset": "d", "model": "m", "weights_sha256": "w", "codec": codec, "setting": setting}
    full = [head | {"sample": f"{i:03d}"} | row for i, row in enumerate(rows)]
    return identity, to_table(full, schema(tasks.get(task)().row_fields))


def _pictures(codec: str, bpp: float, right: np.ndarray, setting: str = "") -> tuple[dict[str, Any], Any]:
    rows = [
        {"bits": round(bpp * PIXELS), "payload_bits": 1, "width": 10, "height": 10, "top1": bool(r)}
        | {"agreement": bool(r), "kl": 0.1}
        for r in right
    ]
    return _cell("classification", codec, setting, rows)


def _first(right: int, samples: int = N) -> np.ndarray:
    return np.arange(samples) < right


def _group(codecs: dict[str, Points], original: int | None = 190, resamples: int = 400) -> Group:
    """Who is right at a lower score is right at a higher one."""
    cells = [] if original is None else [_pictures("none", 9, _first(original))]
    for codec, points in codecs.items():
        cells += [_pictures(codec, bpp, _first(right), f"q={q}") for q, (bpp, right) in enumerate(points)]
    (group,) = summarize(cells, resamples=resamples)
    return group


JPEG: Points = [(0.5, 100), (1, 120), (2, 140), (4, 160)]
"""A straight line over the logarithm of the rate: 10 points each time that it doubles."""

HALF: Points = [(bpp / 2, right) for bpp, right in JPEG]


def _only(found: Against) -> Any:
    (comparison,) = found.compared
    return comparison


def _texts(
    group: Group, reference: str = "jpeg", **options: Any
) -> tuple[str, list[dict[str, str]], list[str]]:
    """The answer, the table without colours, the notes of the group's first section."""
    first = comparison_sections([group], reference, **options)[0]
    rows = [{k: Text.from_markup(v).plain for k, v in row.items()} for row in first.table.rows]
    return first.answer, rows, first.notes


def test_half_the_bits_for_the_same_answers_are_exactly_that() -> None:
    group = _group({"jpeg": JPEG, "webp": HALF})
    found = _only(against(group, "jpeg"))
    for value in (found.bd_rate.estimate.value, found.bd_rate.estimate.low, found.bd_rate.estimate.high):
        assert value == pytest.approx(-0.5)
    assert found.bd_score.estimate.value == pytest.approx(0.1)
    assert found.bd_rate.without == 0
    assert found.crossings == []
    assert found.shared_scores == pytest.approx(1)
    assert found.shared_rates == pytest.approx(2 / 4)  # three octaves each, two of them common
    answer, rows, _ = _texts(group)
    assert answer.startswith("webp needs 50 % fewer bits than jpeg at equal top-1 (95 % interval 50–50 %).")
    assert rows[1]["bd_rate"] == "−50 (−50…−50)"
    assert rows[1]["bd_score"].startswith("+10.0 (")


@pytest.mark.parametrize(
    ("jpeg", "webp", "said"),
    [
        ([(0.5, 190), (1, 190)], [(0.2, 190), (1, 190)], "webp:q=0 webp needs 60 % fewer bits than jpeg"),
        (JPEG, [(0.5, 130), (1, 130), (2, 130)], "webp:q=0 webp needs 65 % fewer bits than jpeg"),
    ],
)
def test_a_setting_that_a_cheaper_one_equals_says_nothing_of_a_codec(
    jpeg: Points, webp: Points, said: str
) -> None:
    answer, _, _ = _texts(_group({"jpeg": jpeg, "webp": webp}))
    assert said in answer and "more bits" not in answer


def test_equal_ladders_need_as_many_bits_setting_by_setting() -> None:
    _, by_setting = comparison_sections([_group({"jpeg": JPEG, "webp": JPEG})], "jpeg")
    assert by_setting.answer.endswith("webp needs as many bits as jpeg.")


def test_swapped_it_needs_twice_the_bits() -> None:
    group = _group({"jpeg": JPEG, "webp": HALF})
    assert _only(against(group, "webp")).bd_rate.estimate.value == pytest.approx(1)
    assert _texts(group, "webp")[0].startswith("jpeg needs 100 % more bits than webp at equal top-1")


def test_intervals_are_those_of_scipys_curves_on_every_draw() -> None:
    webp = [(0.3, 90), (0.9, 130), (2.5, 170)]
    group = _group({"jpeg": JPEG, "webp": webp}, resamples=150)
    drawn = []
    for i in range(150):
        curves = []
        for codec in ("jpeg", "webp"):
            ladder = group.ladder(codec)
            scores = [p.draws.score[i] for p in ladder]
            assert np.all(np.diff(scores) > 0)
            curves.append(PchipInterpolator(scores, np.log([p.draws.rate[i] for p in ladder])))
        low, high = max(c.x[0] for c in curves), min(c.x[-1] for c in curves)
        drawn.append(
            math.expm1((curves[1].integrate(low, high) - curves[0].integrate(low, high)) / (high - low))
        )
    estimate = _only(against(group, "jpeg")).bd_rate.estimate
    assert [estimate.low, estimate.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist())
    assert estimate.low < estimate.value < estimate.high


def test_each_setting_is_held_against_the_others_curve() -> None:
    found = _only(against(_group({"jpeg": JPEG, "webp": HALF}), "jpeg"))
    matches = {m.point.spec: m for m in found.matches}
    assert len(matches) == 8
    theirs, ours = matches["jpeg:q=1"], matches["webp:q=2"]  # 1 bpp, 60 %; 1 bpp, 70 %
    for match in (theirs, ours):
        assert match.bits.estimate.value == pytest.approx(-0.5)
        assert match.gain.estimate.value == pytest.approx(0.1)
    assert theirs.matched_rate.estimate.value == pytest.approx(0.5)
    assert theirs.matched_score.estimate.value == pytest.approx(0.7)
    assert ours.matched_rate.estimate.value == pytest.approx(2)
    assert ours.matched_score.estimate.value == pytest.approx(0.6)
    assert matches["jpeg:q=3"].gain.estimate is None  # webp has no 4 bpp
    assert matches["jpeg:q=3"].gain.why == "above its rates"
    assert matches["webp:q=0"].gain.why == "below its rates"


def test_the_rate_at_what_may_be_lost_is_read_off_the_curve() -> None:
    """The original has 75 %; 10 points less are half-way between 1 and 2 bpp."""
    group = _group({"jpeg": JPEG, "webp": HALF}, original=150)
    found = against(group, "jpeg", max_drop=10)
    assert found.reference.allowed.estimate.value == pytest.approx(math.sqrt(2))
    assert found.others[0].allowed.estimate.value == pytest.approx(math.sqrt(2) / 2)
    assert _only(found).allowed.estimate.value == pytest.approx(-0.5)
    answer, rows, _ = _texts(group, max_drop=10)
    assert "With 10 points of top-1 lost, webp needs the fewest bits, 0.707 bpp" in answer
    assert rows[0]["allowed"].startswith("1.41 (")


@pytest.mark.parametrize(("original", "why"), [(170, "not reached"), (60, "surpassed")])
def test_a_score_beyond_the_settings_has_no_rate(original: int, why: str) -> None:
    group = _group({"jpeg": JPEG, "webp": HALF}, original=original)
    found = against(group, "jpeg", max_drop=1)
    assert found.reference.allowed.estimate is None
    assert found.reference.allowed.why == why
    assert "lost" not in _texts(group)[0]


def test_who_is_good_enough_from_the_start_is_not_passed_over() -> None:
    group = _group({"jpeg": JPEG, "webp": [(0.2, 155), (0.4, 165)]}, original=150)
    assert (
        "webp's curve loses less than 5 points of top-1 from its start at 0.200 bpp on"
        in _texts(group, max_drop=5)[0]
    )


def test_without_the_originals_only_what_may_be_lost_is_missing() -> None:
    group = _group({"jpeg": JPEG, "webp": HALF}, original=None)
    found = _only(against(group, "jpeg"))
    assert found.bd_rate.estimate.value == pytest.approx(-0.5)
    assert found.allowed.estimate is None
    answer, rows, _ = _texts(group)
    assert "lost" not in answer
    (first, *_) = comparison_sections([group], "jpeg")
    assert "allowed" not in [column.key for column in first.table.columns]
    assert first.curve is not None and first.curve.level is None
    assert rows[1]["bd_rate"] == "−50 (−50…−50)"


def test_scores_that_fall_are_pooled_and_that_is_said() -> None:
    fallen = [(0.5, 100), (1, 140), (2, 120), (4, 160)]
    group = _group({"jpeg": fallen, "webp": [(0.5, 100), (1, 130), (2, 130), (4, 160)]})
    assert _only(against(group, "jpeg")).bd_rate.estimate.value == pytest.approx(0)
    notes = _texts(group)[2]
    assert "jpeg: top-1 gets worse in places as the rate rises; pooling moves it by up to 5 points." in notes


def test_curves_that_cross_are_said_to() -> None:
    crossing = [(0.5, 80), (1, 120), (2, 160)]  # twice as steep, through jpeg's 60 % at 1 bpp
    group = _group({"jpeg": JPEG, "webp": crossing})
    (found,) = _only(against(group, "jpeg")).crossings
    assert found.score == pytest.approx(0.6, abs=0.01)
    assert found.fewer == "webp"
    assert any(
        n.startswith("As measured, webp and jpeg cross at 60.") and "webp needs fewer" in n
        for n in _texts(group)[2]
    )


def test_scores_that_do_not_overlap_get_no_number() -> None:
    group = _group({"jpeg": JPEG, "webp": [(1, 170), (2, 180)]})
    found = _only(against(group, "jpeg"))
    assert found.bd_rate.estimate is None
    assert found.bd_rate.why == "no overlap: all of webp's scores are better"
    assert found.bd_score.estimate is not None
    answer, rows, notes = _texts(group)
    assert answer.startswith(
        "webp cannot be held against jpeg at equal top-1 (all of webp's scores are better), but at equal rate it has +"
    )
    assert rows[1]["bd_rate"] == "no overlap"
    assert "webp has no BD-rate: no overlap: all of webp's scores are better." in notes
    record = comparison_sections([group], "jpeg")[0].data[1]
    assert record["bd_rate"]["value"] is None


def test_curves_that_share_nothing_have_one_section_that_says_so() -> None:
    group = _group({"jpeg": JPEG, "webp": [(5, 170), (6, 180)]})
    (section,) = comparison_sections([group], "jpeg")
    assert section.answer.startswith("webp cannot be held against jpeg")
    assert section.table.rows[1]["bd_rate"] == section.table.rows[1]["bd_score"] == "no overlap"


def test_one_setting_is_held_against_the_curve_of_the_other() -> None:
    group = _group({"jpeg": JPEG, "hific": [(0.5, 130)]})
    found = _only(against(group, "jpeg"))
    assert found.bd_rate.estimate is found.bd_score.estimate is None
    own = next(m for m in found.matches if m.point.codec == "hific")
    assert own.bits.estimate.value == pytest.approx(
        0.5 / math.sqrt(2) - 1
    )  # jpeg: half-way between 1 and 2 bpp
    assert own.gain.estimate.value == pytest.approx(0.15)
    answer, rows, _ = _texts(group)
    assert answer.startswith(
        "At the top-1 of hific:q=0 hific needs 65 % fewer bits than jpeg (95 % interval "
    )
    assert rows[1]["bd_rate"] == "one setting"
    # and the other way round
    assert _texts(group, "hific")[0].startswith(
        "At the top-1 of hific:q=0 jpeg needs 183 % more bits than hific"
    )


def test_one_setting_beyond_the_curve_is_compared_at_its_rate() -> None:
    answer = _texts(_group({"jpeg": JPEG, "hific": [(0.5, 180)]}))[0]
    assert "at equal top-1 (hific has one setting), but at the rate of hific:q=0 it has +40.0 (" in answer


def test_a_flat_curve_has_no_bd_rate() -> None:
    found = _only(against(_group({"jpeg": JPEG, "webp": [(0.5, 130), (2, 130)]}), "jpeg"))
    assert found.bd_rate.why == "webp has the same score throughout"
    assert found.bd_score.estimate is not None


def test_where_many_draws_do_not_overlap_there_is_no_interval() -> None:
    """webp's worst is hardly below jpeg's best, with other samples right: on many draws it is above."""
    cells = [_pictures("jpeg", bpp, _first(right), f"q={q}") for q, (bpp, right) in enumerate(JPEG)]
    for q, (bpp, right) in enumerate([(1, 159), (2, 180)]):
        cells.append(_pictures("webp", bpp, ~_first(N - right), f"q={q}"))
    (group,) = summarize(cells, resamples=400)
    figure = _only(against(group, "jpeg")).bd_rate
    assert figure.estimate is not None
    assert figure.estimate.low is figure.estimate.high is None
    low = np.min([p.draws.score for p in group.ladder("webp")], axis=0)
    high = np.max([p.draws.score for p in group.ladder("jpeg")], axis=0)
    assert figure.without == np.sum(low >= high) > 20
    answer, rows, notes = _texts(group)
    assert "no interval" in answer and "no interval" in rows[1]["bd_rate"]
    assert f"webp: {figure.without:,} of 400 draws have no BD-rate, so there is no interval." in notes
    assert any("its BD-rate is over 1 % of the top-1" in note for note in notes)


def test_what_failed_is_left_out_and_named() -> None:
    cells = [_pictures("jpeg", bpp, _first(right), f"q={q}") for q, (bpp, right) in enumerate(JPEG)]
    cells += [_pictures("webp", bpp, _first(right), f"q={q}") for q, (bpp, right) in enumerate(HALF)]
    broken = [{"bits": 70, "payload_bits": 1, "width": 10, "height": 10, "top1": True}] * (N - 3)
    cells.append(_cell("classification", "webp", "q=9", [*broken, *[{"error": "codec: no"}] * 3]))
    (group,) = summarize(cells, resamples=100)
    found = against(group, "jpeg", max_failures=0.01)
    assert [p.spec for p in found.others[0].left_out] == ["webp:q=9"]
    assert _only(found).bd_rate.estimate.value == pytest.approx(-0.5)
    assert "webp:q=9 is left out: 3 samples failed." in _texts(group)[2]
    lenient = _only(against(group, "jpeg", max_failures=0.05))
    assert lenient.bd_rate.estimate.value != pytest.approx(-0.5)


def test_a_codec_that_failed_altogether_is_named_and_a_reference_that_did_too() -> None:
    cells = [_pictures("jpeg", bpp, _first(right), f"q={q}") for q, (bpp, right) in enumerate(JPEG)]
    cells.append(_cell("classification", "webp", "q=1", [{"error": "codec: no"}] * N))
    (group,) = summarize(cells, resamples=100)
    answer, rows, _ = _texts(group)
    assert answer == "No setting of webp can be used."
    assert rows[1]["bd_rate"] == "no usable setting"
    (section,) = comparison_sections([group], "webp")
    assert section.answer == "No setting of webp can be used, so nothing can be held against it."


def test_errors_are_better_where_they_are_fewer() -> None:
    """Word error rates that halve in bits: 40, 30, 20, 10 % of 10 words a clip."""

    def speech(codec: str, kbps: float, wrong: float, setting: str = "") -> tuple[dict[str, Any], Any]:
        rows = [
            {
                "bits": round(2000 * kbps),
                "payload_bits": 1,
                "channels": 1,
                "length": 32_000,
                "sample_rate": 16_000,
            }
            | {"words": 10, "substitutions": int(i % 10 < 10 * w), "deletions": 0, "insertions": int(w)}
            for i, w in enumerate([wrong] * 100)
        ]
        return _cell("speech", codec, setting, rows)

    ladder = [(4, 0.9), (8, 0.6), (16, 0.3), (32, 0.1)]
    cells = [speech("none", 256, 0)]
    cells += [speech("mp3", kbps, wrong, f"q={kbps}") for kbps, wrong in ladder]
    cells += [speech("opus", kbps / 2, wrong, f"q={kbps}") for kbps, wrong in ladder]
    (group,) = summarize(cells, resamples=200)
    assert group.score.key == "wer"
    found = _only(against(group, "mp3", max_drop=2))
    assert found.bd_rate.estimate.value == pytest.approx(-0.5)
    assert found.bd_score.estimate.value < 0
    assert found.allowed.estimate.value == pytest.approx(-0.5)
    answer, rows, _ = _texts(group, "mp3", max_drop=2)
    assert answer.startswith("opus needs 50 % fewer bits than mp3 at equal WER")
    assert rows[1]["bd_score"].startswith("−")
    colours = comparison_sections([group], "mp3")[0].table.rows[1]
    assert colours["bd_score"].startswith("[green]") and colours["bd_rate"].startswith("[green]")
    curve = comparison_sections([group], "mp3")[0].curve
    assert curve is not None
    assert [y for _, y in curve.series[0].points] == pytest.approx([9, 6, 3, 1])


def test_decibels_are_compared_as_they_are() -> None:
    def music(codec: str, kbps: float, sdr: float, setting: str = "") -> tuple[dict[str, Any], Any]:
        rows = [
            {
                "bits": round(1000 * kbps),
                "payload_bits": 1,
                "channels": 1,
                "length": 44_100,
                "sample_rate": 44_100,
            }
            | {"stems": ["vocals"], "sdr": [sdr + i % 3], "own_stems": ["vocals"], "own_sdr": [9.0]}
            for i in range(30)
        ]
        return _cell("separation", codec, setting, rows)

    cells = [music("none", 700, 6)]
    cells += [music("mp3", 16 * 2**k, k, f"q={k}") for k in range(4)]
    cells += [music("opus", 16 * 2**k, k + 0.5, f"q={k}") for k in range(4)]
    (group,) = summarize(cells, resamples=200)
    found = _only(against(group, "mp3", max_drop=3.5))
    assert found.bd_score.estimate == Estimate(pytest.approx(0.5), pytest.approx(0.5), pytest.approx(0.5))
    assert found.bd_rate.estimate.value == pytest.approx(2**-0.5 - 1)
    assert found.allowed.estimate.value == pytest.approx(2**-0.5 - 1)
    answer, rows, _ = _texts(group, "mp3", max_drop=3.5)
    assert answer.startswith("opus needs 29 % fewer bits than mp3 at equal SDR")
    assert "With 3.5 dB of SDR lost" in answer
    assert rows[1]["bd_score"] == "+0.50 (+0.50…+0.50)"


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("none", "'none' codes nothing"),
        ("jpeg:q=1", "'jpeg', not 'jpeg:q=1'"),
        ("jpg", "did you mean 'jpeg'"),
        ("opus", "there are: jpeg, webp"),
    ],
)
def test_a_reference_that_is_none_is_one_sentence(reference: str, complaint: str) -> None:
    group = _group({"jpeg": JPEG, "webp": HALF}, resamples=20)
    with pytest.raises(UserError, match=complaint) as stop:
        comparison_sections([group], reference)
    assert len(str(stop.value).splitlines()) == 1
    with pytest.raises(UserError):
        comparison_sections([], reference)


def test_a_group_without_the_reference_says_so_beside_one_that_has_it() -> None:
    with_it, without = (
        _group({"jpeg": JPEG, "webp": HALF}, resamples=20),
        _group({"avif": HALF}, resamples=20),
    )
    sections = comparison_sections([without, with_it], "jpeg")
    assert sections[0].answer == "jpeg was not measured here, so nothing can be held against it."
    assert [row["codec"] for row in sections[0].table.rows] == ["avif"]
    assert sections[1].answer.startswith("webp needs 50 %")


def test_a_reference_alone_is_said_to_be() -> None:
    (section,) = comparison_sections([_group({"jpeg": JPEG}, resamples=20)], "jpeg")
    assert section.answer == "Only jpeg has been measured."


def test_settings_that_differ_in_two_ways_are_said_to() -> None:
    cells = [_pictures("webp", bpp, _first(right), f"q={q}") for q, (bpp, right) in enumerate(JPEG)]
    cells += [
        _pictures("jpeg", bpp, _first(right), f"quality={q}" + ",subsampling=444" * (q % 2))
        for q, (bpp, right) in enumerate(JPEG)
    ]
    (group,) = summarize(cells, resamples=20)
    notes = comparison_sections([group], "webp")[0].notes
    assert "jpeg: its settings differ in quality and subsampling; one curve goes through all." in notes


@pytest.mark.parametrize("name", ["run [final]", "[/b]", "[red]"])
def test_names_are_shown_as_they_are_and_stay_in_the_data(name: str) -> None:
    cells = [_pictures("none", 9, _first(190))]
    cells += [_pictures("jpeg", bpp, _first(right), f"q={q}") for q, (bpp, right) in enumerate(JPEG)]
    cells += [_pictures(name, bpp, _first(right), f"q={name}{q}") for q, (bpp, right) in enumerate(HALF)]
    (group,) = summarize(cells, resamples=20)
    for reference in ("jpeg", name):
        curves, each = comparison_sections([group], reference)
        cells = [[Text.from_markup(cell).plain for cell in row.values()] for row in curves.table.rows]
        assert name in [cell for row in cells for cell in row]
        assert any(cell.startswith(("−50 (", "100 (", "+100 (")) for row in cells for cell in row)
        at = [Text.from_markup(row["at"]).plain for row in each.table.rows]
        assert f"{name}:q={name}1" in at
        assert name in [
            record["codec"] if reference == "jpeg" else record["reference"] for record in curves.data
        ]
        assert f"q={name}1" in str(curves.data)
    (alone,) = (
        s for s in comparison_sections([group, _group({"x": HALF}, resamples=5)], "x") if "not" in s.answer
    )
    assert name in [Text.from_markup(row["codec"]).plain for row in alone.table.rows]


def test_a_name_that_says_why_there_is_no_number_is_shown_as_it_is() -> None:
    cells = [_pictures("jpeg", bpp, _first(right), f"q={q}") for q, (bpp, right) in enumerate(JPEG)]
    (group,) = summarize([*cells, _pictures("[b]", 0.7, _first(130), "q=1")], resamples=20)
    assert _texts(group)[1][1]["bd_rate"] == "one setting"
    rows = _texts(group, "[b]")[1]
    assert {row["codec"]: row["bd_rate"] for row in rows if "bd_rate" in row} == {
        "jpeg": "[b] has one setting"
    }


def test_one_failure_and_one_more_codec_are_no_plurals() -> None:
    cells = [_pictures("jpeg", bpp, _first(right), f"q={q}") for q, (bpp, right) in enumerate(JPEG)]
    broken = [{"bits": 70, "payload_bits": 1, "width": 10, "height": 10, "top1": True}] * 9
    cells.append(_cell("classification", "webp", "q=9", [*broken, {"error": "codec: no"}] * (N // 10)))
    cells.append(_cell("classification", "avif", "q=1", [{"error": "codec: no"}, *broken * 22, broken[0]]))
    (group,) = summarize(cells, resamples=20)
    notes = _texts(group)[2]
    assert "avif:q=1 is left out: 1 sample failed." not in notes  # one of 200 is allowed
    assert "avif:q=1 is left out: 1 sample failed." in _texts(group, max_failures=0)[2]
    assert "webp:q=9 is left out: 20 samples failed." in notes
    codecs = {"jpeg": JPEG} | {f"c{k}": [(bpp / k, right) for bpp, right in JPEG] for k in range(2, 6)}
    assert "1 more is in the table" in _texts(_group(codecs, resamples=20))[0]


def test_many_codecs_are_ranked_and_the_table_has_the_rest() -> None:
    codecs = {"jpeg": JPEG} | {
        f"c{k}": [(bpp * (10 - k) / 10, right) for bpp, right in JPEG] for k in range(1, 6)
    }
    group = _group(codecs, resamples=50)
    answer, rows, _ = _texts(group)
    assert answer.startswith("c5 needs 50 % fewer bits than jpeg")
    assert "; c4 40 % fewer (" in answer and "; c3 30 % fewer (" in answer
    assert "c2" not in answer and "2 more are in the table" in answer
    assert [row["codec"] for row in rows] == ["jpeg", "c1", "c2", "c3", "c4", "c5"]


def test_the_data_are_unrounded_and_every_form_takes_them() -> None:
    group = _group(
        {"jpeg": JPEG, "webp": [(0.3, 90), (0.9, 130), (2.5, 170)], "hific": [(0.5, 180)]}, resamples=50
    )
    sections = comparison_sections([group], "jpeg")
    read = json.loads(export.to_json(sections))
    found = against(group, "jpeg")
    record = next(r for r in read[0]["points"] if r["codec"] == "webp")
    webp = next(c for c in found.compared if c.codec == "webp")
    assert webp.bd_rate.estimate is not None
    assert record["bd_rate"]["value"] == webp.bd_rate.estimate.value
    assert record["bd_rate"]["draws"] == 50
    assert len(read[1]["points"]) == sum(len(c.matches) for c in found.compared)
    assert export.to_csv(sections).count("\n") == 1 + len(read[0]["points"]) + len(read[1]["points"])
    assert "BD-rate" in export.markdown(sections)


def test_a_real_sweep_is_compared_and_shown(tmp_path, capsys) -> None:
    plan = Plan(codec=("jpeg:quality=5,40", "webp:quality=0,30"), limit=4, similarity=())
    store = Store(tmp_path / "run")
    Sweep.prepare(plan).run(store, workers=1)
    groups = summarize(store.read())
    sections = comparison_sections(groups, "jpeg")
    show(sections)
    shown = capsys.readouterr().out
    assert "against jpeg" in shown and "4 samples: intervals from so few" in shown
    html.write(tmp_path / "page.html", "comparison", sections)
    assert "BD-rate" in (tmp_path / "page.html").read_text()
