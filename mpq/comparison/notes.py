"""What a reader of a comparison should know: how it was made, and where its figures say less than they seem to."""

from __future__ import annotations

from mpq.comparison import words
from mpq.comparison.against import Against, Comparison, Ladder
from mpq.report import SMALL
from mpq.summary import Group
from mpq.wording import amount, counted
from reports.stats import LEVEL


def notes(group: Group, found: Against) -> list[str]:
    """How it was done, then what is odd about a codec, then about its comparison."""
    score = group.score.title
    lines = [
        f"Curves: {score} made monotone over the rate (isotonic regression; every setting weighs the same, as all are "
        "of the same samples), then monotone cubics (PCHIP) on the logarithm of the rate. BD-rate: average difference "
        f"of log rate over the {score} that both reach. BD-{score}: average difference over the rates that both have. "
        f"shared: how much of the {score} that either reaches both do. Bits: {group.rate.title}. Nothing is extrapolated.",
    ]
    if draws := max((c.bd_rate.draws for c in found.compared), default=0):
        lines.append(
            f"Intervals: {100 * LEVEL:.0f} % of {draws:,} bootstrap draws of the samples, the same for all settings."
        )
    scored = max(point.scored for point in group.points)
    if scored < SMALL:
        lines.append(f"{counted(scored, 'sample')}: intervals from so few are rather too narrow.")
    for ladder in (found.reference, *found.others):
        lines += _ladder_notes(group, ladder)
    for comparison in found.compared:
        lines += _comparison_notes(group, found.reference.codec, comparison)
    return lines


def _ladder_notes(group: Group, ladder: Ladder) -> list[str]:
    lines = []
    if (moved := group.score.scale * ladder.pooled) >= 0.05:
        lines.append(
            f"{ladder.codec}: {group.score.title} gets worse in places as the rate rises; pooling moves it by up to "
            f"{amount(group.score, moved)}."
        )
    spelled = [
        dict(part.split("=", 1) for part in point.setting.split(",") if "=" in part)
        for point in ladder.points
    ]
    keys = dict.fromkeys(
        key for values in spelled for key in values
    )  # a setting that lacks one has its default
    varied = [key for key in keys if len({values.get(key) for values in spelled}) > 1]
    if len(varied) > 1:
        lines.append(
            f"{ladder.codec}: its settings differ in {' and '.join(varied)}; one curve goes through all."
        )
    for point in ladder.left_out:
        why = (
            f"{counted(point.failed, 'sample')} failed" if point.failed else f"it has no {group.score.title}"
        )
        lines.append(f"{point.spec} is left out: {why}.")
    return lines


def _comparison_notes(group: Group, name: str, comparison: Comparison) -> list[str]:
    codec, score, lines = comparison.codec, group.score.title, []
    for what, figure in (("BD-rate", comparison.bd_rate), (f"BD-{score}", comparison.bd_score)):
        if figure.estimate is None:
            lines.append(f"{codec} has no {what}: {figure.why}.")
        elif figure.without:
            so = "so there is no interval" if figure.estimate.low is None else "which its interval leaves out"
            lines.append(f"{codec}: {figure.without:,} of {figure.draws:,} draws have no {what}, {so}.")
    if comparison.bd_rate.estimate and comparison.shared_scores < 0.5:
        part = f"{100 * comparison.shared_scores:.0f} %"
        lines.append(f"{codec}: its BD-rate is over {part} of the {score} that it and {name} span.")
    if comparison.crossings:
        *first, last = (words.shown(group.score, crossing.score) for crossing in comparison.crossings)
        where = f"{', '.join(first)} and {last}" if first else last
        lines.append(
            f"As measured, {codec} and {name} cross at {where} {score}; where it is better still, "
            f"{comparison.crossings[-1].fewer} needs fewer bits."
        )
    return lines
