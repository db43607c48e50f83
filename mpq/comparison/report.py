"""``mpq compare``: codecs against a reference codec, as sections of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.markup import escape

from mpq.comparison import words
from mpq.comparison.against import Against, Comparison, Figure, Ladder, Match, against, check_reference
from mpq.comparison.notes import notes
from mpq.report import head
from mpq.summary import Group
from mpq.wording import amount, rate, title, unit
from reports.content import Column, Curve, Section, Series, Table
from reports.stats import percentile_interval


def comparison_sections(
    groups: Sequence[Group], reference: str, *, max_drop: float = 1.0, max_failures: float = 0.01
) -> list[Section]:
    """Two sections a group: the curves, and setting by setting.

    reference: a codec's name. max_drop: in what the score is shown in, points or dB. Raises UserError where no group
    has the reference.
    """
    check_reference(groups, reference)
    sections = []
    for group in groups:
        if reference not in group.codecs:
            sections.append(_without_reference(group, reference))
            continue
        found = against(group, reference, max_drop=max_drop, max_failures=max_failures)
        sections.append(_curves_section(group, found, max_drop))
        if any(m.bits.estimate or m.gain.estimate for c in found.compared for m in c.matches):
            sections.append(_settings_section(group, found))
    return sections


def _without_reference(group: Group, reference: str) -> Section:
    table = Table(
        [Column("codec", "codec", right=False)], [{"codec": escape(codec)} for codec in group.codecs]
    )
    answer = f"{reference} was not measured here, so nothing can be held against it."
    return Section(title(group, f"against {reference}"), answer, table)


def _curves_section(group: Group, found: Against, max_drop: float) -> Section:
    name, lost = found.reference.codec, amount(group.score, max_drop)
    columns = [
        Column("codec", "codec", right=False),
        Column("settings", "settings", 4),
        Column("bd_rate", "BD-rate % (95 %)"),
        Column("bd_score", f"BD-{group.score.title}, {unit(group.score)} (95 %)", 1),
        Column("shared", "shared", 3),
        Column("allowed", f"{group.rate.title} at {lost} lost (95 %)", 2),
        Column("allowed_bits", "bits there, % (95 %)", 2),
    ]
    ladders = (found.reference, *found.others)
    if not any(ladder.allowed.estimate for ladder in ladders):
        columns = columns[:-2]
    compared = {c.codec: c for c in found.compared}
    return Section(
        title(group, f"against {name}"),
        words.answer(group, found, lost),
        Table(columns, [_row(group, ladder, compared.get(ladder.codec)) for ladder in ladders]),
        curve=_curve(group, found),
        notes=notes(group, found),
        data=[_ladder_data(group, found, ladder, compared.get(ladder.codec)) for ladder in ladders],
    )


def _row(group: Group, ladder: Ladder, comparison: Comparison | None) -> dict[str, str]:
    row = {"codec": escape(ladder.codec), "settings": str(len(ladder.points))}
    if ladder.curve is None:
        return row | {"bd_rate": "no usable setting"}
    row["allowed"] = words.rate_between(ladder.allowed)
    if comparison is None:
        return row
    own = escape(f"{ladder.codec} has ")
    row |= {
        "bd_rate": words.bits(comparison.bd_rate).removeprefix(own),
        "bd_score": words.gain(group.score, comparison.bd_score).removeprefix(own),
    }
    if comparison.bd_rate.estimate:
        row["shared"] = f"{100 * comparison.shared_scores:.0f} %"
    if comparison.allowed.estimate:
        row["allowed_bits"] = words.bits(comparison.allowed)
    return row


def _settings_section(group: Group, found: Against) -> Section:
    name, score = found.reference.codec, group.score
    columns = [
        Column("codec", "codec", right=False),
        Column("at", "at setting", right=False),
        Column("rate", group.rate.title, 2),
        Column("score", score.title, 2),
        Column("bits", f"bits at its {score.title}, % (95 %)"),
        Column("gain", f"{score.title} at its rate, {unit(score)} (95 %)", 1),
    ]
    matches = [
        (c, m)
        for c in found.compared
        for m in sorted(c.matches, key=lambda m: (m.point.rate.value, m.point.spec))
    ]
    rows = [
        {
            "codec": escape(c.codec),
            "at": escape(m.point.spec),
            "rate": rate(m.point.rate.value),
            "score": words.shown(score, m.point.scores[score.key].value),
            "bits": words.bits(m.bits),
            "gain": words.gain(score, m.gain),
        }
        for c, m in matches
        if m.bits.estimate or m.gain.estimate
    ]
    notes = [
        f"How many bits the codec needs against {name} at that setting's {score.title}, and its {score.title} against "
        f"{name}'s at that setting's rate: the setting as it was measured, the other codec by its curve. 'not reached', "
        "'surpassed', 'above its rates': where that curve ends. Settings where nothing can be said are left out.",
    ]
    data = [_match_data(group, found, c, m) for c, m in matches]
    return Section(
        title(group, f"against {name}", "setting by setting"),
        words.answer_by_setting(group, found),
        Table(columns, rows, group="codec"),
        notes=notes,
        data=data,
    )


def _curve(group: Group, found: Against) -> Curve | None:
    """The monotone curves at the rates of their settings."""
    score = group.score
    turned = -score.scale if score.lower_is_better else score.scale
    series = []
    for ladder in (found.reference, *found.others):
        if ladder.curve is None:
            continue
        log_rates, fitted = ladder.curve.by_rate.knots, turned * ladder.curve.by_rate.values
        line = list(zip(np.exp(log_rates[:, 0]).tolist(), fitted[:, 0].tolist(), strict=True))
        drawn = fitted[:, 1:][:, np.isfinite(fitted[0, 1:])]
        band = [percentile_interval(draws) for draws in drawn] if drawn.size else None
        if line[0] == line[-1]:  # one point, which the curve holds twice
            line, band = line[:1], band[:1] if band else None
        series.append(Series(ladder.codec, line, band))
    if not series:
        return None
    mark = {"share": " %", "dB": " dB"}.get(score.unit, "")
    level = group.baseline.scores[score.key].value if group.baseline else math.nan
    return Curve(
        series,
        group.rate.title,
        f"{score.title}{mark}",
        score.scale * level if math.isfinite(level) else None,
        "original",
        title=f"Rate and {score.title}, made monotone",
        note="Bands are 95 % intervals, bootstrap over samples.",
    )


def _head(group: Group, found: Against, codec: str) -> dict[str, Any]:
    return {
        **head(group),
        "score": group.score.key,
        "reference": found.reference.codec,
        "codec": codec,
    }


def _ladder_data(
    group: Group, found: Against, ladder: Ladder, comparison: Comparison | None
) -> dict[str, Any]:
    """bd_rate and allowed_bits: shares, −0.3 is 30 % fewer bits. bd_score: in the score's own unit."""
    data = _head(group, found, ladder.codec) | {
        "settings": [point.setting for point in ladder.points],
        "left_out": [point.setting for point in ladder.left_out],
        "pooled": ladder.pooled,
        f"allowed_{group.rate.key}": _figure_data(ladder.allowed),
    }
    if comparison is None:
        return data
    return data | {
        "bd_rate": _figure_data(comparison.bd_rate),
        "bd_score": _figure_data(comparison.bd_score),
        "shared_scores": comparison.shared_scores,
        "shared_rates": comparison.shared_rates,
        "allowed_bits": _figure_data(comparison.allowed),
        "crossings": [asdict(crossing) for crossing in comparison.crossings],
    }


def _match_data(group: Group, found: Against, comparison: Comparison, match: Match) -> dict[str, Any]:
    """bits: a share, −0.3 is 30 % fewer. gain: in the score's own unit. matched: of the other codec's curve."""
    point, key = match.point, group.rate.key
    return _head(group, found, comparison.codec) | {
        "at": point.spec,
        key: point.rate.value,
        "value": point.scores[group.score.key].value,
        "bits": _figure_data(match.bits),
        "gain": _figure_data(match.gain),
        f"matched_{key}": _figure_data(match.matched_rate),
        "matched_score": _figure_data(match.matched_score),
    }


def _figure_data(figure: Figure) -> dict[str, Any]:
    """without: of how many draws there is no value; above MOST_WITHOUT of them there is no interval."""
    estimate = asdict(figure.estimate) if figure.estimate else {"value": None, "low": None, "high": None}
    return estimate | {"draws": figure.draws, "without": figure.without, "why": figure.why or None}
