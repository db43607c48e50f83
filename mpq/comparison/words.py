"""What comparisons say in a sentence and in a table's cell."""

from __future__ import annotations

from rich.markup import escape

from mpq.comparison.against import NOT_REACHED, SURPASSED, Against, Comparison, Figure, Match
from mpq.summary import Group, Point
from mpq.tasks.base import Score
from mpq.wording import coloured, one_sided, rate, signed, unit
from reports.stats import Estimate

NAMED = 3
"""Codecs that an answer speaks of; the table has all."""


def answer(group: Group, found: Against, lost: str) -> str:
    """Who needs fewer bits than the reference at equal score, what is open, and who needs the fewest within ``lost``."""
    name = found.reference.codec
    if found.reference.curve is None:
        return f"No setting of {name} can be used, so nothing can be held against it."
    if not found.others:
        return f"Only {name} has been measured."
    rated = [c for c in found.compared if c.bd_rate.estimate]
    rated.sort(key=lambda c: (not decided(c.bd_rate), _value(c.bd_rate)))
    parts = [_verdict(c, group, name, first=i == 0) for i, c in enumerate(rated)]
    parts += [_without_average(c, group, name) for c in found.compared if not c.bd_rate.estimate]
    parts += [f"no setting of {ladder.codec} can be used" for ladder in found.others if not ladder.curve]
    left = len(parts) - NAMED
    more = f"; {left} more {'is' if left == 1 else 'are'} in the table" if left > 0 else ""
    text = f"{'; '.join(parts[:NAMED])}{more}."
    return f"{text[0].upper() if parts[0].startswith(('whether', 'no ', 'at ')) else text[0]}{text[1:]}{_fewest(group, found, lost)}"


def _verdict(comparison: Comparison, group: Group, name: str, *, first: bool) -> str:
    codec, estimate = comparison.codec, comparison.bd_rate.estimate
    assert estimate is not None
    than = f" than {name} at equal {group.score.title}" if first else ""
    if estimate == Estimate(0.0, 0.0, 0.0):
        return f"{codec} needs as many bits as {name} at equal {group.score.title}"
    if estimate.low is not None and not decided(comparison.bd_rate):
        return f"whether {codec} needs fewer bits{than} is open ({_step(estimate.value)} %, {_between(estimate)})"
    return f"{codec}{' needs' if first else ''} {fewer(comparison.bd_rate, than, bits=first)}"


def _without_average(comparison: Comparison, group: Group, name: str) -> str:
    """What can be said where there is no BD-rate: at a setting, or of scores at equal rate, or why nothing."""
    codec, score = comparison.codec, group.score
    # The codec's own settings, which come last, say it best; those that are no better than a cheaper one say nothing.
    worth = {id(p) for c in (codec, name) for p in _undominated(_points_of(comparison, c), score)}
    own_last = [match for match in comparison.matches[::-1] if id(match.point) in worth]
    match = next((m for m in own_last if m.bits.estimate), None)
    if match is not None:
        needs = fewer(match.bits, f" than {name}", bits=True)
        return f"at the {score.title} of {match.point.spec} {codec} needs {needs}"
    reason = comparison.bd_rate.why.removeprefix("no overlap: ")
    text = f"{codec} cannot be held against {name} at equal {score.title} ({reason})"
    if comparison.bd_score.estimate:
        by = signed(comparison.bd_score.estimate, score.scale)
        return f"{text}, but at equal rate it has {by} {unit(score)} on average"
    match = next((m for m in own_last if m.gain.estimate), None)
    if match is not None and match.gain.estimate:
        by = signed(match.gain.estimate, score.scale)
        return f"{text}, but at the rate of {match.point.spec} it has {by} {unit(score)}"
    return text


def _points_of(comparison: Comparison, codec: str) -> list[Point]:
    points = [match.point for match in comparison.matches if match.point.codec == codec]
    return sorted(points, key=lambda point: point.rate.value)


def _fewest(group: Group, found: Against, lost: str) -> str:
    """A sentence on who needs the fewest bits where no more than allowed is lost, if that can be told."""
    ladders = [ladder for ladder in (found.reference, *found.others) if ladder.curve]
    reached = [ladder for ladder in ladders if ladder.allowed.estimate]
    if not reached:
        return ""
    best = min(reached, key=lambda ladder: _value(ladder.allowed))
    cheaper = [
        ladder
        for ladder in ladders
        if ladder.allowed.why == SURPASSED and ladder.points[0].rate.value < _value(best.allowed)
    ]
    if cheaper:
        least = min(cheaper, key=lambda ladder: ladder.points[0].rate.value)
        at = f"{rate(least.points[0].rate.value)} {group.rate.title}"
        return (
            f" {least.codec}'s curve loses less than {lost} of {group.score.title} from its start at {at} on."
        )
    sentence = f" With {lost} of {group.score.title} lost, {best.codec} needs the fewest bits, {spoken(best.allowed, group)}"
    own = found.reference
    if best is own:
        return f"{sentence}."
    if own.allowed.estimate:
        return f"{sentence}; {own.codec} needs {spoken(own.allowed, group)}."
    where = "does not reach that" if own.allowed.why == NOT_REACHED else "is better throughout"
    return f"{sentence}; {own.codec}'s curve {where}."


