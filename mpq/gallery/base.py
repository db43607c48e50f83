"""What a gallery is, and how much of it there may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mpq.gallery.recoding import Material
from mpq.summary import Point
from reports.content import Figure

BYTES = 3_000_000
"""Of all pictures and sounds of a page: they take a third more in it, and it is to stay below 5 MB."""

SECONDS = 60.0
"""That the coding for one group's gallery took the sweep: with learned codecs fewer samples are shown."""

SENTENCES = 3
"""About what cannot be shown any more: each says the same of another file."""


TOO_MUCH = "coding them again would take too long, or they would take too much room"


@dataclass
class Gallery:
    """figures: to stand after a group's own. notes: what the reader should know of them, or why there are none."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Gallery) -> None:
        self.figures += other.figures
        self.notes += [note for note in other.notes if note not in self.notes]

    def gone(self, what: str, reasons: Sequence[str]) -> None:
        """Notes why ``what`` is not shown."""
        several = list(dict.fromkeys(reasons))
        more = f"; and {len(several) - SENTENCES} more" if len(several) > SENTENCES else ""
        if several:
            self.notes.append(f"{what} cannot be shown: {'; '.join(several[:SENTENCES])}{more}.")


@dataclass
class Budget:
    """What is left for more pictures and sounds."""

    bytes: int
    seconds: float

    def split(self, share: float) -> Budget:
        """A part of it, which is gone from here."""
        part = Budget(int(self.bytes * share), self.seconds * share)
        self.bytes -= part.bytes
        self.seconds -= part.seconds
        return part

    def take_seconds(self, material: Material, points: Sequence[Point], sample: int) -> bool:
        """Whether there is time to code the sample at ``points``; then it is spent."""
        needed = material.seconds(points, sample)
        if needed > self.seconds:
            return False
        self.seconds -= needed
        return True

    def take_bytes(self, count: int) -> bool:
        if count > self.bytes:
            return False
        self.bytes -= count
        return True


def own_score(material: Material, point: Point, sample: int) -> str:
    """A sample's own score, in words; "" where it has none."""
    score = material.group.score
    value = float(point.each[score.key][sample])
    if not math.isfinite(value):
        return ""
    unit = {"share": " %", "points": " points", "dB": " dB"}.get(score.unit, "")
    return f"{score.title} {score.scale * value:.1f}{unit}".replace("-", "−")
