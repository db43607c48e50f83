"""Sound: originals and decodes to be played; of speech, what was heard in them word by word."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from mpq.audio import AudioSample
from mpq.gallery.base import Budget, Gallery
from mpq.gallery.choice import EqualRate, several, telling_and_drawn
from mpq.gallery.recoding import Gone, Material
from mpq.metrics.transcripts import edits, normalised
from mpq.report import rate as shown_rate
from mpq.summary import Point
from mpq.tasks.base import Score
from reports.content import Clip, ClipRow, Clips, Mark, Stretch

ROWS = 4

PLAYED = (".mp3", ".opus", ".m4a", ".ogg")
"""Endings of bitstreams that browsers play themselves."""

SHORTEST = 2.0
"""Seconds: what would have to be cut to less, so that it fits, is not played."""

_MARKS: dict[str, Mark] = {"equal": "same", "substitute": "wrong", "delete": "missing", "insert": "extra"}


def gallery(material: Material, chosen: EqualRate, points: Sequence[Point], budget: Budget) -> Gallery:
    """A row a sample: the original, and what is left of it at several settings, most bits first."""
    speech = material.task.name == "speech"
    shown = several(points, chosen.points) if speech else sorted(chosen.points, key=lambda p: -p.rate.value)
    baseline = material.group.baseline
    if baseline is None:
        return Gallery()
    there = material.scored([baseline, *shown])
    samples = telling_and_drawn(_most_lost(material, baseline, shown, there), there, ROWS)
    made, rows, gone = Gallery(), [], []
    heard: Heard | None = None
    if speech:
        try:
            heard = Heard(material)
        except Gone as error:
            made.notes.append(f"What was heard cannot be shown word by word: {error}.")
    each = budget.bytes // max(1, len(samples))
    for sample, why in samples.items():
        if not budget.take_seconds(material, shown, sample):
            break
        try:
            rows.append(_row(material, [baseline, *shown], sample, why or "loses most", heard, each))
        except Gone as error:
            gone.append(str(error))
    if rows:
        made.figures.append(Clips("…", rows, ""))
    made.gone("Some sounds" if rows else "Sounds", gone)
    return made
