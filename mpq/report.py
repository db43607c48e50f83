"""A sweep's numbers put into words, tables and curves."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from mpq.recommend import Recommendation, cheapest, recommend
from mpq.registry import tasks
from mpq.roundtrip import Roundtrip
from mpq.summary import Group, Point
from mpq.tasks.base import Score
from reports.content import Column, Curve, Section, Series, Table
from reports.stats import Estimate

SMALL = 200
"""Answers below which a report says that one weighs much."""


def section(group: Group, *, max_drop: float = 0.01, max_failures: float = 0.01) -> Section:
    """A group's part of the report."""
    recommendations = recommend(group, max_drop, max_failures)
    return Section(
        title=_title(group),
        answer=_answer(group, recommendations, max_drop),
        table=_table(group, max_failures),
        curve=_curve(group, group.score, max_failures),
        figures=[
            curve
            for score in group.scores[1:]
            if score.interval and score.unit == group.score.unit
            if (curve := _curve(group, score, max_failures)) is not None
        ],
        notes=_notes(group, max_failures),
        data=[_data(group, point, max_failures) for point in group.points],
    )


def _title(group: Group) -> str:
    return " · ".join(filter(None, [group.dataset, group.model, group.view, f"{group.samples} samples"]))


def recommendation_section(group: Group, max_drop: float, max_failures: float = 0.01) -> Section:
    """``mpq recommend``: one line a codec."""
    recommendations = recommend(group, max_drop, max_failures)
    rows = []
    for r in recommendations:
        row = {"codec": r.codec, "setting": f"none loses at most {_points(max_drop)}"}
        if r.point is not None and r.confidence is not None:
            change = r.point.changes[group.score.key].difference
            row |= {
                "setting": r.point.setting,
                "bpp": rate(r.point.bpp.value),
                "change": signed(change),
                "confidence": f"{100 * r.confidence:.0f} %",
            }
        row["sure"] = f"{r.sure.setting} ({rate(r.sure.bpp.value)} bpp)" if r.sure else "—"
        rows.append(row)
    columns = [
        Column("codec", "codec", right=False),
        Column("setting", "cheapest setting", right=False),
        Column("bpp", "bpp"),
        Column("change", f"{group.score.title} change, points (95 %)"),
        Column("confidence", "confidence"),
        Column("sure", "cheapest at 95 % confidence", 1, right=False),
    ]
    data: list[dict[str, Any]] = [
        {
            "codec": r.codec,
            "setting": r.point.setting if r.point else None,
            "bpp": r.point.bpp.value if r.point else None,
            "confidence": r.confidence,
            "setting_95": r.sure.setting if r.sure else None,
            "bpp_95": r.sure.bpp.value if r.sure else None,
        }
        for r in recommendations
    ]
    notes = [
        f"Cheapest: the lowest rate whose measured loss is at most {_points(max_drop)}. Confidence: that the true "
        + (
            "loss is (Dirichlet posterior on lost, kept and won answers, Jeffreys' prior)."
            if group.score.binary
            else "loss is (Bayesian bootstrap)."
        )
    ]
    return Section(
        _title(group),
        _answer(group, recommendations, max_drop),
        Table(columns, rows),
        notes=notes,
        data=data,
    )


def roundtrip_section(result: Roundtrip) -> Section:
    """``mpq roundtrip``: the figures of one file."""
    sent, original = result.sent, result.original
    pixels = original.width * original.height
    figures = {
        "picture": f"{original.width} × {original.height}",
        "bitstream": f"{len(sent.bitstream.data):,} bytes, {rate(result.bpp)} bpp "
        f"({rate(sent.bitstream.payload_bits / pixels)} of it payload)",
        "stored file": f"{len(original.stored or b''):,} bytes, {rate(8 * len(original.stored or b'') / pixels)} bpp",
        **{name.upper(): _similarity(name, value) for name, value in result.similarity.items()},
        "encode, decode": f"{sent.encode_ms:.1f} ms, {sent.decode_ms:.1f} ms",
        "written": ", ".join(str(file) for file in result.files),
    }
    rows = [{"what": name, "value": escape(value)} for name, value in figures.items()]
    for i, ((was, p), (now, q)) in enumerate(zip(result.before, result.after, strict=True)):
        title = f"answer {i + 1}, before → after"
        rows.append({"what": title, "value": escape(f"{was} {100 * p:.1f} % → {now} {100 * q:.1f} %")})
    answer = f"{rate(result.bpp)} bpp."
    if result.before:
        same = result.before[0][0] == result.after[0][0]
        verdict = "keeps its answer" if same else "changes its answer"
        answer = (
            f"At {rate(result.bpp)} bpp the model {verdict}: {result.before[0][0]} → {result.after[0][0]}."
        )
    columns = [Column("what", "", right=False), Column("value", "", right=False)]
    return Section(result.codec.spec, answer, Table(columns, rows))