def answer_by_setting(group: Group, found: Against) -> str:
    """Who needs the fewest bits at the reference's setting that most codecs can be held against with an interval?"""
    name, score = found.reference.codec, group.score
    best: list[tuple[str, Match]] = []
    for point in _undominated(found.reference.points, score):
        there = [(c.codec, m) for c in found.compared for m in c.matches if m.point is point]
        there = [(codec, m) for codec, m in there if m.bits.estimate]
        if sum(_certain(m.bits) for _, m in there) >= sum(_certain(m.bits) for _, m in best):
            best = there or best
    if not best:
        return f"No other codec's curve has the {score.title} of one of {name}'s settings."
    codec, match = min(best, key=lambda pair: _value(pair[1].bits))
    point = match.point
    here = f"{shown(score, point.scores[score.key].value)}, {rate(point.rate.value)} {group.rate.title}"
    sentence = f"At the {score.title} of {point.spec} ({here})"
    if match.bits.estimate == Estimate(0.0, 0.0, 0.0):
        return f"{sentence} {codec} needs as many bits as {name}."
    if _certain(match.bits) and not decided(match.bits):
        size = _step(_value(match.bits))
        assert match.bits.estimate is not None
        return f"{sentence} whether {codec} needs fewer bits than {name} is open ({size} %, {_between(match.bits.estimate)})."
    if _value(match.bits) > 0:
        return f"{sentence} {name} needs the fewest bits; {codec} needs {fewer(match.bits)}."
    return f"{sentence} {codec} needs the fewest bits, {rate(_value(match.matched_rate))} {group.rate.title}: {fewer(match.bits)}."


def _undominated(points: list[Point], score: Score) -> list[Point]:
    """Without the settings that are no better than a cheaper one, lowest rate first."""
    kept: list[Point] = []
    for point in points:
        turned = -1 if score.lower_is_better else 1
        if not kept or turned * (point.scores[score.key].value - kept[-1].scores[score.key].value) > 0:
            kept.append(point)
    return kept


def _certain(figure: Figure) -> bool:
    return figure.estimate is not None and figure.estimate.low is not None


def decided(figure: Figure) -> bool:
    """Whether all of the interval is on one side of 0."""
    return figure.estimate is not None and one_sided(figure.estimate)


def fewer(figure: Figure, than: str = "", *, bits: bool = False) -> str:
    """``35 % fewer bits than jpeg (95 % interval 20–48 %)``."""
    estimate = figure.estimate
    assert estimate is not None
    size = _step(abs(estimate.value)).lstrip("+")
    what = "fewer" if estimate.value < 0 else "more"
    return f"{size} % {what}{' bits' if bits else ''}{than} ({_between(estimate, decided(figure))})"


def _between(estimate: Estimate, one_sided: bool = False) -> str:
    if estimate.low is None or estimate.high is None:
        return "no interval: too few draws overlap"
    if one_sided:
        ends = sorted(abs(end) for end in (estimate.low, estimate.high))
        return f"95 % interval {'–'.join(_step(end).lstrip('+') for end in ends)} %"
    return f"95 % interval {_step(estimate.low)}…{_step(estimate.high)} %"


def _step(share: float) -> str:
    """A share as per cent with its sign: −35, +4.2, 0.0."""
    text = f"{100 * share:+,.{1 if abs(share) < 0.0995 else 0}f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text


def bits(figure: Figure) -> str:
    """A cell: ``−35 (−48…−20)``, green for fewer and red for more where 0 is outside the interval; or why not."""
    estimate = figure.estimate
    if estimate is None:
        return escape(figure.why.partition(":")[0])
    if estimate.low is None or estimate.high is None:
        return f"{_step(estimate.value)} (no interval)"
    text = f"{_step(estimate.value)} ({_step(estimate.low)}…{_step(estimate.high)})"
    if not decided(figure):
        return text
    colour = "green" if estimate.value < 0 else "red"
    return f"[{colour}]{text}[/{colour}]"


def gain(score: Score, figure: Figure) -> str:
    """A cell: a difference of scores, coloured likewise; or why not."""
    if figure.estimate is None:
        return escape(figure.why.partition(":")[0])
    text = coloured(figure.estimate, score)
    return text if figure.estimate.low is not None else f"{text} (no interval)"


def rate_between(figure: Figure) -> str:
    """A cell: ``0.310 (0.28–0.35)``, or why not."""
    estimate = figure.estimate
    if estimate is None:
        return escape(figure.why)
    if estimate.low is None or estimate.high is None:
        return f"{rate(estimate.value)} (no interval)"
    return f"{rate(estimate.value)} ({rate(estimate.low)}–{rate(estimate.high)})"


def spoken(figure: Figure, group: Group) -> str:
    """``0.310 bpp (95 % interval 0.28–0.35)``."""
    estimate = figure.estimate
    assert estimate is not None
    ends = (
        "no interval: too few draws overlap"
        if estimate.low is None or estimate.high is None
        else f"95 % interval {rate(estimate.low)}–{rate(estimate.high)}"
    )
    return f"{rate(estimate.value)} {group.rate.title} ({ends})"


def shown(score: Score, value: float) -> str:
    """A score with its unit: ``66.0 %``, ``5.21 dB``."""
    if score.scale == 100:
        return f"{100 * value:.1f} %".replace("-", "−")
    return f"{value:.2f} {score.unit}".replace("-", "−")


def _value(figure: Figure) -> float:
    assert figure.estimate is not None
    return figure.estimate.value
