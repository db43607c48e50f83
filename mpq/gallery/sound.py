"""Sound: originals and decodes to be played; of speech, what was heard in them, word by word."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from mpq.audio import AudioSample
from mpq.audio_files import wav
from mpq.gallery.base import TOO_MUCH, Budget, Gallery, own_score
from mpq.gallery.choice import EqualRate, most_lost, several, telling_and_drawn
from mpq.gallery.pictures import rate_of
from mpq.gallery.recoding import Gone, Material
from mpq.gallery.transcripts import Transcripts
from mpq.registry import codecs
from mpq.summary import Point
from mpq.wording import rate as shown_rate
from reports.content import Clip, ClipRow, Clips

UTTERANCES, TRACKS = 4, 2
"""Rows: of speech, and of all that may be music, which takes much room."""

PLAYED = (".mp3", ".opus", ".m4a", ".ogg")
"""Endings of bitstreams that browsers play by themselves."""

SHORTEST = 2.0
"""Seconds. What would have to be cut to less, so that it fits, is not played at all."""

FLAC_SHARE = 0.75
"""Of a WAV's bytes, that a FLAC file takes: most take less."""


def gallery(material: Material, chosen: EqualRate, points: Sequence[Point], budget: Budget) -> Gallery:
    """A row a sample: the original, and what is left of it, most bits first: of speech at several settings."""
    baseline = material.baseline
    speech = material.task.name == "speech"
    shown = several(points, chosen.points) if speech else several(chosen.points, ())
    there = material.scored([baseline, *shown])
    samples = telling_and_drawn(
        most_lost(material.group, shown, there), there, UTTERANCES if speech else TRACKS
    )
    made, rows, gone = Gallery(), [], []
    transcripts = None
    if speech:
        try:
            transcripts = Transcripts(material)
        except Gone as error:
            made.notes.append(f"What was heard cannot be shown word by word: {error}.")
    each = budget.bytes // max(1, len(samples))
    for sample, drawn in samples.items():
        if not budget.take_seconds(material, shown, sample):
            break
        clips, why = _clips(material, [baseline, *shown], sample, transcripts, each)
        gone += why
        if clips:
            title = f"{material.name(sample)} · {drawn or 'loses most'}"
            rows.append(ClipRow(title, clips, transcripts.reference(sample) if transcripts else ""))
    if rows:
        if not speech:
            note = f"Each codec's setting nearest to {shown_rate(chosen.rate)} {material.group.rate.title}, {chosen.why}."
        elif len(shown) < len(points):
            note = f"{len(shown)} of {len(points)} settings: those nearest to one rate, and the cheapest."
        else:
            note = "All settings."
        note += " Most bits first. First the samples that lose most, then some that were drawn."
        note += f" {transcripts.note}" if transcripts else ""
        heading = "What was heard" if transcripts else "Originals and decodes"
        made.figures.append(Clips(heading, rows, note))
    if samples and not rows and not gone:
        gone.append(TOO_MUCH)
    made.gone("Some sounds", gone)
    return made


def _clips(
    material: Material, points: Sequence[Point], sample: int, transcripts: Transcripts | None, most: int
) -> tuple[list[Clip], list[str]]:
    """Clips of the original (first of ``points``) and of decodes, in ``most`` bytes; why some cannot be played.

    Where words are known a clip is there in any case.
    """
    baseline = points[0]
    row = material.row(baseline, sample)
    seconds = row["length"] / row["sample_rate"]
    room = FLAC_SHARE * 2 * row["channels"] * row["length"]
    needed = sum(material.row(p, sample)["bits"] / 8 if _played(p) else room for p in points)
    cut = None if needed <= most else seconds * most / (room * len(points))
    files: dict[str, bytes] = {}
    gone: list[str] = []
    if cut is None or cut >= SHORTEST:
        for point in points:
            try:
                files[point.spec] = _file(material, point, sample, cut)
            except Gone as error:
                gone.append(str(error))
    if (not files and not gone) or sum(map(len, files.values())) > most:
        files = {}
        gone.append(f"{material.name(sample)} is too long ({seconds:.0f} s) to be played here")
    clips = []
    for point in points:
        file = files.get(point.spec)
        if file is None and transcripts is None:
            continue
        caption = "original" if point is baseline else point.spec
        words = transcripts.heard(point, sample) if transcripts else []
        said = transcripts.counted(words) if transcripts else own_score(material, point, sample)
        part = f"{cut:.0f} s from the middle" if cut and file else ""
        subtitle = " · ".join(filter(None, (rate_of(material, point, sample), said, part)))
        clips.append(Clip(file, f"{material.name(sample)}, {caption}", caption, subtitle, words))
    return clips, gone


def _file(material: Material, point: Point, sample: int, cut: float | None) -> bytes:
    """To be played: the bitstream itself where browsers know it, else what came out of it. cut: to so many seconds.

    Raises Gone.
    """
    if point.is_baseline:
        sound = material.original(sample)
    else:
        data, sound = material.coded(point, sample)
        if cut is None and _played(point):
            return data
    return flac(sound if cut is None else _middle(sound, cut))


def _played(point: Point) -> bool:
    """Whether browsers play its bitstreams."""
    codec = codecs.entries.get(point.codec)  # somebody's, which is not installed any more, say
    return codec is not None and codec.extension in PLAYED


def flac(sound: AudioSample) -> bytes:
    """All that the model got of a sound, at 16 bits, in a file that browsers play and that is half as long as a WAV."""
    import soundfile

    if sound.channels > 8:  # FLAC has no more
        return wav(sound.samples, sound.rate)
    whole = np.clip(np.rint(sound.samples.T * 32768), -32768, 32767).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, whole, sound.rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _middle(sound: AudioSample, seconds: float) -> AudioSample:
    length = min(sound.length, max(1, int(seconds * sound.rate)))
    start = (sound.length - length) // 2
    return AudioSample(sound.samples[:, start : start + length], sound.rate)