def _similarity(name: str, value: float | None) -> str:
    if value is None:
        return "not defined for so small a picture"
    return ("∞ dB: equal" if math.isinf(value) else f"{value:.2f} dB") if name == "psnr" else f"{value:.4f}"


def _answer(group: Group, recommendations: list[Recommendation], max_drop: float) -> str:
    name = group.score.title
    best = cheapest(recommendations)
    if group.baseline is None or not group.baseline.samples:
        return "The baseline has no scores, so nothing can be compared with it."
    if group.score.unit != "share":
        return f"Nothing could be scored: all that is known is {name}."
    if not recommendations:
        return "Only the baseline has been measured."
    if best is None or best.point is None:
        return f"No setting stays within {_points(max_drop)} of the original's {name}."
    point, confidence, kept = best.point, best.confidence or 0.0, best.point.kept
    if kept is None or kept.low is None or kept.high is None:
        return f"The {name} of the originals is 0: there is none to keep."
    return (
        f"{point.spec} at {rate(point.bpp.value)} bpp keeps {100 * kept.value:.1f} % of {name} "
        f"(95 % interval {100 * kept.low:.1f}–{100 * kept.high:.1f} %), {point.saving:.1f} times smaller than the "
        f"stored files. It is the cheapest setting that loses at most {_points(max_drop)}; "
        f"that it does so beyond these samples is {100 * confidence:.0f} % sure."
    )


def _table(group: Group, max_failures: float) -> Table:
    main, *others = group.scores
    columns = [
        Column("spec", "setting", right=False),
        Column("bpp", "bpp"),
        Column("score", f"{main.title} % (95 %)" if main.unit == "share" else main.title),
        Column("change", "change (95 %)", 1),
    ]
    if main.binary and not main.fidelity:
        columns.append(Column("p", "p", 2))
    for score in others:
        heading = score.heading or score.title
        columns.append(Column(score.key, f"{heading} (95 %)" if score.interval else heading, score.rank))
    titles = {"psnr": ("PSNR", 3), "ssim": ("SSIM", 7), "ms_ssim": ("MS-SSIM", 8)}
    measured = {c for p in group.points for c in p.similarity}
    columns += [Column(c, title, rank) for c, (title, rank) in titles.items() if c in measured]
    columns += [Column("encode", "enc ms", 10), Column("decode", "dec ms", 9)]
    return Table(columns, [_row(group, point, max_failures) for point in group.points], group="codec")


def _row(group: Group, point: Point, max_failures: float) -> dict[str, str]:
    row = {"codec": point.codec, "spec": point.spec if not point.is_baseline else "none (as stored)"}
    if point.too_many_failures(max_failures) or not point.samples:
        tried = point.failed + point.samples
        return row | {
            "score": f"[red]failed: {point.failed} of {tried}[/red]" if tried else "[red]unreadable[/red]"
        }
    row |= {
        "bpp": rate(point.bpp.value),
        "encode": "" if point.is_baseline else f"{point.encode_ms:.1f}",
        "decode": "" if point.is_baseline else f"{point.decode_ms:.1f}",
    }
    for score in group.scores:
        estimate = point.scores[score.key]
        if math.isfinite(estimate.value):
            main = score is group.score
            row["score" if main else score.key] = _value(score, estimate, interval=main or score.interval)
    if change := point.changes.get(group.score.key):
        row["change"] = coloured(change.difference)
        if change.p is not None:
            row["p"] = f"{change.p:.3f}" if change.p >= 0.001 else "<.001"
    formats = {"psnr": "{:.1f}", "ssim": "{:.3f}", "ms_ssim": "{:.3f}"}
    for column, estimate in point.similarity.items():
        row[column] = formats[column].format(estimate.value) if math.isfinite(estimate.value) else "∞"
    return row


