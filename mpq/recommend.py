"""Which setting to take: the lowest rate whose score loss is small enough, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

from mpq.summary import Group, Point

SURE = 0.95


@dataclass(frozen=True)
class Recommendation:
    """For one codec: the cheapest setting whose measured loss is within the limit, and the cheapest of which
    that can be said with 95 % confidence; None where there is no such setting.

    confidence: None too where one sample says nothing of others.
    """

    codec: str
    point: Point | None
    confidence: float | None
    sure: Point | None


def recommend(group: Group, max_drop: float, max_failures: float = 0.01) -> list[Recommendation]:
    """One recommendation a codec. max_drop: in what the score is shown in, points or dB.

    The points must carry the confidence of ``max_drop`` (see ``summarize``).
    """
    found = []
    for codec in group.codecs:
        ladder = [
            p
            for p in group.ladder(codec)
            if not p.too_many_failures(max_failures) and group.score.key in p.changes
        ]
        # A hundredth of a millionth keeps a loss of exactly one point from failing on rounding.
        limit = max_drop / group.score.scale + 1e-8
        within = [p for p in ladder if p.changes[group.score.key].loss <= limit]
        sure = [p for p in within if p.confidence.get(max_drop, 0.0) >= SURE]
        point = within[0] if within else None
        confidence = point.confidence.get(max_drop) if point else None
        found.append(Recommendation(codec, point, confidence, sure[0] if sure else None))
    return found


def cheapest(recommendations: list[Recommendation]) -> Recommendation | None:
    """The codec whose recommended setting has the lowest rate."""
    usable = [r for r in recommendations if r.point is not None]
    return min(usable, key=lambda r: r.point.rate.value if r.point else 0.0, default=None)
