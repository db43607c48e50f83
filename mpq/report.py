"""A sweep's numbers put into words, tables and curves."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any

from rich.markup import escape

from mpq.recommend import Recommendation, cheapest, recommend
from mpq.registry import tasks
from mpq.roundtrip import Roundtrip
from mpq.summary import Group, Point
from mpq.tasks.base import Score
from mpq.wording import (
    amount,
    coloured,
    counted,
    decibels,
    decimals,
    interval,
    one_sided,
    percent,
    rate,
    signed,
    title,
    unit,
)
from reports.content import Column, Curve, Section, Series, Table
from reports.stats import LEVEL, Estimate

FEW = 8
"""Samples below which drawing them says little."""

SMALL = 200
"""Answers below which a report says that one weighs much."""

TELLING = 1.0
"""How wide the interval of the share that is kept may be: a wider one says nothing."""


def section(group: Group, *, max_drop: float = 1.0, max_failures: float = 0.01) -> Section:
    """A group's part of the report. max_drop: in what the score is shown in, points or dB."""
    recommendations = recommend(group, max_drop, max_failures)
    return Section(
        title=title(group),
        answer=_answer(group, recommendations, max_drop, max_failures),
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


def recommendation_section(group: Group, max_drop: float, max_failures: float = 0.01) -> Section:
    """``mpq recommend``: one line a codec."""
    recommendations = recommend(group, max_drop, max_failures)
    allowed, per, key = amount(group.score, max_drop), group.rate.title, group.rate.key
    rows, data = [], []
    for r in recommendations:
        codec, change = escape(r.codec), None
        if r.point is None:
            row = {"codec": codec, "setting": _nothing(group, r.codec, allowed, max_failures)}
        else:
            change = r.point.changes[group.score.key].difference
            row = {
                "codec": codec,
                "setting": escape(r.point.setting),
                "rate": rate(r.point.rate.value),
                "change": signed(change, group.score.scale),
                "confidence": "—" if r.confidence is None else f"{100 * r.confidence:.0f} %",
            }
        row["sure"] = f"{escape(r.sure.setting)} ({rate(r.sure.rate.value)} {per})" if r.sure else "—"
        rows.append(row)
        data.append(
            {
                **head(group),
                "score": group.score.key,
                "codec": r.codec,
                "setting": r.point.setting if r.point else None,
                key: r.point.rate.value if r.point else None,
                "change": asdict(change) if change else {"value": None, "low": None, "high": None},
                "confidence": r.confidence,
                "setting_95": r.sure.setting if r.sure else None,
                f"{key}_95": r.sure.rate.value if r.sure else None,
                "why_not": None if r.point else row["setting"],
            }
        )
    columns = [
        Column("codec", "codec", right=False),
        Column("setting", "cheapest setting", right=False),
        Column("rate", per),
        Column("change", f"{group.score.title} change, {unit(group.score)} (95 %)"),
        Column("confidence", "confidence"),
        Column("sure", "cheapest at 95 % confidence", 1, right=False),
    ]
    notes = [
        f"Cheapest: the lowest rate whose measured loss is at most {allowed}. Confidence: that the true "
        + (
            "loss is (Dirichlet posterior on lost, kept and won answers, Jeffreys' prior)."
            if group.score.binary
            else "loss is (Bayesian bootstrap)."
        )
    ]
    return Section(
        title(group),
        _answer(group, recommendations, max_drop, max_failures),
        Table(columns, rows),
        notes=notes + _failures(group, max_failures),
        data=data,
    )


def _nothing(group: Group, codec: str, allowed: str, max_failures: float) -> str:
    """Why nothing is recommended of a codec."""
    if _comparable(group, codec, max_failures):
        return f"none loses at most {allowed}"
    ran = [p for p in group.ladder(codec) if not p.too_many_failures(max_failures)]
    if not ran:
        return "failed"
    scored = group.score.lossy and any(p.scored for p in ran)
    return "nothing to compare with" if scored else "not scored"


def _comparable(group: Group, codec: str, max_failures: float) -> bool:
    """Whether any of a codec's settings has a score that can be held against the originals'."""
    ran = (p for p in group.ladder(codec) if not p.too_many_failures(max_failures))
    return any(group.score.key in p.changes for p in ran)


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


def _answer(group: Group, recommendations: list[Recommendation], max_drop: float, max_failures: float) -> str:
    score = group.score
    name, allowed = score.title, amount(score, max_drop)
    best = cheapest(recommendations)
    if group.baseline is None or not group.baseline.samples:
        return "The baseline has no scores, so nothing can be compared with it."
    if not score.lossy:
        return f"Nothing could be scored: all that is known is {name}."
    if not recommendations:
        return "Only the baseline has been measured."
    if not any(_comparable(group, codec, max_failures) for codec in group.codecs):
        return f"No codec's {name} is known, so nothing can be compared with the original's."
    if best is None or best.point is None:
        return f"No setting stays within {allowed} of the original's {name}."
    point, kept = best.point, best.point.kept
    where = f"{point.spec} at {rate(point.rate.value)} {group.rate.title}"
    size = _beside_stored(point.saving)
    sure = (
        "one sample says nothing of others."
        if best.confidence is None
        else f"that it does so beyond these samples is {100 * best.confidence:.0f} % sure."
    )
    if score.unit != "share" or score.lower_is_better:
        change = point.changes[score.key].difference
        verb = "raises" if change.value > 0 else "lowers" if change.value < 0 else "does not change"
        digits = max(1, decimals(change, score.scale))
        by = "" if change.value == 0 else f" by {amount(score, abs(score.scale * change.value), digits)}"
        return (
            f"{where} {verb} {name}{by} ({interval(change, score.scale)}){size}. It is the "
            f"cheapest setting that loses at most {allowed}; {sure}"
        )
    if kept is None:
        return f"The {name} of the originals is 0: there is none to keep."
    chosen = f"It is the cheapest setting that loses at most {allowed}"
    if kept.low is None or kept.high is None or kept.high - kept.low > TELLING:
        few = f"{counted(point.scored, 'sample')} {'is' if point.scored == 1 else 'are'} too few"
        return f"{few} to tell how much of {name} {where} keeps{size}. {chosen}; {sure}"
    digits = max(1, decimals(kept, 100))
    ends = f"{100 * kept.low:.{digits}f}–{100 * kept.high:.{digits}f} %"
    return f"{where} keeps {100 * kept.value:.{digits}f} % of {name} (95 % interval {ends}){size}. {chosen}; {sure}"


def _beside_stored(saving: float | None) -> str:
    """How large bitstreams are, as the end of a sentence."""
    if saving is None or not math.isfinite(saving) or saving <= 0:
        return ""
    if 0.95 <= saving <= 1.05:
        return ", as large as the stored files"
    times = f"{saving:.1f} times smaller" if saving > 1 else f"{1 / saving:.1f} times larger"
    return f", {times} than the stored files"


def _table(group: Group, max_failures: float) -> Table:
    main, *others = group.scores
    mark = {"share": " %", "dB": " dB"}.get(main.unit)
    columns = [
        Column("spec", "setting", right=False),
        Column("rate", group.rate.title),
        Column("score", main.title if mark is None else f"{main.heading or main.title}{mark} (95 %)"),
        Column("change", "change (95 %)", 1),
    ]
    if main.binary and not main.fidelity:
        columns.append(Column("p", "p", 2))
    for score in others:
        heading = score.heading or score.title
        columns.append(Column(score.key, f"{heading} (95 %)" if score.interval else heading, score.rank))
    measured = {c for p in group.points for c in p.similarity}
    similarities = [s for s in group.medium.similarities.values() if s.column in measured]
    columns += [Column(s.column, s.title, s.rank) for s in similarities]
    columns += [Column("encode", "enc ms", 10), Column("decode", "dec ms", 9)]
    formats = {s.column: s.format for s in similarities}
    return Table(
        columns, [_row(group, point, formats, max_failures) for point in group.points], group="codec"
    )


def _row(group: Group, point: Point, formats: dict[str, str], max_failures: float) -> dict[str, str]:
    row = {"codec": point.codec, "spec": "none (as stored)" if point.is_baseline else escape(point.spec)}
    if point.too_many_failures(max_failures) or not point.samples:
        tried = point.failed + point.samples
        return row | {
            "score": f"[red]failed: {point.failed} of {tried}[/red]" if tried else "[red]unreadable[/red]"
        }
    row |= {
        "rate": rate(point.rate.value),
        "encode": "" if point.is_baseline else f"{point.encode_ms:.1f}",
        "decode": "" if point.is_baseline else f"{point.decode_ms:.1f}",
    }
    for score in group.scores:
        estimate = point.scores[score.key]
        if math.isfinite(estimate.value):
            main = score is group.score
            row["score" if main else score.key] = _value(score, estimate, interval=main or score.interval)
    if change := point.changes.get(group.score.key):
        row["change"] = coloured(change.difference, group.score)
        if change.p is not None:
            row["p"] = f"{change.p:.3f}" if change.p >= 0.001 else "<.001"
    for column, estimate in point.similarity.items():
        text = formats[column].format(estimate.value).replace("-", "−")
        row[column] = text.replace("inf", "∞").replace("nan", "∞")
    return row


def _value(score: Score, estimate: Estimate, *, interval: bool) -> str:
    if score.unit == "points":
        return coloured(estimate, score)
    if score.unit == "share":
        return percent(estimate) if interval else f"{100 * estimate.value:.1f}"
    if score.unit == "dB":
        return decibels(estimate) if interval else f"{estimate.value:.2f}".replace("-", "−")
    return f"{estimate.value:.3f}"


def _curve(group: Group, shown: Score, max_failures: float) -> Curve | None:
    """A score over the rate, held against the originals' main score."""

    def shown_as(value: float | None) -> float:
        return math.nan if value is None else shown.scale * value

    if shown.unit not in ("share", "dB"):
        return None
    series = []
    for codec in group.codecs:
        ladder = [
            p
            for p in group.ladder(codec)
            if not p.too_many_failures(max_failures) and math.isfinite(p.scores[shown.key].value)
        ]
        if ladder:
            scores = [p.scores[shown.key] for p in ladder]
            line = [(p.rate.value, shown_as(e.value)) for p, e in zip(ladder, scores, strict=True)]
            series.append(Series(codec, line, [(shown_as(e.low), shown_as(e.high)) for e in scores]))
    if not series:
        return None
    baseline = group.baseline
    level = shown_as(baseline.scores[group.score.key].value) if baseline and baseline.samples else math.nan
    return Curve(
        series,
        group.rate.title,
        f"{shown.title} {'%' if shown.unit == 'share' else 'dB'}",
        level if math.isfinite(level) else None,
        "original",
        title=f"Rate and {shown.title}",
        note="Bands are 95 % intervals, bootstrap over samples.",
    )


def _notes(group: Group, max_failures: float) -> list[str]:
    task = tasks.get(group.task)()
    notes = task.notes(group.score.key)
    scored = max(point.scored for point in group.points)
    trials = max((point.trials or 0) for point in group.points) or scored
    if 0 < trials < SMALL and group.score.unit == "share":
        many = counted(scored, "sample")
        if group.samples != scored:
            many = f"{scored} scored of {counted(group.samples, 'sample')}"
        if group.score.counts:
            many = f"{counted(trials, task.noun)} in {many}"
        notes.append(
            f"{many}: one {task.noun} weighs {100 / trials:.1f} points. Read the intervals, not the order."
        )
    if group.score.counts and 0 < scored < FEW:
        notes.append(
            f"Intervals draw samples, and {scored} say{'s' * (scored == 1)} little: cut long recordings into {FEW} "
            "utterances or more."
        )
    mark = "p: McNemar's exact test. " if group.score.binary and not group.score.fidelity else ""
    shown = [point for point in group.points if not point.too_many_failures(max_failures)]
    if mark and any(_at_odds(group, point) for point in shown):
        mark += "Colour follows the interval, so with few samples it and p can differ. "
    notes.append(
        f"{group.rate.title}: {group.rate.summary} of the originals, all of the bitstreams' bits. Change: "
        f"{unit(group.score)} against 'none', paired by sample. {mark}Intervals: bootstrap over samples."
    )
    return notes + _failures(group, max_failures)


def _at_odds(group: Group, point: Point) -> bool:
    """Whether only one of a change's interval and its p says that there is a change."""
    change = point.changes.get(group.score.key)
    if change is None or change.p is None:
        return False
    return one_sided(change.difference) != (change.p < 1 - LEVEL)


def _failures(group: Group, max_failures: float) -> list[str]:
    """What failed, and why."""
    notes = []
    for point in group.points:
        if point.failed:
            verdict = (
                "so it has no score" if point.too_many_failures(max_failures) else "left out of its score"
            )
            notes.append(
                f"{point.spec}: {counted(point.failed, 'sample')} failed ({point.error}), {verdict}."
            )
    if unreadable := max(point.unreadable for point in group.points):
        notes.append(
            f"{unreadable} of {counted(group.samples, 'sample')} could not be read and "
            f"{'is' if unreadable == 1 else 'are'} in no score."
        )
    return notes


def head(group: Group) -> dict[str, Any]:
    """What its figures are of, in JSON and CSV."""
    keys = ("task", "view", "dataset", "model", "weights_sha256")
    return {key: getattr(group, key) for key in keys}


def _data(group: Group, point: Point, max_failures: float) -> dict[str, Any]:
    body = {f.name: getattr(point, f.name) for f in fields(point) if f.name not in ("draws", "each")}
    body = {key: asdict(value) if isinstance(value, Estimate) else value for key, value in body.items()}
    for key in ("scores", "changes", "similarity"):
        body[key] = {name: asdict(value) for name, value in body[key].items()}
    key = group.rate.key
    rates = {key: body.pop("rate"), f"mean_{key}": body.pop("mean_rate")}
    rates |= {f"payload_{key}": body.pop("payload_rate"), **body.pop("rates")}
    body = {**{name: body.pop(name) for name in ("codec", "setting")}, **rates, **body}
    body["confidence"] = {f"drop_{drop:g}": c for drop, c in point.confidence.items()}
    failed = point.too_many_failures(max_failures)
    if failed:  # what is left of such a cell is no score
        body |= {"scores": {}, "changes": {}, "confidence": {}, "kept": None, "parts": {}}
    return head(group) | body | {"cell_failed": failed}