def _value(score: Score, estimate: Estimate, *, interval: bool) -> str:
    if score.unit == "points":
        return coloured(estimate)
    if score.unit == "share":
        return percent(estimate) if interval else f"{100 * estimate.value:.1f}"
    return f"{estimate.value:.3f}"


def _curve(group: Group, shown: Score, max_failures: float) -> Curve | None:
    """A score over the rate, held against the originals' main score."""

    def points(estimate: Estimate) -> tuple[float, float]:
        low, high = (math.nan if end is None else 100 * end for end in (estimate.low, estimate.high))
        return low, high

    if shown.unit != "share":
        return None
    series = []
    for codec in group.codecs:
        ladder = [p for p in group.ladder(codec) if not p.too_many_failures(max_failures)]
        if ladder:
            scores = [p.scores[shown.key] for p in ladder]
            line = [(p.bpp.value, 100 * score.value) for p, score in zip(ladder, scores, strict=True)]
            series.append(Series(codec, line, [points(score) for score in scores]))
    if not series:
        return None
    baseline = group.baseline
    level = 100 * baseline.scores[group.score.key].value if baseline and baseline.samples else None
    return Curve(
        series,
        "bpp",
        f"{shown.title} %",
        level,
        "original",
        title=f"Rate and {shown.title}",
        note="Bands are 95 % intervals, bootstrap over samples.",
    )


def _notes(group: Group, max_failures: float) -> list[str]:
    task = tasks.get(group.task)()
    notes = task.notes(group.score.key)
    scored = max(point.scored for point in group.points)
    if 0 < scored < SMALL and group.score.unit == "share":
        many = (
            f"{scored} samples" if group.samples == scored else f"{scored} scored of {group.samples} samples"
        )
        notes.append(
            f"{many}: one {task.noun} weighs {100 / scored:.1f} points. Read the intervals, not the order."
        )
    mark = "p: McNemar's exact test. " if group.score.binary and not group.score.fidelity else ""
    notes.append(
        "bpp: all bits of the bitstreams / pixels of the originals. Change: points against 'none', paired by "
        f"sample. {mark}Intervals: bootstrap over samples."
    )
    for point in group.points:
        if point.failed:
            verdict = (
                "so it has no score" if point.too_many_failures(max_failures) else "left out of its score"
            )
            notes.append(f"{point.spec}: {point.failed} samples failed ({point.error}), {verdict}.")
    if unreadable := max(point.unreadable for point in group.points):
        notes.append(f"{unreadable} of {group.samples} samples could not be read and are in no score.")
    return notes


def _data(group: Group, point: Point, max_failures: float) -> dict[str, Any]:
    head = {
        "task": group.task,
        "view": group.view,
        "dataset": group.dataset,
        "model": group.model,
        "weights_sha256": group.weights_sha256,
    }
    body = asdict(point)
    body["confidence"] = {f"drop_{100 * drop:g}": c for drop, c in point.confidence.items()}
    failed = point.too_many_failures(max_failures)
    if failed:  # what is left of such a cell is no score
        body |= {"scores": {}, "changes": {}, "confidence": {}, "kept": None}
    return head | body | {"cell_failed": failed}


def rate(bpp: float) -> str:
    """bits a pixel to three significant digits."""
    return f"{bpp:.4f}" if bpp < 0.1 else f"{bpp:.3f}" if bpp < 1 else f"{bpp:.2f}"


def percent(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f}"
    return f"{100 * estimate.value:.1f} ({100 * estimate.low:.0f}–{100 * estimate.high:.0f})"


def signed(estimate: Estimate) -> str:
    """Points with their sign: −5.0 (−15…+5)."""

    def points(value: float, digits: int) -> str:
        text = f"{100 * value:+.{digits}f}".replace("-", "−")
        return text.lstrip("+−") if float(text.replace("−", "-")) == 0 else text

    if estimate.low is None or estimate.high is None:
        return points(estimate.value, 1)
    return f"{points(estimate.value, 1)} ({points(estimate.low, 0)}…{points(estimate.high, 0)})"


def coloured(estimate: Estimate) -> str:
    """``signed``, red or green where zero is outside the interval."""
    text, low, high = signed(estimate), estimate.low, estimate.high
    if low is None or high is None or low <= 0 <= high:
        return text
    colour = "red" if estimate.value < 0 else "green"
    return f"[{colour}]{text}[/{colour}]"


def _points(share: float) -> str:
    return f"{100 * share:g} point" + ("" if share == 0.01 else "s")
